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
    accepted: { steps: number[]; unit: string; of: string };
  };
  accepted: number;
  quiet_requests: number;
}

/** What a page that is loaded anew shows again. */
interface Kept {
  workload: string;
  recipe: object;
  baseline: string;
}

interface PageFrameTraits {
  kept: Kept;
  restored: Kept;
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
