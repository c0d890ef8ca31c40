"""Time to churn by group of deals: Kaplan-Meier, competing exits, and how much of it could have been seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from assets.company import Company
from assets.evidence.dimensions import (
    ALL,
    Dimension,
    Groups,
    find_nested,
    find_present,
    group_rows,
    is_unknown,
    list_columns,
    number_clusters,
    number_words,
    order_values,
    reference_of,
    state_equations,
)
from assets.evidence.group_sizes import bound_by_people, can_be_judged, hide_groups, is_followed, tie_people
from assets.evidence.protection import Additive, Relation
from assets.evidence.suppression import blank, count_people, hide_small_cells
from assets.methods.clustered_survival import add_influences, bound_estimates, compare_survival_by_seller
from assets.methods.restricted_mean import read_restricted_mean
from assets.methods.standardisation import disagree, standardise
from assets.methods.survival import (
    compare_survival,
    fit_cumulative_incidence,
    fit_kaplan_meier,
    read_horizons,
)
from expectations.columns.outcomes import HORIZONS_DAYS
from expectations.contracts.evidence import CHURN_BY_INCENTIVE

CHURN: Final = 1
OTHER_EXIT: Final = 2

_c = pl.col
_GROUP: Final = ["dimension", "value"]
_COUNTS: Final = ("at_risk", "events", "other_exits")
_ESTIMATES: Final = (
    *_COUNTS, "survival", "survival_lo", "survival_hi", "survival_seller_lo", "survival_seller_hi", "cif_churn",
    "cif_churn_lo", "cif_churn_hi", "cif_churn_seller_lo", "cif_churn_seller_hi", "cif_other", "cif_churn_expected",
    "ratio_to_expected", "cif_churn_standardised", "standardised_share", "is_reversed", "days_kept", "days_kept_lo", "days_kept_hi",
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
        deal_outcomes.filter(is_followed())
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


def count_unfollowed(deal_outcomes: pl.LazyFrame) -> dict[str, int]:
    """Deals that `follow_deals` leaves out, each counted under the first reason that holds, and all deals."""
    no_account = _c("account_id").is_null()
    not_judged = ~no_account & ~(can_be_judged() & _c("clock_start_on").is_not_null())
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
    rows = _number_people(_collect(deal_outcomes, dimensions))
    if rows.is_empty():
        return CHURN_BY_INCENTIVE.empty(), count_unfollowed(deal_outcomes)
    groups = group_rows(rows, dimensions)
    rows = rows.select("duration", "follow_up", "cause", "is_churn", "account_id", "seller", "segment_code")
    sizes = groups.name(groups.summarise(rows, _describe))
    at = ["cell", "horizon"]
    estimates = (
        groups.summarise(rows, _survive)
        .drop("n", "events_so_far")
        .join(_read_incidence(groups.summarise(rows, _leave)), on=at)
    )
    limits = bound_estimates(
        groups.summarise(rows, lambda part: add_influences(part, HORIZONS_DAYS)),
        estimates.select(*at, "survival", incidence="cif_churn"),
        clusters=int(rows["seller"].max() or 0) + 1,  # type: ignore[arg-type]
    ).rename(
        lambda name: (
            name.replace("incidence", "cif_churn").replace("_lo", "_seller_lo").replace("_hi", "_seller_hi")
        )
    )
    estimates = groups.name(
        estimates.join(limits, on=at, how="left").join(_standardise(rows, groups), on=at, how="left")
    )
    hidden = _hide(sizes, estimates, groups, hide_groups(deal_outcomes, dimensions))
    means_nothing = _c("horizon_days") < (company.churn.days if company.churn.kind == "inactivity" else 0)
    mature = sizes.unpivot(
        [f"mature_{h}" for h in HORIZONS_DAYS],
        index=_GROUP,
        variable_name="horizon",
        value_name="mature_share",
    ).with_columns(_c("horizon").str.strip_prefix("mature_").cast(pl.Int64))
    table = (
        hidden.lazy()
        .join(mature.lazy(), on=_GROUP)
        .join(estimates.lazy(), on=[*_GROUP, "horizon"], how="left")
        .join(order_values(sizes).lazy(), on=_GROUP)
        .join(_compare_groups(rows, groups).lazy(), on="dimension", how="left")
        .rename({"horizon": "horizon_days"})
        .with_columns(
            ratio_to_expected=pl.when(_c("cif_churn_expected") > 0).then(
                _c("cif_churn") / _c("cif_churn_expected")
            ),
            is_reversed=_is_reversed(),
        )
        .with_columns(pl.when(~means_nothing).then(_c(c)).alias(c) for c in _ESTIMATES)
        .with_columns(pl.selectors.float().round(8))
        .pipe(blank, _NUMBERS)
        .select(
            *_GROUP, "value_order", "horizon_days", *_NUMBERS, "log_rank_p", "log_rank_seller_p", "suppressed"
        )
        .sort(*_GROUP, "horizon_days")
    )
    return table, count_unfollowed(deal_outcomes)


def _collect(deal_outcomes: pl.LazyFrame, dimensions: Sequence[Dimension]) -> pl.DataFrame:
    needed = dict.fromkeys([*list_columns(dimensions), "account_id", "rep_id", "segment"])
    return follow_deals(deal_outcomes).select(*needed, "duration", "follow_up", "cause", "is_churn").collect()


def _number_people(rows: pl.DataFrame) -> pl.DataFrame:
    """Accounts, sellers and segments as small integers; the deals of no seller are one cluster."""
    return rows.with_columns(
        number_words(rows["account_id"]).alias("account_id"),
        number_clusters(rows["rep_id"]).alias("seller"),
        number_words(rows["segment"]).fill_null(-1).alias("segment_code"),
    )


def _describe(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Size of every group, and the share of it that could have been observed to each horizon."""
    return rows.group_by("cell").agg(
        *count_people(seller="seller"),
        **{f"mature_{h}": (_c("follow_up") >= h).sum() / pl.len() for h in HORIZONS_DAYS},
    )


def _survive(rows: pl.LazyFrame) -> pl.LazyFrame:
    steps = fit_kaplan_meier(rows, ["cell"], event="is_churn")
    kept = read_restricted_mean(steps, ["cell"], HORIZONS_DAYS).rename(
        lambda n: n.replace("mean", "days_kept")
    )
    return read_horizons(steps, ["cell"], HORIZONS_DAYS).join(kept, on=["cell", "horizon"])


def _leave(rows: pl.LazyFrame) -> pl.LazyFrame:
    return read_horizons(fit_cumulative_incidence(rows, ["cell"]), ["cell", "cause"], HORIZONS_DAYS)


def _read_incidence(incidence: pl.DataFrame) -> pl.DataFrame:
    """One row per cell and horizon: `events`, `cif_churn` with limits, `other_exits`, `cif_other`."""
    at = ["cell", "horizon"]
    churn, other = (
        incidence.filter(_c("cause") == cause).select(
            *at,
            _c("events_so_far").alias(events),
            *(_c(f"incidence{end}").alias(f"{share}{end}") for end in ("", "_lo", "_hi")),
        )
        for cause, events, share in ((CHURN, "events", "cif_churn"), (OTHER_EXIT, "other_exits", "cif_other"))
    )
    return churn.join(other, on=at)


def _standardise(rows: pl.DataFrame, groups: Groups) -> pl.DataFrame:
    """What each group would have lost with everybody's segments, and what its own segments lose everywhere.

    Tenure needs no standardising: the incidence follows every deal from its own day 0.
    """
    weights = rows.group_by(segment_code="segment_code").agg(weight=pl.len().cast(pl.Int64))

    def leave(part: pl.LazyFrame) -> pl.LazyFrame:
        steps = fit_cumulative_incidence(part, ["cell", "segment_code"], causes=(CHURN,)).drop("cause")
        return read_horizons(steps, ["cell", "segment_code"], HORIZONS_DAYS)

    by_segment = groups.summarise(rows, leave).select(
        "cell", "segment_code", "horizon", "n", cif_churn="incidence"
    )
    everybody = groups.cells.filter(_c("dimension") == ALL)["cell"]
    of_all = by_segment.filter(_c("cell").is_in(everybody.implode())).select(
        "segment_code", "horizon", of_all="cif_churn"
    )
    expected = (
        by_segment.join(of_all, on=["segment_code", "horizon"])
        .sort("cell", "horizon", "segment_code")
        .group_by("cell", "horizon", maintain_order=True)
        .agg(
            cif_churn_expected=pl.when(_c("of_all").is_not_null().all()).then(
                (_c("n") * _c("of_all")).sum() / _c("n").sum()
            )
        )
    )
    held = standardise(by_segment, weights, ["cell", "horizon"], ["segment_code"], ["cif_churn"])
    return held.join(expected, on=["cell", "horizon"], how="left")


def _is_reversed() -> pl.Expr:
    """Simpson's reversal against the lowest group of the band."""
    by = ["horizon_days"]
    return disagree(
        _c("cif_churn"), reference_of(_c("cif_churn"), by),
        _c("cif_churn_standardised"), reference_of(_c("cif_churn_standardised"), by),
    )  # fmt: skip


def _hide(sizes: pl.DataFrame, estimates: pl.DataFrame, groups: Groups, always: pl.DataFrame) -> pl.DataFrame:
    counts = estimates.select(*_GROUP, "horizon", *_COUNTS).pivot(
        "horizon", index=_GROUP, values=_COUNTS, separator="_"
    )
    additive = [Additive(f"{name}_{h}", is_size=False) for h in HORIZONS_DAYS for name in _COUNTS]
    cells = sizes.join(counts, on=_GROUP, how="left")
    equations = state_equations(sizes, nested=find_nested(groups))
    # who left on the last day was still at risk on it
    relations = [
        Relation(tuple(f"{name}_{h}" for name in parts), ("n",))
        for h in HORIZONS_DAYS
        for parts in (("at_risk",), ("events", "other_exits"))
    ]
    people, bounds = bound_by_people()
    return hide_small_cells(
        cells,
        pl.concat([equations, tie_people(sizes)], how="diagonal"),
        _GROUP,
        additive=[Additive("n"), *additive, *people],
        relations=[*relations, *bounds],
        always=always,
    ).select([*sizes.columns, "suppressed"])


def _compare_groups(rows: pl.DataFrame, groups: Groups) -> pl.DataFrame:
    """Test per dimension over its known groups; None with fewer than two or without a loss."""
    known = groups.cells.filter(~is_unknown())["cell"].implode()
    found = []
    for name, code in groups.codes.items():
        compared = rows.with_columns(cell=code).filter(_c("cell").is_in(known))
        plain = compare_survival(compared.lazy(), "cell", event="is_churn")["p_value"].item()
        found.append((name, plain, compare_survival_by_seller(compared)))
    schema = {"dimension": pl.String, "log_rank_p": pl.Float64, "log_rank_seller_p": pl.Float64}
    return pl.DataFrame(found, schema=schema, orient="row")
