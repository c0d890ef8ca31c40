"""HOW each table is made: one function per table, on the contracts of `expectations`. The middle floor."""
