"""Built-in models and data: pinned files out of pinned wheels."""
