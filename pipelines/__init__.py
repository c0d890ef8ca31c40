"""WHEN and WHERE it runs: definitions, jobs, the command, the warehouse, the sources. The top floor."""
