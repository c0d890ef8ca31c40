"""The table `customer_distance`."""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.company import Company
from assets.core.directory import Directory
from assets.core.ownership import held_assignments
from assets.core.touches import has_touches
from assets.evidence.dimensions import ALL, find_present
from assets.evidence.distances import (
    CELL,
    UNKNOWN,
    count_owner_changes,
    cut_by_owner,
    in_each_cell,
    merge_active_days,
    place_customers,
    segments_of,
    spread_over_months,
    sum_in_cells,
    weigh_by_revenue,
)
from assets.evidence.executive_contact import count_executive_contact, list_executive_contacts
from assets.evidence.fidelity import compare_by_separation, measure_fidelity
from assets.evidence.group_sizes import hide_groups
from assets.evidence.lags import number_causes
from assets.evidence.protection import Additive
from assets.evidence.suppression import blank, hide_small_cells
from assets.incentives.exchange import Exchange
from assets.methods.exact import whole_cents
from assets.methods.reporting_tree import FOREVER
from assets.outcomes.active_deals import active_deals
from assets.table import table_asset
from assets.voice.separation import place_people
from expectations.contracts.listening import CUSTOMER_DISTANCE

_c = pl.col
_COUNTED: Final = (
    "owner_changes",
    "_placed_days",
    "touches",
    "_executive_touches",
    "executive_contact_resets",
)
_SHOWN: Final = frozenset({*CELL, "suppressed", "board_members", "is_board_assumed"})


@table_asset(CUSTOMER_DISTANCE)
def customer_distance(
    *,
    deal_outcomes: pl.LazyFrame,
    feedback_hops: pl.LazyFrame,
    accounts: pl.LazyFrame,
    account_assignments: pl.LazyFrame,
    reporting_lines: pl.LazyFrame,
    reps: pl.LazyFrame,
    activities: pl.LazyFrame,
    fx_rates: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """How far the board is from the customer: managers between them, executive contact, and what gets through.

    One row per segment and calendar month, `all` for either. Steps: follow who looks after each customer while it is one; walk
    the reporting tree as of each day; average the degrees over customer days, and over the revenue of the deals active on
    them; count changes of owner and executive contact; multiply what leaves each hop within 90 days. A root that nobody marked as board
    counts as one (`is_board_assumed`); of two managers at once the one who came last counts; a circle, a manager without a line and a gap
    have no path to the board, and such days (`placed_share` tells how few are left) are in no average; no depth is too deep.

    Do not read `fidelity` as the share of all that customers said: it begins with what was written down.
    """
    directory = Directory.of(accounts, company)
    segments = segments_of(accounts, directory).collect().lazy()
    tree = place_people(reporting_lines)
    deals = _value_deals(active_deals(deal_outcomes), fx_rates, company).collect().lazy()
    sold = deals.select(
        "account_id",
        valid_from="active_from",
        valid_to=pl.lit(None, pl.Date),
        owner_rep_id="rep_id",
    )
    held = held_assignments(account_assignments, directory)
    owned = cut_by_owner(merge_active_days(deals), held, sold).collect().lazy()

    def named(rows: pl.LazyFrame) -> pl.LazyFrame:
        known = rows.join(segments, on="account_id", how="left")
        return known.with_columns(_c("segment").fill_null(UNKNOWN))

    # a customer's months are millions of rows: they are summed first, and only the sums put into their four cells
    months = named(spread_over_months(owned)).collect()
    placed = place_customers(owned, tree.lazy()).collect().lazy()
    changed = named(count_owner_changes(owned)).with_columns(month=_c("day").dt.month_start())
    contacts = list_executive_contacts(
        activities, account_assignments, reps, tree.filter(_c("distance") == 0), directory
    )
    hops = number_causes(feedback_hops, company).select(
        "account_id",
        "hop",
        "days",
        "cause",
        month=_c("entered_at").dt.convert_time_zone(company.timezone).dt.date().dt.month_start(),
    )
    parts = [
        _describe_distance(named(spread_over_months(placed))),
        _describe_revenue(named(spread_over_months(weigh_by_revenue(placed, deals)))),
        sum_in_cells(changed, owner_changes=pl.len().cast(pl.Int64)),
        count_executive_contact(named(contacts)),
        in_each_cell(named(hops), lambda rows: measure_fidelity(rows, CELL)),
    ]
    table = _describe_sizes(months)
    for part in parts:
        table = table.join(part.collect(), on=CELL, how="left")
    table = table.join(_board_of(tree, company), on="month", how="left").with_columns(
        _c("owner_changes").fill_null(0),
        *_executive_columns(company),
        placed_share=_c("_placed_days").fill_null(0) / _c("n"),
        customer_days="n",
        **_compare(feedback_hops, company),
    )
    counts = table.with_columns(_c("_placed_days", "touches", "_executive_touches").fill_null(0))
    hidden = hide_small_cells(
        counts,
        _state_equations(counts),
        CELL,
        additive=[
            Additive("n"),
            Additive("n_accounts", families=("segment",)),  # a customer has one segment, and many months
            *(Additive(name, is_size=False) for name in _COUNTED),
        ],
        always=_hide_segments(deal_outcomes, company),
    )
    hidden = table.with_columns(hidden["suppressed"])
    return (
        hidden.lazy()
        .with_columns(pl.selectors.float().round(8))
        .pipe(blank, [name for name in CUSTOMER_DISTANCE.schema if name not in _SHOWN])
        .select(_c(name).cast(dtype) for name, dtype in CUSTOMER_DISTANCE.schema.items())
        .sort(CELL)
    )


def _value_deals(deals: pl.LazyFrame, fx_rates: pl.LazyFrame, company: Company) -> pl.LazyFrame:
    """Active deals with `cents`: their amount in reporting currency at the rate of the close."""
    rated = Exchange(fx_rates, company.reporting_currency).find_rate(
        deals.with_columns(_policy=pl.lit("booking")),
        "_rate",
        currency="currency",
        day="closed_on",
        fixed_day="closed_on",
        policy="_policy",
    )
    cents = (whole_cents(_c("amount")).cast(pl.Float64) * _c("_rate").cast(pl.Float64)).round().cast(pl.Int64)
    return rated.select("account_id", "rep_id", "active_from", "active_to", cents=cents)


def _describe_sizes(months: pl.DataFrame) -> pl.DataFrame:
    """Customer days and people of every cell, as `hide_small_cells` wants them; days nobody owns count as an own seller's."""
    by_owner = sum_in_cells(months.lazy(), "owner_rep_id", _days=_c("days").sum())
    largest = by_owner.group_by(CELL).agg(
        n=_c("_days").sum(),
        n_sellers=_c("owner_rep_id").n_unique().cast(pl.Int64)
        - _c("owner_rep_id").is_null().any().cast(pl.Int64),
        largest=_c("_days").max(),
        second=_c("_days").sort(descending=True).get(1, null_on_oob=True).fill_null(0),
    )
    people = in_each_cell(
        months.select("segment", "month", "account_id").lazy(),
        lambda rows: rows.group_by(CELL).agg(n_accounts=_c("account_id").n_unique().cast(pl.Int64)),
    )
    return largest.join(people, on=CELL).collect().sort(CELL)


def _describe_distance(rows: pl.LazyFrame) -> pl.LazyFrame:
    return (
        sum_in_cells(rows, "distance", _days=_c("days").sum())
        .group_by(CELL)
        .agg(
            distance_mean=(_c("distance") * _c("_days")).sum() / _c("_days").sum(),
            distance_max=_c("distance").max(),
            _placed_days=_c("_days").sum(),
        )
    )


def _describe_revenue(rows: pl.LazyFrame) -> pl.LazyFrame:
    weight = _c("cents").clip(lower_bound=0).cast(pl.Int128) * _c("days")
    return (
        sum_in_cells(
            rows.filter(_c("cents").is_not_null()),
            _weighed=(weight * _c("distance")).sum(),
            _weight=weight.sum(),
        )
        .filter(_c("_weight") > 0)
        .select(
            *CELL, distance_revenue_weighted=_c("_weighed").cast(pl.Float64) / _c("_weight").cast(pl.Float64)
        )
    )


def _executive_columns(company: Company) -> list[pl.Expr]:
    """Without activities nobody knows of any touch, which is not the same as none."""
    can_tell = pl.lit(has_touches(company))
    return [
        pl.when(can_tell & (_c("touches").fill_null(0) > 0))
        .then(_c("_executive_touches").fill_null(0) / _c("touches"))
        .alias("executive_touch_share"),
        pl.when(can_tell | pl.lit(company.has("account_assignments")))
        .then(_c("executive_contact_resets").fill_null(0))
        .alias("executive_contact_resets"),
        pl.when(can_tell).then(_c("touches").fill_null(0)).alias("touches"),
    ]


def _board_of(tree: pl.DataFrame, company: Company) -> pl.DataFrame:
    """Members of the board on the last day of each month (of `all`: of observation), and whether any is only assumed."""
    board = tree.filter(_c("distance") == 0)
    first = board.select(_c("starts_on").min()).item() or company.as_of
    months = pl.DataFrame(
        {
            "_first": pl.date_range(
                min(first, company.as_of), company.as_of, "1mo", eager=True
            ).dt.month_start()
        }
    ).select(month=_c("_first").dt.strftime("%Y-%m"), _on=_c("_first").dt.month_end())
    this_month = pl.DataFrame({"month": [f"{company.as_of:%Y-%m}", ALL], "_on": [company.as_of] * 2})
    days = pl.concat([months, this_month]).unique("month", keep="last")
    on_board = (_c("starts_on") <= _c("_on")) & (_c("_on") < _c("ends_before").fill_null(FOREVER))
    return (
        days.join(board, how="cross")
        .group_by("month")
        .agg(
            board_members=_c("rep_id").filter(on_board).n_unique().cast(pl.Int64),
            is_board_assumed=_c("is_board_assumed").filter(on_board).any(),
        )
    )


def _compare(feedback_hops: pl.LazyFrame, company: Company) -> dict[str, pl.Expr]:
    """Ratios per degree of separation: of the whole firm, so they stand in the one row `all`, `all`."""
    lag, loss = compare_by_separation(number_causes(feedback_hops, company).collect())
    is_whole = (_c("segment") == ALL) & (_c("month") == ALL)
    return {
        f"{name}_ratio_per_step{end}": pl.when(is_whole).then(pl.lit(value, pl.Float64)).fill_nan(None)
        for name, ratio in (("lag", lag), ("loss", loss))
        for end, value in (("", ratio.estimate), ("_lo", ratio.lo), ("_hi", ratio.hi))
    }


def _hide_segments(deal_outcomes: pl.LazyFrame, company: Company) -> pl.DataFrame:
    """Segments that the tables by incentive hide: their customers are those of this table."""
    groups = hide_groups(deal_outcomes, find_present(deal_outcomes, company))
    return groups.filter(_c("dimension") == "segment").select(segment="value", month=pl.lit(ALL))


def _state_equations(cells: pl.DataFrame) -> pl.DataFrame:
    """Segments of a month add up to all of them, months of a segment to the whole time."""
    return pl.concat(
        [
            cells.select(
                *CELL,
                equation=pl.format(f"{name} of {{}}", other),
                family=pl.lit(name),
                is_total=_c(name) == ALL,
            )
            for name, other in (("segment", "month"), ("month", "segment"))
        ]
    )
