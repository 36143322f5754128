"""An accepted run as a small file to commit: what another run needs to be compared with it, and why it was accepted.

One line per series of values and per trial, keys sorted, so that a reviewer sees in the difference of two versions what
moved. It holds numbers, hashes and names, never a path of the machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stabbench.claims.across import LATENCY, RunRecord
from stabbench.claims.metrics import METRICS
from stabbench.errors import ConfigurationError
from stabbench.records import Measurement, Row, canonical, finite, number

SCHEMA = 1
FOLDER = Path("baselines")
# Beside the metrics that claims are about: what derived ones are made from.
ALSO_KEPT = ("noise.accuracy", LATENCY, "latency.p50", "latency.contaminated", "latency.aa_ratio")
ENVIRONMENT = ("stabbench", "python", "processor", "cores", "instruction_set", "device", "packages", "git")
CLAIM_VALUES = (
    "primary", "reference_value", "candidate_value", "effect", "interval", "level", "verdict", "n_used", "n_planned",
)  # fmt: skip


def baseline_document(
    record: RunRecord, verdict: Mapping[str, Any], environment: Mapping[str, Any], *, reason: str, date: str
) -> dict[str, Any]:
    """Return the content of ``baselines/<suite>.json``.

    Args:
        record: the accepted run.
        verdict: its verdict document; claim values and failed runs are kept.
        environment: its ``environment.json``; a summary is kept.
        reason: why it was accepted.
        date: when, as ISO 8601 text.
    """
    return {
        "schema": SCHEMA,
        "suite": record.suite,
        "run": record.name,
        "reason": reason,
        "date": date,
        "reference": record.reference,
        "seeds": list(record.seeds),
        "variants": record.variants,
        "failed_runs": verdict["failed_runs"],
        "environment": {name: environment.get(name) for name in ENVIRONMENT},
        "facts": {name: value for name, value in record.facts.items() if name not in ("trials", "unmatched")},
        "trials": record.facts.get("trials", {}),
        "claims": {claim["id"]: {name: claim[name] for name in CLAIM_VALUES} for claim in verdict["claims"]},
        "values": list(_series(record)),
    }


def _series(record: RunRecord) -> Iterator[dict[str, Any]]:
    """One entry for each (variant, compression, metric, at): seed → value."""
    found: dict[str, dict[str, Any]] = {}
    for row in record.rows:
        m = row.measurement
        kept = m.metric in METRICS or m.metric in ALSO_KEPT
        if not kept or m.metric == "noise.mce" or row.seed is None or m.status == "error":
            continue
        entry = {
            "variant": row.variant, "compression": row.compression, "probe": row.probe, "metric": m.metric,
            "at": dict(m.at), "better": m.better, "unit": m.unit,
        }  # fmt: skip
        series = found.setdefault(canonical(entry), {**entry, "n": m.n_used, "seeds": {}})
        series["seeds"][row.seed] = m.value
        if m.n_used is not None:
            series["n"] = min(m.n_used, series["n"] or m.n_used)
    yield from (found[name] for name in sorted(found))


def baseline_text(document: Mapping[str, Any]) -> str:
    """Return a baseline as text: sorted keys, a line for each series of values, each trial and each claim."""
    lines = []
    for name in sorted(document):
        value = document[name]
        if name == "values":
            body = "[\n" + ",\n".join(f"  {_line(entry)}" for entry in value) + "\n ]"
        elif name == "trials":
            body = _mapping({variant: _mapping(_lines(value[variant]), 3) for variant in value}, 2)
        elif name in ("claims", "facts", "environment", "variants"):
            body = _mapping(_lines(value), 2)
        else:
            body = _line(value)
        lines.append(f" {json.dumps(name)}: {body}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _lines(value: Mapping[str, Any]) -> dict[str, str]:
    return {key: _line(item) for key, item in value.items()}


def _mapping(items: Mapping[str, str], depth: int) -> str:
    if not items:
        return "{}"
    indent = " " * depth
    body = ",\n".join(f"{indent}{json.dumps(key, ensure_ascii=False)}: {items[key]}" for key in sorted(items))
    return "{\n" + body + f"\n{indent[1:]}}}"


def _line(value: Any) -> str:
    return json.dumps(finite(value), sort_keys=True, ensure_ascii=False, allow_nan=False)


def read_baseline(path: Path) -> RunRecord:
    """Return the accepted run of a baseline file.

    Raises:
        ConfigurationError: the file is no baseline, or one of another version.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise ConfigurationError(
                [f"{path}: schema {content['schema']}; this version reads {SCHEMA}. Accept again."]
            )
        rows = tuple(row for entry in content["values"] for row in _rows(entry))
        return RunRecord(
            name=content["run"],
            suite=content["suite"],
            reference=content["reference"],
            variants=content["variants"],
            seeds=tuple(content["seeds"]),
            rows=rows,
            facts={**content["facts"], "trials": content["trials"]} if content["facts"] else {},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        said = f"'{error.args[0]}' is missing" if isinstance(error, KeyError) else str(error)
        message = f"{path} is no baseline: {said}. Expected what `stabbench accept RUN --reason TEXT` writes."
        raise ConfigurationError([message]) from error


def _rows(entry: Mapping[str, Any]) -> Iterator[Row]:
    for seed, value in entry["seeds"].items():
        found = Measurement(
            entry["metric"], number(value), entry["unit"], entry["better"], entry["at"], entry["n"], entry["n"]
        )
        yield Row(entry["variant"], seed, entry["compression"], entry["probe"], found)
