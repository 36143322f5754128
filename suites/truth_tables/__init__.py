"""Simulations with known truth: what each method of `stabbench.statistics` gets right, and how often."""
