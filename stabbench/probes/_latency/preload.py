"""What a process imports to load a subject that torch runs."""

from __future__ import annotations

import sys


def preload() -> None:
    """Import torch and what transformers loads models with.

    Without scikit-learn, which text generation alone would use: it takes a second of every start.
    """
    # Once transformers is imported it has made up its mind whether there is a scikit-learn.
    absent = not {"sklearn", "transformers"} & sys.modules.keys()
    if absent:
        sys.modules["sklearn"] = None  # type: ignore[assignment]
    try:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer, generation  # noqa: F401
    finally:
        if absent:
            del sys.modules["sklearn"]
