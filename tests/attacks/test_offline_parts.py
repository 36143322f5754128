"""Vectors, word classes and the local encoder against NumPy and against what is known of words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch

from stabbench.models.loading import load_pretrained
from stabbench.seeding import TrialSeeds

CODE = """
import json, sys
from pathlib import Path
from stabbench.attacks.engine.environment import prepare
prepare()
import copy, random
import numpy as np, torch
from textattack.constraints.semantics.sentence_encoders import SentenceEncoder
from textattack.shared import AttackedText
from stabbench.attacks.engine.similarity import SCREENED, Encoder, LocalEncoder, read_encoder, same_start
from stabbench.attacks.engine.victim import batches
from stabbench.attacks.engine.word_classes import classes
from stabbench.attacks.engine.word_vectors import read_glove
from stabbench.models.loading import load_pretrained
from stabbench.seeding import TrialSeeds

vectors = read_glove(Path(sys.argv[1]))
encoder = read_encoder(Path(sys.argv[2]))
texts = ["the film", "a very dull plot", "the film", "good"]
limited = LocalEncoder(encoder, threshold=0.9)
asked = []
limited.encoder = lambda given: asked.append(list(given)) or encoder(given)
twice = [limited.encode(texts), limited.encode(texts)]
limited.clear_cache()

start = AttackedText("the very dull film is not a good story for people")
rng = random.Random(0)
made_up = ["".join(rng.choices("abcdefghij", k=n)) for n in range(2, 9) for _ in range(6)]
swapped = [start.replace_word_at_index(rng.randrange(11), word) for word in made_up]
swapped += [text.replace_word_at_index(i, "xyz") for i, text in zip((1, 4, 7, 9), swapped[:4])]
rough = Encoder(copy.deepcopy(encoder.model).to(torch.bfloat16), encoder.tokenizer)
exact = LocalEncoder(read_encoder(Path(sys.argv[2])), threshold=0.0)._score_list(start, swapped)
screened = []
for threshold in (SCREENED, *exact[exact > SCREENED].quantile(torch.linspace(0.113, 0.887, 5)).tolist(), 0.99999):
    one = LocalEncoder(read_encoder(Path(sys.argv[2])), threshold=threshold, window_size=7)
    plain = SentenceEncoder._score_list(one, start, swapped)
    one.clear_cache()
    one.encoder.coarse = rough
    kept = one._check_constraint_many(swapped, start).tolist()
    screened.append({
        "kept": [swapped.index(text) for text in kept], "plainly": (plain >= threshold).nonzero().flatten().tolist(),
        "scores": [text.attack_attrs["similarity_score"] for text in kept], "plain": plain[plain >= threshold].tolist(),
        "exactly": len(one._known), "coarsely": len(one._known_coarsely),
        "none": one._score_list(start, []).tolist(),
    })
    one.clear_cache()
    screened[-1]["forgotten"] = not one._known and not one._known_coarsely
low = LocalEncoder(encoder, threshold=SCREENED - 0.01)
low._score_list(start, swapped[:3])
model, _ = load_pretrained(sys.argv[2], ("no", "yes"), TrialSeeds(0, 0))
same = same_start(model, encoder)
torch.manual_seed(0)
with torch.no_grad():
    model.get_input_embeddings().weight.normal_()
print(json.dumps({
    "words": vectors.words, "unknown": "3d" in vectors.numbers,
    "near": [vectors.words[n] for n in vectors.nearest_neighbours(0, 3)],
    "all": vectors.nearest_neighbours(1, 99), "cosine": vectors.get_cos_sim(0, 1),
    "distance": vectors.get_mse_dist("a", 1),
    "encoded": encoder(texts).tolist(), "single": [encoder([text])[0].tolist() for text in texts],
    "asked": asked, "equal": bool(torch.equal(*twice)), "kept": len(limited._known),
    "screened": screened, "screened_low": len(low._known_coarsely),
    "same": [same, same_start(model, encoder), same_start(None, encoder)],
    "classes": {word: sorted(classes(word)) for word in ("good", "films", "run", "quickly", "qwrtz")},
    "batches": [batches([5, 5, 30, 31, 5, 9], 2), batches([], 4), batches([7] * 5, 4), batches([1, 40], 4)],
}))
"""


@pytest.fixture(scope="module")
def found(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    import json
    import os
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("glove")
    names = ["a", "b", ",", "c", "d", "3d", "E", "naïve", "f"]
    np.save(folder / "glove_6B_50d_emb.npy", _vectors(len(names)))
    pyarrow.parquet.write_table(pyarrow.table({"index": names}), folder / "glove_6B_index.parquet")
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(folder), str(tiny_model)],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    content: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return content


def _vectors(count: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(count, 50)).astype(np.float32)


KEPT = [0, 1, 3, 4, 6, 8]
"""Rows of words of ASCII letters."""


def test_words_of_letters_are_kept_in_their_order(found: dict[str, object]) -> None:
    assert found["words"] == ["a", "b", "c", "d", "E", "f"]
    assert not found["unknown"]


def test_neighbours_cosines_and_distances_are_those_of_numpy(found: dict[str, object]) -> None:
    vectors = _vectors(9)[KEPT].astype(float)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit.T
    order = [int(i) for i in np.argsort(-cosines[0]) if i != 0]

    assert found["near"] == [list("abcdEf")[i] for i in order[:3]]
    assert found["all"] == [int(i) for i in np.argsort(-cosines[1]) if i != 1]
    assert found["cosine"] == pytest.approx(cosines[0, 1], abs=1e-5)
    assert found["distance"] == pytest.approx(((vectors[0] - vectors[1]) ** 2).sum(), rel=1e-5)


def test_an_encoding_is_the_mean_over_tokens_in_any_company(found: dict[str, object], tiny_model: Path) -> None:
    model, tokenizer = load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))
    model.eval()
    with torch.inference_mode():
        states = model.base_model(**tokenizer("a very dull plot", return_tensors="pt")).last_hidden_state[0]

    assert np.allclose(found["encoded"][1], states.mean(0).numpy(), atol=1e-5)  # type: ignore[index]
    assert np.allclose(found["encoded"], found["single"], atol=1e-5)  # type: ignore[arg-type]


def test_no_text_of_an_example_is_encoded_twice(found: dict[str, object]) -> None:
    assert found["asked"] == [["the film", "a very dull plot", "good"]]
    assert found["equal"]
    assert found["kept"] == 0


def test_screening_in_bf16_keeps_what_float32_keeps_and_with_its_scores(found: dict[str, object]) -> None:
    """At thresholds all over the range; with fewer texts encoded in float32 where some are clearly too far."""
    cases = found["screened"]
    assert isinstance(cases, list)
    for case in cases:
        assert case["kept"] == case["plainly"]
        assert case["scores"] == pytest.approx(case["plain"], abs=1e-6)
        assert case["exactly"] <= case["coarsely"]
        assert case["forgotten"]
        assert case["none"] == []
    assert any(case["kept"] for case in cases)
    assert min(case["exactly"] / case["coarsely"] for case in cases) < 0.7
    assert found["screened_low"] == 0


def test_a_victim_fine_tuned_from_the_encoder_is_told_from_others(found: dict[str, object]) -> None:
    assert found["same"] == [True, False, None]


def test_a_word_has_the_classes_it_can_be_of(found: dict[str, object]) -> None:
    classes = found["classes"]
    assert isinstance(classes, dict)
    assert "ADJ" in classes["good"]
    assert classes["films"] == classes["run"] == ["WORD"]
    assert "ADV" in classes["quickly"]
    assert classes["qwrtz"] == ["X"]


def test_batches_hold_texts_of_like_length(found: dict[str, object]) -> None:
    """Every text once; at most `most`; padding in a batch at most 24 tokens."""
    assert found["batches"] == [[[0, 1], [4, 5], [2, 3]], [], [[0, 1, 2, 3], [4]], [[0], [1]]]
