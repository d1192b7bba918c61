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
  code: BufferSource;
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
  mark?: Mark;
  steady?: boolean;
  live?: boolean;
  empty?: string;
}

interface LatencyPlotTraits extends ChartTraits {
  view: LatencyView;
}

interface ParetoPoint {
  ms: number;
  quality: number;
  /** Quality in digits, without its unit. */
  figure: string;
  label: string;
}

interface ParetoRow extends ParetoPoint {
  id: number;
  batch: number;
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
}

interface TrainingView {
  technique?: string;
  points?: [epoch: number, loss: number][];
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
