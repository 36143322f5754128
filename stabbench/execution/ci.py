"""What a run leaves for a CI system: a JUnit file, and on GitHub the step's summary and annotations.

GitHub is recognised by the variables that it sets: ``GITHUB_STEP_SUMMARY`` names the file to append to, and with
``GITHUB_ACTIONS=true`` lines such as ``::error …::`` in the log become annotations. They go to standard error, which
GitHub reads as well, so that ``--json`` stays one document on standard output.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stabbench.errors import ConfigurationError, Problem
from stabbench.report.annotations import Place, gate_annotations, problem_annotations
from stabbench.report.junit import junit_xml
from stabbench.report.markdown import MOST_BYTES, summary_markdown
from stabbench.store.run_folder import RunFolder
from stabbench.suite.yaml_file import Document, read_document

SMALLEST_SUMMARY = 10_000
"""Bytes that must be left in a step's summary for one more verdict."""
_DEFAULTS: tuple[Any, ...] = ("dense", {}, None)


def write_ci_files(folder: RunFolder, verdict: Mapping[str, Any], junit: Path | None = None) -> None:
    """Write the JUnit file where one is asked for, and on GitHub append the step's summary and print annotations.

    A summary that cannot be written is told on standard error and does not end the run: its results are stored.

    Args:
        folder: the run's folder, for the errors of its cells and the place of its suite.
        verdict: the verdict document, `gate` filled in where there is one.
        junit: file to write.

    Raises:
        ConfigurationError: the JUnit file cannot be written.
    """
    folder = RunFolder(folder.path)  # read anew: what was read before the run ended is not what is there now
    if junit is not None:
        write_junit(folder, verdict, junit)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        _append_summary(Path(summary), verdict)
    _print(gate_annotations(verdict, _places(folder, verdict)))


def write_junit(folder: RunFolder, verdict: Mapping[str, Any], target: Path) -> None:
    """Write a run as JUnit XML.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    messages = [(cell, error["message"]) for cell, error in folder.errors.items()]
    check_writable("--junit", target)
    RunFolder(target.parent).write_text(target.name, junit_xml(verdict, messages))


def check_writable(option: str, target: Path) -> None:
    """Make the folder of a file that will be written at the end, so that a mistake in it is found at once.

    Raises:
        ConfigurationError: there can be no such file.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError([f"{option} {target}: {target.parent} cannot be made: {error.strerror}"]) from error
    if target.is_dir():
        raise ConfigurationError([f"{option} {target} is a folder; name a file in it"])
    if not os.access(target.parent, os.W_OK):
        raise ConfigurationError([f"{option} {target}: {target.parent} cannot be written to"])


def announce_problems(problems: Sequence[Problem]) -> None:
    """On GitHub, print an annotation for each mistake at its place in the suite."""
    _print(problem_annotations(problems))


def _append_summary(path: Path, verdict: Mapping[str, Any]) -> None:
    try:
        left = MOST_BYTES - (path.stat().st_size if path.exists() else 0)
        if left < SMALLEST_SUMMARY:
            print(f"warning: the step's summary is full ({path}); the verdict was not added", file=sys.stderr)
            return
        with path.open("a", encoding="utf-8") as file:
            file.write(summary_markdown(verdict, _artifacts(), left))
    except OSError as error:
        print(f"warning: the step's summary {path} cannot be written: {error.strerror}", file=sys.stderr)


def _artifacts() -> str | None:
    """Return the address of the workflow run, where GitHub says it: its artifacts hold the report."""
    server, repository, run = (os.environ.get(f"GITHUB_{n}") for n in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    return f"{server}/{repository}/actions/runs/{run}#artifacts" if server and repository and run else None


def _places(folder: RunFolder, verdict: Mapping[str, Any]) -> dict[int, Place]:
    """Return index of a gate item → file and line of its rule, for the rules that stand in the run's suite file."""
    file = folder.plan.get("suite_file")
    if not verdict["gate"] or file is None:
        return {}
    try:
        document = read_document(Path(file))
    except ConfigurationError:  # moved or changed since: then the annotations have no place
        return {}
    found = {index: _place(document, item["rule"]) for index, item in enumerate(verdict["gate"])}
    return {index: place for index, place in found.items() if place is not None}


def _place(document: Document, rule: Mapping[str, Any]) -> Place | None:
    written = document.content.get("gate")
    for index, entry in enumerate(written if isinstance(written, list) else []):
        if not isinstance(entry, Mapping) or any(entry.get(key) != value for key, value in rule.items()):
            continue
        if all(value in _DEFAULTS for key, value in entry.items() if key not in rule):
            where = document.problem(("gate", index), "")
            return None if where.file is None else (where.file, where.line)
    return None


def _print(lines: Sequence[str]) -> None:
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in lines:
            print(line, file=sys.stderr)
