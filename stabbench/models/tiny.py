"""``builtin:tiny``: a 2-layer random BERT of 32 hidden units with its own vocabulary, written without a network."""

from __future__ import annotations

import json
import string
from pathlib import Path

import torch

from stabbench.models.loading import WEIGHTS

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_COMMON = """
a about after all also an and any are as at bad be because been best better boring but by can comedy could did do does
down drama dull even ever every excellent few film films first for from fun funny get good great had has have he her
here his how i if in into is it its just kind know less life like little long love made make makes many me more most
movie movies much my never new no not nothing of off on one only or other our out over own people performance plot poor
really see so some still story such than that the their them there they thing this those through time to too two up
very was watch way we well what when where which who why will with without work world worst would year you your
"""


def vocabulary() -> list[str]:
    """Return the word pieces: special tokens, printable characters, the same as continuations, common words."""
    characters = sorted(set(string.ascii_lowercase + string.digits + string.punctuation))
    return [
        *_SPECIAL,
        *characters,
        *(f"##{c}" for c in characters),
        *(word for word in _COMMON.split() if len(word) > 1),
    ]


def write_tiny_model(folder: Path, seed: int = 0) -> Path:
    """Write model and tokenizer into `folder` and return it; the same files every time. Does nothing if they are there.

    No classification head is written: `load_pretrained` draws one, as for any pretrained encoder.
    """
    from transformers import BertConfig, BertModel, BertTokenizerFast

    if (folder / WEIGHTS).is_file() and (folder / "tokenizer.json").is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    words = vocabulary()
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    tokenizer = BertTokenizerFast(vocab_file=str(folder / "vocab.txt"), do_lower_case=True, model_max_length=512)
    tokenizer.save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=512,
        initializer_range=0.1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertModel(config)
    model.save_pretrained(folder, safe_serialization=True)
    (folder / "tiny.json").write_text(json.dumps({"schema": 1, "seed": seed}) + "\n", encoding="utf-8")
    return folder
