"""How several columns of a kind are declared at once."""

from __future__ import annotations

from expectations.model import Column, Kind, Sensitivity

MONEY_OF_PAY = "money of pay per money of credit"


def words(kind: Kind, unit: str = "", **facts: str) -> list[Column]:
    """One column a fact: name=description, all of one kind and unit."""
    return [Column(name, kind, text, unit) for name, text in facts.items()]


def category(name: str, description: str, values: str, *, closed: bool = True) -> Column:
    """A column of one word out of `values`, separated by spaces."""
    return Column(name, Kind.CATEGORY, description, values=tuple(values.split()), closed=closed)


def share(unit: str = "share of 1", **facts: str) -> list[Column]:
    """Columns of estimates between 0 and 1."""
    return [Column(name, Kind.ESTIMATE, text, unit, minimum=0, maximum=1) for name, text in facts.items()]


def seller(name: str, description: str) -> Column:
    """A person's id, a keyed pseudonym from the core on."""
    return Column(name, Kind.ID, description, "keyed pseudonym", sensitivity=Sensitivity.PSEUDONYM)
