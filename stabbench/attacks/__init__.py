"""Adversarial search, one recipe a file."""
