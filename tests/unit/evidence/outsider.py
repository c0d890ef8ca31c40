"""What an outsider knows about the numbers of all published tables together, and what must not be told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

import polars as pl

from tests.unit.evidence.attacker import Attacker, Key
from tests.unit.evidence.organisations import PLANS
from tests.unit.evidence.published import Published

_c = pl.col


CROSSES: Final = "emcr_quintile_within_segment"


def attack(published: Published, *, between: bool = True, across: bool = True) -> Attacker:
    """Everything that is published, and every relation between the numbers that can be read off their keys.

    Args:
        published: the tables.
        between: also what holds between different numbers: events are at most deals, and months at most twelve times as many; what left
            a hop entered the next one; needs are heard by sellers, by others, or by both; deals won are closed; months of a year make
            up months of a half, and those months of a quarter.
        across: also what stands in two tables.
    """
    attacker, tables = Attacker(), published.tables
    _read_groups(attacker, tables, between=between)
    _read_lags(attacker, tables["feedback_lag_by_incentive"], between=between)
    _read_needs(attacker, tables["unmet_needs"], between=between)
    _read_rhythm(attacker, tables["sales_rhythm"], between=between)
    for name, table, key, numbers, only in _list_margins(tables):
        _read_margins(attacker, name, table, key, numbers, only)
    _read_value(attacker, tables, across=across)
    if across:
        _link(attacker, tables)
    return attacker


def _list_margins(
    tables: Mapping[str, pl.DataFrame],
) -> Iterator[tuple[str, pl.DataFrame, tuple[str, str], Mapping[str, pl.Expr], tuple[str, ...]]]:
    """Tables of two keys: name, rows, keys, numbers, and the keys that add up (none: both)."""
    yield "distance", tables["customer_distance"], ("segment", "month"), _DISTANCE, ()
    drift = tables["value_drift"].with_columns(
        team=pl.when(_c("dimension") == "company").then(pl.lit("all")).otherwise("organisation")
    )
    yield "drift", drift, ("team", "quarter"), {"n_sellers": _c("n_sellers")}, ("team",)
    shifts = tables["market_shifts"].rename({"theme_id": "theme"})
    yield "shifts", shifts, ("channel", "theme"), {"n": _c("n")}, ("channel",)
    yield "style", tables["selling_style"], ("team", "quarter"), _STYLE, ("team",)
    bunching = tables["quota_bunching"].with_columns(_c("threshold").cast(pl.String))
    yield "bunching", bunching, ("plan_id", "threshold"), {"n": _c("n")}, ("plan_id",)
    moves = tables["plan_change_effects"].filter(_c("term") == "average")
    numbers = {"n_treated": _c("n_treated")}
    yield "moves", moves, ("plan_change", "outcome"), numbers, ("plan_change",)


_DISTANCE: Final = {
    "n": _c("customer_days"),
    "touches": _c("touches"),
    "owner_changes": _c("owner_changes"),
    "n_accounts": _c("n_accounts"),
}
_STYLE: Final = {
    "n": _c("n"),
    "won_deals": _c("won_deals"),
    "unasked": _c("n") * _c("outbound_pressure"),
    "listening": _c("n") * _c("discovery_share"),
    "n_sellers": _c("n_sellers"),
}
_DISTINCT: Final = ("n_accounts", "n_sellers")


def _rows(frame: pl.DataFrame, key: Sequence[str], number: pl.Expr) -> list[tuple[Key, float | None]]:
    named = frame.select(*(_c(k).cast(pl.String) for k in key), _number=number.cast(pl.Float64))
    return [(tuple(row[:-1]), row[-1]) for row in named.iter_rows()]


def _read_groups(attacker: Attacker, tables: Mapping[str, pl.DataFrame], *, between: bool) -> None:
    churn = tables["churn_by_incentive"]
    half, year = churn.filter(_c("horizon_days") == 180), churn.filter(_c("horizon_days") == 365)
    for number in ("n", "at_risk", "events", "other_exits", *_DISTINCT):
        _read_dimensions(attacker, "churn", number, _rows(half, ("dimension", "value"), _c(number)))
    _read_dimensions(
        attacker,
        "churn",
        "mature",
        _rows(year, ("dimension", "value"), (_c("n") * _c("mature_share")).round()),
    )
    rates = tables["complaints_by_incentive"]
    key = ("dimension", "value", "period")
    whole = rates.filter(_c("category") == "all")
    for number in ("n", "account_months", *_DISTINCT):
        _read_dimensions(attacker, "rates", number, _rows(whole, key, _c(number)))
    for (category,), part in rates.group_by("category"):
        _read_dimensions(attacker, "rates", f"complaints {category}", _rows(part, key, _c("complaints")))
    for table, number in (
        ("rates", "account_months"),
        ("rates", "complaints all"),
        ("rates", "complaints mis_sale"),
        ("rates", "complaints service"),
    ):
        _add_last(attacker, table, number)
    for _, number, *rest in [k for k in attacker.known if k[:2] == ("rates", "complaints all")]:
        del number
        attacker.add_up(
            ("rates", "complaints all", *rest),
            [
                k
                for k in (("rates", f"complaints {c}", *rest) for c in ("mis_sale", "service"))
                if k in attacker.known
            ],
        )
    for table in ("churn", "rates") if between else ():
        for _, _, *rest in [k for k in attacker.known if k[:2] == (table, "n")]:
            size = [(table, "n", *rest)]
            for distinct in _DISTINCT:
                attacker.at_most([(table, distinct, *rest)], size)
            if table == "churn":
                # who left on the last day was still at risk on it
                for parts in (["at_risk"], ["events", "other_exits"], ["mature"]):
                    attacker.at_most([(table, part, *rest) for part in parts], size)
            else:
                attacker.at_most([(table, "account_months", *rest)], size, 12.1)


def _read_dimensions(
    attacker: Attacker, table: str, number: str, rows: list[tuple[Key, float | None]]
) -> None:
    """Rows named by dimension, value and more; different people of a group add up only where a group is all of theirs."""
    attacker.read(table, number, rows)
    parts: dict[Key, list[Key]] = defaultdict(list)
    crossed: dict[Key, list[Key]] = defaultdict(list)
    for (dimension, group, *rest), _ in rows:
        key = (table, number, dimension, group, *rest)
        if dimension == CROSSES:
            outer, inner = group.rsplit(": ", 1)
            crossed[(table, number, "segment", outer, *rest)].append(key)
            crossed[(table, number, "emcr_quintile", inner, *rest)].append(key)
        elif dimension != "all":
            parts[(dimension, *rest)].append(key)
            if dimension == "plan":
                crossed[(table, number, "has_cap", "yes" if PLANS.get(group) else "no", *rest)].append(key)
    of_whole = {"n_accounts": ("segment",), "n_sellers": ("plan",)}.get(number)
    for (dimension, *rest), members in parts.items():
        total = (table, number, "all", "all", *rest)
        if of_whole is None or dimension in of_whole:
            attacker.add_up(total, members)
        else:
            _add_distinct(attacker, total, members)
    for total, members in crossed.items():
        if of_whole is None or (total[2] == "has_cap" and number == "n_sellers"):
            attacker.add_up(total, members)
        else:
            _add_distinct(attacker, total, members)


def _add_distinct(attacker: Attacker, total: Key, parts: list[Key]) -> None:
    for part in parts:
        attacker.at_most([part], [total])
    attacker.at_most([total], parts)


def _add_last(attacker: Attacker, table: str, number: str, whole: str = "all") -> None:
    """Numbers that add up over the last part of the key."""
    parts: dict[Key, list[Key]] = defaultdict(list)
    for key in attacker.known:
        if key[:2] == (table, number) and key[-1] != whole:
            parts[(*key[:-1], whole)].append(key)
    for total, members in parts.items():
        attacker.add_up(total, members)


def _read_lags(attacker: Attacker, frame: pl.DataFrame, *, between: bool) -> None:
    key = ("dimension", "value", "hop")
    for number in ("n", "reached", "censored"):
        _read_dimensions(attacker, "lags", number, _rows(frame, key, _c(number)))
    way = ("captured", "triaged", "decided", "shipped", "told_back")
    for dimension, group in frame.select("dimension", "value").unique().iter_rows():
        for hop in (*way, "board_seen"):
            at = (dimension, group, hop)
            attacker.at_most([("lags", "reached", *at), ("lags", "censored", *at)], [("lags", "n", *at)])
        attacker.link(
            ("lags", "n", dimension, group, "triaged"), ("lags", "n", dimension, group, "board_seen")
        )
        for hop, following in pairwise(way) if between else ():
            attacker.link(
                ("lags", "n", dimension, group, following), ("lags", "reached", dimension, group, hop)
            )


def _read_value(attacker: Attacker, tables: Mapping[str, pl.DataFrame], *, across: bool) -> None:
    value = tables["incentive_value"]
    attacker.read("value", "n", _rows(value, ("plan_id", "tier"), _c("n")))
    for name, dimension in (("plan_id", "plan"), ("tier", "tier")) if across else ():
        for (group,), part in value.with_columns(_c("tier").cast(pl.String)).group_by(name):
            members = [("value", "n", p, t) for p, t in part.select("plan_id", "tier").iter_rows()]
            attacker.come_to(members, attacker.known.get(("churn", "mature", dimension, str(group))))


def _read_needs(attacker: Attacker, frame: pl.DataFrame, *, between: bool) -> None:
    """Groups make up all, quarters make up all; two lists and their overlap make up n."""
    table = "needs"
    key = ("dimension", "value", "solicitation", "quarter")
    counts = ("needs_by_sellers", "needs_by_others", "needs_by_both", "needs_watched", "needs_met")
    for number in ("n", *counts, "n_accounts"):
        rows = _rows(frame, key, _c(number))
        attacker.read(table, number, rows)
        parts: dict[Key, list[Key]] = defaultdict(list)
        for dimension, group, *rest in (k for k, _ in rows):
            if dimension != "all" and (number != "n_accounts" or dimension == "segment"):
                parts[(dimension, *rest)].append((table, number, dimension, group, *rest))
        for (_, *rest), members in parts.items():
            attacker.add_up((table, number, "all", "all", *rest), members)
        if number != "n_accounts":
            _add_last(attacker, table, number)
    for _, _, *rest in [k for k in attacker.known if k[:2] == (table, "n")]:
        one, other, both = ((table, f"needs_by_{who}", *rest) for who in ("sellers", "others", "both"))
        if between:
            attacker.at_most([(table, "n", *rest), both], [one, other])
            attacker.at_most([one, other], [(table, "n", *rest), both])
            attacker.at_most([both], [one])
            attacker.at_most([both], [other])
            attacker.at_most([(table, "needs_met", *rest)], [(table, "needs_watched", *rest)])
            attacker.at_most([(table, "needs_watched", *rest)], [(table, "n", *rest)])
        attacker.at_most([(table, "n_accounts", *rest)], [(table, "n", *rest)])


def _read_margins(
    attacker: Attacker,
    table: str,
    frame: pl.DataFrame,
    key: tuple[str, str],
    numbers: Mapping[str, pl.Expr],
    only: Sequence[str] = (),
) -> None:
    """A table of two keys whose rows add up to `all` of either, or of those in `only`."""
    for number, value in numbers.items():
        rows = _rows(frame, key, value)
        attacker.read(table, number, rows)
        for place, name in enumerate(key):
            if (only and name not in only) or (number == "n_accounts" and name == "month"):
                continue
            parts: dict[str, list[Key]] = defaultdict(list)
            for at, _ in rows:
                if at[place] != "all":
                    parts[at[1 - place]].append((table, number, *at))
            for other, members in parts.items():
                total = ("all", other) if place == 0 else (other, "all")
                if number == "touches":  # those of customers-to-be are in the total only
                    attacker.at_most(members, [(table, number, *total)])
                else:
                    attacker.add_up((table, number, *total), members)


def _read_rhythm(attacker: Attacker, frame: pl.DataFrame, *, between: bool) -> None:
    key = ("dimension", "value", "candidate_period", "phase")
    for (measure,), part in frame.group_by("measure"):
        attacker.read("rhythm", str(measure), _rows(part, key, _c("value_n")))
    keys = [key for key in attacker.known if key[0] == "rhythm"]
    by_phase: dict[Key, list[Key]] = defaultdict(list)
    for key in keys:
        by_phase[key[1], key[4], key[5]].append(key)
    for total in keys:
        _, measure, dimension, group, period, phase = total
        same = by_phase[measure, period, phase]
        if dimension == "all":
            for kind in ("region", "team"):
                attacker.add_up(total, [k for k in same if k[2] == kind])
        if dimension == "region":
            attacker.add_up(total, [k for k in same if k[2] == "team" and k[3].startswith(group + " ")])
        longer = {"quarter": ("half", 3), "half": ("year", 6)}.get(period)
        if longer and between:
            later = [str(int(phase) + i * longer[1]) for i in range(2)]
            attacker.add_up(
                total,
                [
                    k
                    for p in later
                    if (k := ("rhythm", measure, dimension, group, longer[0], p)) in attacker.known
                ],
            )
        if measure == "won" and between:
            attacker.at_most([total], [("rhythm", "closed", *total[2:])])


def _link(attacker: Attacker, tables: Mapping[str, pl.DataFrame]) -> None:
    """What stands in two tables, because nothing of the organisation is missing."""
    for dimension, group in tables["churn_by_incentive"].select("dimension", "value").unique().iter_rows():
        at = (dimension, group)
        attacker.link(("churn", "n", *at), ("rates", "n", *at, "all"))
        for distinct in _DISTINCT:
            attacker.link(("churn", distinct, *at), ("rates", distinct, *at, "all"))
        if dimension == "cohort_quarter":
            attacker.link(("churn", "n", *at), ("style", "won_deals", "all", group))
        if dimension == "segment":
            attacker.link(("churn", "n_accounts", *at), ("distance", "n_accounts", group, "all"))
    attacker.link(("churn", "n_accounts", "all", "all"), ("distance", "n_accounts", "all", "all"))
    quarters = sorted(k[3] for k in attacker.known if k[:3] == ("churn", "n", "cohort_quarter"))
    teams = tables["selling_style"]["team"].unique().to_list()
    told = tables["selling_style"].select("team", "quarter").unique().rows()
    for period, length in (("year", 12), ("half", 6), ("quarter", 3)):
        for first in range(1, length, 3):
            inside = [q for q in quarters if (int(q[-1]) - 1) % (length // 3) == (first - 1) // 3]
            at = [(period, str(first + i)) for i in range(3)]
            _match(
                attacker,
                [("churn", "n", "cohort_quarter", q) for q in inside],
                [("rhythm", "won", "all", "all", *p) for p in at],
            )
            for team in teams:
                unit = ("all", "all") if team == "all" else ("team", team)
                mine = [
                    q for t, q in told if t == team and (int(q[-1]) - 1) % (length // 3) == (first - 1) // 3
                ]
                for number, measure in (("n", "activities"), ("won_deals", "won")):
                    _match(
                        attacker,
                        [("style", number, team, q) for q in mine],
                        [("rhythm", measure, *unit, *p) for p in at],
                    )


def _match(attacker: Attacker, one: list[Key], other: list[Key]) -> None:
    """Two sets of numbers come to the same; missing ones are 0."""
    one, other = ([k for k in side if k in attacker.known] for side in (one, other))
    if one and other:
        attacker.at_most(one, other)
        attacker.at_most(other, one)
