"""The loop fires every hook, in the order that its docstring prints, and believes what the hooks return."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from stabbench.data.example import Example
from stabbench.models.anatomy import Anatomy, anatomy
from stabbench.models.batch import Batch
from stabbench.models.encoding import TextEncoder, encode_texts
from stabbench.models.loading import load_pretrained, state_hash
from stabbench.monitors.base import Monitor, Step
from stabbench.monitors.trace import Trace
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers.base import (
    Backward,
    Gradients,
    Loss,
    Objective,
    ParamGroup,
    Place,
    Schedule,
    Stabilizer,
)
from stabbench.suite.schema import TrainOptions
from stabbench.training.gradient_probe import GradientProbe
from stabbench.training.loop import Loop, Trained

EXAMPLES = tuple(Example(f"t:{i}", f"the film was {w}", i % 2) for i, w in enumerate(["bad", "good"] * 4))
Run = Callable[..., tuple[Trained, nn.Module]]


@pytest.fixture
def run(tiny_model_without_dropout: Path) -> Run:
    def train(stabilizers: Sequence[Stabilizer] = (), monitors: Sequence[Monitor] = (), epochs: int = 1) -> Any:
        model, tokenizer = load_pretrained(tiny_model_without_dropout, ("no", "yes"), TrialSeeds(0, 0))
        options = TrainOptions(epochs=epochs, batch_size=4, learning_rate=1e-3, max_length=16, precision="fp32")
        loop = Loop(
            model=model,
            anatomy=anatomy(model),
            tokenizer=tokenizer,
            examples=EXAMPLES,
            encoded=encode_texts(tokenizer, [example.text for example in EXAMPLES], 16),
            train=options,
            stabilizers=stabilizers,
            monitors=monitors,
            seeds=TrialSeeds(0, 0),
            probe=GradientProbe(EXAMPLES, tokenizer, 16),
        )
        return loop.run(), model

    return train


class Witness(Stabilizer):
    """Writes down which hook fired, and changes nothing."""

    def __init__(self, log: list[str], name: str = "") -> None:
        self.log, self.name = log, name

    def note(self, hook: str) -> None:
        self.log.append(f"{hook}{self.name}")

    def prepare_data(self, examples: Sequence[Example], seeds: TrialSeeds, encode: TextEncoder) -> None:
        self.note("prepare_data")

    def prepare_model(self, model: nn.Module, anatomy: Anatomy, seeds: TrialSeeds, steps: int) -> None:
        self.note("prepare_model")

    def group_params(self, groups: list[ParamGroup], anatomy: Anatomy) -> list[ParamGroup]:
        self.note("group_params")
        return groups

    def wrap_schedule(self, schedule: Schedule, steps: int) -> Schedule:
        self.note("wrap_schedule")
        return schedule

    def wrap_optimizer(self, optimizer: Optimizer) -> Optimizer:
        self.note("wrap_optimizer")
        return optimizer

    def on_start(self, model: nn.Module, optimizer: Optimizer) -> None:
        self.note("on_start")

    def transform_batch(self, batch: Batch, step: int) -> Batch:
        self.note("transform_batch")
        return batch

    def wrap_loss(self, loss: Loss) -> Loss:
        def seen(forward: Any, batch: Batch) -> Objective:
            self.note("loss")
            return loss(forward, batch)

        return seen

    def wrap_backward(self, backward: Backward) -> Backward:
        def seen(draw: int = 0, scale: float = 1.0) -> Objective:
            self.note("backward")
            return backward(draw, scale)

        return seen

    def on_forward(self, batch: Batch, place: Place) -> None:
        self.note("on_forward")

    def on_gradients(self, gradients: Gradients) -> None:
        self.note("on_gradients")

    def on_step(self, model: nn.Module, step: int) -> None:
        self.note("on_step")

    def on_evaluate(self, step: int, validation_accuracy: float | None) -> bool:
        self.note("on_evaluate")
        return False

    def finish_model(self, model: nn.Module) -> None:
        self.note("finish_model")


class Watcher(Monitor):
    """Writes down what it was shown."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.steps: list[Step] = []

    def observe(self, step: Step) -> None:
        self.log.append("observe")
        self.steps.append(step)


def test_hooks_fire_in_the_order_of_the_docstring(run: Run) -> None:
    log: list[str] = []

    run([Witness(log)], [Watcher(log)])

    before = ["prepare_data", "prepare_model", "group_params", "wrap_schedule", "wrap_optimizer", "on_start"]
    step = ["transform_batch", "backward", "loss", "on_forward", "on_gradients", "on_step", "observe"]
    assert log == [*before, *step, *step, "on_evaluate", "finish_model"]


def test_a_stabilizer_that_only_looks_changes_no_bit(run: Run) -> None:
    assert state_hash(run([Witness([])])[1]) == state_hash(run()[1])


def test_wrappers_nest_in_suite_order_with_the_last_outermost(run: Run) -> None:
    log: list[str] = []

    run([Witness(log, "-a"), Witness(log, "-b")])

    assert [entry for entry in log if entry.startswith(("loss", "backward"))][:4] == [
        "backward-b", "backward-a", "loss-b", "loss-a",
    ]  # fmt: skip


def test_the_transformed_batch_is_what_is_trained_on_but_the_order_hash_is_of_the_original(run: Run) -> None:
    class Flipped(Stabilizer):
        def transform_batch(self, batch: Batch, step: int) -> Batch:
            assert batch.labels is not None
            return replace(batch, labels=1 - batch.labels, examples=("other",) * len(batch))

    plain, flipped = run(), run([Flipped()])

    assert state_hash(plain[1]) != state_hash(flipped[1])
    assert plain[0].order == flipped[0].order


def test_every_forward_says_its_batch_and_its_place(run: Run) -> None:
    """Two steps; in each, two backward passes of an objective with two forwards."""
    seen = []

    class Places(Stabilizer):
        def on_forward(self, batch: Batch, place: Place) -> None:
            seen.append((len(batch), *place))

        def wrap_loss(self, loss: Loss) -> Loss:
            def twice(forward: Any, batch: Batch) -> Objective:
                forward(batch, 1)
                return loss(forward, batch)

            return twice

        def wrap_backward(self, backward: Backward) -> Backward:
            def again(draw: int = 0, scale: float = 1.0) -> Objective:
                backward(draw, scale)
                return backward(draw + 3, scale)

            return again

    run([Places()])

    assert seen == [(4, step, 0, passed, draw) for step in (0, 1) for passed in (0, 3) for draw in (1, 0)]


def test_a_stabilizer_sees_the_examples_and_how_texts_become_batches(run: Run) -> None:
    class Looks(Stabilizer):
        def prepare_data(self, examples: Sequence[Example], seeds: TrialSeeds, encode: TextEncoder) -> None:
            self.examples, self.encode = examples, encode

        def transform_batch(self, batch: Batch, step: int) -> Batch:
            texts = {example.id: example.content for example in self.examples}
            assert torch.equal(self.encode([texts[name] for name in batch.examples]).input_ids, batch.input_ids)
            return batch

    run([Looks()])


def test_an_evaluation_that_says_stop_ends_training_there(run: Run) -> None:
    class Stops(Stabilizer):
        def on_evaluate(self, step: int, validation_accuracy: float | None) -> bool:
            return step >= 4

    trained, _ = run([Stops()], epochs=5)

    assert (trained.steps, len(trained.order), trained.probe_step) == (4, 2, [0, 2, 4])


def test_scale_multiplies_the_gradient_and_a_second_pass_adds_to_it(run: Run) -> None:
    def raw(passes: Sequence[float]) -> Tensor:
        class Passes(Stabilizer):
            def wrap_backward(self, backward: Backward) -> Backward:
                def several(draw: int = 0, scale: float = 1.0) -> Objective:
                    results = [backward(index, given) for index, given in enumerate(passes)]
                    return results[0]

                return several

        watcher = Watcher([])
        run([Passes()], [watcher])
        return watcher.steps[0].raw_norms

    torch.testing.assert_close(raw([3.0]), 3 * raw([1.0]))
    torch.testing.assert_close(raw([1.0, 1.0, 1.0]), 3 * raw([1.0]), rtol=1e-4, atol=1e-6)


def test_gradients_seen_by_stabilizers_are_the_raw_ones_and_monitors_see_both(run: Run) -> None:
    class Halves(Stabilizer):
        def on_gradients(self, gradients: Gradients) -> None:
            norms = [p.grad.norm() for p in gradients.parameters if p.grad is not None]
            torch.testing.assert_close(gradients.norms, torch.stack(norms))
            for parameter in gradients.parameters:
                assert parameter.grad is not None
                parameter.grad *= 0.5

    watcher = Watcher([])
    run([Halves()], [watcher])

    torch.testing.assert_close(watcher.steps[0].applied_norms, 0.5 * watcher.steps[0].raw_norms)


def test_frozen_parameters_do_not_move(run: Run, tiny_model_without_dropout: Path) -> None:
    class Freezes(Stabilizer):
        def prepare_model(self, model: nn.Module, anatomy: Anatomy, seeds: TrialSeeds, steps: int) -> None:
            for parameter in anatomy.embeddings.parameters():
                parameter.requires_grad_(False)

    _, model = run([Freezes()])

    start, _ = load_pretrained(tiny_model_without_dropout, ("no", "yes"), TrialSeeds(0, 0))
    moved = {anatomy(model).block_of[name] for (name, a), (_, b) in
             zip(model.named_parameters(), start.named_parameters(), strict=True) if not torch.equal(a, b)}  # fmt: skip
    assert moved == {"block.0", "block.1", "pooler", "head"}


def test_stabilizers_see_the_examples_and_how_texts_become_batches(run: Run) -> None:
    seen: list[Any] = []

    class Reads(Stabilizer):
        def prepare_data(self, examples: Sequence[Example], seeds: TrialSeeds, encode: TextEncoder) -> None:
            seen.extend([tuple(examples), encode([e.text for e in EXAMPLES[:4]]), encode([("the film", "a plot")])])

        def transform_batch(self, batch: Batch, step: int) -> Batch:
            seen.append(batch)
            return batch

    run([Reads()])

    examples, texts, pair, first, *_ = seen
    assert examples == EXAMPLES
    assert texts.labels is None
    assert pair.input_ids.shape[0] == 1
    rows = {example.id: row for example, row in zip(EXAMPLES[:4], texts.input_ids.tolist(), strict=True)}
    given = dict(zip(first.examples, first.input_ids.tolist(), strict=True))
    both = set(rows) & set(given)
    assert both
    assert all([i for i in rows[name] if i] == [i for i in given[name] if i] for name in both)


def test_what_reshapes_the_model_prepares_before_and_finishes_after_all_others(run: Run) -> None:
    log: list[str] = []

    class Reshapes(Witness):
        reshapes = True

    run([Witness(log, "-a"), Reshapes(log, "-wraps"), Witness(log, "-b")])

    assert [e for e in log if e.startswith("prepare_model")] == [f"prepare_model{n}" for n in ("-wraps", "-a", "-b")]
    assert [e for e in log if e.startswith("finish_model")] == [f"finish_model{n}" for n in ("-a", "-b", "-wraps")]


def test_parameters_put_into_a_block_are_grouped_trained_and_traced_with_it(run: Run) -> None:
    class Offset(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner, self.offset = inner, nn.Parameter(torch.zeros(32))

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.inner(x) + self.offset
            return result

    blocks: dict[str, str] = {}

    class Inserts(Stabilizer):
        reshapes = True

        def prepare_model(self, model: nn.Module, anatomy: Anatomy, seeds: TrialSeeds, steps: int) -> None:
            model.requires_grad_(False)
            output = anatomy.blocks[1].output
            output.dense = Offset(output.dense)  # type: ignore[union-attr, arg-type]

        def group_params(self, groups: list[ParamGroup], anatomy: Anatomy) -> list[ParamGroup]:
            blocks.update({name: anatomy.block_of[name] for name in anatomy.block_of if "offset" in name})
            assert [group["block"] for group in groups] == ["block.1"]
            return groups

    trace = Trace()
    _, model = run([Inserts()], [trace])

    assert blocks == {"bert.encoder.layer.1.output.dense.offset": "block.1"}
    assert not torch.equal(dict(model.named_parameters())[next(iter(blocks))], torch.zeros(32))
    norms = trace.arrays()["raw_norm"]
    assert (norms[:, 2] > 0).all()
    assert norms[:, [0, 1, 3, 4]].sum() == 0


def test_a_part_that_trains_later_is_held_by_the_optimizer_from_the_start(run: Run) -> None:
    class Thaws(Stabilizer):
        def on_start(self, model: nn.Module, optimizer: Optimizer) -> None:
            self.part = anatomy(model).blocks[0].requires_grad_(False)
            self.held = {id(p) for group in optimizer.param_groups for p in group["params"]}
            self.start = [p.detach().clone() for p in self.part.parameters()]

        def on_step(self, model: nn.Module, step: int) -> None:
            same = [torch.equal(a, b) for a, b in zip(self.part.parameters(), self.start, strict=True)]
            assert all(same) if step < 2 else not any(same)
            self.part.requires_grad_(step >= 1)
            assert all(id(p) in self.held for p in self.part.parameters())

    trace = Trace()
    run([Thaws()], [trace], epochs=2)

    assert ((trace.arrays()["raw_norm"][:, 1] > 0) == [False, False, True, True]).all()
