"""Core rules of the tables of the customer's voice."""

from __future__ import annotations

from assets.core.groups import GroupCheck

GROUP_RULES: dict[str, GroupCheck] = {}
"""No rows of these tables hang on each other."""
