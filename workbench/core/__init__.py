"""Where runs happen: the worker's side."""
