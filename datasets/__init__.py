"""Embedded data and pretrained weights, each with a card. Imported as workbench.datasets."""
