"""``distill``: a shallower student that starts from the model's own blocks and learns its answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field
from torch import nn

from stabbench.compression._rebuild import Rebuild
from stabbench.compression._recovery import Teaching, teach
from stabbench.compression.base import Level, Material
from stabbench.compression.drop_layers import chosen, keep_blocks
from stabbench.models.anatomy import anatomy
from stabbench.models.subject import Subject


@dataclass(frozen=True)
class Distill(Rebuild):
    """A student of fewer blocks, taken from the model, trained on right labels, soft labels and hidden states.

    The artifact is an ordinary model of fewer layers, which any library loads.
    """

    version: ClassVar[int] = 1
    needs: ClassVar[Level] = "encoder"
    trains: ClassVar[bool] = True
    paper: ClassVar[str] = """
        Hinton et al. 2015, arXiv:1503.02531 (soft labels); Sanh et al. 2019, arXiv:1910.01108 (layer initialisation);
        Jiao et al. 2020, arXiv:1909.10351 (hidden states); Wang et al. 2021, arXiv:2012.15828 (relations)
    """
    equation: ClassVar[str] = """
        L = α CE + (1 − α) T² KL(softmax(z_t / T) ‖ softmax(z_s / T)) + β mean (h_s − h_t)² + γ KL(R_t ‖ R_s);
        student block j starts as, and learns the output of, teacher block round(j (L − 1) / (k − 1));
        R = softmax(X Xᵀ / √d) of the top block's queries and keys
    """
    changes: ClassVar[str] = "Depth, and every weight that stays."
    cost: ClassVar[str] = "`epochs` of training, each step with one more forward pass, the teacher's."
    departures: ClassVar[str] = """
        Task distillation only: no unlabelled text, no augmentation, no learnt projection (widths are equal). Relations
        leave out the values. One temperature for student and teacher.
    """
    pitfalls: ClassVar[str] = """
        It sees the trial's few training texts, on which the teacher is nearly certain: soft labels hold little more
        than the labels. A student of a failed run learns to fail.
    """

    keep: Annotated[float, Field(gt=0, le=1, description="share of the blocks that the student has")] = 0.5
    epochs: Annotated[int, Field(ge=1, description="epochs of training")] = 3
    learning_rate: Annotated[float, Field(gt=0, description="peak learning rate; it falls linearly to 0")] = 1e-4
    temperature: Annotated[float, Field(gt=0, description="T of the soft labels")] = 2.0
    alpha: Annotated[float, Field(ge=0, le=1, description="α: weight of the right labels")] = 0.5
    hidden: Annotated[float, Field(ge=0, description="β: weight of the hidden states")] = 1.0
    relations: Annotated[float, Field(ge=0, description="γ: weight of the relations")] = 0.0

    def change(self, model: nn.Module, subject: Subject, material: Material) -> None:
        """Take the blocks out and train.

        Raises:
            StabbenchError: there are no training examples, or training diverged.
        """
        kept = chosen(len(anatomy(model).blocks), self.keep, "spread")
        keep_blocks(model, kept)
        how = Teaching(self.epochs, self.learning_rate, self.temperature, self.alpha, self.hidden, self.relations)
        teach(model, subject, kept, material, how)
