"""From traces to causes and remedies."""
