"""Run in a process of its own by the tests: puts every attack that runs here to hostile texts; prints JSON.

python hostile_session.py MODEL_FOLDER
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch

TESTS = Path(__file__).parents[1]
BUDGET = 15
LEFT_OUT = "long-text"
"""2,000 words: textattack makes a text of all words for each word that it ranks, which takes minutes per recipe."""


def main() -> None:
    torch.set_num_threads(1)
    sys.path.insert(0, str(TESTS))
    from hostile_texts import HOSTILE

    from stabbench import registry
    from stabbench.attacks.engine.environment import prepare
    from stabbench.attacks.engine.run import attack_examples
    from stabbench.data.example import Example
    from stabbench.models.loading import load_pretrained
    from stabbench.models.subject import Subject, torch_logits
    from stabbench.seeding import TrialSeeds

    prepare()
    model, tokenizer = load_pretrained(Path(sys.argv[1]), ("no", "yes"), TrialSeeds(0, 0))
    subject = Subject(tokenizer, torch_logits(model.eval()), ("no", "yes"), 64, model)
    # Labelled as the model answers, so that every text is attacked; the last label is one the model does not have.
    given = [
        Example(name, text, int(subject.probabilities([text])[0].argmax()))
        for name, text in HOSTILE.items()
        if name != LEFT_OUT
    ] + [Example("other-label", "good film", 7)]
    # First, so that nothing was searched before it.
    given.sort(key=lambda example: example.id != "split-mark")
    found = {}
    names = [name for name in registry.names("attacks") if registry.load("attacks", name).tier == "offline"]
    for name in names:
        attack = registry.load("attacks", name).given(masked_lm=os.environ["MASKED_LM"])
        missing = attack.missing()
        rows = [] if missing else attack_examples(attack, subject, given, query_budget=BUDGET, seed=0)
        found[name] = {"missing": missing, "rows": {row.example: row.as_dict() for row in rows}}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
