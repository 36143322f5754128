"""A whole trial on the tiny model: the same bits twice, files as promised, failures as results."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stabbench.data.example import Dataset, Example
from stabbench.models.loading import load_pretrained, load_subject, state_hash, weights_hash
from stabbench.records import Measurement
from stabbench.seeding import TrialSeeds
from stabbench.training.order import order_hash
from stabbench.training.request import TrainResult

FineTune = Callable[..., TrainResult]


def value(result: TrainResult, metric: str, **at: int) -> float:
    found = [m for m in result.measurements if m.metric == metric and dict(m.at) == at]
    assert len(found) == 1, metric
    assert found[0].value is not None
    return found[0].value


def folder(result: TrainResult) -> Path:
    assert result.subject.folder is not None
    return result.subject.folder.parent


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_same_trial_twice_gives_bit_equal_weights_and_traces(precision: str, fine_tune_tiny: FineTune) -> None:
    first, second = fine_tune_tiny(precision=precision), fine_tune_tiny(precision=precision)

    assert first.details == second.details
    with np.load(folder(first) / "trace.npz") as one, np.load(folder(second) / "trace.npz") as two:
        for name in one:
            np.testing.assert_array_equal(one[name], two[name], err_msg=name)


def test_what_ran_before_in_the_process_does_not_matter(fine_tune_tiny: FineTune) -> None:
    first = fine_tune_tiny()
    torch.manual_seed(99)
    fine_tune_tiny([("fgm", {})], precision="bf16", seeds=TrialSeeds(4, 4))

    assert fine_tune_tiny().details == first.details


def test_precision_decides_the_weights_which_are_kept_in_float32(fine_tune_tiny: FineTune) -> None:
    exact, rounded = fine_tune_tiny(precision="fp32"), fine_tune_tiny(precision="bf16")

    assert exact.details["weights"] != rounded.details["weights"]
    assert rounded.subject.model is not None
    assert {p.dtype for p in rounded.subject.model.parameters()} == {torch.float32}


def test_hashes_are_those_of_the_weights_before_training_and_of_ids_in_order(
    fine_tune_tiny: FineTune, tiny_model: Path
) -> None:
    hashes = fine_tune_tiny().details["hashes"]

    assert hashes["init"] == state_hash(load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))[0])
    assert len(hashes["order"]) == 2
    assert hashes["order"][0] != hashes["order"][1]
    assert hashes["order"][0] != order_hash([f"t:{i}" for i in range(22)]), "the order is not that of the file"


def test_crossed_seeds_change_one_stream_each(fine_tune_tiny: FineTune) -> None:
    base, init, order = (
        fine_tune_tiny(seeds=seeds).details["hashes"]
        for seeds in (TrialSeeds(0, 0), TrialSeeds(1, 0), TrialSeeds(0, 1))
    )

    assert init["order"] == base["order"]
    assert init["init"] != base["init"]
    assert order["init"] == base["init"]
    assert order["order"] != base["order"]


def test_random_state_and_thread_count_are_left_as_they_were(fine_tune_tiny: FineTune) -> None:
    state, threads = torch.get_rng_state(), torch.get_num_threads()

    fine_tune_tiny(threads=2)

    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == threads


def test_the_stored_model_is_the_subject_and_its_hash_is_in_the_details(fine_tune_tiny: FineTune) -> None:
    result = fine_tune_tiny()

    stored = load_subject(folder(result) / "model")

    np.testing.assert_array_equal(stored.probabilities(["good film"]), result.subject.probabilities(["good film"]))
    assert result.details["weights"] == weights_hash(folder(result) / "model")
    assert (stored.classes, stored.max_length) == (("no", "yes"), 32)


def test_it_learns(fine_tune_tiny: FineTune) -> None:
    result = fine_tune_tiny(epochs=15)

    assert value(result, "train.accuracy_train") > 0.9
    assert value(result, "train.failed") == 0
    assert result.details["failed_reason"] is None
    with np.load(folder(result) / "trace.npz") as trace:
        assert trace["cross_entropy"][-3:].mean() < 0.5 * trace["cross_entropy"][:3].mean()


def test_the_gap_is_accuracy_on_training_data_minus_accuracy_on_test_data(fine_tune_tiny: FineTune) -> None:
    tests = tuple(Example(f"x:{i}", text, i % 2) for i, text in enumerate(["good", "bad", "dull", "great"] * 3))
    train = tuple(Example(f"t:{i}", text, i % 2) for i, text in enumerate(["bad", "good"] * 8))
    result = fine_tune_tiny(data=Dataset(train, (), tests, ("no", "yes"), "f"), epochs=10)

    labels = np.array([e.label for e in tests])
    accuracy = (result.subject.predict(tests).argmax(axis=1) == labels).mean()

    assert value(result, "train.gap") == pytest.approx(value(result, "train.accuracy_train") - accuracy)


def test_the_accuracy_probe_after_training_makes_no_second_pass(fine_tune_tiny: FineTune) -> None:
    result = fine_tune_tiny()
    tests = tuple(Example(f"t:{i}", "never read", 0) for i in range(11))

    remembered = result.subject.predict(tests)

    assert len(np.unique(remembered.round(9), axis=0)) > 1, "texts were read again"


def test_a_loss_that_explodes_is_a_failed_run_and_not_an_exception(fine_tune_tiny: FineTune) -> None:
    result = fine_tune_tiny(learning_rate=1e30, optimizer="bertadam", epochs=4)

    assert value(result, "train.failed") == 1
    assert "NaN" in result.details["failed_reason"]
    assert result.details["steps"] < 4 * 3, "training went on after the loss was NaN"
    assert value(result, "train.accuracy_train") == 0, "a prediction of NaN is never right"
    assert (folder(result) / "model" / "model.safetensors").exists()
    assert value(result, "gradient.spikes") >= 1


def test_a_run_that_learns_nothing_is_a_failed_run(fine_tune_tiny: FineTune) -> None:
    result = fine_tune_tiny(learning_rate=1e-12, epochs=1)

    assert value(result, "train.failed") == 1
    assert result.details["failed"] is True


def test_the_probe_runs_before_the_first_step_and_at_every_epochs_end(fine_tune_tiny: FineTune) -> None:
    result = fine_tune_tiny(epochs=2)

    with np.load(folder(result) / "trace.npz") as trace:
        assert trace["probe_step"].tolist() == [0, 3, 6]
        assert trace["blocks"].tolist() == ["embeddings", "block.0", "block.1", "pooler", "head"]
        for step, norms in zip(trace["probe_step"].tolist(), trace["probe_norm"], strict=True):
            total = float(np.sqrt((norms.astype(float) ** 2).sum()))
            assert value(result, "gradient.probe_norm", step=step) == pytest.approx(total, rel=1e-5)


def test_every_number_is_a_measurement_with_unit(fine_tune_tiny: FineTune) -> None:
    found = fine_tune_tiny().measurements

    assert {
        "train.failed", "train.seconds", "train.steps_per_second", "train.peak_memory", "train.accuracy_before",
        "train.accuracy_train", "train.gap", "gradient.raw_norm", "gradient.applied_norm", "gradient.clip_rate",
        "gradient.spikes", "gradient.probe_norm", "gradient.clip_factor", "gradient.over_bound", "train.loss_spikes",
        "train.step_seconds", "train.forward_passes", "train.backward_passes",
    } == {m.metric for m in found}  # fmt: skip
    assert all(isinstance(m, Measurement) and m.unit for m in found)


def test_a_short_last_batch_and_a_batch_of_everything_both_train(fine_tune_tiny: FineTune) -> None:
    assert fine_tune_tiny(batch_size=64).details["steps"] == 2
    assert fine_tune_tiny(batch_size=5).details["steps"] == 10


def test_a_pair_of_texts_trains_too(fine_tune_tiny: FineTune) -> None:
    examples = tuple(
        replace(Example(f"p:{i}", word, i % 2), pair="the film") for i, word in enumerate(["bad", "good"] * 6)
    )

    result = fine_tune_tiny(data=Dataset(examples, (), examples, ("no", "yes"), "f"))

    assert result.subject.predict(examples).shape == (12, 2)


SCRIPT = """
import sys
from pathlib import Path
from stabbench.data.example import Dataset, Example
from stabbench.seeding import TrialSeeds
from stabbench.suite.schema import TrainOptions
from stabbench.training.fine_tune import fine_tune
from stabbench.training.request import TrainRequest

if __name__ == "__main__":
    examples = tuple(Example(f"t:{i}", f"the film was {w}", i % 2) for i, w in enumerate(["bad", "good"] * 10))
    data = Dataset(examples, (), examples, ("no", "yes"), "f")
    options = TrainOptions(epochs=2, batch_size=8, learning_rate=5e-3, max_length=32, precision="bf16")
    drop = [("r_drop", {})]
    request = TrainRequest(sys.argv[1], data, options, TrialSeeds(0, 0), Path(sys.argv[2]), stabilizers=drop)
    print(fine_tune(request).details["weights"])
"""


@pytest.mark.slow
def test_side_by_side_in_other_processes_the_bits_are_the_same(tiny_model: Path, tmp_path: Path) -> None:
    def start(name: str) -> subprocess.Popen[str]:
        (tmp_path / name).mkdir()
        command = [sys.executable, "-c", SCRIPT, str(tiny_model), str(tmp_path / name)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    alone = start("alone").communicate()[0]
    pair = [start("left"), start("right")]

    assert [process.communicate()[0] for process in pair] == [alone, alone]
    assert len(alone.strip()) == 64
