"""The one page for the board."""
