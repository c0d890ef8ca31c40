"""What customers said, how long it took to be heard."""
