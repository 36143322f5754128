"""The made run, for this folder."""

from made_run import make_run

__all__ = ["make_run"]
