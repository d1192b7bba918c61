// What the tables are sent; Python's side is views.py and, for the history, runs.py.

interface HistoryRow {
  id: number;
  recipe: string;
  when: string;
  latency: string;
  baseline: string;
  speedup: string;
  quality: string;
  change: string;
  size: string;
}

interface HistoryTableTraits extends RowsTraits<HistoryRow> {
  /** How the column of quality is headed. */
  quality_heading: string;
}

interface GraphNode {
  name: string;
  label: string;
  kind: "layer" | "join" | "end";
  op: string;
  x: number;
  y: number;
  width: number;
  /** Of the longest layer's time, from 0 to 1. */
  shade: number;
  /** Of the time of all layers; "" where it isn't known. */
  percent: string;
  reality: Reality | "";
  /** Whether nothing of it is left, as of a normalisation that was folded. */
  gone: boolean;
}

interface LayerGraphTraits {
  view: {
    width: number;
    height: number;
    node_height: number;
    nodes: GraphNode[];
    edges: { from: string; to: string; points: number[] }[];
  };
  selected: string;
}

interface ReceiptRow {
  layer: string;
  op: string;
  before: string;
  after: string;
  compute: string;
  kernel: string;
  reality: Reality;
  reason: string;
}

interface LayerRow extends ReceiptRow {
  change: string;
  weights: string;
  time: string;
  timed: boolean;
  time_reason: string;
  /** Of the longest time there is, now or before. */
  share: number;
  /** The time of the baseline's layer; "" where it isn't known. */
  was: string;
  was_share: number;
  ceiling: string;
  /** Whether it is known how much of the machine's best the layer reaches. */
  bounded: boolean;
  error: string;
  /** What several small layers of one fate are called together; "" for a row that stands for itself. */
  group: string;
  /** Whether it has weights. */
  weighs: boolean;
}

/** A layer's weights, before or now. */
interface NumbersSide {
  name: "before" | "now";
  title: string;
  facts: string[];
  /** Where the first bar begins. */
  low: number;
  width: number;
  counts: number[];
  /** Whether each bar is a whole number that the format has. */
  grid: boolean;
  ends: [low: string, high: string];
  /** Of levels the index, else where between the ends, from 0 to 1; null where there is no place for it. */
  zero: { at: number | null; count: number; text: string };
}

/** What may be asked of the layer that is unfolded. */
interface LayerSchemes {
  layer: string;
  choices: string[];
  /** Which of them is the layer's own; "" for none. */
  own: string;
  /** What it is asked to be without that. */
  general: string;
  /** Why some of them could do nothing to it. */
  refused: Record<string, string>;
}

interface LayerTableTraits {
  rows: LayerRow[];
  schemes: LayerSchemes | Record<string, never>;
  /** What was asked of a layer, and when. */
  asked: { layer?: string; choice?: string; at?: number };
  /** Of the layer whose row is unfolded; {} until it is known. */
  detail: { layer?: string; note?: string; sides?: NumbersSide[] };
  mark: Mark;
  /** The layer whose row is unfolded; "" for none. */
  selected: string;
}

interface ReceiptViewTraits {
  rows: ReceiptRow[];
  facts: [name: string, value: string][];
  mark: Mark;
}

/** What one example is drawn as: a picture, a line, or text alone. */
interface ShownExample {
  text: string;
  picture: string;
  /** The corners of a line. */
  points: string;
  note: string;
  /** What its error or score is. */
  figure: string;
  /** Whether it is the right answer; null where it is neither. */
  right?: boolean | null;
}

interface ExampleItem {
  number: string;
  inputs: ShownExample[];
  target: ShownExample | null;
  before: ShownExample;
  after: ShownExample;
}

interface ConfusionCell {
  text: string;
  tone: "right" | "wrong" | "better" | "worse" | "";
  share: number;
}

interface ConfusionGrids {
  classes: string[];
  now: ConfusionCell[][];
  change: ConfusionCell[][];
}

interface ExamplesFound {
  summary: string;
  form: "masks" | "text" | "line" | "picture" | "numbers";
  /** What the examples' figures are: "Error: mean absolute error, ppm". */
  figures: string;
  /** The same in a word, "error"; "" where there are none. */
  figure_word: string;
  groups: { title: string; outcome: string; items: ExampleItem[] }[];
  legend: [name: string, colour: string][];
  confusion: ConfusionGrids | null;
}

interface ExamplesViewTraits {
  view: ExamplesFound | { empty: string };
  mark: Mark;
}

/** How far a figure is from nothing, of the largest there is; "" where it can't be told from nothing. */
interface SensitivityFigure {
  text: string;
  tone: "better" | "worse" | "";
  share: number;
}

interface SensitivityEffect {
  loss: SensitivityFigure;
  error: SensitivityFigure;
  /** All of it in words; "" until it is known. */
  told: string;
}

interface SensitivityCell {
  scheme: string;
  /** Why the layer has no such form; "" where it has. */
  reason: string;
  own: string;
  only: SensitivityEffect;
  all_but: SensitivityEffect;
}

interface SensitivityFound {
  /** What loss is, and its unit. */
  loss: string;
  examples: string;
  /** How much of the work is done; "" once all is. */
  progress: string;
  schemes: string[];
  timed: boolean;
  rows: { layer: string; time: string; cells: SensitivityCell[] }[];
}

interface SensitivityShown {
  side: "only" | "all_but";
  figure: "loss" | "error";
}

interface SensitivityMapTraits {
  view: SensitivityFound | { empty: string };
  mark: string;
  chosen: Record<string, string>;
  pressed: { layer: string; scheme: string; at: number };
}
