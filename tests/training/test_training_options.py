"""Training options in whole trials: micro-batches, lengths, stopping, averages; and the default path, bit by bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stabbench.data.example import Dataset, Example
from stabbench.errors import ConfigurationError
from stabbench.models.encoding import collate, encode_texts
from stabbench.models.loading import load_pretrained, state_hash
from stabbench.planning.compute import Compute
from stabbench.seeding import TrialSeeds
from stabbench.suite.schema import TrainOptions
from stabbench.training.fine_tune import fine_tune
from stabbench.training.order import epoch_batches
from stabbench.training.request import TrainRequest, TrainResult

FineTune = Callable[..., TrainResult]
WORDS = ("bad", "good", "dull", "great", "poor", "fine")
EXAMPLES = tuple(Example(f"t:{i}", f"the film was {WORDS[i % 6]}{' and so on' * (i % 4)}", i % 2) for i in range(22))
VALIDATION = tuple(Example(f"v:{i}", f"a {WORDS[i % 6]} story", i % 2) for i in range(10))
TEST = tuple(Example(f"x:{i}", f"a {WORDS[i % 6]} plot", i % 2) for i in range(10))
DATA = Dataset(EXAMPLES, VALIDATION, TEST, ("no", "yes"), "f")


def weights(result: TrainResult) -> dict[str, torch.Tensor]:
    assert result.subject.model is not None
    return dict(result.subject.model.state_dict())


def distance(first: TrainResult, second: TrainResult) -> float:
    a, b = weights(first), weights(second)
    return max(float((a[name] - b[name]).abs().max()) for name in a)


def value(result: TrainResult, metric: str) -> float:
    (found,) = [m.value for m in result.measurements if m.metric == metric]
    assert found is not None
    return found


def test_the_default_path_is_a_plain_loop_bit_by_bit(
    fine_tune_tiny: FineTune, tiny_model_without_dropout: Path
) -> None:
    seeds, classes = TrialSeeds(3, 3), ("no", "yes")
    model, tokenizer = load_pretrained(tiny_model_without_dropout, classes, seeds)
    encoded = encode_texts(tokenizer, [e.text for e in EXAMPLES], 32)
    decayed = [p for n, p in model.named_parameters() if not (n.endswith(".bias") or ".LayerNorm." in n)]
    spared = [p for n, p in model.named_parameters() if n.endswith(".bias") or ".LayerNorm." in n]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.01}, {"params": spared, "weight_decay": 0.0}],
        lr=1.0, betas=(0.9, 0.999), eps=1e-6, fused=True,
    )  # fmt: skip
    table = model.get_input_embeddings()
    table.sparse = True
    step = 0
    for epoch in range(2):
        for batch in epoch_batches([len(item) for item in encoded], 8, seeds, epoch):
            given = collate([encoded[i] for i in batch], tokenizer, [EXAMPLES[i].label for i in batch])
            optimizer.zero_grad()
            assert given.labels is not None
            torch.nn.functional.cross_entropy(model.train()(**given.inputs()).logits, given.labels).backward()
            table.weight.grad = table.weight.grad.coalesce().to_dense()  # adds the rows of a token in its own order
            for group in optimizer.param_groups:
                group["lr"] = 5e-3 * ((6 - step) / 6)
            optimizer.step()
            step += 1

    found = fine_tune_tiny(data=DATA, model=tiny_model_without_dropout, seeds=seeds)

    assert found.subject.model is not None
    assert state_hash(found.subject.model) == state_hash(model)


@pytest.mark.parametrize("stabilizers", [[], [("r_drop", {})], [("fgm", {})]])
@pytest.mark.parametrize(("batch_size", "accumulation"), [(8, 2), (8, 3), (8, 8), (22, 4), (5, 50)])
def test_micro_batches_add_up_to_the_batch(
    stabilizers: list[tuple[str, Mapping[str, Any]]],
    batch_size: int,
    accumulation: int,
    fine_tune_tiny: FineTune,
    tiny_model_without_dropout: Path,
) -> None:
    """The last batch has 6 or 2 of 22 examples and 3 does not divide 8, so shares must go by examples.

    SGD, because Adam's first steps turn a gradient of rounding size into a whole step.
    """
    options: dict[str, Any] = {"batch_size": batch_size, "optimizer": "sgd", "learning_rate": 0.05}
    options |= {"data": DATA, "model": tiny_model_without_dropout}

    whole = fine_tune_tiny(stabilizers, **options)
    parts = fine_tune_tiny(stabilizers, accumulation=accumulation, **options)

    assert parts.details["steps"] == whole.details["steps"]
    assert parts.details["hashes"]["order"] == whole.details["hashes"]["order"]
    assert distance(parts, whole) < 1e-5 < distance(whole, fine_tune_tiny(stabilizers, **options, epochs=1))


def test_steps_go_on_into_further_epochs_and_stop_within_one(fine_tune_tiny: FineTune) -> None:
    whole, longer, shorter = (fine_tune_tiny(**given) for given in ({"epochs": 4}, {"max_steps": 10}, {"max_steps": 4}))

    assert (longer.details["steps"], len(longer.details["hashes"]["order"])) == (10, 4)
    assert (shorter.details["steps"], len(shorter.details["hashes"]["order"])) == (4, 2)
    assert longer.details["hashes"]["order"] == whole.details["hashes"]["order"]
    assert fine_tune_tiny(max_steps=12).details["weights"] == whole.details["weights"]
    with np.load(shorter.subject.folder.parent / "trace.npz") as trace:  # type: ignore[union-attr]
        assert trace["learning_rate"] == pytest.approx([5e-3 * share for share in (1, 0.75, 0.5, 0.25)])
        assert trace["probe_step"].tolist() == [0, 3, 4]


def test_early_stopping_reads_the_validation_split_and_never_the_test_split(fine_tune_tiny: FineTune) -> None:
    options = {"epochs": 6, "early_stopping": {"patience": 1, "checkpoint": "best"}}
    other_tests = tuple(replace(e, label=1 - e.label, text="nothing like it") for e in TEST)
    other_validation = tuple(replace(e, label=1 - e.label) for e in VALIDATION)

    first = fine_tune_tiny(data=DATA, **options)
    same = fine_tune_tiny(data=replace(DATA, test=other_tests), **options)
    other = fine_tune_tiny(data=replace(DATA, validation=other_validation), **options)

    assert same.details["weights"] == first.details["weights"]
    assert same.details["validation"] == first.details["validation"]
    assert other.details["validation"][0] != first.details["validation"][0]
    assert other.details["stopped_early"], "the more it learns, the worse are answers that are all wrong"
    assert other.details["steps"] < 6 * 3


def test_the_kept_weights_are_those_of_the_best_evaluation(fine_tune_tiny: FineTune) -> None:
    flipped = replace(DATA, validation=tuple(replace(e, label=1 - e.label) for e in VALIDATION))
    options: dict[str, Any] = {
        "epochs": 6,
        "early_stopping": {"patience": 3, "metric": "accuracy", "checkpoint": "best"},
    }

    result = fine_tune_tiny(data=flipped, **options)

    best = max(result.details["validation"], key=lambda row: row["accuracy"])
    right = result.subject.predict(flipped.validation).argmax(axis=1) == [e.label for e in flipped.validation]
    assert result.details["checkpoint_step"] == best["step"] < result.details["steps"]
    assert right.mean() == pytest.approx(best["accuracy"])
    assert [m.value for m in result.measurements if m.metric == "train.validation_accuracy"] == [
        row["accuracy"] for row in result.details["validation"]
    ]


@pytest.mark.parametrize(
    "options", [{"early_stopping": {}}, {"schedule": "plateau", "plateau": {"watch": "validation"}}]
)
def test_what_looks_at_validation_needs_one(options: dict[str, Any], fine_tune_tiny: FineTune) -> None:
    with pytest.raises(ConfigurationError, match=r"give data\.validation, such as"):
        fine_tune_tiny(data=replace(DATA, validation=()), **options)


def test_looking_at_validation_changes_no_bit(fine_tune_tiny: FineTune) -> None:
    looking = fine_tune_tiny(data=DATA, early_stopping={"patience": 100})

    assert looking.details["weights"] == fine_tune_tiny(data=DATA).details["weights"]
    assert looking.details["checkpoint"] == "last"


def test_a_plateau_lowers_the_rate(fine_tune_tiny: FineTune) -> None:
    plateau = {"patience": 1, "factor": 0.5, "threshold": 0.99}
    result = fine_tune_tiny(epochs=3, schedule="plateau", plateau=plateau)

    with np.load(result.subject.folder.parent / "trace.npz") as trace:  # type: ignore[union-attr]
        assert trace["learning_rate"] == pytest.approx([5e-3] * 6 + [2.5e-3] * 3)


def test_schedule_free_ends_with_the_average_and_not_with_the_weights_that_it_trained_at(
    fine_tune_tiny: FineTune, monkeypatch: pytest.MonkeyPatch
) -> None:
    averaged = fine_tune_tiny(optimizer="schedule_free", schedule="constant", epochs=10)
    monkeypatch.setattr("stabbench.training.loop.settle", lambda optimizer: None)
    trained = fine_tune_tiny(optimizer="schedule_free", schedule="constant", epochs=10)

    assert value(averaged, "train.accuracy_train") > 0.9
    assert distance(averaged, trained) > 1e-4


def test_an_arm_of_two_passes_gets_half_the_steps_of_its_reference(tiny_model: Path, tmp_path: Path) -> None:
    train = TrainOptions(epochs=4, batch_size=8, max_length=32, precision="fp32", match_compute=True)
    compute = Compute(epochs=4, max_steps=None, batch_size=8, passes=2.0, own_batch_size=8, own_passes=4.0)
    request = TrainRequest(
        tiny_model, DATA, train, TrialSeeds(0, 0), tmp_path, stabilizers=[("r_drop", {})], compute=compute
    )

    result = fine_tune(request)

    assert result.details["steps"] == 6
    passes = value(result, "train.forward_passes") + value(result, "train.backward_passes")
    assert passes * result.details["steps"] == 2.0 * 12
