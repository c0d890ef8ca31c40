"""Readers by kind: from the bytes of one file to numbered text records, with everything unreadable set aside."""
