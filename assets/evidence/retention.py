"""Time to churn by group of deals: Kaplan-Meier, competing exits, and how much of it could have been seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from assets.company import Company
from assets.evidence.dimensions import (
    find_present,
    group_rows,
    is_unknown,
    list_columns,
    number_words,
    order_values,
    state_equations,
)
from assets.evidence.suppression import blank, hide_small_cells
from assets.methods.survival import (
    compare_survival,
    fit_cumulative_incidence,
    fit_kaplan_meier,
    read_horizons,
)
from assets.outcomes.deal_outcomes import JUDGED
from expectations.columns import HORIZONS_DAYS

CHURN: Final = 1
OTHER_EXIT: Final = 2

_c = pl.col
_GROUP: Final = ["dimension", "value"]
_ESTIMATES: Final = (
    "at_risk", "events", "other_exits", "survival", "survival_lo", "survival_hi", "cif_churn", "cif_churn_lo",
    "cif_churn_hi", "cif_other",
)  # fmt: skip
_NUMBERS: Final = (*_ESTIMATES, "mature_share", "n", "n_accounts", "n_sellers")


def follow_deals(deal_outcomes: pl.LazyFrame) -> pl.LazyFrame:
    """Give every deal its time under observation and how it ended.

    Args:
        deal_outcomes: the mart.

    Returns:
        The deals that can churn, all columns kept, with `duration` (Int64 days from the start of the churn clock to the
        first exit, else to the last observed day), `cause` (0 still a customer, `CHURN`, `OTHER_EXIT`), `is_churn` and
        `follow_up` (days from the clock to the last observed day, whatever happened). Deals without an account, deals whose
        churn can't be judged (no churn source, no service that ever started, no day of close: nobody would ever be seen
        leaving) and deals whose clock starts after the last observed day can't be followed.
    """
    start, end = _c("clock_start_on"), _c("observed_until")
    churn = pl.when(_c("churned_on") <= end).then("churned_on")
    other = pl.when(_c("other_exit_on") <= end).then("other_exit_on")
    is_churn = churn.is_not_null() & (other.is_null() | (churn <= other))
    return (
        deal_outcomes.filter(_c("account_id").is_not_null() & _can_be_judged() & (start <= end))
        .with_columns(
            # an exit before the clock starts is an event on day 0
            duration=(pl.min_horizontal(churn, other, end) - start).dt.total_days().clip(lower_bound=0),
            follow_up=(end - start).dt.total_days(),
            cause=pl.when(is_churn)
            .then(CHURN)
            .when(other.is_not_null())
            .then(OTHER_EXIT)
            .otherwise(0)
            .cast(pl.Int64),
        )
        .with_columns(is_churn=_c("cause") == CHURN)
    )


def _can_be_judged() -> pl.Expr:
    return _c("outcome_null_reason").is_null() | _c("outcome_null_reason").is_in(JUDGED)


def count_unfollowed(deal_outcomes: pl.LazyFrame) -> dict[str, int]:
    """Deals that `follow_deals` leaves out, each counted under the first reason that holds, and all deals."""
    no_account = _c("account_id").is_null()
    not_judged = ~no_account & ~(_can_be_judged() & _c("clock_start_on").is_not_null())
    too_late = ~no_account & ~not_judged & (_c("clock_start_on") > _c("observed_until"))
    counts = deal_outcomes.select(
        deals=pl.len(),
        deals_without_account=no_account.sum(),
        deals_not_judged=not_judged.sum(),
        deals_after_observation=too_late.sum(),
    ).collect()
    return dict(counts.row(0, named=True))


def estimate_churn(deal_outcomes: pl.LazyFrame, company: Company) -> tuple[pl.LazyFrame, Mapping[str, int]]:
    """Estimate retention per dimension, group and horizon.

    Args:
        deal_outcomes: the mart.
        company: how churn is defined, sources.

    Returns:
        The columns of the contract CHURN_BY_INCENTIVE, and `count_unfollowed`. Under churn by inactivity of N days nothing
        can be lost before day N: horizons under N keep their row and have no numbers. Past the longest follow-up of a
        group its estimates are null. The log-rank test compares the known groups over the whole follow-up.
    """
    dimensions = find_present(deal_outcomes, company)
    people = ["account_id", "rep_id"]
    rows = (
        follow_deals(deal_outcomes)
        .select(*list_columns(dimensions), *people, "duration", "follow_up", "cause", "is_churn")
        .collect()
    )
    groups = group_rows(rows, dimensions)
    rows = rows.select(
        "duration",
        "follow_up",
        "cause",
        "is_churn",
        *(number_words(rows[name]).alias(name) for name in people),
    )
    sizes = groups.name(groups.summarise(rows, _describe))
    hidden = hide_small_cells(sizes, state_equations(sizes), _GROUP)
    km = groups.name(groups.summarise(rows, _survive))
    aj = groups.name(groups.summarise(rows, _leave))
    churn, other = (
        aj.filter(_c("cause") == cause).select(
            *_GROUP,
            "horizon",
            _c("events_so_far").alias(events),
            *(_c(f"incidence{end}").alias(f"{share}{end}") for end in ("", "_lo", "_hi")),
        )
        for cause, events, share in ((CHURN, "events", "cif_churn"), (OTHER_EXIT, "other_exits", "cif_other"))
    )
    known = groups.cells.filter(~is_unknown())["cell"]
    p_values = pl.DataFrame(
        {"dimension": name, "log_rank_p": _compare(rows.with_columns(cell=code), known)}
        for name, code in groups.codes.items()
    )
    means_nothing = _c("horizon_days") < (company.churn.days if company.churn.kind == "inactivity" else 0)
    mature = sizes.unpivot(
        [f"mature_{h}" for h in HORIZONS_DAYS],
        index=_GROUP,
        variable_name="horizon",
        value_name="mature_share",
    ).with_columns(_c("horizon").str.strip_prefix("mature_").cast(pl.Int64))
    on = [*_GROUP, "horizon"]
    table = (
        hidden.lazy()
        .join(mature.lazy(), on=_GROUP)
        .join(km.drop("n", "events_so_far").lazy(), on=on, how="left")
        .join(churn.lazy(), on=on, how="left")
        .join(other.lazy(), on=on, how="left")
        .join(order_values(sizes).lazy(), on=_GROUP)
        .join(p_values.lazy(), on="dimension", how="left")
        .rename({"horizon": "horizon_days"})
        .with_columns(pl.when(~means_nothing).then(_c(c)).alias(c) for c in _ESTIMATES)
        .with_columns(pl.selectors.float().round(8))
        .pipe(blank, _NUMBERS)
        .select(*_GROUP, "value_order", "horizon_days", *_NUMBERS, "log_rank_p", "suppressed")
        .sort(*_GROUP, "horizon_days")
    )
    return table, count_unfollowed(deal_outcomes)


def _describe(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Size of every group, and the share of it that could have been observed to each horizon."""
    return rows.group_by("cell").agg(
        n=pl.len().cast(pl.Int64),
        n_accounts=_c("account_id").n_unique().cast(pl.Int64),
        n_sellers=_c("rep_id").drop_nulls().n_unique().cast(pl.Int64),
        **{f"mature_{h}": (_c("follow_up") >= h).sum() / pl.len() for h in HORIZONS_DAYS},
    )


def _survive(rows: pl.LazyFrame) -> pl.LazyFrame:
    return read_horizons(fit_kaplan_meier(rows, ["cell"], event="is_churn"), ["cell"], HORIZONS_DAYS)


def _leave(rows: pl.LazyFrame) -> pl.LazyFrame:
    return read_horizons(fit_cumulative_incidence(rows, ["cell"]), ["cell", "cause"], HORIZONS_DAYS)


def _compare(rows: pl.DataFrame, cells: pl.Series) -> float | None:
    """Return the p value of the log-rank test over groups; None with fewer than two or without a loss."""
    compared = rows.lazy().filter(_c("cell").is_in(cells.implode()))
    p_value: float | None = compare_survival(compared, "cell", event="is_churn")["p_value"].item()
    return p_value
