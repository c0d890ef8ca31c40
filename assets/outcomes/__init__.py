"""What happened to the customer afterwards."""
