"""Gate rules checked before anything runs, and read from a file of their own: one that nothing answers is a mistake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stabbench.errors import ConfigurationError, Problem, unknown_name
from stabbench.suite.claims import claim_problems
from stabbench.suite.metrics import OF_GROUPS, PANEL_RATIOS, SHARES, UNDIRECTED, probe_of
from stabbench.suite.problems import known_keys, problems_of
from stabbench.suite.schema import GateRule, PrimaryClaim, Strict, Suite
from stabbench.suite.yaml_file import Document
from stabbench.suite.yaml_nodes import KeyPath, Place, plain_values


class _Rules(Strict):
    """A file of rules as it is checked: the part of a suite that they stand in."""

    gate: list[GateRule]


def gate_problems(suite: Suite, document: Document) -> Iterator[Problem]:
    """Yield the mistakes in `gate`: rules about what the suite does not measure, or that ask what has no answer."""
    for index, rule in enumerate(suite.gate):
        path: KeyPath = ("gate", index)
        claim = PrimaryClaim(metric=rule.claim, at=rule.at, candidate=rule.candidate, compression=rule.compression)
        yield from claim_problems(suite, claim, path, (*path, "claim"), document)
        yield from _test_problems(rule, path, document)


def _test_problems(rule: GateRule, path: KeyPath, document: Document) -> Iterator[Problem]:
    """The rule's test must fit its metric."""
    where, metric = (*path, rule.test), rule.claim
    absolute = rule.test in ("at_most", "at_least")
    if rule.test == "not_worse_by" and metric in UNDIRECTED:
        message = f"of {metric} neither direction is better, so nothing of it is worse; use max_increase or at_most"
        yield document.problem(where, message)
    if metric in OF_GROUPS and (absolute or metric != "seeds.sd"):
        message = f"{metric} is one figure for all seeds of a group, without an interval of its own; "
        yield document.problem(where, f"{message}compare seeds.sd by not_worse_by")
    if probe_of(metric) == "latency" and metric not in PANEL_RATIOS:
        yield document.problem((*path, "claim"), f"{metric} is not compared; use latency.ratio, which is")
    elif metric == "latency.p50" and absolute:
        message = "seconds depend on the machine and its load; limit latency.ratio, the ratio to the reference"
        yield document.problem(where, message)
    if metric in SHARES and abs(rule.limit) > 1:
        yield document.problem(
            where, f"{metric} is a share, between 0 and 1; write 1 point as 0.01; found {rule.limit}"
        )


def read_rules(path: Path, suite: Suite) -> list[GateRule]:
    """Return the rules of a file: a list of rules, a mapping with `gate`, or a suite file, whose `gate` is taken.

    Args:
        path: the YAML file.
        suite: the suite that the rules are asked of.

    Raises:
        ConfigurationError: the file cannot be read, or a rule is wrong; every mistake has its line and column.
    """
    document = _rules_document(path)
    try:
        rules = _Rules.model_validate({"gate": document.value(("gate",))}).gate
    except ValidationError as error:
        raise ConfigurationError(problems_of(error, document)) from error
    problems = list(gate_problems(suite.model_copy(update={"gate": rules}), _of_run(document, suite)))
    if problems:
        raise ConfigurationError(problems)
    if not rules:
        raise ConfigurationError([document.problem(("gate",), "there is no rule in it")])
    return rules


def _rules_document(path: Path) -> Document:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError([Problem(f"the rules cannot be read: {said}", str(path))]) from error
    content, places = plain_values(text, str(path))
    if isinstance(content, list):
        content, places = {"gate": content}, {("gate", *known): place for known, place in places.items()}
    top = Place(str(path), 1, 1)
    document = Document(content if isinstance(content, dict) else {}, {**places, (): places.get((), top)})
    allowed = [*known_keys(()), "extends"]
    unknown = [key for key in document.content if key not in allowed]
    if unknown:
        raise ConfigurationError([document.problem((key,), unknown_name("key", key, ["gate"])) for key in unknown])
    if "gate" not in document.content:
        message = "no rules in it; expected a list of rules, or a mapping with `gate`"
        raise ConfigurationError([document.problem((), message)])
    return document


def _of_run(document: Document, suite: Suite) -> Document:
    """The rules beside the names of the suite they are asked of, which is where names are looked up."""
    named: Mapping[str, Any] = {"variants": dict(suite.variants), "probes": dict(suite.probes)}
    return Document({**named, "gate": document.content["gate"]}, document.places)
