"""How times are read: calendar days and instants, always with a zone that somebody declared."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from assets.core.reading import Parsed, cleaned, first_reason, trimmed
from assets.landing import Reading

EARLIEST_YEAR = 1900
"""Before it there is no sale: a two-digit year read with a four-digit format, or a typing error."""

_ZONE = r"(?:Z|z|UTC|GMT|[+-][01][0-9](?::?[0-5][0-9])?)"
_ISO_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_ISO_INSTANT = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ][0-9]{{2}}:[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{{1,9}})?)?(?: ?{_ZONE})?$"
_SENTINEL_YEARS = (1, 9999)  # how systems that know no null write "never"
_MICRO: Final = "us"


def read_day(raw: pl.Expr, reading: Reading, zone: str) -> Parsed:
    """A calendar day in the declared format, by default ISO 8601.

    A text with a time of day gives its local day and is counted: the day as written where no zone is given or where it
    says midnight, else the day in the company's zone.
    """
    text = cleaned(raw, reading)
    day, looks_like_day = _day(text, reading)
    moment = _moment(text, reading)
    as_written = pl.when(moment.at_midnight | moment.offset.is_null()).then(moment.wall.dt.date())
    local = as_written.otherwise(_utc(moment).dt.convert_time_zone(zone).dt.date())
    stated = pl.coalesce(day, local)
    faults = [
        (text.is_not_null() & (looks_like_day | moment.looks_right).not_(), "not_a_date"),
        (text.is_not_null() & stated.is_null(), "day_or_time_does_not_exist"),
    ]
    notes = {"trimmed": trimmed(raw, reading), "time_of_day_dropped": day.is_null() & stated.is_not_null()}
    return _plausible(stated, stated.dt.year(), faults, notes)


def day_from_date(raw: pl.Expr) -> Parsed:
    """A day that the file holds as a date."""
    return _plausible(raw, raw.dt.year(), [], {})


def day_from_instant(raw: pl.Expr, dtype: pl.Datetime, zone: str) -> Parsed:
    """The local day of an instant that the file holds as one, by the same rule as for text."""
    wall = raw.dt.replace_time_zone(None)
    if dtype.time_zone is None:
        day = wall.dt.date()
    else:
        local = raw.dt.convert_time_zone(zone).dt.date()
        day = pl.when(wall.dt.time() == time()).then(wall.dt.date()).otherwise(local)
    return _plausible(day, wall.dt.year(), [], {"time_of_day_dropped": raw.is_not_null()})


def read_instant(raw: pl.Expr, reading: Reading, zone: str) -> Parsed:
    """An instant in UTC.

    Text with an offset is what it says. A wall time without one needs the source's declared zone: one that does not
    exist there is rejected, of two that read the same the earlier is taken and counted. A mere day is the midnight that
    starts it in the company's zone, or the first instant after it where the clocks jump at midnight.
    """
    text = cleaned(raw, reading)
    moment = _moment(text, reading)
    day, looks_like_day = _day(text, reading)
    from_wall, twice = _localised(moment.wall, reading.timezone)
    with_offset = _utc(moment)
    from_moment = pl.when(moment.offset.is_not_null()).then(with_offset).otherwise(from_wall)
    stated = pl.when(looks_like_day).then(start_of_day(day, zone)).otherwise(from_moment)
    nominal = pl.coalesce(moment.wall, day.cast(pl.Datetime(_MICRO)))
    zoneless = moment.wall.is_not_null() & moment.offset.is_null()
    faults = [
        (text.is_not_null() & (looks_like_day | moment.looks_right).not_(), "not_a_timestamp"),
        (text.is_not_null() & nominal.is_null(), "day_or_time_does_not_exist"),
        *_zone_faults(zoneless & (nominal.dt.year().is_in(_SENTINEL_YEARS).not_()), stated, reading),
    ]
    notes = {
        "trimmed": trimmed(raw, reading),
        "earlier_of_two_wall_times": zoneless & twice,
        "below_microseconds_dropped": text.str.contains(r"\.[0-9]{6}[0-9]*[1-9]"),
    }
    return _plausible(stated, nominal.dt.year(), faults, notes)


def instant_from_date(raw: pl.Expr, zone: str) -> Parsed:
    """An instant that the file holds as a mere day."""
    return _plausible(start_of_day(raw, zone), raw.dt.year(), [], {})


def instant_from_instant(raw: pl.Expr, dtype: pl.Datetime, reading: Reading) -> Parsed:
    """An instant that the file holds as one; without a zone it is a wall time of the source's declared zone."""
    wall = raw.dt.replace_time_zone(None).dt.cast_time_unit(_MICRO)
    if dtype.time_zone is not None:
        value = raw.dt.convert_time_zone("UTC").dt.cast_time_unit(_MICRO)
        return _plausible(value, wall.dt.year(), [], {})
    value, twice = _localised(wall, reading.timezone)
    sentinel = wall.dt.year().is_in(_SENTINEL_YEARS)
    faults = _zone_faults(wall.is_not_null() & sentinel.not_(), value, reading)
    return _plausible(value, wall.dt.year(), faults, {"earlier_of_two_wall_times": twice})


def time_is_known(raw: pl.Expr, dtype: pl.DataType, reading: Reading) -> pl.Expr:
    """Whether the source gave a time of day. Exactly midnight is how systems write a day, so it counts as none."""
    if isinstance(dtype, pl.Datetime):
        return (raw.dt.replace_time_zone(None).dt.time() != time()).fill_null(value=False)
    if dtype == pl.String():
        moment = _moment(cleaned(raw, reading), reading)
        return (moment.wall.is_not_null() & moment.at_midnight.not_()).fill_null(value=False)
    return pl.lit(value=False)


def day_ends(day: date, zone: str) -> datetime:
    """First instant after a calendar day in a zone, in UTC."""
    return datetime.combine(day + timedelta(days=1), time(), ZoneInfo(zone)).astimezone(ZoneInfo("UTC"))


@dataclass(frozen=True)
class _Moment:
    """A text split into the wall time it says, and the offset in minutes it says it with (null: none)."""

    wall: pl.Expr
    offset: pl.Expr
    looks_right: pl.Expr

    @property
    def at_midnight(self) -> pl.Expr:
        return self.wall.dt.time() == time()


def _moment(text: pl.Expr, reading: Reading) -> _Moment:
    no_offset = pl.lit(None, dtype=pl.Int64())
    if reading.timestamp_format:
        layout = reading.timestamp_format
        if "%z" in layout or "%#z" in layout or "%:z" in layout:
            utc = text.str.to_datetime(layout, time_unit=_MICRO, time_zone="UTC", strict=False)
            wall = utc.dt.replace_time_zone(None)
            return _Moment(
                wall, pl.when(wall.is_not_null()).then(pl.lit(0, dtype=pl.Int64())), wall.is_not_null()
            )
        wall = text.str.to_datetime(layout, time_unit=_MICRO, strict=False)
        return _Moment(wall, no_offset, wall.is_not_null())
    looks_right = text.str.contains(_ISO_INSTANT)
    iso = pl.when(looks_right).then(text)
    seconds = pl.when(iso.str.slice(16, 1) == ":").then(iso.str.slice(16, 3)).otherwise(pl.lit(":00"))
    stamp = iso.str.slice(0, 10) + "T" + iso.str.slice(11, 5) + seconds
    fraction = iso.str.extract(r"\.([0-9]{1,6})", 1).str.pad_end(6, "0").cast(pl.Int64()).fill_null(0)
    wall = stamp.str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit=_MICRO, strict=False)
    zone = iso.str.extract(rf"({_ZONE})$", 1)
    # a day ends in what looks like an offset, so only text with a time of day gets here
    numeric = zone.str.contains(r"^[+-]")
    minutes = pl.when(zone.str.len_bytes() > 3).then(zone.str.slice(-2)).otherwise(pl.lit("0"))
    size = zone.str.slice(1, 2).cast(pl.Int64(), strict=False) * 60 + minutes.cast(pl.Int64(), strict=False)
    signed = pl.when(zone.str.starts_with("-")).then(-size).otherwise(size)
    offset = pl.when(numeric.not_()).then(pl.lit(0, dtype=pl.Int64())).otherwise(signed)
    return _Moment(wall + pl.duration(microseconds=fraction), offset, looks_right)


def _day(text: pl.Expr, reading: Reading) -> tuple[pl.Expr, pl.Expr]:
    """The day a text states (null where it does not exist), and whether it is written as one."""
    if reading.date_format:
        day = text.str.to_date(reading.date_format, strict=False)
        return day, day.is_not_null()
    looks_right = text.str.contains(_ISO_DAY)
    return pl.when(looks_right).then(text).str.to_date("%Y-%m-%d", strict=False), looks_right


def _utc(moment: _Moment) -> pl.Expr:
    """The instant of a moment that states its offset."""
    return (moment.wall - pl.duration(minutes=moment.offset)).dt.replace_time_zone("UTC")


def _localised(wall: pl.Expr, zone: str) -> tuple[pl.Expr, pl.Expr]:
    """The UTC instant of a wall time (null where it does not exist, or no zone is declared); whether it occurs twice."""
    if not zone:
        return pl.lit(None, dtype=pl.Datetime(_MICRO, "UTC")), pl.lit(value=False)
    earlier = wall.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    later = wall.dt.replace_time_zone(zone, ambiguous="latest", non_existent="null")
    return earlier.dt.convert_time_zone("UTC"), (earlier != later).fill_null(value=False)


def _zone_faults(zoneless: pl.Expr, value: pl.Expr, reading: Reading) -> list[tuple[pl.Expr, str]]:
    fault = "wall_time_does_not_exist" if reading.timezone else "wall_time_without_zone"
    return [(zoneless & value.is_null(), fault)]


def start_of_day(day: pl.Expr, zone: str) -> pl.Expr:
    """First instant of a calendar day in a zone, in UTC."""
    midnight = day.cast(pl.Datetime(_MICRO))
    exact, _ = _localised(midnight, zone)
    # where clocks jump from 00:00 to 01:00 the day starts at 01:00
    later, _ = _localised(midnight + pl.duration(hours=1), zone)
    return pl.coalesce(exact, later)


def _plausible(
    value: pl.Expr, year: pl.Expr, faults: list[tuple[pl.Expr, str]], notes: dict[str, pl.Expr]
) -> Parsed:
    """Turn sentinels into nulls and count them; reject what is before any sale."""
    sentinel = year.is_in(_SENTINEL_YEARS).fill_null(value=False)
    reason = first_reason([*faults, ((year < EARLIEST_YEAR) & sentinel.not_(), "year_before_1900")])
    kept = pl.when(sentinel.not_() & (year >= EARLIEST_YEAR)).then(value)
    return Parsed(kept, reason, notes | {"sentinel_as_null": sentinel})
