"""How similar may a sentence be to one that means the opposite? The thresholds of the attacks with a local encoder.

    python suites/calibrate_encoder.py --sentences 300

For every word of a test sentence of `builtin:rotten-tomatoes` that is no stopword and has an antonym in WordNet, one
antonym takes its place, and the encoder compares the sentence before and after: the 15 words around, and the whole.
The 95th percentile is the close threshold, which at most one antonym in twenty would pass; the 5th is the wide one,
which only refuses what changes a sentence more than nearly every antonym does. Needs WordNet.
"""

from __future__ import annotations

import argparse
from pathlib import Path

WINDOW = 15


def antonyms(word: str) -> list[str]:
    """Return the one-word antonyms of any sense of a word, sorted."""
    from nltk.corpus import wordnet

    lemmas = [lemma for sense in wordnet.synsets(word.lower()) for lemma in sense.lemmas()]
    own = [lemma for lemma in lemmas if lemma.name().lower() == word.lower()]
    return sorted({other.name() for lemma in own for other in lemma.antonyms() if other.name().isalpha()})


def main() -> None:
    """Print both thresholds with the number of swaps they rest on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=300)
    given = parser.parse_args()
    from stabbench.attacks.engine import wordnet
    from stabbench.attacks.engine.environment import prepare

    prepare()
    wordnet.provide()
    import numpy as np
    import torch
    from textattack.constraints.pre_transformation import StopwordModification
    from textattack.shared import AttackedText

    from stabbench.attacks.engine.similarity import local_encoder
    from stabbench.data.dataset import load_dataset
    from stabbench.models.sources import asset_folder
    from stabbench.suite.schema import Data, Task

    source = Data(source="builtin:rotten-tomatoes", train=10, test=given.sentences)
    data = load_dataset(source, Task(), Path.cwd(), asset_folder)
    stopwords = StopwordModification().stopwords
    pairs: dict[str, list[tuple[str, str]]] = {"window": [], "text": []}
    for example in data.test:
        before = AttackedText(example.text)
        for place, word in enumerate(before.words):
            if word.lower() in stopwords:
                continue
            for other in antonyms(word)[:1]:
                after = before.replace_word_at_index(place, other)
                around = [text.text_window_around_index(place, WINDOW) for text in (before, after)]
                pairs["window"].append((around[0], around[1]))
                pairs["text"].append((before.text, after.text))
    encoder = local_encoder()
    for kind, texts in pairs.items():
        first, second = (encoder([pair[side] for pair in texts]) for side in (0, 1))
        cosines = torch.nn.functional.cosine_similarity(first, second).numpy()
        wide, middle, close = np.percentile(cosines, [5, 50, 95])
        print(f"{kind}: {len(texts)} swaps; wide {wide:.3f}, median {middle:.3f}, close {close:.3f}")


if __name__ == "__main__":
    main()
