// What RecipePanel and its browsers tell each other; Python's side is schema.py and recipe_panel.py.

type OptionValue = string | number | boolean | null;

interface Choice {
  value: string;
  text: string;
  /** What the layers are to be computed in where this is chosen; null: as before. */
  precision: string | null;
  /** What it stands under in a list; "" for nothing. */
  heading: string;
  help: string;
}

interface Written {
  percent: boolean;
  suffix: string;
}

interface NumberRange {
  whole: boolean;
  minimum: number;
  maximum: number;
  written: Written;
}

interface Option {
  name: string;
  title: string;
  help: string;
  control: "segmented" | "choice" | "flag" | "text" | "number" | "slider" | "stepper";
  default: OptionValue;
  choices: Choice[];
  whole: boolean;
  minimum: number | null;
  maximum: number | null;
  written: Written;
  /** What a stepper goes over. */
  steps: number[];
  /** Whether it counts the epochs that the step trains for. */
  trains: boolean;
  /** The option matters only where the others have one of these values. */
  when: Record<string, OptionValue[]>;
  /** By another option and its value: the largest value of this one. */
  maximum_when: Record<string, Record<string, number>>;
  /** By another option and its value: the default of this one. */
  default_when: Record<string, Record<string, OptionValue>>;
}

interface Technique {
  name: string;
  title: string;
  help: string;
  /** What its file says of it, by paragraph. */
  about: string[];
  family: string;
  /** The techniques whose steps a new step of this one goes in front of. */
  later: string[];
  /** Its options that have a value for each of several layers. */
  mappings: string[];
  options: Option[];
}

/** Techniques that do the same kind of thing. */
interface Family {
  title: string;
  techniques: string[];
}

interface Engine {
  name: string;
  title: string;
  unavailable: string | null;
  /** Why not, by device and precision. */
  refuses: Record<string, Record<string, string>>;
}

interface Device {
  name: string;
  title: string;
  unavailable: string | null;
}

interface Schema {
  /** In the order in which they happen. */
  techniques: Technique[];
  families: Family[];
  engines: Engine[];
  devices: Device[];
  preferred: string[];
  threads: number;
}

/** A step: which technique, and its options by name. */
type Step = { do: string } & Record<string, OptionValue>;

interface Place {
  engine: string;
  device: string;
  threads: number | null;
  batch: number;
}

interface Recipe {
  workbench_recipe: number;
  steps: Step[];
  place: Place;
  seed: number;
}

/** What a person asks for: a recipe, and which engine its figures are set against. */
interface Asked {
  recipe: Recipe;
  baseline: string;
}

/** Whose change it is, or answers: of which browser, and its number there. */
interface Change {
  client: string;
  number: number;
}

/** Why something could do nothing, by value. */
type Reasons = Record<string, string | null | undefined>;

/** What of a technique could do nothing to this model: all of it, or choices by option and value. */
interface Blocked {
  reason: string;
  choices: Record<string, Reasons>;
}

interface Effect {
  text: string;
  tone: string;
  against?: string;
}

interface RecipePanelTraits {
  /** Empty until there is a catalog. */
  _schema: Schema | object;
  _shown: Asked & Partial<Change>;
  _wanted: Asked & Change;
  _blocked: Record<string, Blocked>;
  effects: Record<string, Effect>;
  costs: Record<string, string>;
  /** The loss that the person accepts, as a share, and what the page calls its hundredth. */
  accepted: { share: number; unit: string };
  /** What each step of the recipe does, in a few words. */
  _said: Record<string, string>;
  model: { name?: string; description?: string };
  busy: boolean;
  error: string;
}

/** A row of a card with which one value is set. */
interface Control {
  el: HTMLElement;
  /** Show a value. */
  set(value: OptionValue): void;
  /** Say of each refused value why. */
  refuse(reasons: Reasons): void;
}

/** The numbers of a slider: its places, and what stands at each. */
interface Scale {
  first: number;
  last: number;
  step: number;
  value(place: number): number;
  place(value: number): number;
  text(value: number): string;
}

interface Card {
  el: HTMLElement;
  update(): void;
}

interface TechniqueCard extends Card {
  isOn(): boolean;
  /** Whether each of these words stands in its name, its family or its help. */
  isFound(words: string[]): boolean;
}

interface StepCard {
  el: HTMLElement;
  effect: HTMLElement;
  /** `opens`: whether it is unfolded as long as nobody folds or unfolds it by hand. */
  show(shown: { on: boolean; opens: boolean; said: string }): void;
  /** Write a step's share of what was reached. */
  tell(panel: Panel, name: string, on: boolean): void;
}

/** What all cards look at and change. */
interface Panel extends Asked {
  schema: Schema;
  /** The card whose change isn't answered yet. */
  asking: string | null;
  update(): void;
  /** What the page calls a hundredth of the loss that is accepted. */
  unit(): string;
  /** Change what is asked for, on behalf of a card, and send it. */
  edit(change: (asked: Asked) => void, card: string): void;
  /** Take over what Python shows, unless a newer change of this browser is on its way. */
  adopt(): void;
  refusedChoices(technique: Technique, option: Option): Reasons;
  refusal(technique: Technique): string;
  initialValue(technique: Technique, step: Step, option: Option): OptionValue;
  /** Whether figures are on their way that aren't known yet. */
  waits(name: string): boolean;
  /** What the effect shown is compared with. */
  against(name: string, on: boolean): string;
  /** What a step does, in a few words. */
  off(name: string): string;
  said(name: string): string;
  /** Write what a card's step has done so far. */
  describe(element: HTMLElement, name: string, on: boolean): void;
}
