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
  /** Where an interval and 1× lie along the card, from 0 to 1; null for other cards than the speed-up's. */
  range: { low: number; high: number; one: number } | null;
}

interface Verdict {
  tone: "" | "better" | "worse" | "waiting" | "failed";
  text: string;
  mark?: Mark;
}

interface FiguresTraits {
  view: { cards?: FigureCard[]; verdict?: Verdict; recalled?: string };
}

interface VerdictLineTraits {
  view: {
    clauses: { part: "speed" | "quality" | "size"; text: string; tone: "" | "better" | "worse" }[];
    stale: boolean;
    /** How sure the speed is; level "" while there is none. */
    sure: { level: "" | "solid" | "rough" | "busy"; text: string; title: string };
    /** Whether waiting for a quiet moment could help. */
    wait: boolean;
    /** What the button says that lets a training or a search begin; "" where none waits. */
    train: string;
    accepted: { steps: number[]; unit: string; of: string };
  };
  accepted: number;
  quiet_requests: number;
  train_requests: number;
}

/** What a link leads to. Out of an address the recipe is its text, which Python reads. */
interface Kept {
  workload: string;
  recipe: object | string;
  baseline: string;
  /** When it was asked for, so that the same link is followed twice. */
  at?: number;
}

interface PageFrameTraits {
  kept: Kept;
  restored: Kept;
  views: number;
  twin_class: string;
}

interface SummaryStep {
  title: string;
  what: string;
  text: string;
  tone: string;
  against: string;
}

interface SummaryReality {
  reality: Reality;
  text: string;
  why: string;
}

interface RunSummaryTraits {
  view: {
    heading: string;
    clauses: { part: string; text: string; tone: string }[];
    sure: { level: string; text: string; title: string };
    sentence: string;
    recalled: string;
    steps: SummaryStep[];
    realities: SummaryReality[];
    notices: string[];
    facts: [name: string, value: string][];
  };
  mark: Mark;
}

interface RunProgressTraits {
  view: {
    phase:
      | "starting"
      | "idle"
      | "working"
      | "training"
      | "searching"
      | "finished"
      | "cancelled"
      | "failed"
      | "untrained";
    busy: boolean;
    again: boolean;
    /** Whether a search has a best so far that can be taken. */
    take: boolean;
    text: string;
    /** Of the work that is done; null where it isn't known. */
    share: number | null;
    spoken: string;
    notices: string[];
    /** How many notices there are; "" for none. */
    noted: string;
    error: string;
    environment: string;
  };
  cancels: number;
  repeats: number;
  takes: number;
}

interface TryNextTraits {
  /** `gain`: that of an earlier run of the same recipe; "" where there is none. */
  offers: { name: string; recipe: object; gain: string }[];
  /** With the moment, so that the same recipe can be taken twice. */
  taken: { recipe?: object; at?: number };
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
  can_undo: boolean;
  can_redo: boolean;
  undos: number;
  redos: number;
}
