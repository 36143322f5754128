"""stabbench: stability benchmarking and diagnostics for fine-tuned BERT-family models.

``stabbench.run(suite)`` does a suite, ``stabbench.audit(model, data)`` measures a finished checkpoint,
``stabbench.load(run)`` reads a run, ``stabbench.compare(a, b)`` compares two.
Each is imported when it is first asked for, so that ``import stabbench`` costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stabbench.auditing.audit import audit_python as audit
    from stabbench.execution.loaded_run import compare, load
    from stabbench.runner import run_suite as run

__all__ = ["__version__", "audit", "compare", "load", "run"]
__version__ = "0.1.0"
_FROM = {
    "audit": ("stabbench.auditing.audit", "audit_python"),
    "compare": ("stabbench.execution.loaded_run", "compare"),
    "load": ("stabbench.execution.loaded_run", "load"),
    "run": ("stabbench.runner", "run_suite"),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for where it is defined."""
    if name not in _FROM:
        raise AttributeError(f"module 'stabbench' has no attribute '{name}'")
    from importlib import import_module

    module, attribute = _FROM[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *_FROM])
