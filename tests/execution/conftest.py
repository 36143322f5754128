"""Runs made by the store's API, for tests that need no model."""

from made_run import make_run

__all__ = ["make_run"]
