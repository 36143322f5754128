"""Tests, intervals and their defined answers for awkward input; numpy and scipy."""
