"""Worker processes that turn planned cells into stored ones."""
