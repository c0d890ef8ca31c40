"""What an outsider knows about the numbers of all published tables together, and what must not be told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import polars as pl

from assets.evidence.suppression import is_small
from tests.unit.evidence.attacker import Attacker, Key
from tests.unit.evidence.organisations import PLANS
from tests.unit.evidence.published import Published

_c = pl.col


CROSSES: Final = "emcr_quintile_within_segment"


def attack(published: Published, *, joint: bool = False) -> Attacker:
    """Everything that is published, and every relation between the numbers that can be read off their keys.

    With `joint`, table by table, also what follows from different numbers together: events are at most deals, and months at most twelve
    times as many; what left a hop entered the next one; needs are heard by sellers, by others, or by both; deals won are closed; months
    of a year make up months of a half, and those months of a quarter.
    """
    attacker, tables = Attacker(), published.tables
    if joint:
        _read_groups(attacker, tables, joint=True)
        _read_lags(attacker, tables["feedback_lag_by_incentive"], joint=True)
        _read_needs(attacker, tables["unmet_needs"], joint=True)
        _read_rhythm(attacker, tables["sales_rhythm"], joint=True)
        return attacker
    _read_groups(attacker, tables)
    _read_lags(attacker, tables["feedback_lag_by_incentive"])
    _read_value(attacker, tables)
    _read_needs(attacker, tables["unmet_needs"])
    _read_margins(attacker, "distance", tables["customer_distance"], ("segment", "month"), _DISTANCE)
    _read_margins(attacker, "drift", tables["value_drift"].filter(_c("dimension") == "team").rename({"organisation": "team"}).drop("dimension").vstack(
        tables["value_drift"].filter(_c("dimension") == "company").with_columns(organisation=pl.lit("all")).rename({"organisation": "team"}).drop("dimension")
    ), ("team", "quarter"), {"n_sellers": _c("n_sellers")}, only=("team",))  # fmt: skip
    _read_margins(
        attacker,
        "shifts",
        tables["market_shifts"].rename({"theme_id": "theme"}),
        ("channel", "theme"),
        {"n": _c("n")},
        only=("channel",),
    )
    _read_margins(attacker, "style", tables["selling_style"], ("team", "quarter"), _STYLE, only=("team",))
    bunching = tables["quota_bunching"].with_columns(_c("threshold").cast(pl.String))
    _read_margins(attacker, "bunching", bunching, ("plan_id", "threshold"), {"n": _c("n")}, only=("plan_id",))
    moves = tables["plan_change_effects"].filter(_c("term") == "average")
    _read_margins(
        attacker,
        "moves",
        moves,
        ("plan_change", "outcome"),
        {"n_treated": _c("n_treated")},
        only=("plan_change",),
    )
    _read_rhythm(attacker, tables["sales_rhythm"])
    _link(attacker, tables)
    return attacker


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


def _read_groups(attacker: Attacker, tables: Mapping[str, pl.DataFrame], *, joint: bool = False) -> None:
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
    for table in ("churn", "rates") if joint else ():
        for _, _, *rest in [k for k in attacker.known if k[:2] == (table, "n")]:
            size = [(table, "n", *rest)]
            for distinct in _DISTINCT:
                attacker.at_most([(table, distinct, *rest)], size)
            if table == "churn":
                attacker.at_most(
                    [(table, name, *rest) for name in ("at_risk", "events", "other_exits")], size
                )
                attacker.at_most([(table, "mature", *rest)], size)
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


def _read_lags(attacker: Attacker, frame: pl.DataFrame, *, joint: bool = False) -> None:
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
        for hop, following in pairwise(way) if joint else ():
            attacker.link(
                ("lags", "n", dimension, group, following), ("lags", "reached", dimension, group, hop)
            )


def _read_value(attacker: Attacker, tables: Mapping[str, pl.DataFrame]) -> None:
    value = tables["incentive_value"]
    attacker.read("value", "n", _rows(value, ("plan_id", "tier"), _c("n")))
    for name, dimension in (("plan_id", "plan"), ("tier", "tier")):
        for (group,), part in value.with_columns(_c("tier").cast(pl.String)).group_by(name):
            members = [("value", "n", p, t) for p, t in part.select("plan_id", "tier").iter_rows()]
            attacker.come_to(members, attacker.known.get(("churn", "mature", dimension, str(group))))


def _read_needs(attacker: Attacker, frame: pl.DataFrame, *, joint: bool = False) -> None:
    """Groups make up all, quarters make up all; two lists and their overlap make up n."""
    table = "needs"
    key = ("dimension", "value", "solicitation", "quarter")
    for number in ("n", "needs_by_sellers", "needs_by_others", "needs_by_both", "n_accounts"):
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
        if joint:
            attacker.at_most([(table, "n", *rest), both], [one, other])
            attacker.at_most([one, other], [(table, "n", *rest), both])
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


def _read_rhythm(attacker: Attacker, frame: pl.DataFrame, *, joint: bool = False) -> None:
    key = ("dimension", "value", "candidate_period", "phase")
    for (measure,), part in frame.group_by("measure"):
        attacker.read("rhythm", str(measure), _rows(part, key, _c("value_n")))
    for _, measure, dimension, group, period, phase in [k for k in attacker.known if k[0] == "rhythm"]:
        total = ("rhythm", measure, dimension, group, period, phase)
        same = [k for k in attacker.known if k[:2] == ("rhythm", measure) and k[4:] == (period, phase)]
        if dimension == "all":
            for kind in ("region", "team"):
                attacker.add_up(total, [k for k in same if k[2] == kind])
        if dimension == "region":
            attacker.add_up(total, [k for k in same if k[2] == "team" and k[3].startswith(group + " ")])
        longer = {"quarter": ("half", 3), "half": ("year", 6)}.get(period)
        if longer and joint:
            later = [str(int(phase) + i * longer[1]) for i in range(2)]
            attacker.add_up(
                total,
                [
                    k
                    for p in later
                    if (k := ("rhythm", measure, dimension, group, longer[0], p)) in attacker.known
                ],
            )
        if measure == "won" and joint:
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


# ---- what must stay open ----------------------------------------------------------------------------------------------------

_WAY: Final = ("captured", "triaged", "decided", "shipped", "told_back")


def list_secrets(published: Published) -> dict[Key, tuple[float, float]]:
    """Numbers of small cells: the truth, and how wide the range must stay in which an outsider can place it.

    Sizes stay open by a cell that may be shown (ten, or five sellers) or a fifth of what they are; other counts are not told exactly
    unless they are 0.
    """
    secrets: dict[Key, tuple[float, float]] = {}
    for caller, hiding in published.hidings.items():
        cells = hiding.cells
        if caller == "incentive_value":
            cells = _limit_to_totals(cells)
        known = _c("is_known") if "is_known" in cells.columns else pl.lit(value=False)
        small = cells.filter(~known & is_small(knows_largest="largest" in cells.columns))
        for row in small.to_dicts():
            for key, value, least in _SECRETS[caller](row):
                truth = float(value or 0)
                if least is not None:
                    secrets[key] = (truth, max(least, 0.2 * truth))
                elif truth > 0:
                    secrets[key] = (truth, 1.0)
    return secrets


def find_errors(attacker: Attacker) -> list[object]:
    """Relations that do not hold where nothing is hidden."""
    known = {key: float(value or 0) for key, value in attacker.known.items()}
    wrong: list[object] = [
        (total, parts)
        for total, parts in attacker.sums
        if abs(known[total] - sum(known[p] for p in parts)) > 1e-4
    ]
    wrong += [
        (parts, value) for parts, value in attacker.totals if abs(sum(known[p] for p in parts) - value) > 1e-4
    ]
    wrong += [
        (small, large, times)
        for small, large, times in attacker.limits
        if sum(known[k] for k in small) > times * sum(known[k] for k in large) + 1e-4
    ]
    return wrong


def _limit_to_totals(cells: pl.DataFrame) -> pl.DataFrame:
    """A row is no further open (`least`) than the plan and the tier whose deals another table tells."""
    known = cells.filter("is_known")
    plans = known.filter(_c("tier") < 0).select("plan_id", of_plan="n")
    tiers = known.filter(_c("plan_id") == "").select("tier", of_tier="n")
    return (
        cells.filter(~_c("is_known"))
        .join(plans, on="plan_id")
        .join(tiers, on="tier")
        .with_columns(least=pl.min_horizontal(pl.lit(10.0), "of_plan", "of_tier"))
    )


Secret = tuple[Key, Any, float | None]  # the number, the truth, the least width of a size (None: a count)


def _churn(row: Mapping[str, Any]) -> Iterator[Secret]:
    at = (row["dimension"], row["value"])
    yield ("churn", "n", *at), row["n"], 10
    for name in ("at_risk", "events", "other_exits"):
        yield ("churn", name, *at), row[f"{name}_180"], None


def _rates(row: Mapping[str, Any]) -> Iterator[Secret]:
    at = (row["dimension"], row["value"], row["period"])
    yield ("rates", "n", *at), row["n"], 10
    yield ("rates", "account_months", *at), row["account_months"], 10
    for category in ("all", "mis_sale", "service"):
        yield ("rates", f"complaints {category}", *at), row.get(f"complaints: {category}"), None


def _lags(row: Mapping[str, Any]) -> Iterator[Secret]:
    at = (row["dimension"], row["value"], row["hop"])
    yield ("lags", "n", *at), row["n"], 10
    for name in ("reached", "censored"):
        yield ("lags", name, *at), row[name], None


def _needs(row: Mapping[str, Any]) -> Iterator[Secret]:
    at = (row["dimension"], row["value"], row["solicitation"], row["quarter"])
    yield ("needs", "n", *at), row["n"], 10
    for name in ("needs_by_sellers", "needs_by_others", "needs_by_both"):
        yield ("needs", name, *at), row[name], None


def _style(row: Mapping[str, Any]) -> Iterator[Secret]:
    at = (row["team"], row["quarter"])
    yield ("style", "n", *at), row["n"], 10
    for name in ("won_deals", "unasked", "listening"):
        yield ("style", name, *at), row[name], None


def _rhythm(row: Mapping[str, Any]) -> Iterator[Secret]:
    period = row["candidate_period"]
    for name, value in row.items():
        if name.startswith(f"{period} "):
            at = (row["dimension"], row["value"], period, name.removeprefix(f"{period} "))
            yield ("rhythm", "closed", *at), value, 10


def _distance(row: Mapping[str, Any]) -> Iterator[Secret]:
    at = (row["segment"], row["month"])
    yield ("distance", "n", *at), row["n"], 10
    for name in ("touches", "owner_changes"):
        yield ("distance", name, *at), row[name], None


def _drift_sizes(row: Mapping[str, Any]) -> Iterator[Secret]:
    team = "all" if row["dimension"] == "company" else row["organisation"]
    quarter = f"{row['quarter'] // 4}-Q{row['quarter'] % 4 + 1}"
    yield ("drift", "n_sellers", team, quarter), row["n_sellers"], 5


_SECRETS: Final = {
    "retention": _churn,
    "complaint_rates": _rates,
    "lags": _lags,
    "needs": _needs,
    "styles": _style,
    "unit_rhythm": _rhythm,
    "customer_distance": _distance,
    "value_drift": _drift_sizes,
    "incentive_value": lambda row: [
        (("value", "n", row["plan_id"], str(row["tier"])), row["n"], row["least"])
    ],
    "shifts": lambda row: [(("shifts", "n", row["channel"], row["theme_id"]), row["n"], 10)],
    "threshold_bunching": lambda row: [
        (("bunching", "n", row["plan_id"], str(row["threshold"])), row["n"], 10)
    ],
    "plan_changes": lambda row: [(("moves", "n_treated", row["change"], row["outcome"]), row["n_moved"], 5)],
}


def find_breaches(
    published: Published, every: int = 1
) -> tuple[list[tuple[Key, float, tuple[float, float]]], int]:
    """Secrets that can be told too closely, each with the truth and the range; and how many were tried, of `every` so many one."""
    secrets = dict(list(list_secrets(published).items())[::every])
    breaches, tried = _try(attack(published), secrets)
    # different numbers taken together bound each other more closely; even then no count of a small cell is told exactly
    along = {
        key: (truth, 1.0)
        for key, (truth, _) in secrets.items()
        if key[0] in ("churn", "rates", "lags", "needs", "rhythm") and truth > 0
    }
    followed = attack(published, joint=True)
    for key in list(along):
        # how many items left a hop that may be shown is shown, and so is how many entered the next
        if key[0] == "lags" and key[1] == "n" and key[-1] in _WAY[1:]:
            before = ("lags", "reached", *key[2:-1], _WAY[_WAY.index(key[-1]) - 1])
            if followed.known.get(before) is not None:
                del along[key]
    more, _ = _try(followed, along)
    return breaches + more, tried


def _try(
    attacker: Attacker, secrets: Mapping[Key, tuple[float, float]]
) -> tuple[list[tuple[Key, float, tuple[float, float]]], int]:
    shown = {key: value for key in secrets if (value := attacker.known[key]) is not None}
    breaches = [(key, secrets[key][0], (value, value)) for key, value in shown.items()]
    wanted = {key: width for key, (_, width) in secrets.items() if key not in shown}
    for key, (low, high) in attacker.bound(wanted).items():
        if high - low < wanted[key] - 1e-3:
            truth = secrets[key][0]
            assert low - 1e-3 <= truth <= high + 1e-3, f"not so: {key} is {truth}, not {low} to {high}"
            breaches.append((key, truth, (low, high)))
    return breaches, len(wanted)
