"""Training a compressed student on the trial's own training data, through the one training loop.

The objective is a loss wrapper like a stabilizer's: the loop, its batches, order and dropout streams are those of every
trial, so that students of one seed see the same batches in every arm.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stabbench.compression._parts import encoder_parts
from stabbench.compression.base import Material
from stabbench.errors import StabbenchError
from stabbench.models.anatomy import anatomy
from stabbench.models.attention import projections
from stabbench.models.batch import Batch
from stabbench.models.encoding import encode_texts
from stabbench.models.hooks import recorded_outputs
from stabbench.models.subject import Subject
from stabbench.stabilizers.base import Forward, Loss, Objective, Stabilizer
from stabbench.suite.train_options import TrainOptions
from stabbench.training.gradient_probe import GradientProbe
from stabbench.training.loop import Loop


@dataclass(frozen=True)
class Teaching:
    """How a student is taught.

    Attributes:
        epochs: passes over the training data.
        learning_rate: peak rate; it falls linearly to 0.
        temperature: T of the soft labels.
        alpha: weight of the right labels' cross-entropy; 1 − alpha is that of the soft labels.
        hidden: weight of the mean squared difference of hidden states.
        relations: weight of the divergence of the top block's query and key relations.
    """

    epochs: int
    learning_rate: float
    temperature: float = 2.0
    alpha: float = 0.5
    hidden: float = 0.0
    relations: float = 0.0


def teach(student: nn.Module, subject: Subject, layers: Sequence[int], material: Material, how: Teaching) -> None:
    """Train `student` in place to answer as `subject` does, in float32 on one thread; leaves it in evaluation mode.

    Args:
        student: a smaller model with the subject's classes and tokenizer.
        subject: the teacher.
        layers: for each of the student's blocks the index of the teacher's block whose output it should give.
        material: the training examples, and the seeds of order and dropout.
        how: the objective and its training.

    Raises:
        StabbenchError: there are no training examples, or training diverged.
    """
    if how.epochs == 0:
        return
    if not material.examples:
        raise StabbenchError("compression: there are no training examples to train the compressed model on")
    assert subject.model is not None, "a teacher is a torch model"
    train = TrainOptions(
        epochs=how.epochs, learning_rate=how.learning_rate, max_length=subject.max_length, precision="fp32"
    )
    texts = [example.content for example in material.examples]
    with _one_thread(), torch.random.fork_rng(devices=[]):
        trained = Loop(
            model=student.train(),
            anatomy=anatomy(student),
            tokenizer=subject.tokenizer,
            examples=material.examples,
            encoded=encode_texts(subject.tokenizer, texts, subject.max_length),
            train=train,
            stabilizers=[_Teacher(subject.model, student, tuple(layers), how)],
            monitors=[],
            seeds=material.seeds,
            probe=GradientProbe(material.examples, subject.tokenizer, subject.max_length),
        ).run()
    student.to("cpu").eval().zero_grad(set_to_none=True)
    if not trained.finite_loss:
        raise StabbenchError("compression: training the compressed model diverged; lower its learning rate")


@dataclass
class _Teacher(Stabilizer):
    """The loop's way to another objective: soft labels, hidden states and relations of a teacher."""

    model: nn.Module
    student: nn.Module
    layers: tuple[int, ...]
    how: Teaching

    def wrap_loss(self, loss: Loss) -> Loss:
        """Return the objective that is taught."""

        def taught(forward: Forward, batch: Batch) -> Objective:
            with _seen(self.student) as mine:
                plain = loss(forward, batch)
            # Full precision and no gradient: the teacher is what it was when it was measured.
            with torch.no_grad(), _seen(self.model) as shown:
                given = self.model(**batch.to(next(self.model.parameters()).device).inputs()).logits.float()
            given = given.to(plain.logits.device)
            total = self.how.alpha * plain.total + (1 - self.how.alpha) * soft_label_loss(
                plain.logits, given, self.how.temperature
            )
            if self.how.hidden:
                pairs = zip(mine.blocks, (shown.blocks[index] for index in self.layers), strict=True)
                total = total + self.how.hidden * hidden_loss(list(pairs), batch.attention_mask)
            if self.how.relations:
                pairs = zip(mine.top, shown.top, strict=True)
                total = total + self.how.relations * relation_loss(
                    list(pairs), batch.attention_mask, encoder_parts(self.model)[-1].heads
                )
            return Objective(total, plain.cross_entropy, plain.logits)

        return taught


@dataclass(frozen=True)
class _Inside:
    """What a forward pass went through: outputs of the blocks, and the top block's queries and keys."""

    blocks: list[Tensor]
    top: list[Tensor]


@contextmanager
def _seen(model: nn.Module) -> Iterator[_Inside]:
    blocks = anatomy(model).blocks
    found = projections(blocks[-1], 1)
    with ExitStack() as stack:
        outputs = stack.enter_context(recorded_outputs(blocks))
        top = stack.enter_context(recorded_outputs([] if found is None else [found.query, found.key]))
        yield _Inside(outputs, top)


def soft_label_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return T² · mean over the batch of KL(softmax(teacher / T) ‖ softmax(student / T)); logits are (B, C).

    Source: Hinton et al. (2015), arXiv:1503.02531.
    """
    wanted = torch.log_softmax(teacher / temperature, dim=-1)
    given = torch.log_softmax(student / temperature, dim=-1)
    return temperature**2 * (wanted.exp() * (wanted - given)).sum(dim=-1).mean()


def hidden_loss(pairs: Sequence[tuple[Tensor, Tensor]], mask: Tensor) -> Tensor:
    """Return the mean over pairs, real tokens and units of (student − teacher)²; each is (B, T, H), `mask` (B, T).

    Source: Jiao et al. (2020), TinyBERT, arXiv:1909.10351, whose learnt projection is the identity at equal width.
    """
    real = mask.unsqueeze(-1).to(pairs[0][0].dtype)
    means = [
        ((mine.float() - other.to(mine.device)).square() * real).sum() / (real.sum() * other.shape[-1])
        for mine, other in pairs
    ]
    return torch.stack(means).mean()


def relation_loss(pairs: Sequence[tuple[Tensor, Tensor]], mask: Tensor, heads: int) -> Tensor:
    """Return the mean over pairs, heads and real tokens of KL(R(teacher) ‖ R(student)).

    R(X) = softmax(X Xᵀ / √d) over real tokens, for each of `heads` slices of width d of X, (B, T, H): how much each
    token's query (or key) is like every other's. Widths may differ: each side is cut into the same number of slices.
    Source: Wang et al. (2021), MiniLMv2, arXiv:2012.15828; the value-value relation is left out here.
    """
    real = mask.to(torch.float32)
    found = []
    for mine, other in pairs:
        student, teacher = _relations(mine, mask, heads), _relations(other.to(mine.device), mask, heads)
        divergence = (teacher.exp() * (teacher - student)).sum(dim=-1)  # (B, heads, T)
        found.append((divergence * real.unsqueeze(1)).sum() / (real.sum() * heads))
    return torch.stack(found).mean()


def _relations(states: Tensor, mask: Tensor, heads: int) -> Tensor:
    """Return log R, (B, heads, T, T); padding has a log share of −1e9, as good as none."""
    batch, tokens, width = states.shape
    cut = states.float().view(batch, tokens, heads, width // heads).transpose(1, 2)
    scores = cut @ cut.transpose(-1, -2) / (width // heads) ** 0.5
    return torch.log_softmax(scores.masked_fill(mask[:, None, None, :] == 0, -1e9), dim=-1)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Train on one thread, so that a result does not depend on how many the caller has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
