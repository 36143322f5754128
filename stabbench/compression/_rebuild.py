"""What compressors share that change a float32 torch model and leave one: copy, change, save, load."""

from __future__ import annotations

import copy
from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from stabbench.compression._artifact import load_model, save_model
from stabbench.compression.base import Compressor, Level, Material, torch_model
from stabbench.models.subject import Subject


class Rebuild(Compressor):
    """Changes a copy of the model; the artifact is ``model.safetensors`` with a config that says its shape."""

    gives: ClassVar[Level] = "encoder"

    def compress(self, subject: Subject, material: Material, folder: Path) -> None:
        """Write the changed model."""
        model = copy.deepcopy(torch_model(subject, self.plugin_name()))
        # New modules are drawn at random before they are filled.
        with torch.random.fork_rng(devices=[]):
            self.change(model, subject, material)
        save_model(model.eval(), subject, folder)

    def load(self, folder: Path) -> Subject:
        """Return the float32 subject of the artifact; chains may go on from it."""
        return load_model(folder)

    @abstractmethod
    def change(self, model: nn.Module, subject: Subject, material: Material) -> None:
        """Change `model` in place; `subject` still holds what it is a copy of."""
