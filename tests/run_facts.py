"""What a run records of what it was made from, as `execution.facts` writes it; the trials are added by each test."""

from __future__ import annotations

from typing import Any

FACTS: dict[str, Any] = {
    "task": {"type": "sequence-classification", "metric": "accuracy"},
    "data": "d", "test": "t", "model": "m", "engine": 1, "device": "cpu", "precision": ["fp32"], "threads": [1],
    "libraries": {"torch": "2.5"}, "instruction_set": None, "hardware": "CPU x2", "compressors": {},
    "probes": {
        "accuracy": {"version": 1, "options": {"bins": 15}, "uses": {}},
        "noise": {"version": 1, "options": {"examples": 10}, "uses": {}},
        "latency": {"version": 1, "options": {}, "uses": {}},
    },
}  # fmt: skip
