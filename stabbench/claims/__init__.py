"""Measurements to claims and verdicts: one claim object feeds the terminal, the JSON, the report and the exit code."""
