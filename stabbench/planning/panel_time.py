"""How long a latency panel takes: processes, starts, rounds, cold starts and server loads, from its options."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from stabbench import registry
from stabbench.records import DENSE
from stabbench.suite.compressions import parse_stage, stages

# MiniLM-L6 on one thread of two cores; other models scale all of it, which the store's history corrects.
START = 3.5
"""Seconds until a process of the rounds has imported torch and pytest: half of it, since two start together."""
LOAD = 0.4
"""Seconds to load a subject there."""
COLD_START, COLD_GRAPH = 6.0, 1.0
"""Seconds of a process of its own until its subject has answered some texts: with torch, and with a graph alone."""
TOKEN = 0.0003
"""Seconds per token of a forward pass, padding included."""
MIXED_TOKENS = 30
"""Tokens of a text at its own length."""
SERVER_TRIES = (0.1, 1.0, 0.32, 0.18, 0.13)
"""Rates, as shares of what a server can do, at which the throughput at a bound may be looked for."""


def panel_seconds(options: Mapping[str, Any], members: Sequence[str]) -> float:
    """Return the seconds of a panel of subjects with these compressions, its A/A replicate included.

    Interleaved rounds: each process starts once, loads everybody, and times every shape. ``cold``: every subject has a
    process of its own per process number. ``server``: likewise, and one more, each with a closed loop, the loads, and
    the search for the throughput at the bound.
    """
    everybody = [*members, DENSE]
    processes, scenarios = int(options["processes"]), options["scenarios"]
    found = 0.0
    if work := _rounds(options):
        found += processes * (START + len(everybody) * (LOAD + work))
    if "cold" in scenarios:
        found += processes * sum(COLD_START if _needs_torch(label) else COLD_GRAPH for label in everybody)
    if "server" in scenarios:
        loads = math.fsum(1 / rate for rate in (1.0, *options["server_loads"], *SERVER_TRIES))
        alone = COLD_START + int(options["server_requests"]) * MIXED_TOKENS * TOKEN * loads
        found += COLD_START + (processes * len(everybody)) * alone
    return found


def _rounds(options: Mapping[str, Any]) -> float:
    """Seconds of one subject's passes in one process; a turn of two rounds at batch 1 has a third, untimed one."""
    scenarios, warmup = options["scenarios"], int(options["warmup"])
    single = warmup + 1.5 * int(options["rounds_single"])
    batched = warmup + int(options["rounds_batched"])
    tokens = 0.0
    for batch in options["batch"]:
        if ("single" if batch == 1 else "offline") in scenarios:
            tokens += sum(batch * length * (single if batch == 1 else batched) for length in options["length"])
    return (tokens + (single * MIXED_TOKENS if "mixed" in scenarios else 0.0)) * TOKEN


def _needs_torch(label: str) -> bool:
    if label == DENSE:
        return True
    name = parse_stage(stages(label)[-1])[0]
    return bool(registry.card("compression", name).traits.get("runtime", "torch") == "torch")
