"""Fuzzed inputs over every reader: `python -m tests.fuzz 10000`. A seed is an input; what fails can be made again from it."""
