// What the widgets to take something away with are sent.

interface CodeViewTraits {
  title: string;
  python: string;
  recipe: string;
}

interface DownloadsTraits {
  state: "unready" | "ready" | "working";
  note: string;
  error: string;
  saved: { name: string; size_bytes: number }[];
  wanted: number;
}
