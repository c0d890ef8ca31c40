"""The day a run looks from, where the configuration states none: the newest event day in the required tables."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import polars as pl

from assets.core.parse import parse
from assets.core.reading import with_steps
from expectations.contracts.crm import OPPORTUNITIES
from pipelines.sources.config import Configuration
from pipelines.sources.landing import ConfiguredLanding

# an open deal's close is a forecast, so only won deals count
_DATED = ("closed_at", "is_won")


class NoEventError(Exception):
    """No event day can be found."""


def remembered(home: Path, version: str = "") -> date | None:
    """What was found last for these sources (any, where no version is named)."""
    try:
        kept = json.loads((home / "cache" / "as_of.json").read_text())
        return date.fromisoformat(kept["as_of"]) if version in ("", kept["version"]) else None
    except (OSError, ValueError, KeyError):
        return None


def resolve_as_of(configuration: Configuration, landing: ConfiguredLanding, home: Path) -> date:
    """Configured, else the newest close of a won deal in the company's zone; never the clock.

    Raises NoEventError, LandingBlockedError or SourceUnreachableError.
    """
    if configuration.company.as_of is not None:
        return configuration.company.as_of
    version = f"{configuration.company.timezone} {landing.version(OPPORTUNITIES.name)}"
    if (known := remembered(home, version)) is not None:
        return known
    newest = newest_close(configuration, landing)
    path = home / "cache" / "as_of.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": version, "as_of": newest.isoformat()}))
    return newest


def newest_close(configuration: Configuration, landing: ConfiguredLanding) -> date:
    """Read the opportunities' two columns that matter, as the core will. Raises NoEventError where no deal was won."""
    landed = landing.read(OPPORTUNITIES.name)
    zone = configuration.company.timezone
    schema = landed.rows.collect_schema()
    parsed = {
        name: parse(OPPORTUNITIES.by_name[name], schema[name], landed.reading, zone)
        for name in _DATED
        if name in schema
    }
    if len(parsed) < len(_DATED):
        raise NoEventError(
            "opportunities need closed_at and is_won to find the day to look from; or set company.as_of"
        )
    deals, newest = (
        with_steps(landed.rows, parsed.values())
        .select(closed=parsed["closed_at"].value, won=parsed["is_won"].value)
        .select(pl.len(), pl.col("closed").filter(pl.col("won")).dt.convert_time_zone(zone).dt.date().max())
        .collect(engine="streaming")
        .row(0)
    )
    if newest is None:
        raise NoEventError(
            f"no won deal has a readable close: opportunities has {deals:,} deals, and {landed.filtered:,} are left out, "
            "as deleted or by `where`. Look at closed_at and is_won there; "
            "or set company.as_of in the configuration, or use --as-of"
        )
    return newest  # type: ignore[no-any-return]
