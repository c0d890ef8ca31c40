"""What an outsider must not be able to tell of the small cells of an organisation, and whether one can."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import polars as pl

from assets.evidence.suppression import is_small
from tests.unit.evidence.attacker import Attacker, Key
from tests.unit.evidence.outsider import attack
from tests.unit.evidence.published import Published

_c = pl.col
_SLACK: Final = 1e-3
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
            cells = _limit_to_totals(cells, published.tables["churn_by_incentive"])
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


def _limit_to_totals(cells: pl.DataFrame, churn: pl.DataFrame) -> pl.DataFrame:
    """A row is no further open (`least`) than the plan and the tier whose deals another table tells.

    A row that is all of a plan, or of a tier, that may be shown is no secret: how many of a group's deals are a year old is an event of
    that group.
    """
    known = cells.filter("is_known")
    plans = known.filter(_c("tier") < 0).select("plan_id", of_plan="n")
    tiers = known.filter(_c("plan_id") == "").select("tier", of_tier="n")
    shown = {
        dimension: churn.filter((_c("dimension") == dimension) & ~_c("suppressed"))["value"].implode()
        for dimension in ("plan", "tier")
    }
    whole_plan = (_c("n") == _c("of_plan")) & _c("plan_id").is_in(shown["plan"])
    whole_tier = (_c("n") == _c("of_tier")) & _c("tier").cast(pl.String).is_in(shown["tier"])
    return (
        cells.filter(~_c("is_known"))
        .join(plans, on="plan_id")
        .join(tiers, on="tier")
        .filter(~whole_plan & ~whole_tier)
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
    for name in ("needs_by_sellers", "needs_by_others", "needs_by_both", "needs_watched", "needs_met"):
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


Breach = tuple[Key, float, tuple[float, float]]  # the number, the truth, the range


def find_breaches(published: Published, every: int = 1) -> tuple[list[Breach], int]:
    """Secrets that can be told too closely; and how many were tried, of `every` so many one.

    Who reasons from one number of a table to another of it, or from one table to the same number in another, must find the whole width
    open. Who does all of it at once still must not find a count exactly.
    """
    secrets = dict(list(list_secrets(published).items())[::every])
    everything = attack(published)
    close = _find_close(everything, secrets)
    told = {key: place for key in secrets if (place := _follow_hops(everything, key)) is not None}
    breaches = [
        (key, secrets[key][0], span)
        for key, span in close.items()
        if secrets[key][0] > 0 and span[1] - span[0] < 1 - _SLACK and told.get(key) != 0
    ]
    # what is open to all that is known at once is open to a part of it
    asked = {key: secrets[key] for key in {*close, *told}}
    within = {key: (truth, width) for key, (truth, width) in asked.items() if key not in told}
    within |= {key: (asked[key][0], 1.0) for key, place in told.items() if place > 0}
    for attacker, wanted in (
        (attack(published, across=False), within),
        (attack(published, between=False), asked),
    ):
        breaches += [(key, secrets[key][0], span) for key, span in _find_close(attacker, wanted).items()]
    return breaches, len(secrets)


def _follow_hops(attacker: Attacker, key: Key) -> int | None:
    """How many hops behind the first that a shown hop tells this size stands; None if none tells.

    How many items left a hop that may be shown is shown: an event of that cell. It is how many entered the next hop, and later ones are
    no larger.
    """
    if key[:2] != ("lags", "n"):
        return None
    place = _WAY.index("triaged" if key[-1] == "board_seen" else key[-1])
    for back in range(1, place + 1):
        if attacker.known.get(("lags", "reached", *key[2:-1], _WAY[place - back])) is not None:
            return back - 1
    return None


def _find_close(
    attacker: Attacker, secrets: Mapping[Key, tuple[float, float]]
) -> dict[Key, tuple[float, float]]:
    """Ranges narrower than they must be."""
    shown = {key: value for key in secrets if (value := attacker.known[key]) is not None}
    close = {key: (value, value) for key, value in shown.items()}
    wanted = {key: width for key, (_, width) in secrets.items() if key not in shown}
    for key, (low, high) in attacker.bound(wanted).items():
        if high - low < wanted[key] - _SLACK:
            truth = secrets[key][0]
            assert low - _SLACK <= truth <= high + _SLACK, f"not so: {key} is {truth}, not {low} to {high}"
            close[key] = low, high
    return close
