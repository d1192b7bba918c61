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

interface LayerRow {
  layer: string;
  op: string;
  change: string;
  weights: string;
  time: string;
  timed: boolean;
  time_reason: string;
  ceiling: string;
  /** Whether it is known how much of the machine's best the layer reaches. */
  bounded: boolean;
  /** Of the longest layer's time. */
  share: number;
  error: string;
  kernel: string;
  reality: Reality;
  reason: string;
}

interface LayerTableTraits {
  rows: LayerRow[];
  mark: Mark;
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

interface ReceiptViewTraits {
  rows: ReceiptRow[];
  facts: [name: string, value: string][];
  mark: Mark;
}
