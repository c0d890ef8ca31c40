"""Landed rows become typed, valid, keyed tables and rejects."""
