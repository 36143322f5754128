"""What attacks need beside Python packages, where it is looked for, and what would get it. Imports nothing heavy.

A recipe of textattack that tries to download and fails leaves a lock behind that stops the next one: so what a recipe
needs is looked for before it is built, and nothing is ever downloaded by a search.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

GLOVE, ENCODER = "builtin:glove-50d", "builtin:minilm-l6"
"""Assets (`stabbench fetch NAME`) with word vectors, and with a sentence encoder."""
_NLTK_FOLDERS = ("~/nltk_data", "/usr/share/nltk_data", "/usr/local/share/nltk_data", "/usr/lib/nltk_data")


@dataclass(frozen=True)
class Resource:
    """Something a recipe needs.

    Attributes:
        what: what it is, for a reader.
        get: what would get it; a command where there is one.
        there: whether this machine has it.
    """

    what: str
    get: str
    there: Callable[[], bool]


def textattack_cache() -> Path:
    """Return where textattack keeps its downloads: ``$TA_CACHE_DIR``, else ``~/.cache/textattack``."""
    return Path(os.environ.get("TA_CACHE_DIR") or "~/.cache/textattack").expanduser()


def missing(recipe: str, needs: Iterable[str]) -> str | None:
    """Return what `recipe` needs and this machine lacks, and what would get it; None where nothing is lacking.

    Raises:
        KeyError: a need is no resource of this file.
    """
    lacking = [RESOURCES[name] for name in needs if not RESOURCES[name].there()]
    return "; ".join(f"{recipe} needs {each.what}: {each.get}" for each in lacking) or None


def missing_folder(recipe: str, folder: str) -> str | None:
    """Return what `recipe` lacks where `folder` holds no model to load from files."""
    if folder and (Path(folder) / "config.json").is_file():
        return None
    found = f"masked_lm is {folder!r}, which has no config.json" if folder else "masked_lm names none"
    return (
        f"{recipe} needs the folder of a masked language model: {found}; with a hub at hand: hf download "
        "bert-base-uncased --local-dir FOLDER, then masked_lm: FOLDER (safetensors only)"
    )


def _never() -> bool:
    return False


def _downloaded(name: str) -> Callable[[], bool]:
    return lambda: (textattack_cache() / name).exists()


def _nltk(*names: str) -> Callable[[], bool]:
    """Look for NLTK data, unpacked or as the archive that its downloader leaves."""

    def there() -> bool:
        given = filter(None, os.environ.get("NLTK_DATA", "").split(os.pathsep))
        folders = [Path(folder).expanduser() for folder in (*given, *_NLTK_FOLDERS)]
        return all(any((f / name).exists() or (f / f"{name}.zip").exists() for f in folders) for name in names)

    return there


def _packages(*names: str) -> Callable[[], bool]:
    return lambda: all(importlib.util.find_spec(name) is not None for name in names)


def _hub(repository: str) -> Resource:
    """Return a model of the Hugging Face hub, which is looked for in the hub's own cache."""

    def there() -> bool:
        home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
        cache = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()
        return any((cache / f"models--{repository.replace('/', '--')}" / "snapshots").glob("*/config.json"))

    return Resource(f"the model {repository}", f"hf download {repository}", there)


def _from_textattack(what: str, path: str, command: str) -> Resource:
    return Resource(what, f'python -c "{command}"', _downloaded(path))


def _refused(what: str, instead: str) -> Resource:
    return Resource(what, instead, _never)


_EMBEDDINGS = "from textattack.shared import WordEmbedding; WordEmbedding.counterfitted_GLOVE_embedding()"
_ENCODERS = "from textattack.constraints.semantics.sentence_encoders import"
_MODELS = "from textattack.constraints.grammaticality.language_models"
RESOURCES: dict[str, Resource] = {
    "counter-fitted": _from_textattack(
        "the counter-fitted word vectors of Mrkšić et al. 2016", "word_embeddings/paragramcf", _EMBEDDINGS
    ),
    "tagger": Resource(
        "NLTK's tagger of parts of speech",
        "python -m nltk.downloader averaged_perceptron_tagger_eng universal_tagset",
        _nltk("taggers/averaged_perceptron_tagger_eng", "taggers/universal_tagset"),
    ),
    "universal-encoder": Resource(
        "the Universal Sentence Encoder with TensorFlow",
        f'pip install tensorflow tensorflow_hub, then with TFHUB_CACHE_DIR set: python -c "{_ENCODERS} '
        'UniversalSentenceEncoder as U; U(0.8).encode([\'x\'])"',
        lambda: _packages("tensorflow", "tensorflow_hub")() and "TFHUB_CACHE_DIR" in os.environ,
    ),
    "sentence-transformers": Resource(
        "the package sentence-transformers", "pip install sentence-transformers", _packages("sentence_transformers")
    ),
    "learning-to-write": _from_textattack(
        "the language model of Holtzman et al. 2018", "constraints/grammaticality/language-models/learning-to-write",
        f"{_MODELS} import LearningToWriteLanguageModel as L; L(max_log_prob_diff=5.0)",
    ),
    "billion-words": Resource(
        "the language model on one billion words, with TensorFlow",
        f'pip install tensorflow, then: python -c "{_MODELS} import Google1BillionWordsLanguageModel as G; '
        'G(top_n_per_index=1)"',
        lambda: _packages("tensorflow")() and _downloaded("constraints/semantics/language-models/alzantot-goog-lm")(),
    ),
    "thought-vectors": _from_textattack(
        "the sentence encoder InferSent's word vectors", "word_embeddings/paragramcf",
        f"{_ENCODERS} ThoughtVector; ThoughtVector(threshold=0.2, metric='max_euclidean')",
    ),
    "hownet": _from_textattack(
        "the words of HowNet", "transformations/hownet/word_candidates_sense.pkl",
        "from textattack.transformations import WordSwapHowNet; WordSwapHowNet()",
    ),
    "open-hownet": Resource(
        "the dictionary of OpenHowNet", 'python -c "import OpenHowNet; OpenHowNet.download()"',
        lambda: Path("~/.openhownet_data").expanduser().exists() or Path("openhownet_data").exists(),
    ),
    "multilingual-wordnet": Resource(
        "the multilingual WordNet", "python -m nltk.downloader omw-1.4 wordnet", _nltk("corpora/omw-1.4"),
    ),
    "names": _refused(
        "flair's tagger of names, which the attack process leaves out",
        "there is none for it here; use checklist-without-names",
    ),
    "word-tagger": _refused(
        "flair's tagger of parts of speech, which the attack process leaves out", "use clare-offline, which merges none"
    ),
    "homoglyphs": _refused(
        "a list of look-alike letters that textattack 0.3.11 leaves out of its wheel",
        "use textbugger-offline or bad-characters-homoglyphs, which have a list of their own",
    ),
    "translation": _refused(
        "a model that writes text, translations or summaries", "no task of stabbench has one; use another attack"
    ),
    **{f"hub:{name}": _hub(name) for name in (
        "bert-base-uncased", "distilroberta-base", "gpt2", "sentence-transformers/stsb-distilbert-base",
        "xlm-roberta-base",
    )},
}  # fmt: skip
"""What a recipe can name in `needs`."""
