"""Needs that customers voiced: who heard them, how many nobody heard, and how many were met."""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.company import Company
from assets.core.deals import fiscal_quarter
from assets.evidence.dimensions import ALL
from assets.evidence.protection import Additive, Relation
from assets.evidence.suppression import blank, hide_small_cells
from assets.methods.capture_recapture import LEAST_BOTH, estimate_total
from assets.methods.rates import estimate_share
from assets.voice.hops import REFUSALS, observation_end
from assets.voice.themes import replace_theme, resolve_themes

WINDOW_DAYS: Final = 90
"""A need counts as heard by those who wrote it down within so many days of its being voiced first."""
MET_DAYS: Final = 365
SELLER: Final = "seller"
UNKNOWN: Final = "unknown"
CELL: Final = ["dimension", "value", "quarter", "solicitation"]
NEED: Final = ["account_id", "theme_id", "solicitation"]
GROUPS: Final = {"segment": "segment", "intensity_band": "intensity_band", "emcr_quintile": "emcr_quintile"}
CAVEAT: Final = "assumes that who tells a seller is no likelier to tell others; where they are likelier, there are more needs than this"

_c = pl.col
_COUNTS: Final = ("needs_by_sellers", "needs_by_others", "needs_by_both")
_RELATIONS: Final = (
    # every need is heard by sellers, by others, or by both
    Relation(("needs_by_sellers", "needs_by_others"), ("n", "needs_by_both"), is_equal=True),
    *(Relation(("needs_by_both",), (name,)) for name in ("needs_by_sellers", "needs_by_others")),
    Relation(("n_accounts",), ("n",)),
    Relation(("needs_met",), ("needs_watched",)),
    Relation(("needs_watched",), ("n",)),
)


def list_needs(
    *,
    feedback: pl.LazyFrame,
    themes: pl.LazyFrame,
    customer_events: pl.LazyFrame,
    feedback_hops: pl.LazyFrame,
    deal_outcomes: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """One row per need: an account's unmet need on a theme, asked for or not.

    Returns:
        `NEED`, `quarter` (fiscal, of the day it was voiced first), the columns of `GROUPS` (of the deal that the first item is about),
        `rep_id`, `by_sellers`, `by_others` (written down within 90 days), `met_days` (days from the first capture until
        something shipped for it, or the customer said so; null: not yet) and `watched_days` (from the first capture to the end of
        observation). Items without a theme, an account, or a word on who heard them can't be matched and are left out; so are needs whose 90
        days are not over: a young need has had less time to be heard twice.
    """
    end = pl.lit(observation_end(company, "feedback"))
    attributed = customer_events.filter(_c("kind") == "feedback").select(
        "account_id", "opportunity_id", feedback_id="event_id"
    )
    shipped = feedback_hops.filter(
        (_c("hop") == "shipped") & ~_c("censored") & ~_c("outcome").is_in(REFUSALS).fill_null(value=False)
    ).select("feedback_id", shipped_at="left_at")
    solicitation = (
        pl.when("solicited").then(pl.lit("solicited")).when(~_c("solicited")).then(pl.lit("unsolicited"))
    )
    items = (
        feedback.select(
            "feedback_id",
            "theme_id",
            "source",
            "need",
            "captured_at",
            said_at=pl.coalesce("expressed_at", "captured_at"),
            solicitation=solicitation.otherwise(pl.lit(UNKNOWN)),
        )
        .join(attributed, on="feedback_id", how="left")
        .join(shipped, on="feedback_id", how="left")
        .pipe(replace_theme, resolve_themes(themes))
        .filter(_c("theme_id").is_not_null() & _c("account_id").is_not_null())
    )
    unmet = items.filter((_c("need") == "unmet") & _c("source").is_not_null()).with_columns(
        _first=_c("said_at").min().over(NEED)
    )
    in_time = (_c("captured_at") - _c("_first")) <= pl.duration(days=WINDOW_DAYS)
    is_seller = _c("source") == SELLER
    needs = (
        unmet.filter(_c("_first") + pl.duration(days=WINDOW_DAYS) <= end)
        .sort("said_at", "feedback_id")
        .group_by(NEED, maintain_order=True)
        .agg(
            _c("_first").first(),
            _c("opportunity_id").first(),
            by_sellers=(is_seller & in_time).any(),
            by_others=(~is_seller & in_time).any(),
            _captured=_c("captured_at").min(),
            _shipped=_c("shipped_at").min(),
        )
        .filter(_c("by_sellers") | _c("by_others"))
    )
    said_met = (
        items.filter(_c("need") == "met")
        .select("account_id", "theme_id", _said_met="captured_at")
        .join(needs.select(*NEED, "_captured"), on=["account_id", "theme_id"], how="inner")
        .filter(_c("_said_met") > _c("_captured"))
        .group_by(NEED)
        .agg(_c("_said_met").min())
    )
    deals = deal_outcomes.select(
        "opportunity_id", "rep_id", *(_c(c).cast(pl.String) for c in GROUPS.values())
    )
    met_at = pl.min_horizontal("_shipped", "_said_met")
    first_day = _c("_first").dt.convert_time_zone(company.timezone).dt.date()
    return (
        needs.join(said_met, on=NEED, how="left")
        .join(deals, on="opportunity_id", how="left")
        .select(
            *NEED,
            *(_c(c).fill_null(UNKNOWN) for c in GROUPS.values()),
            "rep_id",
            "by_sellers",
            "by_others",
            quarter=fiscal_quarter(first_day, company.fiscal_start_month),
            met_days=(met_at - _c("_captured")).dt.total_days(),
            watched_days=(end - _c("_captured")).dt.total_days(),
        )
    )


def estimate_needs(needs: pl.LazyFrame) -> pl.DataFrame:
    """Counts and estimates per cell.

    Args:
        needs: from `list_needs`.

    Returns:
        The columns of the contract UNMET_NEEDS, sorted. There is no row for solicited and unsolicited needs together.
    """
    rows = needs.collect()
    groups = [rows.with_columns(dimension=pl.lit(ALL), value=pl.lit(ALL))]
    groups += [rows.with_columns(dimension=pl.lit(d), value=_c(column)) for d, column in GROUPS.items()]
    placed = pl.concat(groups)
    placed = pl.concat([placed, placed.with_columns(quarter=pl.lit(ALL))])
    by_sellers, both = _c("by_sellers").sum(), (_c("by_sellers") & _c("by_others")).sum()
    watched = _c("watched_days") >= MET_DAYS
    in_time = (_c("met_days") <= MET_DAYS).fill_null(value=False)
    cells = (
        placed.group_by(CELL)
        .agg(
            n=pl.len().cast(pl.Int64),
            n_accounts=_c("account_id").n_unique().cast(pl.Int64),
            n_sellers=_c("rep_id").drop_nulls().n_unique().cast(pl.Int64),
            needs_by_sellers=by_sellers.cast(pl.Int64),
            needs_by_others=_c("by_others").sum().cast(pl.Int64),
            needs_by_both=both.cast(pl.Int64),
            needs_watched=watched.sum().cast(pl.Int64),
            needs_met=(watched & in_time).sum().cast(pl.Int64),
        )
        .sort(CELL)
    )
    additive = [
        Additive("n"),
        # a customer has one segment
        Additive("n_accounts", families=("segment",)),
        *(Additive(name, is_size=False) for name in (*_COUNTS, "needs_watched", "needs_met")),
    ]
    hidden = hide_small_cells(cells, _state_equations(cells), CELL, additive=additive, relations=_RELATIONS)
    return _add_estimates(hidden)


def _add_estimates(cells: pl.DataFrame) -> pl.DataFrame:
    heard, others, both = (cells[name].to_numpy() for name in _COUNTS)
    total = estimate_total(heard, others, both)
    met = estimate_share(cells["needs_met"].to_numpy(), cells["needs_watched"].to_numpy())
    can_tell = _c("needs_by_both") >= LEAST_BOTH
    told = {
        "needs_estimate": total.estimate,
        "needs_estimate_lo": total.lo,
        "needs_estimate_hi": total.hi,
        "seller_capture_rate": heard / total.estimate,
        "seller_capture_rate_lo": heard / total.hi,
        "seller_capture_rate_hi": heard / total.lo,
    }
    shares = {"met_365d": met.estimate, "met_365d_lo": met.lo, "met_365d_hi": met.hi}
    numbers = [*told, *shares, *_COUNTS, "n", "n_accounts", "n_sellers", "needs_watched", "needs_met"]
    return (
        cells.with_columns(
            *(pl.when(can_tell).then(pl.Series(v)).fill_nan(None).alias(name) for name, v in told.items()),
            *(pl.Series(name, v, dtype=pl.Float64).fill_nan(None) for name, v in shares.items()),
            needs_null_reason=pl.when(~can_tell).then(pl.lit("too_few_heard_by_both")),
            needs_caveat=pl.lit(CAVEAT),
        )
        .with_columns(
            pl.selectors.float().round(8),
            needs_null_reason=pl.when("suppressed").then(pl.lit("few_people")).otherwise("needs_null_reason"),
        )
        .lazy()
        .pipe(blank, numbers)
        .collect()
        .sort(CELL)
    )


def _state_equations(cells: pl.DataFrame) -> pl.DataFrame:
    """Groups add up to all needs, quarters to the whole time; every need has one group and one quarter."""
    parts = [
        cells.select(
            *CELL,
            equation=pl.concat_str(pl.lit("quarters"), "dimension", "value", "solicitation", separator="\t"),
            family=pl.lit("quarters"),
            is_total=_c("quarter") == ALL,
        )
    ]
    parts += [
        cells.filter(_c("dimension").is_in([ALL, dimension])).select(
            *CELL,
            equation=pl.concat_str(pl.lit(dimension), "quarter", "solicitation", separator="\t"),
            family=pl.lit(dimension),
            is_total=_c("dimension") == ALL,
        )
        for dimension in GROUPS
    ]
    return pl.concat(parts)
