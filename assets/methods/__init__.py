"""Pure functions on polars and numpy: no Dagster, no files, no clock, no global random state."""
