"""What is trained: one file for each network, with the tables that its recipe adds."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stylecli.training.tasks.task import TrainingTask

TASKS = {
    "style-rwkv": "style_rwkv:StyleRwkvTask",
    "style-reader": "style_reader:StyleReaderTask",
    "style-features": "style_features:StyleFeaturesTask",
    "style-mamba": "style_mamba:StyleMambaTask",
    "autoencoder": "autoencoder:AutoencoderTask",
    "siglip-text": "siglip_text:SiglipTextTask",
    "siglip-image": "siglip_image:SiglipImageTask",
}
"""Name in a recipe to module and class."""


def find_task(name: str) -> type[TrainingTask]:
    module, kind = TASKS[name].split(":")
    found: type[TrainingTask] = getattr(import_module(f"{__name__}.{module}"), kind)
    return found


def settings_of(name: str) -> type:
    """The dataclass of the tables that a task adds to a recipe."""
    return find_task(name).settings
