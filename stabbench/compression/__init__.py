"""Smaller or faster subjects, one method a file."""
