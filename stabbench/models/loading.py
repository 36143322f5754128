"""Loading a pretrained encoder with a new head, and saving and loading fine-tuned classifiers.

Safe by default: weights from safetensors only, no code from the model's folder is run, no pickle is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from stabbench.errors import ConfigurationError
from stabbench.models.anatomy import anatomy
from stabbench.models.subject import Subject, torch_logits
from stabbench.seeding import TrialSeeds

WEIGHTS = "model.safetensors"
SUBJECT = "stabbench.json"
_LONGEST = 512


def load_pretrained(
    source: str | Path, classes: Sequence[str], seeds: TrialSeeds, revision: str | None = None
) -> tuple[nn.Module, Any]:
    """Return a pretrained encoder under a new head for `classes`, in float32 and training mode, and its tokenizer.

    The head is always drawn anew from the `init` stream, also where the checkpoint brings one; so are other weights
    that the checkpoint lacks. The global random state is left as it was.

    Args:
        source: a folder, or a hub id.
        classes: label names; class j is column j of the logits.
        seeds: the trial's seeds.
        revision: commit of a hub model.

    Raises:
        ConfigurationError: the model or tokenizer cannot be used; the message says why.
    """
    from transformers import AutoModelForSequenceClassification

    labels = {index: name for index, name in enumerate(classes)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.stream("init"))
        with _quiet(), _explained(source):
            model: nn.Module = AutoModelForSequenceClassification.from_pretrained(
                source,
                revision=revision or "main",
                num_labels=len(classes),
                id2label=labels,
                label2id={name: index for index, name in labels.items()},
                ignore_mismatched_sizes=True,
                **_SAFE,
            )
        torch.manual_seed(seeds.stream("init"))
        _draw_head(model)
    return model.train(), load_tokenizer(source, revision)


def load_tokenizer(source: str | Path, revision: str | None = None) -> Any:
    """Return the fast tokenizer of a folder or hub id.

    Raises:
        ConfigurationError: there is none, it is a slow one, or it has no padding token.
    """
    from transformers import AutoTokenizer

    with _quiet(), _explained(source):
        try:
            tokenizer = AutoTokenizer.from_pretrained(
                source, revision=revision or "main", use_fast=True, trust_remote_code=False
            )
        # What transformers raises where it looks for a vocabulary file and there is none.
        except TypeError as error:
            raise OSError("it has no tokenizer.") from error
    if not tokenizer.is_fast:
        raise ConfigurationError(
            [f"model '{source}': its tokenizer is a slow one; a fast one (tokenizer.json) is needed"]
        )
    if tokenizer.pad_token_id is None:
        raise ConfigurationError([f"model '{source}': its tokenizer has no padding token, which batches need"])
    return tokenizer


def save_subject(model: nn.Module, tokenizer: Any, folder: Path, classes: Sequence[str], max_length: int) -> None:
    """Write a classifier into `folder`: float32 safetensors, config, tokenizer, and ``stabbench.json``.

    ``stabbench.json`` is ``{"schema": 1, "classes": […], "max_length": tokens}``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _quiet():
        model.save_pretrained(folder, safe_serialization=True)  # type: ignore[operator]
        tokenizer.save_pretrained(folder)
    content = {"schema": 1, "classes": list(classes), "max_length": max_length}
    (folder / SUBJECT).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load_subject(source: str | Path, max_length: int | None = None, revision: str | None = None) -> Subject:
    """Return a classifier to probe, in float32 and evaluation mode.

    A folder that `save_subject` did not write (a user's own checkpoint) gives its classes by the config's ``id2label``,
    and is cut at `max_length`, else at what its tokenizer and positions allow, at most 512 tokens.

    Raises:
        ConfigurationError: the model or tokenizer cannot be used; the message says why.
    """
    from transformers import AutoModelForSequenceClassification

    with _quiet(), _explained(source):
        model, info = AutoModelForSequenceClassification.from_pretrained(
            source, revision=revision or "main", output_loading_info=True, **_SAFE
        )
    if info["missing_keys"] or info["mismatched_keys"]:
        missing = sorted(map(str, [*info["missing_keys"], *info["mismatched_keys"]]))
        raise ConfigurationError(
            [f"model '{source}' is not a fine-tuned classifier: it lacks {', '.join(missing)}. Fine-tune it first."]
        )
    in_own_memory(model.eval())
    tokenizer = load_tokenizer(source, revision)
    stored = Path(source) / SUBJECT
    known = json.loads(stored.read_text(encoding="utf-8")) if stored.is_file() else {}
    classes = known.get("classes") or [str(model.config.id2label[index]) for index in range(model.config.num_labels)]
    longest = max_length or known.get("max_length") or _allowed_length(model, tokenizer)
    folder = Path(source) if Path(source).is_dir() else None
    return Subject(tokenizer, torch_logits(model), tuple(classes), longest, model, folder)


def in_own_memory(model: nn.Module) -> None:
    """Copy weights out of the file they were read from, in place, so that no answer depends on where they lay in it.

    Tensors of a safetensors file begin at any multiple of 8 bytes; matrix products take another path, and round
    otherwise, where a matrix does not begin at a multiple of 64.
    """
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = tensor.data.clone()


def weights_hash(folder: Path) -> str:
    """Return the sha256 of the folder's ``model.safetensors``."""
    with (folder / WEIGHTS).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def state_hash(model: nn.Module) -> str:
    """Return a sha256 of names, shapes and bytes of all weights and persistent buffers, in the order of their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


_SAFE = {"use_safetensors": True, "trust_remote_code": False, "dtype": torch.float32}


def _draw_head(model: nn.Module) -> None:
    for module in anatomy(model).head.modules():
        # transformers marks loaded modules, and would leave a head that the checkpoint brought as it is.
        module._is_hf_initialized = False  # type: ignore[assignment]
        model._init_weights(module)  # type: ignore[operator]


def _allowed_length(model: Any, tokenizer: Any) -> int:
    positions = getattr(model.config, "max_position_embeddings", _LONGEST)
    # RoBERTa counts positions from the padding index on.
    offset = (model.config.pad_token_id or 0) + 1 if positions % 2 == 0 and positions > _LONGEST else 0
    return int(min(_LONGEST, positions - offset, tokenizer.model_max_length))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence progress bars and notices of new heads, which are what we ask for."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def _explained(source: str | Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ConfigurationError(
            [
                f"model '{source}' cannot be loaded: {reason} Needed: a folder or hub id with config.json, "
                "model.safetensors and tokenizer.json of a model that AutoModelForSequenceClassification knows."
            ]
        ) from error
