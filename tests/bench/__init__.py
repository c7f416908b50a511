"""Benchmarks: `python -m tests.bench [figure]` prints one JSON line a figure."""
