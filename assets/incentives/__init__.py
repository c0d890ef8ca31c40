"""How strong the incentive was when a deal closed."""
