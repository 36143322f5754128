"""Figures of the report: matplotlib to inline SVG, one figure a file."""
