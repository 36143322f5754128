"""How latency is timed: fresh processes of pytest-benchmark, every subject in each, in balanced order."""
