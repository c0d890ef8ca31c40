"""`aftersale init` and `aftersale template`: the way from a firm's files to a configuration."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from assets.landing import SourceUnreachableError
from expectations.contracts import SOURCES
from expectations.model import Column, Kind, Presence
from pipelines.exits import Exit, UsageError
from pipelines.sources.catalogue import list_tables
from pipelines.sources.database import DatabaseError
from pipelines.sources.hints import nearest
from pipelines.sources.proposal import Proposal, propose, propose_tables, write_proposal
from pipelines.sources.settings import Database
from pipelines.terminal import console, show_rows

_NEEDED = {Presence.REQUIRED: "in every row", Presence.MAPPED: "column needed"}

# a time without its offset is rejected unless the source names its zone
_MOMENT = "a day, or a time with its offset such as 2025-03-31T17:00:00Z; without one, write `timezone:` on the source"


def propose_configuration(
    folder: Path | None, out: Path, currency: str, timezone: str, database_env: str | None = None
) -> Exit:
    """Write `out` from a folder or a database, and say what was recognised.

    Raises UsageError where there is nothing to look at or `out` exists, SourceUnreachableError.
    """
    if (folder is None) == (database_env is None):
        raise UsageError("name the folder that your exports lie in, or a database with --database-env NAME")
    if folder is not None and not folder.is_dir():
        raise UsageError(f"{folder} is no folder: name the one that your exports lie in")
    if out.exists():
        raise UsageError(f"{out} exists and is not replaced: name another with --out")
    if not re.fullmatch("[A-Z]{3}", currency):
        raise UsageError(f"{currency!r} is no currency such as USD")
    try:
        ZoneInfo(timezone)
    except (OSError, ValueError, KeyError):
        raise UsageError(f"{timezone!r} is no time zone such as America/New_York") from None
    if folder is not None:
        proposal = propose(folder.absolute(), out.absolute().parent)
    else:
        proposal = _look_into(str(database_env))
    if not proposal.found:
        raise UsageError(
            f"nothing in {folder or database_env} looks like a system's tables or a source table: see docs/connect"
        )
    out.write_text(write_proposal(proposal, currency, timezone), "utf-8")
    _show(proposal, out)
    return Exit.PUBLISHED


def _show(proposal: Proposal, out: Path) -> None:
    show = console()
    show_rows("Recognised", ("table", "by"), [(one.table, one.from_what) for one in proposal.found])
    if proposal.unrecognised:
        show.print(
            f"Not used: {', '.join(proposal.unrecognised[:20])}{' ...' if len(proposal.unrecognised) > 20 else ''}"
        )
    if proposal.passed_over:
        others = ", ".join(f"{table} ({system})" for table, system in proposal.passed_over)
        show.print(
            f"Also there: {others}. One source makes a table: to take another, change its preset and path"
        )
    if proposal.missing:
        show.print(
            f"Still needed: {', '.join(proposal.missing)}. Correct {out} first, then: aftersale check --config {out}"
        )
    else:
        show.print(
            f"{out} is written. Set currency and time zone in it, then: aftersale check --config {out}"
        )


def _look_into(database_env: str) -> Proposal:
    try:
        database = Database.model_validate({"uri_env": database_env, "table": "unused"})
    except ValidationError:
        raise UsageError(f"{database_env!r} is no name of an environment variable") from None
    try:
        return propose_tables(list_tables(database), f"uri_env: {database_env}")
    except DatabaseError as error:
        raise SourceUnreachableError(f"{database_env}: {error}") from None


def print_template(table: str) -> Exit:
    """The header to standard output, so that it can go to a file; the meaning of each column to standard error."""
    name = table.removeprefix("core/")
    if name not in SOURCES:
        raise UsageError(f"no source table is called {table!r}: {nearest(name, SOURCES)}")
    contract = SOURCES[name]
    sys.stdout.write(",".join(column.name for column in contract.door) + "\n")
    sys.stdout.flush()
    lines = [
        f"{contract.title} {contract.grain[0].upper()}{contract.grain[1:]}; key: {', '.join(contract.key)}."
    ]
    lines += [_describe(column) for column in contract.door]
    sys.stderr.write("\n".join(lines) + "\n")
    return Exit.PUBLISHED


def _describe(column: Column) -> str:
    unit = _MOMENT if column.kind is Kind.TIMESTAMP else column.unit
    facts = [column.kind.value, _NEEDED.get(column.presence, ""), unit]
    if column.values:
        facts.append(f"{'one of' if column.closed else 'such as'} {', '.join(column.values)}")
    return f"  {column.name}: {column.description} ({'; '.join(fact for fact in facts if fact)})"
