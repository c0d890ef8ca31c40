"""`aftersale check`: what the configuration maps, what is missing, what that switches off. Touches nothing."""

from __future__ import annotations

from pathlib import Path

from pipelines.exits import Exit, one_line_of
from pipelines.places import find_config
from pipelines.sources.inspection import TableReport, inspect_sources
from pipelines.terminal import console, show_rows
from pipelines.workshop import read_configuration


def run_check(home: Path, config: Path | None) -> Exit:
    """Print the report; exit 5 where a source can't be reached, 3 where one would block. Raises SetupError or ConfigError."""
    report = inspect_sources(read_configuration(find_config(config, home)))
    out = console()
    out.print(f"{report.configuration} is a valid configuration.")
    show_rows("Sources", ("table", "from", "columns", "state"), [_summary(table) for table in report.tables])
    for table in report.tables:
        for line in _details(table):
            out.print(f"{table.table}: {line}")
    if report.absent:
        show_rows("Not mapped, and what that switches off", ("table", "switches off"), report.absent)
    if not report.reached:
        return Exit.UNREACHABLE
    return Exit.PUBLISHED if report.usable else Exit.BLOCKED


def _summary(table: TableReport) -> tuple[str, str, str, str]:
    state = "blocks" if table.problem or table.missing else "ok"
    state = state if table.reached else "not reached"
    return table.table, table.source, f"{len(table.mapped)} mapped, {len(table.left_out)} left out", state


def _details(table: TableReport) -> list[str]:
    lines = [one_line_of(table.problem)] if table.problem else []
    lines += [f"{column} must be mapped" for column in table.missing]
    renamed = [f"{column} from {source}" for column, source in table.mapped if source and source != column]
    if renamed:
        lines.append(f"maps {', '.join(renamed)}")
    if table.left_out:
        lines.append(f"has no {', '.join(table.left_out)}")
    if table.unused:
        lines.append(f"leaves aside the columns {', '.join(table.unused)}")
    lines += [f"of the first records {count} would be rejected: {reason}" for reason, count in table.rejects]
    return [*lines, *table.warnings]
