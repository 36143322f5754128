"""One self-contained HTML file from a finished run; no torch."""
