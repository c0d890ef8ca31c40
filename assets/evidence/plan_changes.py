"""What changed for customers when sellers were moved to another pay plan: event studies around every kind of move.

Sellers who moved are followed in quarters of 91 days before and after their own day, beside sellers who never did, within sellers
and calendar months. The one design here in which the firm, not the seller, chose when the incentive changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Final, Literal

import polars as pl

from assets.company import Company
from assets.evidence.moves import (
    ALL_MOVES,
    QUARTERS,
    cast_roles,
    cut_days,
    list_designs,
    list_moves,
    list_spans,
    pretend_earlier,
    relative_quarter,
)
from assets.evidence.protection import Additive
from assets.evidence.sentences import Change, say_change, say_hidden_change
from assets.evidence.specifications import MATURE_SHARE
from assets.evidence.suppression import count_people, hide_small_cells
from assets.methods.disclosure import MIN_SELLERS
from assets.methods.event_study import UNTREATED, Contrast, EventRows, EventStudy, fit_event_study
from assets.methods.rates import e_value, e_value_bound
from expectations.cautions import Caution
from expectations.contracts.effects import PLAN_CHANGE_EFFECTS

FEW_EVENTS: Final = 20
PRE_TREND_P: Final = 0.05
_MONTH_DAYS: Final = 30.4375
_UNITS: Final = 10**8

_c = pl.col


@dataclass(frozen=True, slots=True)
class Followed:
    """An outcome of sellers over time.

    Attributes:
        name: word of the column `outcome`.
        kind: whether it is a share of deals, a mean over deals, or a count of deals per month.
        value: what a deal adds to it, a whole number, null where the deal tells nothing; `units` of it are one.
        scale: unit of the estimates.
        words: what moved, in a sentence.
        shown: how the size of a difference is written in a sentence.
        reported: whether it is only in the data when somebody writes it down.
    """

    name: str
    kind: Literal["share", "mean", "count"]
    value: pl.Expr
    scale: str
    words: str
    shown: str = "{:.1%}"
    units: int = 1
    reported: bool = False


def _happened(column: str, *, count: bool = False) -> pl.Expr:
    value = _c(column) > 0 if count else _c(column)
    return pl.when("mature_180d").then(value.cast(pl.Int64))


FOLLOWED: Final = (
    Followed("churn_180d", "share", _happened("churned_180d"), "share of deals", "the share of deals lost within 180 days"),
    Followed("complaint_180d", "share", _happened("complaints_180d", count=True), "share of deals", "the share of deals with a complaint within 180 days", reported=True),
    Followed("refund_180d", "share", _happened("refunded_180d"), "share of deals", "the share of deals refunded within 180 days"),
    Followed("clawback_180d", "share", _happened("clawed_back_180d"), "share of deals", "the share of deals with commission clawed back within 180 days"),
    Followed("emcr_as_known", "mean", (_c("emcr") * _UNITS).round(0).cast(pl.Int64), "money of pay per money of credit", "the marginal commission rate", units=_UNITS),
    Followed("deals_won", "count", pl.lit(1, pl.Int64), "deals per seller and month", "the monthly number of deals won", shown="{:.2f}"),
)  # fmt: skip


def estimate_plan_changes(
    deal_outcomes: pl.LazyFrame, plan_assignments: pl.LazyFrame, company: Company
) -> pl.DataFrame:
    """Estimate every kind of move that at least one seller made, and all moves together (each seller's first).

    Returns:
        Columns of the contract PLAN_CHANGE_EFFECTS, sorted by its key.
    """
    moves = list_moves(plan_assignments)
    deals = (
        deal_outcomes.filter(_c("rep_id").is_not_null() & _c("closed_on").is_not_null())
        .select(
            "rep_id", "closed_on", "account_id", "mature_180d", *(f.value.alias(f.name) for f in FOLLOWED)
        )
        .collect()
    )
    spans = list_spans(plan_assignments, deals, company.as_of).join(deals, on="rep_id", how="semi")
    followed = [
        move
        for change, treated in list_designs(moves)
        for move in _follow(change, treated, moves, deals, spans)
    ]
    rows = [
        row
        for move, hidden in zip(followed, _hide(followed), strict=True)
        for row in _estimate(move, hidden=hidden)
    ]
    return pl.DataFrame(rows, schema=PLAN_CHANGE_EFFECTS.schema, orient="row").sort(
        "plan_change", "outcome", "term", "relative_period", nulls_last=True
    )


ESTIMATOR: Final = "interaction-weighted event study (Sun and Abraham 2021), within sellers and months"
ASSUMPTIONS: Final = "without the move both would have gone the same way; nobody sold differently because the move was coming; moves of some sellers did not touch the others"


@dataclass(frozen=True, slots=True)
class _Move:
    """An outcome around a kind of move.

    Attributes:
        cells: from `make_cells`.
        n: deals behind it; `n_accounts` customers behind them; `events` where the outcome is a share of deals.
        mature_share: of the deals, those that tell; None where nothing has to mature.
        sizes: of the moved and of the compared, for `hide_small_cells`.
    """

    change: str
    outcome: Followed
    cells: pl.DataFrame
    n: int
    n_accounts: int
    events: int | None
    mature_share: float | None
    sizes: dict[str, int]


def _follow(
    change: str, treated: pl.DataFrame, moves: pl.DataFrame, deals: pl.DataFrame, spans: pl.DataFrame
) -> Iterator[_Move]:
    people = cast_roles(treated, moves, spans)
    followed = (
        deals.lazy()
        .join(people.lazy(), on="rep_id")
        .filter(_c("closed_on") >= _c("from_on"), _c("closed_on") < _c("until_on"))
        .with_columns(month=_c("closed_on").dt.month_start(), relative=relative_quarter("closed_on"))
        .collect()
    )
    for outcome in FOLLOWED:
        known = followed.filter(_c(outcome.name).is_not_null())
        cells = make_cells(outcome.name, people, known, outcome.units, per_day=outcome.kind == "count")
        is_share = outcome.kind == "share"
        yield _Move(
            change,
            outcome,
            cells,
            n=known.height,
            n_accounts=known["account_id"].n_unique(),
            events=int(known[outcome.name].sum()) if is_share else None,
            mature_share=known.height / followed.height if is_share and followed.height else None,
            sizes=_count_people(known, cells),
        )


def _count_people(deals: pl.DataFrame, cells: pl.DataFrame) -> dict[str, int]:
    """The smaller side's people; a seller without a deal counts among them, too."""
    is_moved = _c("cohort") != UNTREATED
    behind = deals.group_by(moved=is_moved).agg(count_people())
    moved, compared = (
        behind.filter(_c("moved") == side).drop("moved").to_dicts() or [dict.fromkeys(behind.columns[1:], 0)]
        for side in (True, False)
    )
    sellers = dict(cells.group_by(moved=is_moved).agg(_c("unit").n_unique()).iter_rows())
    n_moved, n_compared = (sellers.get(side, 0) for side in (True, False))
    sizes = moved[0] | {"n_moved": n_moved, "n_sellers": n_moved}
    if n_compared:  # nobody to compare with is nobody to protect
        sizes["n_sellers"] = min(n_moved, n_compared)
        sizes["n_accounts"] = min(moved[0]["n_accounts"], compared[0]["n_accounts"])
    return {name: int(n) for name, n in sizes.items()}


def _hide(moves: Sequence[_Move]) -> list[bool]:
    """Which outcomes of which moves stay hidden: kinds of moves add up to all moves, so one small kind hides a second."""
    key = ["change", "outcome"]
    sized = pl.DataFrame(
        [{"change": m.change, "outcome": m.outcome.name, **m.sizes} for m in moves],
        schema={
            **dict.fromkeys(key, pl.String),
            **dict.fromkeys(("n", "n_accounts", "n_sellers", "largest", "second", "n_moved"), pl.Int64),
        },
    )
    equations = sized.select(*key, equation="outcome", is_total=_c("change") == ALL_MOVES)
    additive = [Additive("n"), Additive("n_moved", least=MIN_SELLERS)]
    return hide_small_cells(sized, equations, key, additive=additive)["suppressed"].to_list()


def _estimate(move: _Move, *, hidden: bool) -> Iterator[dict[str, object]]:
    outcome, named = move.outcome, None if move.change == ALL_MOVES else move.change
    facts: dict[str, object] = {
        "plan_change": move.change, "outcome": outcome.name, "scale": outcome.scale, "estimator": ESTIMATOR, "evidence_level": 4,
        "assumptions": ASSUMPTIONS, "suppressed": hidden,
    }  # fmt: skip
    if hidden:
        sentence = say_hidden_change(named, outcome.words)
        terms: list[tuple[str, int | None]] = [("average", None), ("placebo", None)]
        terms += [("quarter", r) for r in range(-QUARTERS, QUARTERS)]
        yield from (
            {**facts, "term": term, "relative_period": r, "warnings": "", "sentence": sentence}
            for term, r in terms
        )
        return
    study, placebo = fit_cells(move.cells), fit_cells(pretend_earlier(move.cells))
    too_few = move.events is not None and move.events < FEW_EVENTS
    cautions = _warn(study, outcome, few_events=too_few, mature=move.mature_share)
    facts |= {
        "n": move.n, "events": move.events, "n_treated": study.n_treated, "n_compared": study.n_compared,
        "n_accounts": move.n_accounts, "mature_share": move.mature_share,
        "pre_trend_p": None if isnan(study.pre_trend_p) else round(study.pre_trend_p, 8),
        "warnings": ", ".join(sorted(cautions)),
    }  # fmt: skip
    contrasts: list[tuple[str, int | None, Contrast]] = [
        ("average", None, study.average),
        ("placebo", None, placebo.average),
    ]
    contrasts += [("quarter", int(r), c) for r, c in zip(study.relative, study.periods, strict=True)]
    for term, relative, contrast in contrasts:
        shown = _NOTHING if too_few or isnan(contrast.low) else contrast
        is_rate = term == "average" and outcome.kind == "share"
        more = _rate_strength(shown, study.treated_mean) if is_rate else {}
        said = Change(
            named, outcome.words, outcome.shown, term, relative, move.n,
            study.n_treated, study.n_compared, study.pre_trend_p, move.mature_share, more.get("e_value"), frozenset(cautions),
        )  # fmt: skip
        yield {**facts, **_numbers(shown), **more, "term": term, "relative_period": relative,
               "sentence": say_change(said, (shown.estimate, shown.low, shown.high))}  # fmt: skip


_NOTHING: Final = Contrast(*(float("nan"),) * 5)


def make_cells(
    value: str, people: pl.DataFrame, deals: pl.DataFrame, units: int, *, per_day: bool
) -> pl.DataFrame:
    """Sums by seller, calendar month and quarter from the move.

    Args:
        value: column of `deals`, whole numbers without null.
        people: from `cast_roles`.
        deals: `rep_id`, `cohort`, `month`, `relative` and the value.
        units: of the value are one.
        per_day: whether the outcome is a sum per seller and month, months without a deal counted; else a mean over deals.

    Returns:
        `unit`, `month`, `cohort`, `relative`, `outcome`, `weight` (days, or deals), sorted.
    """
    key = ["rep_id", "month", "cohort", "relative"]
    sums = deals.group_by(key).agg(total=_c(value).sum(), deals=pl.len().cast(pl.Int64))
    if per_day:
        cells = (
            cut_days(people)
            .join(sums, on=key, how="left")
            .with_columns(_c("total").fill_null(0), weight="days")
        )
    else:
        cells = sums.with_columns(weight="deals")
    scale = _MONTH_DAYS if per_day else 1.0
    return (
        cells.select(*key, "total", _c("weight").cast(pl.Int64))
        .sort(key)
        .with_columns(unit=_c("rep_id").rank("dense").cast(pl.Int64))
        .with_columns(outcome=_c("total").cast(pl.Float64) / _c("weight") / units * scale)
    )  # fmt: skip


def fit_cells(cells: pl.DataFrame) -> EventStudy:
    """The event study of cells from `make_cells`."""
    return fit_event_study(
        EventRows(
            unit=cells["unit"].to_numpy(),
            time=cells["month"].to_physical().cast(pl.Int64).to_numpy(),
            cohort=cells["cohort"].to_numpy(),
            relative=cells["relative"].to_numpy(),
            outcome=cells["outcome"].to_numpy(),
            weight=cells["weight"].cast(pl.Float64).to_numpy(),
        )
    )


def _warn(study: EventStudy, outcome: Followed, *, few_events: bool, mature: float | None) -> list[Caution]:
    found = {
        Caution.FEW_CLUSTERS: study.is_of_few,
        Caution.FEW_EVENTS: few_events,
        Caution.PRE_TREND: study.pre_trend_p < PRE_TREND_P,
        Caution.NO_WITHIN_VARIATION: isnan(study.average.estimate),
        Caution.IMMATURE_COHORT: mature is not None and mature < MATURE_SHARE,
        Caution.REPORTING_BIAS: outcome.reported,
    }
    return [caution for caution, holds in found.items() if holds]


def _rate_strength(shown: Contrast, seen: float) -> dict[str, float | None]:
    """E-values of a difference of shares: of the ratio of what was seen to what would have been without the difference."""
    ratios = [
        seen / (seen - d) if seen > d else float("nan") for d in (shown.estimate, shown.low, shown.high)
    ]
    if any(isnan(r) or r <= 0 for r in ratios):
        return {"moved_mean": None if isnan(shown.estimate) else round(seen, 8)}
    return {
        "moved_mean": round(seen, 8),
        "e_value": round(float(e_value(ratios[0])), 8),
        "e_value_bound": round(float(e_value_bound(ratios[1], ratios[2])), 8),
    }


def _numbers(contrast: Contrast) -> dict[str, float | None]:
    known = {
        "estimate": contrast.estimate, "estimate_lo": contrast.low, "estimate_hi": contrast.high, "p_value": contrast.p_value,
    }  # fmt: skip
    return {name: None if isnan(value) else round(value, 8) for name, value in known.items()}
