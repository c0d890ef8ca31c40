"""WHAT must be true: columns, contracts, suites, checks. The ground floor."""
