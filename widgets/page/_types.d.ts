// What the widgets of the page are sent; Python's side is views.py.

interface FigureCard {
  label: string;
  value: string;
  unit: string;
  form: "absent" | "number" | "words";
  tone: string;
  arrow: string;
  lines: string[];
  /** Which figures are better, also as an arrow for narrow cards; null for other cards than that of quality. */
  direction: { text: string; short: string; obvious: boolean } | null;
  mark: Mark;
}

interface Verdict {
  tone: "" | "better" | "worse" | "waiting" | "failed";
  text: string;
  mark?: Mark;
}

interface FiguresTraits {
  view: { cards?: FigureCard[]; verdict?: Verdict; recalled?: string };
}

interface PageFrameTraits {
  views: number;
}

interface RunProgressTraits {
  view: {
    phase: "starting" | "idle" | "working" | "training" | "finished" | "cancelled" | "failed";
    busy: boolean;
    again: boolean;
    text: string;
    /** Of the work that is done; null where it isn't known. */
    share: number | null;
    spoken: string;
    notices: string[];
    error: string;
    environment: string;
  };
  cancels: number;
  repeats: number;
}

interface TabStripTraits {
  titles: string[];
  selected: number;
  label: string;
  hidden: number[];
}

interface WorkloadBarTraits {
  workloads: { name: string; description: string }[];
  workload: string;
  summary: string;
  changed: boolean;
  resets: number;
}
