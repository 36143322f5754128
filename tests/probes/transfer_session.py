"""Run in a process of its own: two tiny models with steep heads, and the panel on them; prints its numbers.

python transfer_session.py MODEL_FOLDER CELL_FOLDER
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from stabbench.attacks.engine.environment import prepare

prepare()

import numpy as np  # noqa: E402
import torch  # noqa: E402

from stabbench.data.example import Dataset, Example  # noqa: E402
from stabbench.models.loading import load_pretrained, load_subject, save_subject  # noqa: E402
from stabbench.probes.base import Context, Member  # noqa: E402
from stabbench.probes.transfer import Transfer  # noqa: E402
from stabbench.seeding import TrialSeeds  # noqa: E402

TEXT = "great awful good dull the film plot is was a very best worst people love boring fun story"
WORDS = TEXT.split()


def member(source: Path, folder: Path, seed: int, texts: list[str]) -> Member:
    """Save a model whose head is steep, and whose answers to the texts are half and half."""
    model, tokenizer = load_pretrained(source, ("no", "yes"), TrialSeeds(seed, 0))
    with torch.no_grad():
        model.classifier.weight.mul_(60.0)
    save_subject(model, tokenizer, folder, ("no", "yes"), 32)
    subject = load_subject(folder)
    with torch.no_grad():
        gaps = np.diff(np.log(subject.probabilities(texts)), axis=1)
        model.classifier.bias[1] -= float(np.median(gaps))
    save_subject(model, tokenizer, folder, ("no", "yes"), 32)
    return Member("ab"[seed], "0", "dense", folder)


def main() -> None:
    torch.set_num_threads(1)
    rng = random.Random(0)
    texts = [" ".join(rng.choices(WORDS, k=rng.randint(4, 9))) for _ in range(14)]
    examples = tuple(Example(f"t:{i}", text, i % 2) for i, text in enumerate(texts))
    cell = Path(sys.argv[2])
    folders = [cell / "models" / name for name in "ab"]
    for folder in folders:
        folder.mkdir(parents=True)
    members = [member(Path(sys.argv[1]), folder, seed, texts) for seed, folder in enumerate(folders)]
    probe = Transfer(examples=14, query_budget=60)
    rows = probe.measure_panel(members, Context(Dataset((), (), examples, ("no", "yes"), ""), cell))
    told = [
        {"variant": r.variant, "source": r.measurement.at["source"], "value": r.measurement.value,
         "n": r.measurement.n_used}
        for r in rows
    ]  # fmt: skip
    print(json.dumps(told))


if __name__ == "__main__":
    main()
