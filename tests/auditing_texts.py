"""Labelled sentences as a file."""

from __future__ import annotations

from pathlib import Path


def write_texts(path: Path, n: int = 120) -> Path:
    from stabbench.data.builtin import tiny_sentences

    rows = [row for _, row in tiny_sentences()[2][:n]]
    path.write_text("sentence\tlabel\n" + "".join(f"{row.text}\t{row.label}\n" for row in rows), encoding="utf-8")
    return path
