"""Core rules of the retention tables: how an event gets a name where the source gives none."""

from __future__ import annotations

from assets.core.groups import GroupCheck

GROUP_RULES: dict[str, GroupCheck] = {}
"""No rows of these tables hang on each other."""

MADE_FROM: dict[str, tuple[str, ...]] = {"customer_activity": ("account_id", "occurred_at", "kind", "amount")}
"""Tables whose key a source may leave out: it is made from these columns and the number of the row among equal ones."""
