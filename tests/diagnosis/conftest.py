"""Trainings that are ill, for this folder."""

from illness import trained

__all__ = ["trained"]
