"""The recorder that stands beside the monitor under test."""

from recorder import watched

__all__ = ["watched"]
