"""How incentive and outcome move together, with uncertainty."""
