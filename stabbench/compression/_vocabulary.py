"""A smaller vocabulary in a tokenizer's files: pieces left out, ids moved together, everything that names an id mended.

Known are the models of fast tokenizers: WordPiece, WordLevel, BPE and Unigram. Which pieces a text gives stays the same
where all of them are kept: WordPiece takes the longest piece that is there, Unigram the likeliest path, and BPE merges
in order; what is taken away only removes choices that were not made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stabbench.errors import ConfigurationError

_KEPT_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
Ids = Mapping[int, int]
"""Old id → new id, for the ids that are kept."""


def needed_ids(content: Mapping[str, Any], used: Iterable[int], specials: Iterable[int], padding: int) -> list[int]:
    """Return the ids to keep, ascending: those used, special and added ones, single characters, and what they need.

    Single characters, also as continuations, let every text of known letters be written. Ids up to the padding's are
    kept too, so that it keeps its own: some families count positions from it.
    """
    model = content["model"]
    pieces = piece_ids(content)
    kept = {*used, *specials, *range(padding + 1)}
    kept |= {int(token["id"]) for token in content.get("added_tokens", ())}
    kept |= {index for piece, index in pieces.items() if _single(piece, model)}
    if model["type"] == "BPE":
        kept = _with_merges(model, pieces, kept)
    if model["type"] == "Unigram" and model.get("unk_id") is not None:
        kept.add(int(model["unk_id"]))
    return sorted(kept)


def piece_ids(content: Mapping[str, Any]) -> dict[str, int]:
    """Return piece → id of a ``tokenizer.json``.

    Raises:
        ConfigurationError: its model is of no known kind.
    """
    model = content["model"]
    if model["type"] in ("WordPiece", "WordLevel", "BPE"):
        return {str(piece): int(index) for piece, index in model["vocab"].items()}
    if model["type"] == "Unigram":
        return {str(piece): index for index, (piece, _) in enumerate(model["vocab"])}
    raise ConfigurationError(
        [
            f"compressions: 'vocab-trim' does not know tokenizers of kind '{model['type']}'; known: WordPiece, "
            "WordLevel, BPE, Unigram. Leave 'vocab-trim' out."
        ]
    )


def trimmed(content: Mapping[str, Any], ids: Ids) -> dict[str, Any]:
    """Return a ``tokenizer.json`` with the kept pieces under their new ids."""
    new: dict[str, Any] = json.loads(json.dumps(content))
    model = new["model"]
    if model["type"] == "Unigram":
        model["vocab"] = [pair for index, pair in enumerate(model["vocab"]) if index in ids]
        if model.get("unk_id") is not None:
            model["unk_id"] = ids[int(model["unk_id"])]
    else:
        model["vocab"] = {piece: ids[index] for piece, index in model["vocab"].items() if index in ids}
    if model["type"] == "BPE":
        pieces = model["vocab"]
        model["merges"] = [m for m in model["merges"] if all(part in pieces for part in (*_pair(m), "".join(_pair(m))))]
    for token in new.get("added_tokens", ()):
        token["id"] = ids[int(token["id"])]
    if new.get("padding"):
        new["padding"]["pad_id"] = ids[int(new["padding"]["pad_id"])]
    new["post_processor"] = _post_processor(new.get("post_processor"), ids)
    return new


def write_trimmed(folder: Path, ids: Ids) -> None:
    """Change the tokenizer that lies in `folder`; files that would say the old ids are removed."""
    _rewrite(folder / "tokenizer.json", lambda content: trimmed(content, ids))
    for file in folder.iterdir():
        if file.name not in _KEPT_FILES:
            file.unlink()
    if (folder / "tokenizer_config.json").is_file():
        _rewrite(folder / "tokenizer_config.json", lambda content: _config(content, ids))


def _rewrite(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(change(content), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _config(content: dict[str, Any], ids: Ids) -> dict[str, Any]:
    known = content.get("added_tokens_decoder")
    if known:
        content["added_tokens_decoder"] = {str(ids[int(index)]): token for index, token in known.items()}
    return content


def _post_processor(given: Any, ids: Ids) -> Any:
    """Return a post-processor with new ids: a template, BERT's or RoBERTa's pair of tokens, or a sequence of these."""
    if not isinstance(given, dict):
        return given
    new = dict(given)
    if "processors" in new:
        new["processors"] = [_post_processor(part, ids) for part in new["processors"]]
    if "special_tokens" in new:
        new["special_tokens"] = {
            name: {**token, "ids": [ids[int(index)] for index in token["ids"]]}
            for name, token in new["special_tokens"].items()
        }
    for name in ("sep", "cls"):
        if isinstance(new.get(name), list):
            piece, index = new[name]
            new[name] = [piece, ids[int(index)]]
    return new


def _single(piece: str, model: Mapping[str, Any]) -> bool:
    prefix = model.get("continuing_subword_prefix") or ""
    bare = piece.removeprefix(prefix) if prefix else piece
    return len(bare.removeprefix("▁")) <= 1 or len(bare.removeprefix("Ġ")) <= 1


def _with_merges(model: Mapping[str, Any], pieces: Mapping[str, int], kept: set[int]) -> set[int]:
    """Return the ids with all pieces that the kept ones are merged from, by the first merge that gives each."""
    names = {index: piece for piece, index in pieces.items()}
    made: dict[str, tuple[str, str]] = {}
    for merge in model["merges"]:
        first, second = _pair(merge)
        made.setdefault(first + second, (first, second))
    left, found = [names[index] for index in kept if index in names], set(kept)
    while left:
        for part in made.get(left.pop(), ()):
            if part in pieces and pieces[part] not in found:
                found.add(pieces[part])
                left.append(part)
    return found


def _pair(merge: str | Sequence[str]) -> tuple[str, str]:
    first, second = merge.split(" ") if isinstance(merge, str) else merge
    return first, second
