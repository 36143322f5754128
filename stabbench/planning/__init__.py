"""Suite to plan: cells, keys, counts, estimates; no torch."""
