"""Core rules of the reference tables: rates and calendars."""

from __future__ import annotations

from assets.core.groups import GroupCheck

GROUP_RULES: dict[str, GroupCheck] = {}
"""No rows of these tables hang on each other."""
