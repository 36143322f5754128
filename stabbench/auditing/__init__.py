"""``stabbench audit``: one finished checkpoint, or two, measured as they are; no YAML, no training."""
