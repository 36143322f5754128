"""Runs attacks in a process of their own: environment, model wrapper, one example at a time."""
