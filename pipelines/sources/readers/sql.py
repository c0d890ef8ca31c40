"""The user's own SQL, in a DuckDB that sees one folder and nothing else: no files, network, settings, clock or chance."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from pipelines.sources.readers.frame import UnreadableError

# same input, same output: neither the clock nor chance nor this machine's settings may decide a value
_FORBIDDEN = frozenset(
    [
        "random",
        "setseed",
        "uuid",
        "gen_random_uuid",
        "uuidv4",
        "uuidv7",
        "now",
        "today",
        "current_date",
        "current_time",
        "current_timestamp",
        "get_current_timestamp",
        "get_current_time",
        "transaction_timestamp",
        "localtime",
        "localtimestamp",
        "current_localtime",
        "current_localtimestamp",
        "current_setting",
        "getenv",
        "nextval",
        "currval",
        "txid_current",
        "pg_backend_pid",
    ]
)


def quote_name(name: str) -> str:
    """A column or view name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """A string literal for SQL."""
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def open_locked(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB that may read and write below `folder` only; locked before it sees any user text."""
    connection = duckdb.connect(":memory:")
    try:
        for setting in (
            f"SET allowed_directories = [{quote_text(str(folder))}]",
            f"SET temp_directory = {quote_text(str(folder / 'spill'))}",
            "SET memory_limit = '1GB'",
            "SET TimeZone = 'UTC'",
            "SET autoinstall_known_extensions = false",
            "SET autoload_known_extensions = false",
            "SET enable_external_access = false",
            "SET lock_configuration = true",
        ):
            connection.execute(setting)
        yield connection
    finally:
        connection.close()


def check_expression(connection: duckdb.DuckDBPyConnection, text: str) -> frozenset[str]:
    """Column names (case-folded) that one scalar expression refers to.

    Raises UnreadableError where the text is not exactly one expression, or asks for more than its own row.
    """
    statement = _parse(connection, f"SELECT (\n{text}\n)", text)
    node = statement["node"]
    alone = (
        node["type"] == "SELECT_NODE"
        and len(node["select_list"]) == 1
        and node["from_table"]["type"] == "EMPTY"
    )
    if not alone or any(n.get("class") in {"SUBQUERY", "WINDOW", "STAR"} for n in _nodes(node)):
        raise UnreadableError(
            f"{_short(text)} is not one expression over the columns of a row",
            "Queries, windows and lists belong into 'files' with 'query'",
        )
    return frozenset(n["column_names"][0].casefold() for n in _nodes(node) if n.get("class") == "COLUMN_REF")


def check_query(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    """Raise UnreadableError where the text is not exactly one SELECT."""
    _parse(connection, text, text)


def columns_of_query(
    connection: duckdb.DuckDBPyConnection, text: str, inputs: Collection[str]
) -> frozenset[str] | None:
    """Column names (case-folded) that a query over `inputs` names; None where it may read some that it doesn't name.

    Raises UnreadableError as `check_query` does.
    """
    statement = _parse(connection, text, text)
    nodes = list(_nodes(statement))
    tables = [n for n in nodes if n.get("type") == "BASE_TABLE"]
    rows = {str(n[key]).casefold() for n in tables for key in ("table_name", "alias")}  # a row as a value
    folded = {name.casefold() for name in inputs}
    named: set[str] = set()
    for node in nodes:
        if node.get("class") == "COLUMN_REF":
            parts = [str(part).casefold() for part in node["column_names"]]
            if len(parts) == 1 and parts[0] in rows:
                return None
            named.update(parts)
        if node.get("type") == "TABLE_FUNCTION" or node.get("ref_type") == "NATURAL":
            return None
        named.update(str(name).casefold() for name in node.get("using_columns") or ())
        if node.get("type") == "SELECT_NODE" and _takes_all(node, folded):
            return None
    return frozenset(named)


def _takes_all(select: dict[str, Any], inputs: Collection[str]) -> bool:
    """Whether a SELECT has a star, or a place instead of a name, over an input itself."""
    if not any(n.get("class") in {"STAR", "POSITIONAL_REFERENCE"} for n in _nodes(select)):
        return False
    places = [select["from_table"]]
    while places:
        place = places.pop()
        match place["type"]:
            case "JOIN":
                places += [place["left"], place["right"]]
            case "BASE_TABLE":
                if place["table_name"].casefold() in inputs:
                    return True
            case "SUBQUERY" | "EMPTY":
                pass
            case _:
                return True
    return False


def explain_error(error: duckdb.Error) -> str:
    """DuckDB's message in one line, without the caret drawing."""
    return " ".join(str(error).split("\nLINE")[0].split("\n\n")[0].split())[:300]


def _parse(connection: duckdb.DuckDBPyConnection, sql: str, shown: str) -> Any:
    row = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()[0]
    tree = json.loads(row[0])
    if tree["error"]:
        raise UnreadableError(
            f"{_short(shown)} is not valid SQL ({tree['error_message']})", "Correct it in aftersale.yaml"
        )
    if len(tree["statements"]) != 1:
        raise UnreadableError(f"{_short(shown)} holds several statements", "Write one")
    statement = tree["statements"][0]
    functions = {str(n.get("function_name", "")).casefold() for n in _nodes(statement)} | {
        n["column_names"][0].casefold() for n in _nodes(statement) if n.get("class") == "COLUMN_REF"
    } & {"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"}
    if found := sorted(functions & _FORBIDDEN):
        raise UnreadableError(
            f"{_short(shown)} uses {found[0]}",
            "The clock, chance and settings would give another result tomorrow: use the columns of the source",
        )
    return statement


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
    children: Iterable[Any] = (
        tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    )
    for child in children:
        yield from _nodes(child)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= 80 else f"{line[:77]}...")
