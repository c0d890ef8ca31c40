"""What tables a database has: their columns and primary keys, from its own catalogue. No row is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pipelines.sources.database import asking
from pipelines.sources.settings import Database

# name, column, and its place in the primary key (0: none), in the order of the columns
_CATALOGUES: Mapping[str, str] = {
    "postgresql": """
        SELECT c.table_schema || '.' || c.table_name, c.column_name, coalesce(k.ordinal_position, 0)
        FROM information_schema.columns c
        LEFT JOIN information_schema.table_constraints t
          ON (t.table_schema, t.table_name, t.constraint_type) = (c.table_schema, c.table_name, 'PRIMARY KEY')
        LEFT JOIN information_schema.key_column_usage k
          ON (k.constraint_schema, k.constraint_name, k.table_name, k.column_name)
           = (t.constraint_schema, t.constraint_name, c.table_name, c.column_name)
        WHERE c.table_schema NOT IN ('pg_catalog', 'information_schema')
        ORDER BY c.table_schema, c.table_name, c.ordinal_position""",
    "sqlite": """
        SELECT m.name, p.name, p.pk FROM sqlite_master m, pragma_table_info(m.name) p
        WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY m.name, p.cid""",
}
_NAMED = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)?\Z")
_CHANGED = re.compile(
    r"(?:.*_)?(?:updated|modified|changed)(?:_?at|_?on|_?date|_?time)?|(?:system|last)modstamp"
)


@dataclass(frozen=True)
class DatabaseTable:
    """One table or view, in the spelling that `sql: {table: ...}` wants."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def likely_cursor(self) -> str:
        """A column that is named as if it rose with every change; empty where there is none."""
        return next((c for c in self.columns if _CHANGED.fullmatch(c.casefold())), "")


def list_tables(database: Database) -> tuple[DatabaseTable, ...]:
    """The tables and views that the user may see, by name; those that can't be configured are left out.

    Raises DatabaseError.
    """
    with asking(database) as (cursor, address):
        cursor.execute(_CATALOGUES[urlsplit(address).scheme])
        rows = [(str(table), str(column), int(place)) for table, column, place in cursor.fetchall()]
    found: dict[str, list[tuple[str, int]]] = {}
    for table, column, place in rows:
        if _NAMED.match(table):
            found.setdefault(table, []).append((column, place))
    return tuple(
        DatabaseTable(
            table,
            tuple(c for c, _ in columns),
            tuple(c for c, place in sorted(columns, key=lambda one: one[1]) if place),
        )
        for table, columns in sorted(found.items())
    )
