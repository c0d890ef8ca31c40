"""`aftersale check`: what the configuration maps, what is missing, what that switches off. Touches nothing."""

from __future__ import annotations

import os
from pathlib import Path

from pipelines.exits import Exit, one_line_of
from pipelines.keys import KEY, SetupError, pseudonyms_for, refuse_unannounced_key
from pipelines.places import find_config
from pipelines.sources.config import Configuration
from pipelines.sources.inspection import TableReport, inspect_sources
from pipelines.terminal import console, show_rows
from pipelines.workshop import read_configuration


def run_check(home: Path, config: Path | None) -> Exit:
    """Print the report; exit 5 where a source can't be reached, 3 where one would block. Raises SetupError or ConfigError."""
    configuration = read_configuration(find_config(config, home))
    report = inspect_sources(configuration)
    out = console()
    out.print(f"{report.configuration} is a valid configuration.")
    show_rows("Sources", ("table", "from", "columns", "state"), [_summary(table) for table in report.tables])
    for table in report.tables:
        for line in _details(table):
            out.print(f"{table.table}: {line}")
    if report.absent:
        show_rows("Not mapped, and what that switches off", ("table", "switches off"), report.absent)
    out.print(_say_key(home, configuration))
    if not report.reached:
        return Exit.UNREACHABLE
    return Exit.PUBLISHED if report.usable else Exit.BLOCKED


def _say_key(home: Path, configuration: Configuration) -> str:
    """Which key the pseudonyms would be made with; where a run would stop for want of one, how to get it."""
    seed = configuration.company.demo_seed
    try:
        pseudonyms = pseudonyms_for(seed, configuration.pseudonymised)
        if seed is None:
            refuse_unannounced_key(home, pseudonyms)
    except SetupError as error:
        return (
            f"A run would stop: {one_line_of(str(error))}. The key is looked for in the environment of whatever runs "
            f"(a shell, a service, a scheduler) and nowhere else; none is ever made for you. One is made with: openssl rand -hex 32"
        )
    if not os.environ.get(KEY):
        return "Pseudonyms: this made-up company brings its own key."
    return f"Pseudonyms: {KEY} is set, the id of the key is {pseudonyms.key_id}."


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
