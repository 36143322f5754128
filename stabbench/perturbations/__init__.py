"""Noise on text, one kind a file."""
