"""A workbench for making neural networks faster, with every number measured on the spot."""
