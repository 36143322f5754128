"""The plug-in in a project of its own: what passes, what fails and with which words, and that it is inert otherwise."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from made_run import MakeRun, make_run

from stabbench.store.run_folder import RunFolder

__all__ = ["make_run"]
pytest_plugins = ["pytester"]
LOADED = ["-p", "stabbench.pytest_plugin"]


@pytest.fixture(autouse=True)
def _no_other_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load the plug-in by its module alone: an installation would register it a second time."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


@pytest.fixture(scope="session")
def run(make_run: MakeRun) -> RunFolder:
    return make_run(probes=("accuracy", "noise"), compressions=True)


def result_of(pytester: pytest.Pytester, body: str, *arguments: str) -> pytest.RunResult:
    pytester.makepyfile(f"def test_it(stabbench_claims):\n    {body}\n")
    return pytester.runpytest_inprocess(*LOADED, "-p", "no:cacheprovider", *arguments)


def test_claims_are_found_by_id_and_by_metric(pytester: pytest.Pytester, run: RunFolder) -> None:
    body = """
    claims = stabbench_claims
    assert len(claims) == len(list(claims)) > 3
    by_id = claims["accuracy:stabilized@dense:baseline@dense"]
    assert claims["accuracy"].claim == by_id.claim          # the primary one, of several
    assert claims["seeds.sd"].claim.metric == "seeds.sd"    # the only one
    assert "train.failed" in claims and "nothing" not in claims
    assert "accuracy" in repr(by_id)
    """

    result_of(pytester, body, f"--stabbench-run={run.path}").assert_outcomes(passed=1)


def test_a_metric_with_several_claims_is_refused_with_their_ids(pytester: pytest.Pytester, run: RunFolder) -> None:
    result = result_of(pytester, 'stabbench_claims["macro_f1"]', f"--stabbench-run={run.path}")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*'macro_f1' names 2 claims; give the id of one:*",
            "*macro_f1:stabilized@dense:baseline@dense*",
            "*macro_f1:stabilized@int8-dynamic:baseline@int8-dynamic*",
        ]
    )


def test_an_unknown_claim_is_refused_with_the_nearest_name(pytester: pytest.Pytester, run: RunFolder) -> None:
    result = result_of(pytester, 'stabbench_claims["accuracyy"]', f"--stabbench-run={run.path}")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*unknown claim 'accuracyy'. Did you mean 'accuracy'?*"])


@pytest.mark.parametrize(
    ("body", "passes", "words"),
    [
        ('["accuracy"].assert_not_worse(by=0.02)', True, ""),
        ('["accuracy"].assert_improved()', False, "inconclusive, not improved: the 98.3 % interval holds 0"),
        ('["accuracy"].assert_equivalent()', False, "inconclusive, not equivalent: "),
        ('["train.failed"].assert_not_worse(by=0.05)', False, "not shown to be not worse by 0.05: at worst +"),
        ('["train.failed"].assert_not_worse(by=0.9)', True, ""),
        ('["noise.mce"].assert_not_worse()', False, "(one-sided 95 %), allowed +2.0 %"),
    ],
)
def test_an_assertion_passes_or_says_the_claims_line_and_why(
    pytester: pytest.Pytester, run: RunFolder, body: str, passes: bool, words: str
) -> None:
    result = result_of(pytester, f"stabbench_claims{body}", f"--stabbench-run={run.path}")

    result.assert_outcomes(passed=int(passes), failed=int(not passes))
    if not passes:
        metric = body.split('"')[1]
        claim = next(c for c in run.verdict["claims"] if c["metric"] == metric and c["primary"])
        from stabbench.claims.text import claim_line

        text = result.stdout.str()
        assert claim_line(claim) in text
        assert words in text
        assert f"claim {claim['id']} of run {run.path}" in text
        assert "pytest_plugin.py" not in text  # the traceback ends in the user's test


def test_equivalent_and_improved_pass_where_that_is_the_verdict(pytester: pytest.Pytester, make_run: MakeRun) -> None:
    run = make_run(probes=("accuracy",), compressions=False, seeds=3)
    verdict = json.loads((run.path / "verdict.json").read_text())
    for claim, word in zip(verdict["claims"], ("improved", "equivalent"), strict=False):
        claim["verdict"] = word
    RunFolder(run.path).write_json("verdict.json", verdict)
    body = f"""
    stabbench_claims[{verdict["claims"][0]["id"]!r}].assert_improved()
    stabbench_claims[{verdict["claims"][1]["id"]!r}].assert_equivalent()
    """

    result_of(pytester, body, f"--stabbench-run={run.path}").assert_outcomes(passed=1)


def test_without_the_option_the_newest_run_of_the_folder_is_taken(pytester: pytest.Pytester, run: RunFolder) -> None:
    older = pytester.path / "runs" / "z-older"
    older.mkdir(parents=True)
    (older / "environment.json").write_text('{"started": "2025-01-01T00:00:00+00:00"}')
    (older / "verdict.json").write_text(json.dumps({**run.verdict, "claims": []}))
    (older / "plan.json").write_text("{}")
    (pytester.path / "runs" / "a-newer").symlink_to(run.path)

    body = 'assert stabbench_claims.run.path.name == "a-newer"'

    result_of(pytester, body).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "there is no finished run below runs/ here; do one with `stabbench run`"),
        (["--stabbench-run=nothing"], "--stabbench-run: no run 'nothing'."),
    ],
)
def test_without_a_run_the_test_does_not_pass(pytester: pytest.Pytester, arguments: list[str], words: str) -> None:
    result = result_of(pytester, "pass", *arguments)

    result.assert_outcomes(errors=1)
    assert words in result.stdout.str()
    assert "Traceback" not in result.stdout.str()


def test_a_smoke_run_is_no_ground_for_a_test(pytester: pytest.Pytester, make_run: MakeRun) -> None:
    run = make_run(probes=("accuracy",), compressions=False, seeds=3)
    run.write_json("environment.json", {**run.environment, "smoke": True})

    result = result_of(pytester, "pass", f"--stabbench-run={run.path}")

    result.assert_outcomes(errors=1)
    assert "is a smoke run, which is never a verdict" in result.stdout.str()


def test_the_option_is_explained_and_unused_the_plug_in_imports_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text("def test_it():\n    pass\n")
    code = (
        "import sys, json, pytest\n"
        f"code = pytest.main([*{LOADED!r}, '-q', '-p', 'no:cacheprovider', '-W', 'error'])\n"
        "own = sorted(m for m in sys.modules if m.startswith('stabbench.') and m != 'stabbench.pytest_plugin')\n"
        "heavy = [m for m in ('numpy', 'pandas', 'pydantic', 'scipy', 'torch') if m in sys.modules]\n"
        "print(json.dumps([int(code), own, heavy]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert json.loads(done.stdout.splitlines()[-1]) == [0, [], []]


def test_the_entry_point_names_the_plug_in() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))

    assert project["project"]["entry-points"]["pytest11"] == {"stabbench": "stabbench.pytest_plugin"}


def test_the_help_says_what_the_option_is_for(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_inprocess(*LOADED, "--help")

    result.stdout.fnmatch_lines(["*--stabbench-run=RUN*"])
