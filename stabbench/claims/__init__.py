"""Measurements to claims and verdicts."""
