"""What every stabilizer costs per step, relative to none: ``python suites/bench_stabilizers.py [NAME…] [--write]``.

Rounds of short trainings, one without a stabilizer and one with each at its defaults, in turn in one process, so that a
busy machine meets all alike; the ratio is the median over rounds of seconds per step with it over seconds without it.
``--write`` keeps the numbers beside the code, where ``stabbench show`` reads them; names that are not measured again
stay as they were.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from stabbench import registry
from stabbench.assets.fetch import fetch
from stabbench.data.dataset import load_dataset
from stabbench.data.example import Dataset
from stabbench.execution.costs import MEASURED, measured
from stabbench.models.sources import asset_folder
from stabbench.seeding import TrialSeeds
from stabbench.store.environment import describe
from stabbench.suite.schema import Data, Task, TrainOptions
from stabbench.training.fine_tune import fine_tune
from stabbench.training.request import TrainRequest

MODEL, DATA = "builtin:minilm-l6", "builtin:rotten-tomatoes"
ROUNDS, STEPS, BATCH, LENGTH = 3, 6, 16, 64


def trained(name: str, data: Dataset) -> dict[str, float]:
    """Return seconds, forward and backward passes per step of one training; no name: without a stabilizer."""
    train = TrainOptions(max_steps=STEPS, batch_size=BATCH, max_length=LENGTH, precision="fp32", threads=1)
    with tempfile.TemporaryDirectory() as folder:
        request = TrainRequest(
            asset_folder(MODEL), data, train, TrialSeeds(0, 0), Path(folder),
            stabilizers=[(name, {})] if name else [], monitors={},
        )  # fmt: skip
        numbers = {m.metric: m.value for m in fine_tune(request).measurements}
    kinds = {"seconds": "step_seconds", "forward": "forward_passes", "backward": "backward_passes"}
    return {kind: float(numbers[f"train.{metric}"] or 0.0) for kind, metric in kinds.items()}


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="stabilizers; default: all")
    parser.add_argument("--write", action="store_true", help=f"keep the numbers in {MEASURED.name}")
    given = parser.parse_args()
    names = given.names or list(registry.names("stabilizers"))
    for asset in (MODEL, DATA):
        fetch(asset)
    data = load_dataset(Data(source=DATA, train=STEPS * BATCH, test=16), Task(), Path.cwd(), asset_folder)
    trained("", data)  # the first training of a process is slower
    rounds = [{name: trained(name, data) for name in ("", *names)} for _ in range(ROUNDS)]
    found = {}
    for name in names:
        ratios = [one[name]["seconds"] / one[""]["seconds"] for one in rounds]
        passes = {kind: round(rounds[0][name][kind], 3) for kind in ("forward", "backward")}
        middle, low, high = (round(x, 2) for x in (statistics.median(ratios), min(ratios), max(ratios)))
        found[name] = {**passes, "ratio": middle, "low": low, "high": high}
        print(
            f"{name:<20} {passes['forward']:g}/{passes['backward']:g} passes  {middle:.2f}× ({low:.2f} to {high:.2f})"
        )
    machine = describe()
    setting = (
        f"{MODEL}, batch {BATCH}, {LENGTH} tokens at most, float32, one thread of {machine['processor']}, "
        f"{STEPS} steps, median and range of {ROUNDS} rounds"
    )
    if given.write:
        content = {"setting": setting, "stabilizers": {**measured()["stabilizers"], **found}}
        MEASURED.write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
