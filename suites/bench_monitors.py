"""What watching costs: ``python suites/bench_monitors.py [--fours N] [--model NAME] [--precision P] [--every-step]``.

One training, in which of every four steps two are watched by a monitor, in turn the first and the last two. The norms
that the loop makes go on and off with the trace, which needs them, and are on throughout for the others. All texts have
the same length, so that the four steps do the same work; a clip makes raw and applied norms differ, as in a stabilized
arm. Processor time of the training thread, which neighbours on the machine disturb less than the clock; printed are
medians and quartiles of the ratios watched/unwatched over the fours, less one. "nothing" watches nothing: how far from
0 the method itself comes. Monitors that measure on a period are made to measure in every watched step, and are shown
per measurement and spread over their default period.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stabbench import registry
from stabbench.data.example import Example
from stabbench.models.anatomy import anatomy
from stabbench.models.batch import Batch
from stabbench.models.encoding import encode_texts
from stabbench.models.loading import load_pretrained
from stabbench.models.sources import model_source
from stabbench.monitors.base import Monitor
from stabbench.monitors.trace import Trace
from stabbench.seeding import TrialSeeds
from stabbench.store.environment import best_precision
from stabbench.suite.schema import Model, TrainOptions
from stabbench.training.gradient_probe import GradientProbe
from stabbench.training.loop import Loop
from stabbench.training.watching import Watching

NEVER = 10**6
WATCHED = ((0, 1), (2, 3))
#: Row → monitors with options, and the default period that the row's cost is spread over (1: every step).
ROWS: Mapping[str, tuple[Mapping[str, Mapping[str, Any]], int]] = {
    "nothing": ({}, 1),
    "norms, losses (trace)": ({"trace": {"update_every": NEVER}}, 1),
    "outputs": ({"outputs": {}}, 1),
    "activations": ({"activations": {"every": 1}}, 5),
    "update ratio (trace)": ({"trace": {"update_every": 1}}, 20),
    "optimizer_state": ({"optimizer_state": {"every": 1}}, 20),
    "drift": ({"drift": {"every": 1}}, 20),
    "gradient_cosine": ({"gradient_cosine": {"every": 2}}, 10),
    "noise_scale": ({"noise_scale": {"every": 1}}, 20),
}
EVERY_STEP = ("nothing", "norms, losses (trace)", "outputs", "activations")


@dataclass
class Alternating(Loop):
    """The training loop, watched in two of every four steps, and the time of every step."""

    seconds: list[float] = field(default_factory=list)
    norms: bool = False

    def _step(self, batch: Batch, step: int) -> Tensor:
        chosen, self.on = self.monitors, step % 4 in WATCHED[step // 4 % 2]
        self.monitors = chosen if self.on else []
        self.watching = Watching(
            self.monitors, self.model, self.parameters, self.dropout, self.watching.objective, self.watching.autocast
        )
        start = time.thread_time()
        loss = super()._step(batch, step)
        self.seconds.append(time.thread_time() - start)
        self.monitors = chosen
        return loss

    def _norms(self) -> Tensor:
        return super()._norms() if self.on or not self.norms else torch.ones(len(self.parameters))


def ratios(monitors: Sequence[Monitor], fours: int, model: str, precision: Any) -> np.ndarray:
    """Return the ratio watched/unwatched of every four steps, the first four fours left out."""
    source, revision = model_source(Model(name=model), Path.cwd())
    net, tokenizer = load_pretrained(source, ("no", "yes"), TrialSeeds(0, 0), revision)
    words = "the film is a long and very good story of some people who made it all well for once"
    examples = [Example(f"t:{i}", f"{i % 10} {words} {words}", i % 2) for i in range(128)]
    loop = Alternating(
        model=net.train(),
        anatomy=anatomy(net),
        tokenizer=tokenizer,
        examples=examples,
        encoded=encode_texts(tokenizer, [example.text for example in examples], 32),
        train=TrainOptions(
            epochs=fours // 2 + 2, batch_size=16, learning_rate=2e-5, max_length=32, precision=precision
        ),
        stabilizers=[registry.load("stabilizers", "clip_grad_norm")()],
        monitors=monitors,
        seeds=TrialSeeds(0, 0),
        probe=GradientProbe(examples, tokenizer, 32, size=1),
        norms=any(isinstance(monitor, Trace) and monitor.update_every == NEVER for monitor in monitors),
    )
    loop.run()
    fours_of_steps = np.array(loop.seconds).reshape(-1, 4)
    found = []
    for index, steps in enumerate(fours_of_steps):
        watched = list(WATCHED[index % 2])
        found.append(steps[watched].mean() / np.delete(steps, watched).mean())
    return np.array(found[4:])


def main() -> None:
    """Print the table, or with ``--json`` one document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("--fours", type=int, default=40)
    parser.add_argument("--model", default="builtin:minilm-l6")
    parser.add_argument("--precision", default=best_precision(), choices=["fp32", "bf16"])
    parser.add_argument("--every-step", action="store_true", help="only what is done in every step")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found, together = [], {name: options for row in EVERY_STEP for name, options in ROWS[row][0].items()}
    chosen = {name: row for name, row in ROWS.items() if not given.every_step or name in EVERY_STEP}
    rows = {**chosen, "every step together": ({**together, "activations": {}}, 1)}
    for name, (options, period) in rows.items():
        monitors = [registry.load("monitors", monitor)(**values) for monitor, values in options.items()]
        values = ratios(monitors, given.fours, given.model, given.precision) - 1
        # Two steps in which the cosine is on hold one measurement, made of both.
        scale = 2 if "gradient_cosine" in options else 1
        low, middle, high = (100 * scale * float(q) for q in np.quantile(values, (0.25, 0.5, 0.75)))
        found.append({"monitor": name, "percent": middle, "quartiles": [low, high], "period": period})
        if not given.json:
            spread = f"   {middle / period:5.2f} % at every {period} steps" if period > 1 else ""
            print(f"{name:<24} {middle:6.2f} % of a step  [{low:.2f}, {high:.2f}]{spread}", flush=True)
    if given.json:
        json.dump({"model": given.model, "precision": given.precision, "fours": given.fours, "rows": found}, sys.stdout)


if __name__ == "__main__":
    main()
