"""The `aftersale` command: thin words over the pipelines. Heavy modules load inside, so that --help answers at once."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipelines.exits import Exit, run_guarded

app = typer.Typer(
    name="aftersale",
    help="Follows every sale from the pay plan that drove it to what happened to the customer afterwards.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)

Home = Annotated[
    Path | None, typer.Option("--home", help="The warehouse. Default: AFTERSALE_HOME, else ./warehouse.")
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config", help="Default: AFTERSALE_CONFIG, ./aftersale.yaml, the home's source/aftersale.yaml."
    ),
]
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"])]


class Effect(StrEnum):
    """What the made-up company plants."""

    HARM = "harm"
    NONE = "none"
    OPPOSITE = "opposite"


class Format(StrEnum):
    """Files that `simulate` writes."""

    PARQUET = "parquet"
    CSV = "csv"


@app.callback()
def _common(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error; may stand anywhere.")
    ] = False,
) -> None:
    del debug  # taken off the command line by `main`, which is where errors end


@app.command()
def demo(
    home: Home = None,
    deals: Annotated[
        int,
        typer.Option(min=200, help="Deals won in 36 months; other spans hold proportionally more or fewer."),
    ] = 6000,
    months: Annotated[int, typer.Option(min=12, max=120)] = 36,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    effect: Effect = Effect.HARM,
) -> None:
    """Simulate a company, run everything, print what was found beside what was planted."""
    from pipelines.commands.demo import run_demo

    _finish(run_demo(_home(home), deals=deals, months=months, seed=seed, effect=effect.value))


@app.command()
def simulate(
    out: Path,
    deals: Annotated[
        int,
        typer.Option(min=200, help="Deals won in 36 months; other spans hold proportionally more or fewer."),
    ] = 6000,
    months: Annotated[int, typer.Option(min=12, max=120)] = 36,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    effect: Effect = Effect.HARM,
    fmt: Annotated[Format, typer.Option("--format")] = Format.PARQUET,
    dirt: Annotated[float, typer.Option(min=0, max=0.5, help="Share of broken rows.")] = 0.003,
    until: Day = None,
) -> None:
    """Write only the source files of a made-up company, its aftersale.yaml and truth.json."""
    from pipelines.commands.demo import run_simulate

    _finish(
        run_simulate(
            out, deals=deals, months=months, seed=seed, effect=effect.value, fmt=fmt.value, dirt=dirt,
            until=until.date() if until else None,
        )
    )  # fmt: skip


@app.command()
def run(
    config: Config = None,
    home: Home = None,
    as_of: Annotated[
        datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="Look from this day.")
    ] = None,
    select: Annotated[
        list[str] | None, typer.Option(help="Only these tables, such as marts/churn_by_incentive.")
    ] = None,
    month: Annotated[
        list[str] | None, typer.Option(help="Only these months (YYYY-MM) of tables cut by month.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be recomputed and why.")] = False,
) -> None:
    """Materialise, check, publish. Reuses whatever did not change."""
    from pipelines.commands.run import run_pipeline

    _finish(
        run_pipeline(
            _home(home), config, as_of=as_of.date() if as_of else None, select=tuple(select or ()),
            months=tuple(month or ()), dry_run=dry_run,
        )
    )  # fmt: skip


@app.command()
def check(config: Config = None, home: Home = None) -> None:
    """Read the configuration and the head of every source; say what maps, what is missing, what that costs."""
    from pipelines.commands.check import run_check

    _finish(run_check(_home(home), config))


@app.command()
def init(
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]")] = None,
    database_env: Annotated[
        str | None,
        typer.Option(
            "--database-env", help="Look into a database; the environment variable NAME holds its address."
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="The file to write; never replaced.")] = Path(
        "aftersale.yaml"
    ),
    currency: Annotated[str, typer.Option(help="Reporting currency.")] = "USD",
    timezone: Annotated[str, typer.Option(help="The company's time zone.")] = "UTC",
) -> None:
    """Look at the files in DIR, or into a database, recognise systems and tables, and propose an aftersale.yaml."""
    from pipelines.commands.connect import propose_configuration

    _finish(propose_configuration(folder, out, currency, timezone, database_env))


@app.command()
def template(table: str) -> None:
    """The CSV header of a source table, for what no system exports; what its columns mean goes to standard error."""
    from pipelines.commands.connect import print_template

    _finish(print_template(table))


@app.command()
def ui(
    home: Home = None,
    config: Config = None,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 3000,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Nobody can start or change anything.")
    ] = False,
) -> None:
    """The Dagster UI and its daemon, on this machine only."""
    from pipelines.commands.ui import run_ui

    _finish(run_ui(_home(home), config, port=port, read_only=read_only))


@app.command()
def status(home: Home = None, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Newest snapshot, last run, failing checks, stale sources, next schedule. Exit 3 when the last run was blocked."""
    from pipelines.commands.inspect import show_status

    _finish(show_status(_home(home), as_json=as_json))


@app.command()
def rejects(table: str, home: Home = None, limit: Annotated[int, typer.Option(min=1)] = 20) -> None:
    """The rejected rows of a source table with their reasons."""
    from pipelines.commands.inspect import show_rejects

    _finish(show_rejects(_home(home), table, limit))


@app.command()
def erase(
    name: Annotated[str, typer.Argument(metavar="ID")],
    of: Annotated[str, typer.Option("--of", help="What the id names: account or rep.")] = "account",
    config: Config = None,
    home: Home = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which sources hold it.")] = False,
) -> None:
    """Forget an account or a seller: rejects, caches, tables, older snapshots; says what remains in the sources."""
    from pipelines.commands.erase import erase as erase_everywhere

    _finish(erase_everywhere(_home(home), config, name, of, dry_run=dry_run))


@app.command()
def snapshots(home: Home = None) -> None:
    """List the published snapshots."""
    from pipelines.commands.inspect import list_snapshots

    _finish(list_snapshots(_home(home)))


@app.command()
def rollback(number: Annotated[int, typer.Argument(metavar="N")], home: Home = None) -> None:
    """Flip `latest` to an older snapshot, after verifying it."""
    from pipelines.commands.inspect import roll_back

    _finish(roll_back(_home(home), number))


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR")],
    wide: Annotated[bool, typer.Option("--wide", help="The tables that are safe to hand around.")] = False,
    home: Home = None,
) -> None:
    """Copy the tables safe to hand around, with catalogue and dictionary."""
    from pipelines.commands.share import export_wide

    _finish(export_wide(_home(home), folder, wide=wide))


@app.command()
def catalog(folder: Annotated[Path, typer.Argument(metavar="DIR")]) -> None:
    """Rewrite the catalogue of a snapshot after it was copied."""
    from pipelines.commands.share import rewrite_catalog

    _finish(rewrite_catalog(folder))


@app.command()
def query(
    sql: str,
    home: Home = None,
    csv: Annotated[bool, typer.Option("--csv")] = False,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Ask the newest snapshot in SQL (DuckDB, locked: it can read nothing else)."""
    from pipelines.commands.share import run_query

    _finish(run_query(_home(home), sql, "csv" if csv else "json" if as_json else "table"))


@app.command()
def explain(name: str, home: Home = None) -> None:
    """A table's or a column's contract: grain, unit, meaning, warnings; or a reason: what to do, how many rows carry it."""
    from pipelines.commands.inspect import explain_name

    _finish(explain_name(_home(home), name))


@app.command()
def verify(home: Home = None) -> None:
    """Re-hash every published file against its manifest."""
    from pipelines.commands.inspect import verify_home

    _finish(verify_home(_home(home)))


def _home(explicit: Path | None) -> Path:
    from pipelines.places import home_folder

    return (explicit or home_folder()).absolute()


def _finish(code: Exit) -> None:
    raise typer.Exit(int(code))


def main() -> None:
    """Entry point: every error that reaches a user is one line that says what to do, and an exit code."""
    debug = "--debug" in sys.argv[1:] or bool(os.environ.get("AFTERSALE_DEBUG"))
    argv = [a for a in sys.argv[1:] if a != "--debug"]
    sys.exit(run_guarded(lambda: app(args=argv, standalone_mode=False), debug=debug))
