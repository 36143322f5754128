"""stabbench: stability benchmarking and diagnostics for fine-tuned BERT-family models.

``stabbench.run(suite)`` does a suite, ``stabbench.load(run)`` reads a run, ``stabbench.compare(a, b)`` compares two.
Each is imported when it is first asked for, so that ``import stabbench`` costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stabbench.execution.loaded_run import compare as compare
    from stabbench.execution.loaded_run import load as load
    from stabbench.execution.loaded_run import run as run

__version__ = "0.1.0"
_FROM = {name: "stabbench.execution.loaded_run" for name in ("compare", "load", "run")}


def __getattr__(name: str) -> Any:
    """Import what is asked for where it is defined."""
    if name not in _FROM:
        raise AttributeError(f"module 'stabbench' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_FROM[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_FROM])
