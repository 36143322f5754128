"""Artifacts as folders: weights, config, tokenizer and ``stabbench.json``; and torch models rebuilt from them.

A model whose shape its config cannot say (fewer heads than its width asks for, factored matrices) carries what is
missing in the config's entry ``stabbench``: ``{"heads": heads kept in each block, "ranks": {linear map: rank}}``.
Libraries ignore the entry, so that the config is saved and read by every version of transformers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from stabbench.compression._parts import encoder_parts, keep_heads
from stabbench.compression.base import torch_model
from stabbench.models.loading import SUBJECT, WEIGHTS, load_tokenizer, save_subject
from stabbench.models.subject import Subject, torch_logits

SHAPE = "stabbench"
"""Entry of the config with what the config's own entries cannot say."""


def shape_of(model: nn.Module) -> dict[str, Any]:
    """Return the shape entry of a model's config; empty for one of the usual form."""
    return dict(getattr(model.config, SHAPE, None) or {})


def save_model(model: nn.Module, subject: Subject, folder: Path, tokenizer: Any = None) -> None:
    """Write a torch model as an artifact, with the subject's classes and, unless another is given, its tokenizer."""
    save_subject(model, tokenizer or subject.tokenizer, folder, subject.classes, subject.max_length)


def save_companions(subject: Subject, folder: Path) -> None:
    """Write all but the weights, so that the artifact's size is what a deployment ships."""
    torch_model(subject, "a compressor").config.save_pretrained(folder)
    subject.tokenizer.save_pretrained(folder)
    content = {"schema": 1, "classes": list(subject.classes), "max_length": subject.max_length}
    (folder / SUBJECT).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def companions(folder: Path) -> tuple[Any, tuple[str, ...], int]:
    """Return (tokenizer, classes, max_length) of an artifact."""
    known = json.loads((folder / SUBJECT).read_text(encoding="utf-8"))
    return load_tokenizer(folder), tuple(known["classes"]), int(known["max_length"])


def load_model(folder: Path) -> Subject:
    """Return the subject of a float32 torch artifact."""
    model = skeleton(folder)
    model.load_state_dict(load_file(folder / WEIGHTS), strict=False)
    return subject_of(model.eval(), folder, model)


def subject_of(model: nn.Module, folder: Path, module: nn.Module | None) -> Subject:
    """Return a subject that scores with `model`; `module` is what probes may differentiate, or None."""
    tokenizer, classes, longest = companions(folder)
    return Subject(tokenizer, torch_logits(model), classes, longest, module, folder)


def skeleton(folder: Path) -> nn.Module:
    """Return a model of the artifact's shape in float32, its weights drawn at random; the random state is kept."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    with torch.random.fork_rng(devices=[]):
        # Whatever type the config names, the weights that follow decide: the frame is float32.
        model: nn.Module = AutoModelForSequenceClassification.from_config(
            config, dtype=torch.float32, trust_remote_code=False
        )
        shape = shape_of(model)
        if "heads" in shape:
            for parts in encoder_parts(model):
                keep_heads(parts, range(int(shape["heads"])))
        factor(model, shape.get("ranks", {}))
    return model


def factor(model: nn.Module, ranks: Mapping[str, int], made: Mapping[str, Sequence[nn.Module]] | None = None) -> None:
    """Put two thin linear maps in the place of each named one: H_in → rank → H_out, the bias on the second.

    `made` gives the maps; without it they are new.
    """
    for name, rank in ranks.items():
        old = model.get_submodule(name)
        assert isinstance(old, nn.Linear)
        pair = (made or {}).get(name) or (
            nn.Linear(old.in_features, rank, bias=False),
            nn.Linear(rank, old.out_features, bias=old.bias is not None),
        )
        model.set_submodule(name, nn.Sequential(*pair))
