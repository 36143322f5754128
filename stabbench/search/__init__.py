"""Many values of an option: over a grid for every arm alike (`sweep`), or searched on validation data (`tune`)."""
