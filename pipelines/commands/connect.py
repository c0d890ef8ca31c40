"""`aftersale init` and `aftersale template`: the way from a firm's files to a configuration."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

from expectations.contracts import SOURCES
from expectations.model import Column, Presence
from pipelines.exits import Exit, UsageError
from pipelines.sources.hints import nearest
from pipelines.sources.proposal import propose, write_proposal
from pipelines.terminal import console, show_rows

_NEEDED = {Presence.REQUIRED: "in every row", Presence.MAPPED: "column needed"}


def propose_configuration(folder: Path, out: Path, currency: str, timezone: str) -> Exit:
    """Write `out` and say what was recognised. Raises UsageError where there is nothing to look at or `out` exists."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder: name the one that your exports lie in")
    if out.exists():
        raise UsageError(f"{out} exists and is not replaced: name another with --out")
    if not re.fullmatch("[A-Z]{3}", currency):
        raise UsageError(f"{currency!r} is no currency such as USD")
    try:
        ZoneInfo(timezone)
    except (OSError, ValueError, KeyError):
        raise UsageError(f"{timezone!r} is no time zone such as America/New_York") from None
    proposal = propose(folder.absolute(), out.absolute().parent)
    if not proposal.found:
        raise UsageError(
            f"nothing below {folder} looks like a system's tables or a source table: see docs/connect"
        )
    out.write_text(write_proposal(proposal, currency, timezone), "utf-8")
    show = console()
    show_rows("Recognised", ("table", "by"), [(one.table, one.from_what) for one in proposal.found])
    if proposal.unrecognised:
        show.print(
            f"Not used: {', '.join(proposal.unrecognised[:20])}{' ...' if len(proposal.unrecognised) > 20 else ''}"
        )
    if proposal.missing:
        show.print(
            f"Still needed: {', '.join(proposal.missing)}. Correct {out} first, then: aftersale check --config {out}"
        )
    else:
        show.print(
            f"{out} is written. Set currency and time zone in it, then: aftersale check --config {out}"
        )
    return Exit.PUBLISHED


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
    facts = [column.kind.value, _NEEDED.get(column.presence, ""), column.unit]
    if column.values:
        facts.append(f"{'one of' if column.closed else 'such as'} {', '.join(column.values)}")
    return f"  {column.name}: {column.description} ({'; '.join(fact for fact in facts if fact)})"
