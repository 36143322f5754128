"""Loading models and knowing their anatomy."""
