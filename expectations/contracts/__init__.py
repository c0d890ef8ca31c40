"""One module per subject; each lists its tables in `TABLES`."""
