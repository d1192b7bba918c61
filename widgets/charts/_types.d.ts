// What the charts are sent, and what they use of Plotly; Python's side is views.py and, for points, runs.py.

/** Plotly, once it is loaded. */
interface Plotly {
  react(el: HTMLElement, data: object[], layout: object, options: object): void;
  purge(el: HTMLElement): void;
}

/** The element that Plotly draws in; `on` is there from the first drawing on. */
interface Drawing extends HTMLElement {
  on?(event: string, listener: (event: any) => void): void;
}

/** What Plotly draws. */
interface Figure {
  data: object[];
  layout: object;
}

/** The parts of a chart's card. */
interface ChartParts {
  heading: HTMLElement;
  note: HTMLElement;
  drawing: Drawing;
  empty: HTMLElement;
  twin: HTMLElement;
  details: HTMLDetailsElement;
  card: HTMLElement;
}

interface ChartTraits {
  /** The model id of the page's PlotlyLibrary. */
  library: string;
}

interface PlotlyLibraryTraits {
  digest: string;
}

/** One of the two sides that are compared. */
interface LatencySide {
  name: string;
  engine: string;
  p50: number;
  p95: number;
  label: string;
  cells: string[];
  /** Bin, count, bin, count, …: see histogram.py. */
  bins: number[];
}

interface LatencyView {
  sides?: LatencySide[];
  steady?: boolean;
  empty?: string;
}

interface LatencyPlotTraits extends ChartTraits {
  view: LatencyView;
  mark: Mark;
  live: boolean;
}

type Ends = [low: number, high: number];

interface ParetoPoint {
  ms: number;
  quality: number;
  /** Quality in digits, without its unit. */
  figure: string;
  label: string;
  /** The ends of the 95 % intervals, where they are known, and the figures in digits. */
  ms_ends?: Ends;
  quality_ends?: Ends;
  told_ms?: string;
  told_ms_ends?: string;
  told_quality_ends?: string;
}

interface ParetoRow extends ParetoPoint {
  id: number;
  batch: number;
  /** When it was measured. */
  when?: string;
}

/** How the metric of all points is named. */
interface PlottedMetric {
  heading: string;
  axis: string;
  /** "lower is better"; empty where it goes without saying. */
  direction: string;
  /** The same, and that the axis is reversed where it is. */
  axis_direction: string;
  better: "higher" | "lower";
  /** What stands before and after a figure. */
  before: string;
  after: string;
  /** What is shown above and below the outermost points at least. */
  least_margin: number;
}

interface ParetoPlotTraits extends ChartTraits, RowsTraits<ParetoRow> {
  /** The run under way; empty without one. */
  current: Partial<ParetoPoint>;
  baseline: Partial<ParetoPoint>;
  /** Empty until a metric is known. */
  metric: Partial<PlottedMetric>;
  batch: number;
  front: number[];
  /** The worst quality that is accepted; empty until it is known. */
  accepted: { bound?: number; loss?: string };
  /** What the axes show; empty where there is nothing. */
  frame: { ms?: Ends; quality?: Ends };
}

/** A point of the plot with what it is shown as. */
interface ParetoMark {
  point: ParetoPoint & Partial<ParetoRow>;
  kind: MarkKind;
  at: ParetoPlace;
}

type MarkKind = "front" | "beaten" | "apart" | "baseline" | "current";

/** From the left and from the bottom, 0 to 1, kept within the plot; `angle`: clockwise from upwards, where it isn't. */
interface ParetoPlace {
  x: number;
  y: number;
  angle: number | null;
}

/** What the axes span, as Plotly has it (logarithms of milliseconds; quality turned where less is better), in pixels. */
interface ParetoScale {
  x: Ends;
  y: Ends;
  width: number;
  height: number;
  zoomed: boolean;
}

/** The part of the axes that one has zoomed into. */
interface Zoom {
  x: Ends;
  y: Ends;
}

/** What is drawn, worked out once for drawing, legend and labels. */
interface ParetoScene {
  scale: ParetoScale;
  marks: ParetoMark[];
  chosen: ParetoMark | null;
  pinned: ParetoMark[];
  metric: PlottedMetric;
  batch: number;
  accepted: { bound?: number; loss?: string };
}

interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** A label; a `needed` one may cross lines and stand further away, "always" cover marks as well. */
interface Label {
  mark: ParetoMark;
  text: string;
  ink: string;
  needed: "" | "if free" | "always";
}

interface TrainingView {
  technique?: string;
  points?: [epoch: number, loss: number][];
  /** What it comes to on the way, with its 95 % interval. */
  estimates?: [epoch: number, quality: number, low: number, high: number][];
  /** What the estimates are of, with its unit. */
  metric?: string;
  epochs?: number;
  progress?: string;
  live?: boolean;
}

interface TrainingPlotTraits extends ChartTraits {
  view: TrainingView;
}

/** A bar between two places of 0 to 1; "total" stands on the floor. */
interface WaterfallBar {
  text: string;
  tone: "" | "total" | "better" | "worse";
  pending: boolean;
  /** Why nothing is known of it and nothing will be. */
  reason?: string;
  low: number;
  high: number;
}

interface WaterfallChartTraits {
  /** No panels until there is something to tell; `stale` where they tell of an earlier recipe. A total's `key` is "". */
  view: {
    columns: { name: string; key: string }[];
    panels?: { title: string; bars: WaterfallBar[] }[];
    stale?: boolean;
  };
}
