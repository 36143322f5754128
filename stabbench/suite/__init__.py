"""Suite files: YAML to typed, checked values."""
