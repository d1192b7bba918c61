// What the type checker is told of what Python sends and of what isn't JavaScript of ours. Browsers never get it.

/** The traits that a widget's JavaScript reads and writes, as anywidget hands them over. */
interface Model<Traits> {
  get<Name extends keyof Traits>(name: Name): Traits[Name];
  set<Name extends keyof Traits>(name: Name, value: Traits[Name]): void;
  save_changes(): void;
  on(event: string, listener: (...received: any[]) => void): void;
  send(message: object): void;
  trigger?(event: string): void;
  /** JupyterLab and Voila tell of their kernel, other hosts don't. */
  widget_manager: { get_model(id: string): Promise<unknown>; kernel?: Kernel | null };
}

interface Kernel {
  connectionStatus: string;
  statusChanged: { connect(listener: (kernel: Kernel, status: string) => void): void };
}

/** What `render` is called with. */
interface Rendered<Traits> {
  model: Model<Traits>;
  el: HTMLElement;
}

/** What can stand in an element; absent children are skipped. */
type Child = Node | string | number | boolean | null | undefined | Child[];

/** A promise that someone else keeps; `loading`: someone is at it. */
interface Deferred {
  promise: Promise<any>;
  resolve(value: any): void;
  reject(reason: unknown): void;
  loading?: boolean;
}

/** Rows that grow; what a row says is its widget's. */
interface RowsTraits<Row extends { id: number } = any> {
  rows: Row[];
  selected: number;
  pinned: number[];
  most_pinned: number;
  hidden: number[];
}

/** "stale" or "recalled" where figures are of an earlier run. */
type Mark = "" | "stale" | "recalled";

/** Whether a layer runs as it was asked for. */
type Reality = "real" | "simulated" | "unchanged";
