"""Cells and runs on disk: content-addressed, atomic, resumable."""
