"""How words are read: ids, free text, categories, flags, lists, JSON documents. Numbers and times are not here."""

from __future__ import annotations

from functools import cache
from zoneinfo import available_timezones

import polars as pl

from assets.core.reading import WARNING_PREFIX, Parsed, Steps, cleaned, trimmed
from assets.landing import Reading
from expectations.model import Column

_SPREADSHEET_NUMBER = r"^[+-]?[0-9](?:[.,][0-9]+)?[eE]\+[0-9]{2,}$"  # what a spreadsheet makes of 100000
_FLOAT_FOR_AN_INTEGER = r"^[0-9]+\.0$"  # what data frames make of 12 where a null came in
_CURRENCY = r"^[A-Z]{3}$"
_TRUE = ("true", "t", "yes", "y", "1")
_FALSE = ("false", "f", "no", "n", "0")
_EXACT_FLOAT = float(2**53)  # above it a float no longer names one integer


@cache
def _time_zones() -> list[str]:
    return sorted(available_timezones() - {"localtime", "Factory"})


def read_id(column: Column, raw: pl.Expr, reading: Reading) -> Parsed:
    """An id stays text: trimmed, in Unicode form NFC, leading zeros kept.

    What a spreadsheet turned into `1E+05` has lost its digits and is rejected; `12.0` may be somebody's id, and is warned
    about. Currencies are three capital letters.
    """
    steps = Steps(column.name)
    text = steps.take(cleaned(raw, reading))
    value = steps.take(_composed(text))
    notes = {"trimmed": trimmed(text, raw), "unicode_normalised": value != text}
    if not column.name.endswith("currency"):
        notes[f"{WARNING_PREFIX}id_written_as_float"] = value.str.contains(_FLOAT_FOR_AN_INTEGER)
        return steps.done(value, [(value.str.contains(_SPREADSHEET_NUMBER), "id_turned_into_number")], notes)
    capitals = steps.take(value.str.to_uppercase())
    notes["letter_case"] = value != capitals
    return steps.done(capitals, [(capitals.str.contains(_CURRENCY).not_(), "not_a_currency")], notes)


def read_text(column: Column, raw: pl.Expr, reading: Reading) -> Parsed:
    """Free text, trimmed and in Unicode form NFC. A time zone must be one that exists, or no local day can be told."""
    steps = Steps(column.name)
    text = steps.take(cleaned(raw, reading))
    value = steps.take(_composed(text))
    faults = []
    if column.name == "timezone":
        faults.append((value.is_in(_time_zones()).not_(), "unknown_time_zone"))
    return steps.done(value, faults, {"trimmed": trimmed(text, raw), "unicode_normalised": value != text})


def read_category(column: Column, raw: pl.Expr, reading: Reading) -> Parsed:
    """One of the declared words, in any letter case.

    Another word is rejected where the list is closed; where it is open it is kept and warned about (unless nothing is
    declared at all).
    """
    steps = Steps(column.name)
    text = steps.take(_composed(cleaned(raw, reading)))
    notes = {"trimmed": trimmed(text, raw)}
    if not column.values:
        return steps.done(text, [], notes)
    # contracts spell their words in lower case
    lower = steps.take(text.str.to_lowercase())
    known = steps.take(pl.when(lower.is_in(column.values)).then(lower))
    unknown = text.is_not_null() & known.is_null()
    notes["letter_case"] = known != text
    if column.closed:
        return steps.done(known, [(unknown, "unknown_word")], notes)
    return steps.done(pl.coalesce(known, text), [], notes | {f"{WARNING_PREFIX}unknown_word": unknown})


def read_flag(column: Column, raw: pl.Expr, reading: Reading) -> Parsed:
    """Yes or no in the usual spellings, in any letter case."""
    steps = Steps(column.name)
    text = steps.take(cleaned(raw, reading))
    lower = steps.take(text.str.to_lowercase())
    value = steps.take(
        pl.when(lower.is_in(_TRUE)).then(statement=True).when(lower.is_in(_FALSE)).then(statement=False)
    )
    faults = [(text.is_not_null() & value.is_null(), "not_a_flag")]
    return steps.done(value, faults, {"trimmed": trimmed(text, raw)})


def read_list(column: Column, raw: pl.Expr, reading: Reading) -> Parsed:
    """Comma-separated ids; blanks around them and empty places are left out."""
    steps = Steps(column.name)
    items = steps.take(_composed(cleaned(raw, reading)).str.split(","))
    return steps.done(_tidy(items), [], {})


def read_document(column: Column, raw: pl.Expr, reading: Reading) -> Parsed:
    """JSON, kept as the text it came as."""
    steps = Steps(column.name)
    text = steps.take(cleaned(raw, reading))
    broken = text.is_not_null() & text.str.json_path_match("$").is_null() & (text != "null")
    return steps.done(text, [(broken, "not_json")], {})


def flag_from_number(column: Column, raw: pl.Expr) -> Parsed:
    """A flag that the file holds as a number: 1 or 0."""
    value = pl.when(raw == 1).then(statement=True).when(raw == 0).then(statement=False)
    neither = raw.is_not_null() & (raw != 1) & (raw != 0)
    return Steps(column.name).done(value, [(neither, "not_a_flag")], {})


def id_from_integer(column: Column, raw: pl.Expr) -> Parsed:
    """An id that the file holds as an integer."""
    return Steps(column.name).done(raw.cast(pl.String()), [], {"number_as_id": raw.is_not_null()})


def id_from_float(column: Column, raw: pl.Expr) -> Parsed:
    """An id that the file holds as a float (12.0): accepted while every digit is certain."""
    steps = Steps(column.name)
    certain = steps.take(raw.is_finite() & (raw == raw.floor()) & (raw.abs() < _EXACT_FLOAT))
    value = pl.when(certain).then(raw).cast(pl.Int64()).cast(pl.String())
    faults = [(raw.is_not_null() & certain.not_(), "id_turned_into_number")]
    return steps.done(value, faults, {"number_as_id": certain})


def list_from_list(column: Column, raw: pl.Expr) -> Parsed:
    """A list that the file already holds as one."""
    return Steps(column.name).done(_tidy(raw.cast(pl.List(pl.String()))), [], {})


def _composed(text: pl.Expr) -> pl.Expr:
    """Unicode form NFC. Normalising costs more than all else about a word, so batches of plain ASCII are left alone."""
    return text.map_batches(_compose, return_dtype=pl.String(), is_elementwise=True)


def _compose(text: pl.Series) -> pl.Series:
    is_ascii = text.str.len_bytes().sum() == text.str.len_chars().sum()
    return text if is_ascii else text.str.normalize("NFC")


def _tidy(items: pl.Expr) -> pl.Expr:
    item = pl.element().str.strip_chars()
    kept = items.list.eval(item.filter(item.is_not_null() & (item != "")))
    return pl.when(kept.list.len() > 0).then(kept)
