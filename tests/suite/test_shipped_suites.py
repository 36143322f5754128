"""The shipped suites say what they are for, and those of the literature's tasks can be had from hub or files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stabbench import registry
from stabbench.runner import check_data
from stabbench.suite.fingerprint import uses_files
from stabbench.suite.load import LoadedSuite, load_suite, shipped_suites
from stabbench.suite.recipes import presets

GLUE = ("sst2", "rte", "mrpc", "cola")
DATA = Path(os.environ.get("STABBENCH_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
KNOWN = registry.names("stabilizers")
MISSING = {name for preset in presets().values() for entry in preset.stabilizers for name in entry if name not in KNOWN}


def shipped(name: str, *overrides: str) -> LoadedSuite:
    """Load a suite; skip where a preset of it needs a stabilizer that this checkout has not."""
    if MISSING and any(f"preset: {p.name}" in shipped_suites()[name].read_text() for p in presets().values()
                       if any(s in MISSING for e in p.stabilizers for s in e)):  # fmt: skip
        pytest.skip(f"needs the stabilizer {', '.join(MISSING)}")
    return load_suite(name, overrides)


@pytest.mark.parametrize("name", ["quick", "provoke", "few-sample", "presets", "compression", *GLUE])
def test_a_shipped_suite_is_valid_without_a_warning_and_its_reference_is_called_baseline(name: str) -> None:
    loaded = shipped(name)

    assert loaded.warnings == ()
    assert loaded.suite.compare.reference == "baseline"
    assert loaded.suite.name == name


@pytest.mark.parametrize("name", GLUE)
def test_a_glue_suite_comes_from_the_hub_at_a_pinned_revision_and_from_files_where_a_root_is_set(name: str) -> None:
    hub, files = shipped(name).suite.data, shipped(name, "data.root=elsewhere").suite.data

    assert hub.source == f"hub:nyu-mll/glue:{name}"
    assert len(hub.revision or "") == 40
    assert (uses_files(hub), uses_files(files)) == (False, True)


@pytest.mark.parametrize("name", GLUE)
def test_a_glue_suite_reads_its_real_files(name: str) -> None:
    if not (DATA / name).is_dir():
        pytest.skip(f"the real texts are not at {DATA}")

    said = check_data(shipped(name, f"data.root={DATA}"))

    assert "training" in said
    assert "classes" in said
    assert not said.startswith("data not checked")


def test_cola_fails_by_matthews_correlation() -> None:
    suite = shipped("cola").suite

    assert suite.task.metric == "mcc"
    assert suite.compare.primary == ["train.failed", "mcc"]


def test_few_sample_spends_the_same_passes_in_both_long_arms() -> None:
    from stabbench.planning.trials import arms

    found = {arm.variant: arm for arm in arms(shipped("few-sample").suite)}
    passes = {name: (arm.train.max_steps or 0) * sum(arm.passes) for name, arm in found.items()}

    assert passes["longer"] == passes["longer_r_drop"] > 0
