"""Great Expectations suites as code: each expectation with its reason and severity."""
