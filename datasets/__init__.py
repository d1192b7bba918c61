"""Embedded data and pretrained weights, each with a card. Imported as workbench.datasets."""

from workbench.datasets.cards import Accuracy, DataCard, File, ModelCard, Training, card_paths, data_card, model_card

__all__ = ["Accuracy", "DataCard", "File", "ModelCard", "Training", "card_paths", "data_card", "model_card"]
