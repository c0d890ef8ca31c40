"""How words are read: ids, free text, categories, flags, lists, JSON documents. Numbers and times are not here."""

from __future__ import annotations

from functools import cache
from zoneinfo import available_timezones

import polars as pl

from assets.core.reading import WARNING_PREFIX, Parsed, cleaned, first_reason, trimmed
from assets.landing import Reading
from expectations.model import Column

_SPREADSHEET_NUMBER = r"^[+-]?[0-9](?:[.,][0-9]+)?[eE]\+[0-9]{2,}$"  # what a spreadsheet makes of 100000
_CURRENCY = r"^[A-Z]{3}$"
_TRUE = ("true", "t", "yes", "y", "1")
_FALSE = ("false", "f", "no", "n", "0")
_EXACT_FLOAT = float(2**53)  # above it a float no longer names one integer


@cache
def _time_zones() -> list[str]:
    return sorted(available_timezones() - {"localtime", "Factory"})


def read_id(column: Column, raw: pl.Expr, reading: Reading) -> Parsed:
    """An id stays text: trimmed, in Unicode form NFC, leading zeros kept.

    What a spreadsheet turned into `1E+05` has lost its digits and is rejected. Currencies are three capital letters.
    """
    text = cleaned(raw, reading)
    value = text.str.normalize("NFC")
    notes = {"trimmed": trimmed(raw, reading), "unicode_normalised": value != text}
    faults = [(value.str.contains(_SPREADSHEET_NUMBER), "id_turned_into_number")]
    if column.name.endswith("currency"):
        notes["letter_case"] = value != value.str.to_uppercase()
        value = value.str.to_uppercase()
        faults.append((value.str.contains(_CURRENCY).not_(), "not_a_currency"))
    return Parsed(value, first_reason(faults), notes)


def read_text(column: Column, raw: pl.Expr, reading: Reading) -> Parsed:
    """Free text, trimmed and in Unicode form NFC. A time zone must be one that exists, or no local day can be told."""
    text = cleaned(raw, reading)
    value = text.str.normalize("NFC")
    faults = []
    if column.name == "timezone":
        faults.append((value.is_in(_time_zones()).not_(), "unknown_time_zone"))
    notes = {"trimmed": trimmed(raw, reading), "unicode_normalised": value != text}
    return Parsed(value, first_reason(faults), notes)


def read_category(column: Column, raw: pl.Expr, reading: Reading) -> Parsed:
    """One of the declared words, in any letter case.

    Another word is rejected where the list is closed; where it is open it is kept and warned about (unless nothing is
    declared at all).
    """
    text = cleaned(raw, reading).str.normalize("NFC")
    if not column.values:
        return Parsed(text, first_reason([]), {"trimmed": trimmed(raw, reading)})
    spelt = {word.lower(): word for word in column.values}
    known = text.str.to_lowercase().replace_strict(
        list(spelt), list(spelt.values()), default=None, return_dtype=pl.String()
    )
    unknown = text.is_not_null() & known.is_null()
    notes = {"trimmed": trimmed(raw, reading), "letter_case": known != text}
    if column.closed:
        return Parsed(known, first_reason([(unknown, "unknown_word")]), notes)
    return Parsed(
        pl.coalesce(known, text), first_reason([]), notes | {f"{WARNING_PREFIX}unknown_word": unknown}
    )


def read_flag(column: Column, raw: pl.Expr, reading: Reading) -> Parsed:
    """Yes or no in the usual spellings, in any letter case."""
    del column
    text = cleaned(raw, reading)
    answers = dict.fromkeys(_TRUE, True) | dict.fromkeys(_FALSE, False)
    value = text.str.to_lowercase().replace_strict(
        list(answers), list(answers.values()), default=None, return_dtype=pl.Boolean()
    )
    faults = [(text.is_not_null() & value.is_null(), "not_a_flag")]
    return Parsed(value, first_reason(faults), {"trimmed": trimmed(raw, reading)})


def read_list(column: Column, raw: pl.Expr, reading: Reading) -> Parsed:
    """Comma-separated ids; blanks around them and empty places are left out."""
    del column
    items = cleaned(raw, reading).str.normalize("NFC").str.split(",")
    return Parsed(_tidy(items), first_reason([]))


def read_document(column: Column, raw: pl.Expr, reading: Reading) -> Parsed:
    """JSON, kept as the text it came as."""
    del column
    text = cleaned(raw, reading)
    broken = text.is_not_null() & text.str.json_path_match("$").is_null() & (text != "null")
    return Parsed(text, first_reason([(broken, "not_json")]))


def flag_from_number(raw: pl.Expr) -> Parsed:
    """A flag that the file holds as a number: 1 or 0."""
    value = pl.when(raw == 1).then(statement=True).when(raw == 0).then(statement=False)
    return Parsed(value, first_reason([(raw.is_not_null() & value.is_null(), "not_a_flag")]))


def id_from_integer(raw: pl.Expr) -> Parsed:
    """An id that the file holds as an integer."""
    return Parsed(raw.cast(pl.String()), first_reason([]), {"number_as_id": raw.is_not_null()})


def id_from_float(raw: pl.Expr) -> Parsed:
    """An id that the file holds as a float (12.0): accepted while every digit is certain."""
    certain = raw.is_finite() & (raw == raw.floor()) & (raw.abs() < _EXACT_FLOAT)
    value = pl.when(certain).then(raw).cast(pl.Int64()).cast(pl.String())
    faults = [(raw.is_not_null() & certain.not_(), "id_turned_into_number")]
    return Parsed(value, first_reason(faults), {"number_as_id": certain})


def list_from_list(raw: pl.Expr) -> Parsed:
    """A list that the file already holds as one."""
    return Parsed(_tidy(raw.cast(pl.List(pl.String()))), first_reason([]))


def _tidy(items: pl.Expr) -> pl.Expr:
    item = pl.element().str.strip_chars()
    kept = items.list.eval(item.filter(item.is_not_null() & (item != "")))
    return pl.when(kept.list.len() > 0).then(kept)
