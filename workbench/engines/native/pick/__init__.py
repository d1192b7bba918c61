"""Which kernels, tiles and threads a program runs with: tried, picked, and remembered."""
