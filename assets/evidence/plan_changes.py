"""What changed for customers when sellers were moved to another pay plan: event studies around every kind of move.

Sellers who moved are followed in quarters of 91 days before and after their own day, beside sellers who never did, within sellers
and calendar months. The one design here in which the firm, not the seller, chose when the incentive changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Final

import polars as pl

from assets.company import Company
from assets.evidence.plan_moves import (
    ALL_MOVES,
    FOLLOWED,
    QUARTERS,
    Followed,
    cast_roles,
    list_designs,
    list_moves,
    list_spans,
    make_cells,
)
from assets.evidence.suppression import Additive, count_people, hide_small_cells
from assets.methods.disclosure import MIN_ACCOUNTS, MIN_SELLERS
from assets.methods.event_study import REFERENCE, UNTREATED, Contrast, EventRows, EventStudy, fit_event_study
from expectations.cautions import Caution
from expectations.contracts.effects import PLAN_CHANGE_EFFECTS

PLACEBO_QUARTERS: Final = 2
"""How much earlier the pretended move of the placebo is."""
FEW_SELLERS: Final = 40
FEW_EVENTS: Final = 20
_PRE_TREND_P: Final = 0.05

_c = pl.col


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
        .select("rep_id", "closed_on", "account_id", *(f.value.alias(f.name) for f in FOLLOWED))
        .collect()
    )
    spans = list_spans(plan_assignments, deals, company.as_of).join(deals, on="rep_id", how="semi")
    followed = [
        _follow(outcome, change, people, deals)
        for change, treated in list_designs(moves)
        for people in (cast_roles(treated, moves, spans),)
        for outcome in FOLLOWED
    ]
    rows = [
        row
        for one, hidden in zip(followed, _hide(followed), strict=True)
        for row in _estimate(one, hidden=hidden)
    ]
    return pl.DataFrame(rows, schema=PLAN_CHANGE_EFFECTS.schema, orient="row").sort(
        "plan_change", "outcome", "term", "relative_period", nulls_last=True
    )


ESTIMATOR: Final = "interaction-weighted event study (Sun and Abraham 2021), within sellers and months"
ASSUMPTIONS: Final = "without the move both would have gone the same way; nobody sold differently because the move was coming; moves of some sellers did not touch the others"


@dataclass(frozen=True, slots=True)
class _Cells:
    """An outcome around a kind of move: `sums` from `make_cells`, `sizes` of the moved and of the compared."""

    outcome: Followed
    change: str
    sums: pl.DataFrame
    sizes: dict[str, int]


def _follow(outcome: Followed, change: str, people: pl.DataFrame, deals: pl.DataFrame) -> _Cells:
    behind = (
        deals.join(people, on="rep_id")
        .filter(
            _c("closed_on").is_between("from_on", "until_on", closed="left"), _c(outcome.name).is_not_null()
        )
        .group_by(moved=_c("cohort") != UNTREATED)
        .agg(count_people())
    )
    moved, compared = (
        behind.filter(_c("moved") == side).to_dicts() or [dict.fromkeys(behind.columns, 0)]
        for side in (True, False)
    )
    sums = make_cells(outcome, people, deals)
    # a seller without a deal counts among the people, too
    followed = sums.group_by(moved=_c("cohort") != UNTREATED).agg(_c("unit").n_unique())
    n_moved, n_compared = (dict(followed.iter_rows()).get(side, 0) for side in (True, False))
    sizes = moved[0] | {"n_moved": n_moved, "n_sellers": n_moved}
    if n_compared:  # nobody to compare with is nobody to protect
        sizes["n_sellers"] = min(n_moved, n_compared)
        sizes["n_accounts"] = min(moved[0]["n_accounts"], compared[0]["n_accounts"])
    return _Cells(outcome, change, sums, {name: int(n) for name, n in sizes.items() if name != "moved"})


def _hide(cells: Sequence[_Cells]) -> list[bool]:
    """Which outcomes of which moves stay hidden: kinds of moves add up to all moves, so one small kind hides a second."""
    key = ["change", "outcome"]
    sized = pl.DataFrame(
        [{"change": c.change, "outcome": c.outcome.name, **c.sizes} for c in cells],
        schema={
            **dict.fromkeys(key, pl.String),
            **dict.fromkeys(("n", "n_accounts", "n_sellers", "largest", "second", "n_moved"), pl.Int64),
        },
    )
    equations = sized.select(*key, equation="outcome", is_total=_c("change") == ALL_MOVES)
    additive = [Additive("n"), Additive("n_moved", least=MIN_SELLERS)]
    return hide_small_cells(sized, equations, key, additive=additive)["suppressed"].to_list()


def _estimate(cells: _Cells, *, hidden: bool) -> Iterator[dict[str, object]]:
    outcome, change = cells.outcome, cells.change
    facts: dict[str, object] = {
        "plan_change": change, "outcome": outcome.name, "scale": outcome.scale, "estimator": ESTIMATOR, "evidence_level": 4,
        "assumptions": ASSUMPTIONS, "suppressed": hidden,
    }  # fmt: skip
    if hidden:
        sentence = f"Hidden: {outcome.words} for {_name_movers(change)}. {_WHY_HIDDEN}"
        terms: list[tuple[str, int | None]] = [("average", None), ("placebo", None)]
        terms += [("quarter", r) for r in range(-QUARTERS, QUARTERS)]
        yield from (
            {**facts, "term": term, "relative_period": r, "warnings": "", "sentence": sentence}
            for term, r in terms
        )
        return
    study, events = _fit(cells.sums), int(cells.sums["total"].sum()) // outcome.units
    deals_behind = events if outcome.kind == "count" else int(cells.sums["weight"].sum())
    placebo = _fit(_pretend(cells.sums))
    too_few = outcome.kind == "share" and events < FEW_EVENTS
    facts |= {
        "n": deals_behind, "n_treated": study.n_treated, "n_compared": study.n_compared,
        "warnings": ", ".join(_warn(study, few_events=too_few)),
        "pre_trend_p": None if isnan(study.pre_trend_p) else round(study.pre_trend_p, 8),
    }  # fmt: skip
    contrasts: list[tuple[str, int | None, Contrast]] = [
        ("average", None, study.average),
        ("placebo", None, placebo.average),
    ]
    contrasts += [("quarter", int(r), c) for r, c in zip(study.relative, study.periods, strict=True)]
    for term, relative, contrast in contrasts:
        shown = _NOTHING if too_few else contrast
        yield {**facts, **_numbers(shown), "term": term, "relative_period": relative,
               "sentence": _say(change, outcome, term, relative, shown, study, deals_behind)}  # fmt: skip


_WHY_HIDDEN: Final = (
    f"Fewer than {MIN_SELLERS} sellers or {MIN_ACCOUNTS} customers stand behind it, or it would give such a group away; whether "
    "anything was found is not said."
)
_NOTHING: Final = Contrast(*(float("nan"),) * 5)


def _fit(cells: pl.DataFrame) -> EventStudy:
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


def _pretend(cells: pl.DataFrame) -> pl.DataFrame:
    """The time before the moves only, with moves that did not happen: nothing should be found."""
    last = cells.filter(_c("cohort") != UNTREATED)["month"].max()
    before = (_c("cohort") == UNTREATED) | (_c("relative") < 0)
    # where nobody moved there is no last month, and nothing before it
    return cells.filter(before, _c("month") <= pl.lit(last, cells.schema["month"])).with_columns(
        relative=pl.when(_c("cohort") == UNTREATED).then(0).otherwise(_c("relative") + PLACEBO_QUARTERS)
    )


def _warn(study: EventStudy, *, few_events: bool) -> list[str]:
    found = {
        Caution.FEW_CLUSTERS: study.n_treated + study.n_compared < FEW_SELLERS,
        Caution.FEW_EVENTS: few_events,
        Caution.PRE_TREND: study.pre_trend_p < _PRE_TREND_P,
        Caution.NO_WITHIN_VARIATION: isnan(study.average.estimate),
    }
    return [caution.value for caution, holds in found.items() if holds]


def _numbers(contrast: Contrast) -> dict[str, float | None]:
    known = {
        "estimate": contrast.estimate, "estimate_lo": contrast.low, "estimate_hi": contrast.high, "p_value": contrast.p_value,
    }  # fmt: skip
    return {name: None if isnan(value) else round(value, 8) for name, value in known.items()}


def _name_movers(change: str) -> str:
    return (
        "sellers who were moved"
        if change == ALL_MOVES
        else f"sellers moved from {change.replace(' > ', ' to ')}"
    )


def _say(
    change: str,
    outcome: Followed,
    term: str,
    relative: int | None,
    shown: Contrast,
    study: EventStudy,
    deals: int,
) -> str:
    """The row in plain words."""
    who = _name_movers(change)
    if isnan(shown.estimate):
        return f"No estimate of {outcome.words} for {who}: too few events, or nobody to compare with."
    if relative == REFERENCE:
        return f"For {who}: the quarter before the move is what the others are compared with."
    when = {
        "average": "Over the year after the move",
        "placebo": "In the half year before the move, when nothing had changed yet",
        "quarter": f"In quarter {relative} from the move" if relative is not None else "",
    }[term]
    number, low, high = (
        outcome.shown.format(v).replace("%", " pp") for v in (shown.estimate, shown.low, shown.high)
    )
    trend = (
        "and the quarters before the move can't be compared"
        if isnan(study.pre_trend_p)
        else f"in the quarters before it they differed with p = {study.pre_trend_p:.2f}"
    )
    return (
        f"{when}, {outcome.words} of {who} changed by {number} (95 % CI {low} to {high}) beside that of sellers who were not; "
        f"n = {deals} deals, {study.n_treated} sellers moved, {study.n_compared} not; level 4: an effect if both would have gone "
        f"the same way without the move ({trend}); not evidence on any individual."
    )
