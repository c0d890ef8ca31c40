"""Benchmarks: timings live here and are never asserted."""
