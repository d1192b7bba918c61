"""Embedded data and pretrained weights, each with a card. Imported as workbench.datasets."""

from workbench.datasets.cards import DataCard, Figure, File, ModelCard, Training, card_paths, data_card, model_card

__all__ = ["DataCard", "Figure", "File", "ModelCard", "Training", "card_paths", "data_card", "model_card"]
