"""Several ways to the same core marts, each a process of its own: `python -m tests.benchmarks.ways.NAME CLEAN OUT`."""
