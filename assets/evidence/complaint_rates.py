"""Complaints per account-month by group: counts, exact intervals, and what the same exposure would have brought elsewhere.

Rates are indirectly standardised over segment and tenure, because young customers complain more and a group of deals is
rarely of average age or kind (Breslow and Day 1987, chapter 2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import polars as pl

from assets.company import Company
from assets.evidence.dimensions import (
    ALL,
    UNKNOWN,
    Groups,
    find_present,
    group_rows,
    list_columns,
    number_words,
    order_values,
    state_equations,
)
from assets.evidence.exposure import (
    FOLLOWED_DAYS,
    TENURE_STEP_DAYS,
    UNITS_PER_DAY,
    name_quarter,
    number_quarter,
    slice_exposure,
)
from assets.evidence.suppression import blank, hide_small_cells
from assets.methods.rates import estimate_rate
from assets.outcomes.active_deals import active_deals

DAYS_PER_MONTH: Final = 30.4375
_EXPECTED_UNITS: Final = (
    10**9
)  # expected counts are added as whole numbers of 1e-9: the order of adding can't matter

_c = pl.col
_CELL: Final = ["dimension", "value", "period"]
_STRATUM: Final = ["segment", "tenure_quarter"]
_NUMBERS: Final = (
    "complaints", "upheld", "account_months", "rate_per_1000", "rate_per_1000_lo", "rate_per_1000_hi", "expected",
    "ratio_to_lowest", "n", "n_accounts", "n_sellers",
)  # fmt: skip


def rate_complaints(
    deal_outcomes: pl.LazyFrame, customer_events: pl.LazyFrame, company: Company
) -> tuple[pl.LazyFrame, Mapping[str, int]]:
    """Count complaints against the time in which they could have come.

    Args:
        deal_outcomes: the mart.
        customer_events: core table; its complaints count once, for the deal they are attributed to.
        company: `fiscal_start_month`, sources.

    Returns:
        The columns of the contract COMPLAINTS_BY_INCENTIVE, and what was left out of the rates, counted:
        `deals_without_account`, `deals_contradicted`, `complaints_unattributed`, `complaints_contradicted`,
        `complaints_outside_exposure` (their deal is left out, or they came after its end or after the 365 days).

    A deal is followed on the days it is active (the day of the close to the day of the exit or the last observed day, both
    inclusive, as in `account_months`), but no longer than 365; a service that never began is never active. Without the source `complaints` there are no rows: no complaint is not a rate of 0.
    """
    start = company.fiscal_start_month
    dimensions = find_present(deal_outcomes, company) if company.has("complaints") else ()
    deals = _follow(deal_outcomes, list_columns(dimensions)).collect()
    complaints, counted = _place_complaints(customer_events, deals, start)
    facts = {**_count_left_out(deal_outcomes), **counted}
    if not dimensions or deals.is_empty():
        return _no_rows(), facts
    groups = group_rows(deals, dimensions)
    deals = deals.with_columns(
        segment=number_words(deals["segment"].fill_null(UNKNOWN)),
        account=number_words(deals["account_id"]),
        seller=number_words(deals["rep_id"]),
    ).select("deal", "segment", "account", "seller", "first_day", "active_until", "followed_until")
    slices = slice_exposure(deals.lazy(), start).collect()
    exposure = _add_exposure(groups, deals, slices)
    sizes = _count_people(groups, deals, slices)
    observed = _count_complaints(groups, deals, complaints)
    categories = pl.concat([pl.Series("category", [ALL]), complaints["category"].unique().sort()])
    totals = exposure.group_by(_CELL).agg(_c("day_units").sum())
    hidden = hide_small_cells(sizes, state_equations(sizes, by=["period"], whole="period"), _CELL)
    key = [*_CELL, "category"]
    cells = (
        totals.join(categories.to_frame(), how="cross")
        .join(observed.group_by(key).agg(_c("complaints").sum(), _c("upheld").sum()), on=key, how="left")
        .join(_expect(exposure, observed), on=key, how="left")
        .join(hidden, on=_CELL, how="left")
        .join(order_values(totals), on=["dimension", "value"], how="left")
        .with_columns(_c("complaints", "upheld", "expected").fill_null(0))
        .with_columns(account_months=_c("day_units") / UNITS_PER_DAY / DAYS_PER_MONTH)
    )
    return _state_rates(cells), facts


def _follow(deal_outcomes: pl.LazyFrame, columns: list[str]) -> pl.LazyFrame:
    """Active deals that can have a rate, numbered, with their days under observation (half-open) and `columns`."""
    day = pl.duration(days=1)
    active_until = _c("active_to") + day
    return (
        active_deals(deal_outcomes)
        .filter(~_c("contradicted").fill_null(value=False))
        .select(
            "opportunity_id",
            "account_id",
            "rep_id",
            *(c for c in columns if c != "segment"),
            "segment",
            first_day="closed_on",
            active_until=active_until,
            followed_until=pl.min_horizontal(active_until, _c("closed_on") + FOLLOWED_DAYS * day),
        )
        .sort("opportunity_id")
        .with_columns(deal=pl.int_range(pl.len(), dtype=pl.Int32))
    )


def _count_left_out(deal_outcomes: pl.LazyFrame) -> dict[str, int]:
    no_account = _c("account_id").is_null()
    contradicted = _c("contradicted").fill_null(value=False) & ~no_account
    counts = deal_outcomes.select(
        deals_without_account=no_account.sum(), deals_contradicted=contradicted.sum()
    ).collect()
    return dict(counts.row(0, named=True))


def _place_complaints(
    customer_events: pl.LazyFrame, deals: pl.DataFrame, fiscal_start_month: int
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Complaints inside the exposure of their deal, and how many are not."""
    events = customer_events.filter(_c("kind") == "complaint").collect()
    contradicted = events["contradicted"].fill_null(value=False)
    unattributed = events["opportunity_id"].is_null() & ~contradicted
    placed = (
        events.filter(~contradicted & ~unattributed)
        .join(
            deals.select("opportunity_id", "deal", "first_day", "followed_until"),
            on="opportunity_id",
        )
        .filter((_c("date") >= _c("first_day")) & (_c("date") < _c("followed_until")))
        .select(
            "deal",
            tenure_quarter=(_c("date") - _c("first_day")).dt.total_days() // TENURE_STEP_DAYS,
            quarter=number_quarter(_c("date"), fiscal_start_month),
            category=_c("category").fill_null(UNKNOWN),
            is_upheld=_c("is_upheld").fill_null(value=False),
        )
    )
    counted = {
        "complaints_contradicted": int(contradicted.sum()),
        "complaints_unattributed": int(unattributed.sum()),
    }
    outside = len(events) - len(placed) - sum(counted.values())
    return placed, {**counted, "complaints_outside_exposure": outside}


def _with_all(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Every row twice: as it is, and under `all`."""
    return pl.concat([frame, frame.with_columns(pl.lit(ALL).alias(column))])


def _add_exposure(groups: Groups, deals: pl.DataFrame, slices: pl.DataFrame) -> pl.DataFrame:
    """`day_units` per cell, segment, tenure quarter and period."""
    by = ["segment", "tenure_quarter", "quarter"]
    rows = slices.with_columns(deals["segment"].gather(slices["deal"]))
    added = _summarise_by_deal(
        groups, rows, lambda part: part.group_by("cell", *by).agg(_c("day_units").sum())
    )
    return added.with_columns(period=name_quarter(_c("quarter"))).drop("quarter").pipe(_with_all, "period")


def _summarise_by_deal(
    groups: Groups, rows: pl.DataFrame, summary: Callable[[pl.LazyFrame], pl.LazyFrame]
) -> pl.DataFrame:
    """As `Groups.summarise`, for rows that name a deal by its place."""
    codes = {name: code.gather(rows["deal"]) for name, code in groups.codes.items()}
    regrouped = Groups(groups.cells, codes)
    return regrouped.name(regrouped.summarise(rows, summary))


def _count_people(groups: Groups, deals: pl.DataFrame, slices: pl.DataFrame) -> pl.DataFrame:
    """`n`, `n_accounts`, `n_sellers` per cell."""
    people = [
        pl.len().cast(pl.Int64).alias("n"),
        _c("account").n_unique().cast(pl.Int64).alias("n_accounts"),
        _c("seller").drop_nulls().n_unique().cast(pl.Int64).alias("n_sellers"),
    ]
    seen = slices.select("deal", "quarter").unique()
    seen = seen.with_columns(deals[name].gather(seen["deal"]) for name in ("account", "seller"))
    by_quarter = _summarise_by_deal(groups, seen, lambda part: part.group_by("cell", "quarter").agg(people))
    whole = groups.name(groups.summarise(deals, lambda part: part.group_by("cell").agg(people)))
    return pl.concat(
        [
            by_quarter.with_columns(period=name_quarter(_c("quarter"))).drop("quarter"),
            whole.with_columns(period=pl.lit(ALL)).select(
                "n", "n_accounts", "n_sellers", "dimension", "value", "period"
            ),
        ]
    ).sort(_CELL)


def _count_complaints(groups: Groups, deals: pl.DataFrame, complaints: pl.DataFrame) -> pl.DataFrame:
    """Complaints per cell, stratum and category."""
    rows = complaints.with_columns(deals["segment"].gather(complaints["deal"]))
    counted = _summarise_by_deal(
        groups,
        rows,
        lambda part: part.group_by("cell", *_STRATUM, "quarter", "category").agg(
            complaints=pl.len().cast(pl.Int64), upheld=_c("is_upheld").sum().cast(pl.Int64)
        ),
    )
    named = counted.with_columns(period=name_quarter(_c("quarter"))).drop("quarter")
    return named.pipe(_with_all, "period").pipe(_with_all, "category")


def _expect(exposure: pl.DataFrame, observed: pl.DataFrame) -> pl.DataFrame:
    """Complaints that each cell's exposure would bring at the rate of `all` in its segments and tenure quarters."""
    stratum = [*_STRATUM, "period"]
    everyone = exposure.filter(_c("dimension") == ALL).group_by(stratum).agg(of_all=_c("day_units").sum())
    rates = (
        observed.filter(_c("dimension") == ALL)
        .group_by(*stratum, "category")
        .agg(_c("complaints").sum())
        .join(everyone, on=stratum)
        .select(*stratum, "category", rate=_c("complaints") / _c("of_all"))
    )
    # period `all` has a row per quarter; what is rounded is the cell's own sum
    units = exposure.group_by(*_CELL, *_STRATUM).agg(_c("day_units").sum())
    share = (_c("day_units") * _c("rate") * _EXPECTED_UNITS).round().cast(pl.Int64)
    expected = units.join(rates, on=stratum).group_by(*_CELL, "category").agg(expected=share.sum())
    return expected.with_columns(_c("expected") / _EXPECTED_UNITS)


def _state_rates(cells: pl.DataFrame) -> pl.LazyFrame:
    """Rates with intervals, ratios to the lowest band, small cells blank."""
    rate = estimate_rate(cells["complaints"].to_numpy(), cells["account_months"].to_numpy() / 1000)
    band = ["dimension", "band_of", "category", "period"]
    reference = _c("rate_per_1000").first().over(band, order_by="value_order")
    hides_reference = _c("suppressed").first().over(band, order_by="value_order")
    return (
        cells.with_columns(rate_per_1000=rate.estimate, rate_per_1000_lo=rate.lo, rate_per_1000_hi=rate.hi)
        .lazy()
        .with_columns(
            ratio_to_lowest=pl.when(_c("band_of").is_not_null() & (reference > 0) & ~hides_reference).then(
                _c("rate_per_1000") / reference
            )
        )
        .with_columns(pl.selectors.float().round(8))
        .pipe(blank, _NUMBERS)
        .select(*_CELL, "category", "value_order", "suppressed", *_NUMBERS)
        .sort("dimension", "value", "category", "period")
    )


def _no_rows() -> pl.LazyFrame:
    texts = dict.fromkeys([*_CELL, "category"], pl.String)
    counts = dict.fromkeys(["value_order", "complaints", "upheld", "n", "n_accounts", "n_sellers"], pl.Int64)
    numbers = dict.fromkeys([n for n in _NUMBERS if n not in counts], pl.Float64)
    return pl.LazyFrame(schema={**texts, **counts, **numbers, "suppressed": pl.Boolean})
