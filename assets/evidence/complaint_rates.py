"""Complaints per account-month by group: counts, exact intervals, and what the same exposure would have brought elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import polars as pl

from assets.company import Company
from assets.evidence.complaint_standards import (
    STRATUM,
    cover_strata,
    expect_complaints,
    standardise_rates,
)
from assets.evidence.dimensions import (
    ALL,
    CROSSED,
    FEATURES,
    UNKNOWN,
    VALUES,
    Groups,
    find_nested,
    find_present,
    group_rows,
    list_columns,
    number_clusters,
    number_words,
    order_values,
    reference_of,
    state_equations,
)
from assets.evidence.exposure import (
    DAYS_PER_MONTH,
    FOLLOWED_DAYS,
    TENURE_STEP_DAYS,
    UNITS_PER_DAY,
    name_quarter,
    number_quarter,
    slice_exposure,
)
from assets.evidence.group_sizes import bound_by_people, hide_groups, is_rated, tie_people
from assets.evidence.protection import Additive, Relation
from assets.evidence.suppression import blank, count_people, hide_small_cells
from assets.methods.cluster_bootstrap import bound_ratios
from assets.methods.rates import estimate_rate
from assets.methods.standardisation import disagree
from assets.outcomes.active_deals import active_deals

_c = pl.col
_CELL: Final = ["dimension", "value", "period"]
_NUMBERS: Final = (
    "complaints", "upheld", "account_months", "rate_per_1000", "rate_per_1000_lo", "rate_per_1000_hi",
    "rate_per_1000_seller_lo", "rate_per_1000_seller_hi", "expected", "ratio_to_expected", "rate_per_1000_standardised",
    "standardised_share", "is_reversed", "ratio_to_lowest", "n", "n_accounts", "n_sellers",
)  # fmt: skip
_MILLIDAYS: Final = 1000  # sellers are drawn with their days in thousandths


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
        cluster=number_clusters(deals["rep_id"]),
    ).select("deal", "segment", "account", "seller", "cluster", "first_day", "active_until", "followed_until")
    slices = slice_exposure(deals.lazy(), start).collect()
    exposure = _add_exposure(groups, deals, slices)
    sizes = _count_people(groups, deals, slices)
    observed = _count_complaints(groups, deals, complaints)
    categories = pl.concat([pl.Series("category", [ALL]), complaints["category"].unique().sort()])
    totals = exposure.group_by(_CELL).agg(_c("day_units").sum())
    key = [*_CELL, "category"]
    counts = observed.group_by(key).agg(_c("complaints").sum(), _c("upheld").sum())
    hidden = _hide(sizes, totals, counts, groups, hide_groups(deal_outcomes, dimensions))
    cells = (
        totals.join(categories.to_frame(), how="cross")
        .join(counts, on=key, how="left")
        .join(expect_complaints(exposure, observed), on=key, how="left")
        .join(standardise_rates(exposure, observed), on=key, how="left")
        .join(cover_strata(exposure), on=_CELL, how="left")
        .join(_bound_by_seller(groups, deals, slices, complaints), on=key, how="left")
        .join(hidden, on=_CELL, how="left")
        .join(order_values(totals), on=["dimension", "value"], how="left")
        .with_columns(_c("complaints", "upheld", "expected", "rate_per_1000_standardised").fill_null(0))
        .with_columns(account_months=_c("day_units") / UNITS_PER_DAY / DAYS_PER_MONTH)
    )
    return _state_rates(cells), facts


def _follow(deal_outcomes: pl.LazyFrame, columns: list[str]) -> pl.LazyFrame:
    """Active deals that can have a rate, numbered, with their days under observation (half-open) and `columns`."""
    day = pl.duration(days=1)
    active_until = _c("active_to") + day
    return (
        active_deals(deal_outcomes.filter(is_rated()))
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
    """As `Groups.summarise`, for rows that name a deal by its place, with `dimension` and `value` in place of `cell`."""
    return groups.name(_regroup(groups, rows).summarise(rows, summary))


def _regroup(groups: Groups, rows: pl.DataFrame) -> Groups:
    """The groups of rows that name a deal by its place."""
    return Groups(groups.cells, {name: code.gather(rows["deal"]) for name, code in groups.codes.items()})


def _count_people(groups: Groups, deals: pl.DataFrame, slices: pl.DataFrame) -> pl.DataFrame:
    """How many deals, accounts and sellers stand behind each cell, and how many deals the two largest sellers have."""
    people = count_people(seller="seller", account="account")
    seen = slices.select("deal", "quarter").unique()
    seen = seen.with_columns(deals[name].gather(seen["deal"]) for name in ("account", "seller"))
    by_quarter = _summarise_by_deal(groups, seen, lambda part: part.group_by("cell", "quarter").agg(people))
    whole = groups.name(groups.summarise(deals, lambda part: part.group_by("cell").agg(people)))
    return pl.concat(
        [
            by_quarter.with_columns(period=name_quarter(_c("quarter"))).drop("quarter"),
            whole.with_columns(period=pl.lit(ALL)),
        ],
        how="diagonal",
    ).sort(_CELL)


def _count_complaints(groups: Groups, deals: pl.DataFrame, complaints: pl.DataFrame) -> pl.DataFrame:
    """Complaints per cell, stratum and category."""
    rows = complaints.with_columns(deals["segment"].gather(complaints["deal"]))
    counted = _summarise_by_deal(
        groups,
        rows,
        lambda part: part.group_by("cell", *STRATUM, "quarter", "category").agg(
            complaints=pl.len().cast(pl.Int64), upheld=_c("is_upheld").sum().cast(pl.Int64)
        ),
    )
    named = counted.with_columns(period=name_quarter(_c("quarter"))).drop("quarter")
    return named.pipe(_with_all, "period").pipe(_with_all, "category")


def _bound_by_seller(
    groups: Groups, deals: pl.DataFrame, slices: pl.DataFrame, complaints: pl.DataFrame
) -> pl.DataFrame:
    """Limits of the rates over all periods with whole sellers drawn."""
    sellers = deals["cluster"]
    # a deal's days as one row, and cells and categories as numbers: there are as many pairs as cells, sellers and categories
    time = slices.group_by("deal").agg(_c("day_units").sum())
    time = time.with_columns(sellers.gather(time["deal"]).alias("seller"))
    said = complaints.select("deal", "category", sellers.gather(complaints["deal"]).alias("seller"))
    days = _regroup(groups, time).summarise(
        time, lambda part: part.group_by("cell", "seller").agg(_c("day_units").sum())
    )
    millidays = (_c("day_units") * _MILLIDAYS // UNITS_PER_DAY).alias("millidays")
    counted = _regroup(groups, said).summarise(
        said, lambda part: part.group_by("cell", "seller", "category").agg(complaints=pl.len())
    )
    categories = pl.concat([pl.Series("category", [ALL]), complaints["category"].unique().sort()])
    words = pl.Enum(categories)
    pair = ["cell", "category", "seller"]
    counted = (
        counted.pipe(_with_all, "category")
        .with_columns(_c("category").cast(words))
        .group_by(pair)
        .agg(_c("complaints").sum())
    )
    placed = (
        days.select("cell", "seller", millidays)
        .join(categories.cast(words).to_frame(), how="cross")
        .join(counted, on=pair, how="left")
        .with_columns(_c("complaints").fill_null(0))
        .sort(pair)
    )
    keys = placed.select("cell", "category").unique(maintain_order=True).with_row_index("place")
    placed = placed.join(keys, on=["cell", "category"], how="left", maintain_order="left")
    low, high = bound_ratios(
        placed["seller"].cast(pl.Int64).to_numpy(),
        placed["place"].cast(pl.Int64).to_numpy(),
        placed["complaints"].to_numpy(),
        placed["millidays"].to_numpy(),
        clusters=int(sellers.max()) + 1,  # type: ignore[arg-type]
        cells=len(keys),
    )
    per = _MILLIDAYS * DAYS_PER_MONTH * 1000
    limits = {"rate_per_1000_seller_lo": low * per, "rate_per_1000_seller_hi": high * per}
    return groups.name(keys.drop("place")).with_columns(
        _c("category").cast(pl.String),
        pl.lit(ALL).alias("period"),
        *(pl.Series(n, v).fill_nan(None) for n, v in limits.items()),
    )


def _hide(
    sizes: pl.DataFrame, totals: pl.DataFrame, counts: pl.DataFrame, groups: Groups, always: pl.DataFrame
) -> pl.DataFrame:
    """Mark the cells that stay hidden, in all categories alike."""
    wide = counts.pivot("category", index=_CELL, values=["complaints", "upheld"], separator=": ")
    counted = [name for name in wide.columns if name not in _CELL]
    cells = (
        sizes.join(totals, on=_CELL, how="left")
        .with_columns(account_months=_c("day_units") / UNITS_PER_DAY / DAYS_PER_MONTH)
        .join(wide, on=_CELL, how="left")
    )
    equations = state_equations(sizes, by=["period"], whole="period", nested=find_nested(groups))
    additive = [
        Additive("n", families=(VALUES, CROSSED, FEATURES)),  # a deal is seen in several quarters
        Additive("account_months"),
        *(Additive(name, is_size=False) for name in counted),
    ]
    people, bounds = bound_by_people()
    marked = hide_small_cells(
        cells,
        pl.concat([equations, tie_people(sizes, ["period"])], how="diagonal"),
        _CELL,
        additive=[*additive, *people],
        relations=[Relation(("account_months",), ("n",), times=FOLLOWED_DAYS / DAYS_PER_MONTH), *bounds],
        always=always,
    )
    return marked.select([*sizes.columns, "suppressed"])


def _state_rates(cells: pl.DataFrame) -> pl.LazyFrame:
    """Rates with intervals, ratios to the lowest band, small cells blank."""
    rate = estimate_rate(cells["complaints"].to_numpy(), cells["account_months"].to_numpy() / 1000)
    by = ["category", "period"]
    reference = reference_of(_c("rate_per_1000"), by)
    standard = reference_of(_c("rate_per_1000_standardised"), by)
    return (
        cells.with_columns(rate_per_1000=rate.estimate, rate_per_1000_lo=rate.lo, rate_per_1000_hi=rate.hi)
        .lazy()
        .with_columns(
            ratio_to_lowest=pl.when(reference > 0).then(_c("rate_per_1000") / reference),
            ratio_to_expected=pl.when(_c("expected") > 0).then(_c("complaints") / _c("expected")),
            is_reversed=disagree(_c("rate_per_1000"), reference, _c("rate_per_1000_standardised"), standard),
        )
        .with_columns(pl.selectors.float().round(8))
        .pipe(blank, _NUMBERS)
        .select(*_CELL, "category", "value_order", "suppressed", *_NUMBERS)
        .sort("dimension", "value", "category", "period")
    )


def _no_rows() -> pl.LazyFrame:
    texts = dict.fromkeys([*_CELL, "category"], pl.String)
    counts = dict.fromkeys(["value_order", "complaints", "upheld", "n", "n_accounts", "n_sellers"], pl.Int64)
    flags = dict.fromkeys(["is_reversed", "suppressed"], pl.Boolean)
    numbers = dict.fromkeys([n for n in _NUMBERS if n not in {*counts, *flags}], pl.Float64)
    return pl.LazyFrame(schema={**texts, **counts, **numbers, **flags})
