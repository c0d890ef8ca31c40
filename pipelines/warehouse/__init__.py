"""Immutable files, commits, snapshots: the only place that writes tables."""
