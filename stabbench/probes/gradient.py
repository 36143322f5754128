"""The gradient probe on a finished model: how steep plain cross-entropy is at each block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from stabbench.errors import ConfigurationError
from stabbench.models.anatomy import anatomy
from stabbench.models.subject import Subject
from stabbench.probes.base import Applies, Context, Probe
from stabbench.records import Measurement
from stabbench.training.gradient_probe import EXAMPLES, GradientProbe


@dataclass(frozen=True)
class Gradient(Probe):
    """Per-block norm of the mean gradient of plain cross-entropy in evaluation mode, on fixed training examples.

    Stores ``gradient.npz``: blocks (L,) str from the bottom up, norm (L,) float64. The same examples and objective as
    the checkpoint probe of training, so the last point of a trace and this probe agree; where there is no training
    split (an audited checkpoint) the test split is used.
    """

    version: ClassVar[int] = 1
    applies: ClassVar[Applies] = "dense"
    paper: ClassVar[str] = "Mosbach et al. 2021, arXiv:2006.04884 (per-layer gradient norms and vanishing gradients)"
    equation: ClassVar[str] = "n_l = ‖(1/n) Σᵢ ∇_l CE(f(xᵢ), yᵢ)‖₂ for block l; the global norm is √(Σ_l n_l²)."
    changes: ClassVar[str] = "Nothing: gradients are taken beside the model's own."
    cost: ClassVar[str] = "One forward and one backward pass over `examples` texts."
    departures: ClassVar[str] = "Evaluation mode and fixed batches, so that arms with other objectives compare."
    pitfalls: ClassVar[str] = """
        Blocks differ in size, and embeddings see only the tokens that occur: compare one block between arms, not blocks
        with each other. A model that fits its training data has small gradients whatever its stability was.
    """

    examples: Annotated[int, Field(ge=1, description="training examples, chosen by a hash of their ids")] = EXAMPLES

    def measure(self, subject: Subject, context: Context) -> list[Measurement]:
        """Return one norm per block and the global one.

        Raises:
            ConfigurationError: the subject has no torch model.
        """
        if subject.model is None:
            raise ConfigurationError(["probes: 'gradient' needs a torch model; this subject has none"])
        split = context.dataset.train or context.dataset.test
        probe = GradientProbe(split, subject.tokenizer, subject.max_length, self.examples)
        norms = probe.norms(subject.model).double().numpy()
        blocks = anatomy(subject.model).block_names
        np.savez_compressed(context.folder / "gradient.npz", blocks=np.array(blocks), norm=norms)
        n, planned = probe.examples, self.examples
        whole = float(np.sqrt(np.square(norms).sum()))
        return [
            *(
                Measurement("gradient.probe_norm", float(norm), "norm", "neither", {"block": block}, n, planned)
                for block, norm in zip(blocks, norms, strict=True)
            ),
            Measurement("gradient.probe_norm", whole, "norm", "neither", {}, n, planned),
        ]
