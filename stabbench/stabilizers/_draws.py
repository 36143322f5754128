"""Random draws of stabilizers: a generator of their own for each purpose, so that nothing else is shifted."""

from __future__ import annotations

import torch

from stabbench.seeding import derive


def generator(device: torch.device, *parts: str | int) -> torch.Generator:
    """Return a generator on `device` whose state is a function of `parts` alone; the global state stays as it is."""
    return torch.Generator(device).manual_seed(derive(*parts))
