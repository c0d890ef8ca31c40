"""How times are read: calendar days and instants, always with a zone that somebody declared."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from assets.core.reading import Parsed, Steps, cleaned, trimmed
from assets.landing import Reading
from expectations.model import Column

EARLIEST_YEAR = 1900
"""Before it there is no sale: a two-digit year read with a four-digit format, or a typing error."""

_ZONE = r"(?:Z|z|UTC|GMT|[+-][01][0-9](?::?[0-5][0-9])?)"
_ISO_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_ISO_INSTANT = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ][0-9]{{2}}:[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{{1,9}})?)?(?: ?{_ZONE})?$"
_SENTINEL_YEARS = (1, 9999)  # how systems that know no null write "never"
_MICRO: Final = "us"


def read_day(column: Column, raw: pl.Expr, reading: Reading, zone: str) -> Parsed:
    """A calendar day in the declared format, by default ISO 8601.

    A text with a time of day gives its local day and is counted: the day as written where no zone is given or where it
    says midnight, else the day in the company's zone.
    """
    steps = Steps(column.name)
    text = steps.take(cleaned(raw, reading))
    day, looks_like_day = _day(text, reading, steps)
    moment = _moment(text, reading, steps)
    as_written = pl.when(_has_time(moment.wall).not_() | moment.offset.is_null()).then(moment.wall.dt.date())
    local = as_written.otherwise(_utc(moment).dt.convert_time_zone(zone).dt.date())
    stated = steps.take(pl.coalesce(day, local))
    faults = [
        (text.is_not_null() & (looks_like_day | moment.looks_right).not_(), "not_a_date"),
        (text.is_not_null() & stated.is_null(), "day_or_time_does_not_exist"),
    ]
    notes = {"trimmed": trimmed(text, raw), "time_of_day_dropped": day.is_null() & stated.is_not_null()}
    return _plausible(steps, stated, stated, faults, notes)


def day_from_date(column: Column, raw: pl.Expr) -> Parsed:
    """A day that the file holds as a date."""
    return _plausible(Steps(column.name), raw, raw, [], {})


def day_from_instant(column: Column, raw: pl.Expr, dtype: pl.Datetime, zone: str) -> Parsed:
    """The local day of an instant that the file holds as one, by the same rule as for text."""
    wall = raw.dt.replace_time_zone(None)
    day = wall.dt.date()
    if dtype.time_zone is not None:
        local = raw.dt.convert_time_zone(zone).dt.date()
        day = pl.when(_has_time(wall).not_()).then(day).otherwise(local)
    return _plausible(Steps(column.name), day, wall.dt.date(), [], {"time_of_day_dropped": raw.is_not_null()})


def read_instant(column: Column, raw: pl.Expr, reading: Reading, zone: str) -> Parsed:
    """An instant in UTC.

    Text with an offset is what it says. A wall time without one needs the source's declared zone: one that does not
    exist there is rejected, of two that read the same the earlier is taken and counted. A mere day is the midnight that
    starts it in the company's zone, or the first instant after it where the clocks jump at midnight.
    """
    steps = Steps(column.name)
    text = steps.take(cleaned(raw, reading))
    moment = _moment(text, reading, steps)
    day, looks_like_day = _day(text, reading, steps)
    zoneless = steps.take(moment.wall.is_not_null() & moment.offset.is_null())
    from_wall, twice = _localised(pl.when(zoneless).then(moment.wall), reading.timezone)
    stated = steps.take(pl.coalesce(_utc(moment), from_wall, start_of_day(day, zone)))
    nominal = steps.take(pl.coalesce(moment.wall.dt.date(), day))
    faults = [
        (text.is_not_null() & (looks_like_day | moment.looks_right).not_(), "not_a_timestamp"),
        (text.is_not_null() & nominal.is_null(), "day_or_time_does_not_exist"),
        *_zone_faults(zoneless, nominal, stated, reading),
    ]
    notes = {
        "trimmed": trimmed(text, raw),
        "earlier_of_two_wall_times": twice,
        "below_microseconds_dropped": text.str.contains(r"\.[0-9]{6}[0-9]*[1-9]"),
    }
    parsed = _plausible(steps, stated, nominal, faults, notes)
    return replace(parsed, time_known=_has_time(moment.wall))


def instant_from_date(column: Column, raw: pl.Expr, zone: str) -> Parsed:
    """An instant that the file holds as a mere day."""
    return _plausible(Steps(column.name), start_of_day(raw, zone), raw, [], {})


def instant_from_instant(column: Column, raw: pl.Expr, dtype: pl.Datetime, reading: Reading) -> Parsed:
    """An instant that the file holds as one; without a zone it is a wall time of the source's declared zone."""
    steps = Steps(column.name)
    wall = steps.take(raw.dt.replace_time_zone(None).dt.cast_time_unit(_MICRO))
    if dtype.time_zone is not None:
        value = raw.dt.convert_time_zone("UTC").dt.cast_time_unit(_MICRO)
        return replace(_plausible(steps, value, wall.dt.date(), [], {}), time_known=_has_time(wall))
    value, twice = _localised(wall, reading.timezone)
    value = steps.take(value)
    nominal = steps.take(wall.dt.date())
    faults = _zone_faults(wall.is_not_null(), nominal, value, reading)
    parsed = _plausible(steps, value, nominal, faults, {"earlier_of_two_wall_times": twice})
    return replace(parsed, time_known=_has_time(wall))


def day_ends(day: date, zone: str) -> datetime:
    """First instant after a calendar day in a zone, in UTC."""
    return datetime.combine(day + timedelta(days=1), time(), ZoneInfo(zone)).astimezone(ZoneInfo("UTC"))


@dataclass(frozen=True)
class _Moment:
    """A text split into the wall time it says, and the offset in minutes it says it with (null: none)."""

    wall: pl.Expr
    offset: pl.Expr
    looks_right: pl.Expr


def _moment(text: pl.Expr, reading: Reading, steps: Steps) -> _Moment:
    if reading.timestamp_format:
        return _declared_moment(text, reading.timestamp_format, steps)
    looks_right = steps.take(text.str.contains(_ISO_INSTANT))
    iso = steps.take(pl.when(looks_right).then(text.str.replace(" ", "T", literal=True)))
    seconds = pl.when(iso.str.slice(16, 1) == ":").then(iso.str.slice(16, 3)).otherwise(pl.lit(":00"))
    stamp = steps.take(iso.str.slice(0, 16) + seconds)
    fraction = iso.str.extract(r"\.([0-9]{1,6})", 1).str.pad_end(6, "0").cast(pl.Int64()).fill_null(0)
    whole = stamp.str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit=_MICRO, strict=False)
    wall = steps.take(whole + pl.duration(microseconds=fraction))
    # only after the time of day: the end of a date looks like an offset
    zone = steps.take(iso.str.slice(16).str.extract(rf"({_ZONE})$", 1))
    minutes = pl.when(zone.str.len_bytes() > 3).then(zone.str.slice(-2)).otherwise(pl.lit("0"))
    size = zone.str.slice(1, 2).cast(pl.Int64(), strict=False) * 60 + minutes.cast(pl.Int64(), strict=False)
    sign = pl.when(zone.str.starts_with("-")).then(-1).when(zone.str.starts_with("+")).then(1).otherwise(0)
    offset = pl.when(zone.is_not_null()).then((sign * size).fill_null(0))
    return _Moment(wall, steps.take(offset), looks_right)


def _declared_moment(text: pl.Expr, layout: str, steps: Steps) -> _Moment:
    zoned = any(mark in layout for mark in ("%z", "%#z", "%:z", "%+"))
    zone = "UTC" if zoned else None
    read = steps.take(text.str.to_datetime(layout, time_unit=_MICRO, time_zone=zone, strict=False))
    wall = steps.take(read.dt.replace_time_zone(None))
    offset = pl.when(wall.is_not_null() & pl.lit(zoned)).then(pl.lit(0, dtype=pl.Int64()))
    return _Moment(wall, steps.take(offset), wall.is_not_null())


def _day(text: pl.Expr, reading: Reading, steps: Steps) -> tuple[pl.Expr, pl.Expr]:
    """The day a text states (null where it does not exist), and whether it is written as one."""
    if reading.date_format:
        day = steps.take(text.str.to_date(reading.date_format, strict=False))
        return day, day.is_not_null()
    looks_right = steps.take(text.str.contains(_ISO_DAY))
    return steps.take(pl.when(looks_right).then(text).str.to_date("%Y-%m-%d", strict=False)), looks_right


def _utc(moment: _Moment) -> pl.Expr:
    """The instant of a moment that states its offset, else null."""
    return (moment.wall - pl.duration(minutes=moment.offset)).dt.replace_time_zone("UTC")


def _localised(wall: pl.Expr, zone: str) -> tuple[pl.Expr, pl.Expr]:
    """The UTC instant of a wall time (null where it does not exist, or no zone is declared); whether it occurs twice."""
    if not zone:
        return pl.lit(None, dtype=pl.Datetime(_MICRO, "UTC")), pl.lit(value=False)
    earlier = wall.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    later = wall.dt.replace_time_zone(zone, ambiguous="latest", non_existent="null")
    return earlier.dt.convert_time_zone("UTC"), earlier != later


def _zone_faults(
    zoneless: pl.Expr, nominal: pl.Expr, value: pl.Expr, reading: Reading
) -> list[tuple[pl.Expr, str]]:
    fault = "wall_time_does_not_exist" if reading.timezone else "wall_time_without_zone"
    return [(zoneless & value.is_null() & _is_sentinel(nominal).not_(), fault)]


def start_of_day(day: pl.Expr, zone: str) -> pl.Expr:
    """First instant of a calendar day in a zone, in UTC."""
    midnight = day.cast(pl.Datetime(_MICRO))
    exact, _ = _localised(midnight, zone)
    # where clocks jump from 00:00 to 01:00 the day starts at 01:00
    later, _ = _localised(midnight + pl.duration(hours=1), zone)
    return pl.coalesce(exact, later)


def _has_time(wall: pl.Expr) -> pl.Expr:
    """Whether a time of day is stated. Exactly midnight is how systems write a day, so it counts as none."""
    return (wall.dt.time() != time()).fill_null(value=False)


def _is_sentinel(day: pl.Expr) -> pl.Expr:
    return day.dt.year().is_in(_SENTINEL_YEARS)


def _plausible(
    steps: Steps,
    value: pl.Expr,
    nominal: pl.Expr,
    faults: list[tuple[pl.Expr, str]],
    notes: dict[str, pl.Expr],
) -> Parsed:
    """Turn sentinels into nulls and count them; reject what is before any sale. `nominal` is the day as written."""
    sentinel = _is_sentinel(nominal)
    too_early = nominal < date(EARLIEST_YEAR, 1, 1)
    kept = pl.when(sentinel.not_() & too_early.not_()).then(value)
    faults = [*faults, (too_early & sentinel.not_(), "year_before_1900")]
    return steps.done(kept, faults, notes | {"sentinel_as_null": sentinel})
