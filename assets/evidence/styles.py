"""How teams sell: how much they press, how much they ask and listen, and one composite of it with all its parts."""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.company import Company
from assets.core.deals import fiscal_quarter
from assets.core.directory import Directory
from assets.evidence.dimensions import ALL
from assets.evidence.protection import Additive
from assets.evidence.seasons import add_seasons
from assets.evidence.suppression import blank, hide_small_cells
from assets.methods.disclosure import MIN_SELLERS
from assets.voice.hops import observation_end

CELL: Final = ["team", "quarter"]
UNKNOWN: Final = "unknown"
LISTENING_CHANNELS: Final = ("meeting", "demo", "visit")
SIGNS: Final = {
    "outbound_pressure": 1,
    "calls_per_account_month": 1,
    "touches_after_refusal_share": 1,
    "discovery_share": -1,
    "needs_per_deal": -1,
    "month_end_extra_discount": 1,
    "sustained_effort": -1,
}
"""Parts of the composite: 1 where more of it is harder selling, -1 where it is softer. All weigh alike."""

_COUNTS: Final = ("unasked", "listening", "needs")
"""What can be worked out from the shares shown, and adds up over teams."""

_c = pl.col
_UNIT: Final = 10**8


def count_contacts(
    activities: pl.LazyFrame, accounts: pl.LazyFrame, teams: pl.LazyFrame, company: Company
) -> pl.LazyFrame:
    """Activities per cell.

    Args:
        activities: core table.
        accounts: core table, for merges and zones.
        teams: `rep_id`, `team`.
        company: fiscal year, sources.

    Returns:
        `CELL`, `n` (activities), `n_accounts`, `n_sellers`, `outbound_pressure`, `calls_per_account_month`, `touches_after_refusal_share`,
        `discovery_share`, `sustained_effort`: null where the source lacks the column or the quarter is not over. An account-month is an
        account with any activity of the team in a calendar month.
    """
    outbound = (_c("direction") == "outbound").fill_null(value=False)
    monthly = (
        Directory.of(accounts, company)
        .resolve(
            activities.filter(_c("account_id").is_not_null()).select(
                "account_id", "rep_id", "occurred_at", "channel", "direction", "solicited", "opted_out"
            ),
            {"day": "occurred_at"},
        )
        .join(teams, on="rep_id", how="left")
        .group_by(_c("team").fill_null(UNKNOWN), "rep_id", "account_id", month=_c("day").dt.month_start())
        .agg(
            n=pl.len().cast(pl.Int64),
            outbound=outbound.sum().cast(pl.Int64),
            unasked=(outbound & ~_c("solicited").fill_null(value=False)).sum().cast(pl.Int64),
            calls=(outbound & (_c("channel") == "call")).sum().cast(pl.Int64),
            refused=(outbound & _c("opted_out").fill_null(value=False)).sum().cast(pl.Int64),
            listening=_c("channel").is_in(LISTENING_CHANNELS).sum().cast(pl.Int64),
        )
    )
    start = company.fiscal_start_month
    is_last = (_c("month").dt.month().cast(pl.Int32) - start) % 3 == 2
    last_month = _c("month").dt.offset_by(
        pl.format("{}mo", 2 - (_c("month").dt.month().cast(pl.Int32) - start) % 3)
    )
    placed = _in_every_team(
        monthly.with_columns(
            quarter=fiscal_quarter(_c("month"), start),
            _last=pl.when(is_last).then("outbound").otherwise(0),
            _over=last_month.dt.month_end() < pl.lit(observation_end(company, "activities").date()),
        )
    )
    has = {name: pl.lit(company.has("activities", name)) for name in ("direction", "channel", "opted_out")}

    def over(part: pl.Expr, whole: pl.Expr, *needs: str) -> pl.Expr:
        known = pl.all_horizontal(whole > 0, *(has[name] for name in needs))
        return pl.when(known).then(part / whole)

    return placed.group_by(CELL).agg(
        n=_c("n").sum(),
        n_accounts=_c("account_id").n_unique().cast(pl.Int64),
        n_sellers=_c("rep_id").n_unique().cast(pl.Int64),
        unasked=_c("unasked").sum(),
        listening=_c("listening").sum(),
        outbound_pressure=over(_c("unasked").sum(), _c("n").sum(), "direction"),
        calls_per_account_month=over(
            _c("calls").sum(), pl.struct("account_id", "month").n_unique(), "direction", "channel"
        ),
        touches_after_refusal_share=over(_c("refused").sum(), _c("outbound").sum(), "direction", "opted_out"),
        discovery_share=over(_c("listening").sum(), _c("n").sum(), "channel"),
        sustained_effort=pl.when(_c("_over").all()).then(
            over(_c("outbound").sum(), 3 * _c("_last").sum(), "direction")
        ),
    )


def count_needs(
    feedback: pl.LazyFrame, deal_outcomes: pl.LazyFrame, teams: pl.LazyFrame, company: Company
) -> pl.LazyFrame:
    """Deals won per cell, needs that their sellers recorded, and how much more discount the end of the month brings.

    Returns:
        `CELL`, `won_deals`, `needs_per_deal` (unsolicited feedback with a word on the need, written down by the team's sellers in the
        quarter, per deal won in it), `month_end_extra_discount` (mean discount of deals in the last five days of a month less that of
        the others).
    """
    start = company.fiscal_start_month
    captured = _c("captured_at").dt.convert_time_zone(company.timezone).dt.date()
    needs = (
        feedback.filter(
            (_c("source") == "seller") & _c("need").is_not_null() & ~_c("solicited").fill_null(value=False)
        )
        .select("rep_id", quarter=fiscal_quarter(captured, start))
        .join(teams, on="rep_id", how="left")
        .select(_c("team").fill_null(UNKNOWN), "quarter")
        .pipe(_in_every_team)
        .group_by(CELL)
        .agg(_needs=pl.len().cast(pl.Int64))
    )
    units = (_c("discount_share") * _UNIT).round().cast(pl.Int64)
    late = _c("month_end").fill_null(value=False)

    def mean(which: pl.Expr) -> pl.Expr:
        known = units.filter(which & _c("discount_share").is_not_null())
        return pl.when(known.len() > 0).then(known.sum() / known.len() / _UNIT)

    deals = (
        deal_outcomes.filter(_c("closed_on").is_not_null())
        .select("rep_id", "discount_share", "month_end", quarter=fiscal_quarter(_c("closed_on"), start))
        .join(teams, on="rep_id", how="left")
        .with_columns(_c("team").fill_null(UNKNOWN))
        .pipe(_in_every_team)
        .group_by(CELL)
        .agg(won_deals=pl.len().cast(pl.Int64), month_end_extra_discount=mean(late) - mean(~late))
    )
    can_tell = pl.lit(company.has("feedback", "source") and company.has("feedback", "need"))
    return deals.join(needs, on=CELL, how="left").select(
        *CELL,
        "won_deals",
        "month_end_extra_discount",
        needs=_c("_needs").fill_null(0),
        needs_per_deal=pl.when(can_tell).then(_c("_needs").fill_null(0) / _c("won_deals")),
    )


def _in_every_team(rows: pl.LazyFrame) -> pl.LazyFrame:
    return pl.concat([rows, rows.with_columns(team=pl.lit(ALL))])


def compose_styles(cells: pl.DataFrame, quarters: pl.DataFrame | None = None) -> pl.DataFrame:
    """Hide small teams, then put the parts together.

    Args:
        cells: `CELL`, the counts of `count_contacts` and `count_needs`, the parts named in `SIGNS`.
        quarters: `quarter` of deals that other tables hide: the firm's deals of it stay hidden here, too.

    Returns:
        The columns of the contract SELLING_STYLE, sorted. Each part is set against the mean and standard deviation of all team-quarters
        shown and takes its sign; the composite is the mean of the parts that the firm's sources can tell (`composite_parts` of them,
        each of weight `composite_weight`), null in a cell that lacks one of them: then it would not compare.
    """
    hidden = _hide(cells, quarters).sort(CELL)
    shown = _c("suppressed").not_() & (_c("team") != ALL)
    scaled = hidden.with_columns(pl.selectors.float().round(8))
    told = []
    for name, sign in SIGNS.items():
        values = scaled.filter(shown)[name].drop_nulls().sort()
        spread = values.std() if values.len() > 1 else None
        if isinstance(spread, float) and spread > 0:
            told.append(name)
            scaled = scaled.with_columns((sign * (_c(name) - values.mean()) / spread).alias(f"{name}_part"))
        else:
            scaled = scaled.with_columns(pl.lit(None, pl.Float64).alias(f"{name}_part"))
    weight = 1 / len(told) if told else None
    parts = [_c(f"{name}_part") for name in told]
    composite = (
        pl.when(pl.all_horizontal(p.is_not_null() for p in parts)).then(pl.sum_horizontal(parts) * weight)
        if parts
        else pl.lit(None, pl.Float64)
    )
    numbers = [
        *SIGNS,
        *(f"{name}_part" for name in SIGNS),
        "style_composite",
        "won_deals",
        "n",
        "n_accounts",
        "n_sellers",
    ]
    return (
        scaled.with_columns(
            style_composite=composite,
            composite_parts=pl.lit(len(told), pl.Int64),
            composite_weight=pl.lit(weight, pl.Float64),
        )
        .with_columns(pl.selectors.float().round(8) + 0.0)
        .lazy()
        .pipe(blank, numbers)
        .collect()
    )


def _hide(cells: pl.DataFrame, quarters: pl.DataFrame | None) -> pl.DataFrame:
    """Mark team-quarters that stay hidden. Teams add up to the firm, and `sales_rhythm` knows the sums over seasons of each team."""
    equations = cells.select(*CELL, equation="quarter", family=pl.lit("teams"), is_total=_c("team") == ALL)
    counts = [name for name in _COUNTS if name in cells.columns]
    cells = cells.with_columns(cohort_deals="won_deals", is_hidden_cohort=pl.lit(value=False))
    always = None
    if quarters is not None:
        always = quarters.select(team=pl.lit(ALL), quarter="quarter")
        hidden = pl.struct(CELL).is_in(always.select(pl.struct(CELL).alias("cell"))["cell"].implode())
        cells = cells.with_columns(is_hidden_cohort=hidden)
    seasons, sums = add_seasons(cells, "quarter", ["team"], ["n", "won_deals", "cohort_deals", *counts])
    marked = hide_small_cells(
        pl.concat([cells.with_columns(is_known=pl.lit(value=False)), seasons], how="diagonal_relaxed"),
        pl.concat([equations, sums.select(equations.columns)]),
        CELL,
        additive=[
            Additive("n"),
            Additive("n_sellers", families=("teams",), least=MIN_SELLERS),  # a seller has one team
            *(Additive(name, is_size=False) for name in ("won_deals", *counts)),
            # the deals of a quarter that other tables hide are those of its teams
            Additive("cohort_deals", of="is_hidden_cohort"),
        ],
        always=always,
    )
    cells = cells.drop("cohort_deals", "is_hidden_cohort")
    return cells.join(marked.select(*CELL, "suppressed"), on=CELL, how="left")
