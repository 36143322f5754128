"""stabbench: stability benchmarking and diagnostics for fine-tuned BERT-family models."""

__version__ = "0.1.0"
