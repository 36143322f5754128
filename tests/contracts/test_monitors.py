"""Contracts of every monitor, over the registry: they watch and change nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from pydantic import TypeAdapter

from stabbench import registry
from stabbench.training.request import TrainResult

NAMES = registry.names("monitors")
FineTune = Callable[..., TrainResult]


@pytest.mark.parametrize("name", NAMES)
def test_removing_it_changes_no_weight_and_no_hash(name: str, fine_tune_tiny: FineTune) -> None:
    watched = fine_tune_tiny([("r_drop", {}), ("clip_grad_norm", {})], monitors={name: {}})
    alone = fine_tune_tiny([("r_drop", {}), ("clip_grad_norm", {})], monitors={})

    assert watched.details == alone.details


@pytest.mark.parametrize("stabilizer", registry.names("stabilizers"))
def test_all_together_change_nothing_under_any_stabilizer(stabilizer: str, fine_tune_tiny: FineTune) -> None:
    """Extra passes of a monitor, such as the noise scale's, must not disturb what a stabilizer keeps between passes."""
    often = {"every": 2}
    monitors = {name: often if "every" in registry.card("monitors", name).defaults() else {} for name in NAMES}

    watched = fine_tune_tiny([(stabilizer, {})], monitors=monitors, epochs=1)
    alone = fine_tune_tiny([(stabilizer, {})], monitors={}, epochs=1)

    assert watched.details == alone.details


@pytest.mark.parametrize("name", NAMES)
def test_its_measurements_name_metric_unit_and_count(name: str, fine_tune_tiny: FineTune) -> None:
    without = {(m.metric, str(dict(m.at))) for m in fine_tune_tiny(monitors={}).measurements}
    own = [m for m in fine_tune_tiny(monitors={name: {}}).measurements if (m.metric, str(dict(m.at))) not in without]

    assert own
    assert all("." in m.metric and m.unit and m.n_used is not None for m in own)


@pytest.mark.parametrize("name", NAMES)
def test_its_arrays_need_no_pickle(name: str, fine_tune_tiny: FineTune) -> None:
    result = fine_tune_tiny(monitors={name: {}})

    assert result.subject.folder is not None
    with np.load(result.subject.folder.parent / "trace.npz", allow_pickle=False) as arrays:
        assert {"blocks", "probe_step", "probe_norm"} < set(arrays)
        assert all(arrays[key].dtype != object for key in arrays)


@pytest.mark.parametrize("name", NAMES)
def test_its_card_is_filled_and_its_options_are_described(name: str) -> None:
    cls = registry.load("monitors", name)

    assert all(len(getattr(cls, text)) >= 4 for text in ("paper", "equation", "changes", "cost", "pitfalls"))
    assert all("description" in option for option in TypeAdapter(cls).json_schema()["properties"].values())
