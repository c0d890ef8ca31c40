"""Where feedback waits: from the customer who said it to the people who decide, hop by hop.

The way is expressed - captured - triaged - decided - shipped - told back; the board sees an item in parallel, from its
capture on. An item has one row per hop it entered. Who sold to the customer is not looked at here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from assets.company import Company
from assets.methods.calendar import count_business_days
from assets.voice.themes import replace_theme, resolve_themes

WAY: Final = ("expressed", "captured", "triaged", "decided", "shipped", "told_back")
BOARD: Final = "board_seen"
REFUSALS: Final = ("declined", "duplicate")
MICROSECONDS_PER_DAY: Final = 86_400_000_000

_c = pl.col
_ITEM: Final = ("feedback_id", "opportunity_id", "account_id", "solicited", "region")


def follow_feedback(
    *,
    feedback: pl.LazyFrame,
    feedback_events: pl.LazyFrame,
    board_reports: pl.LazyFrame,
    themes: pl.LazyFrame,
    holidays: pl.LazyFrame,
    customer_events: pl.LazyFrame,
    deals: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """Turn moments into hops: entered, left or still waiting.

    Args:
        feedback: core table; captured items.
        feedback_events: core table; where they went.
        board_reports: core table.
        themes: core table; merged themes count as the one that survives.
        holidays: core table.
        customer_events: core table; which deal an item is about.
        deals: core table; the deal's region, whose holidays count.
        company: `as_of`, `complete_until`, `timezone`.

    Returns:
        The columns of the contract FEEDBACK_HOPS.

    A hop is entered at the time of the nearest hop before it on the way whose time is not later, and left at its own
    first occurrence; hops in between without a time have no row and are counted in `skipped_before`. An item waits at
    most for one next hop: the nearest one that this firm records at all. A refusal (declined, duplicate) of an item that
    never shipped ends hop `shipped` at that moment: `left_at` with the refusal as `outcome`; it was not shipped. Working
    days are counted with the holidays of the region of the item's deal, else with weekends only.
    """
    events = feedback_events.filter(_c("occurred_at") < observation_end(company, "feedback_events"))
    recorded = set(events.select(_c("hop").unique()).collect()["hop"].drop_nulls())
    has_board = BOARD in recorded or not board_reports.limit(1).collect().is_empty()
    # a row per item, worked out once: every hop below is cut from it
    items = (
        _gather_moments(
            feedback=feedback,
            events=events,
            board_reports=board_reports,
            themes=themes,
            customer_events=customer_events,
            deals=deals,
            company=company,
        )
        .collect()
        .lazy()
    )
    end = observation_end(company, "feedback_events")
    hops = [_left(items, i) for i, hop in enumerate(WAY) if hop == "captured" or (i > 1 and hop in recorded)]
    hops.append(_waiting(items, [i for i, hop in enumerate(WAY) if i > 1 and hop in recorded]))
    if has_board:
        hops.append(_board(items))
    free = _list_holidays(holidays)
    board_end = hop_end(company, BOARD)
    return (
        pl.concat(hops)
        .with_columns(_end=pl.when(_c("hop") == BOARD).then(pl.lit(board_end)).otherwise(pl.lit(end)))
        .filter(_c("left_at").is_not_null() | (_c("entered_at") < _c("_end")))
        .with_columns(
            censored=_c("left_at").is_null(),
            _until=_c("left_at").fill_null(_c("_end")),
            _last_day=_local_day(company, _c("left_at").fill_null(_c("_end"))),
            _first_day=_local_day(company, _c("entered_at")),
        )
        .with_columns(
            days=(_c("_until") - _c("entered_at"))
            .dt.total_microseconds()
            .map_batches(_divide_exactly, return_dtype=pl.Float64, is_elementwise=True),
            business_days=count_business_days(_c("_first_day"), _c("_last_day"), free, _c("region")),
        )
        .select(
            "feedback_id", "hop", "opportunity_id", "account_id", "solicited", "entered_at", "left_at", "days",
            "business_days", "censored", "outcome", "skipped_before",
        )
    )  # fmt: skip


def observation_end(company: Company, source: str) -> datetime:
    """First moment (UTC) after the last day, in the company's zone, that the source is known to be complete for."""
    last: date = min(company.as_of, company.complete_until.get(source, company.as_of))
    return datetime.combine(last + timedelta(days=1), time(), ZoneInfo(company.timezone)).astimezone(UTC)


def hop_end(company: Company, hop: str) -> datetime:
    """First moment after the last day on which an arrival at a hop behind the capture would have been seen."""
    end = observation_end(company, "feedback_events")
    return min(end, observation_end(company, "board_reports")) if hop == BOARD else end


def _divide_exactly(microseconds: pl.Series) -> pl.Series:
    """Days as the nearest floats: polars divides by a constant one way in a vector and another way at its end."""
    return pl.Series(microseconds.to_numpy() / MICROSECONDS_PER_DAY).fill_nan(None)


def _local_day(company: Company, moment: pl.Expr) -> pl.Expr:
    return moment.dt.convert_time_zone(company.timezone).dt.date()


def _list_holidays(holidays: pl.LazyFrame) -> dict[str, list[date]]:
    days = holidays.group_by("region").agg(_c("date").unique().sort()).sort("region").collect()
    return dict(zip(days["region"].to_list(), days["date"].to_list(), strict=True))


def _gather_moments(
    *,
    feedback: pl.LazyFrame,
    events: pl.LazyFrame,
    board_reports: pl.LazyFrame,
    themes: pl.LazyFrame,
    customer_events: pl.LazyFrame,
    deals: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """One row per item: its deal, and the moment of every step of the way (first occurrence)."""
    firsts = [
        _c("occurred_at").filter(_c("hop") == hop).min().alias(hop) for hop in (*WAY[2:4], WAY[5], BOARD)
    ]
    refused = _c("outcome").is_in(REFUSALS).fill_null(value=False)
    moments = (
        # equal moments: the words decide, so that row order never does
        events.sort("feedback_id", "occurred_at", "hop", "outcome", nulls_last=True)
        .group_by("feedback_id", maintain_order=True)
        .agg(
            *firsts,
            _c("occurred_at").filter((_c("hop") == "shipped") & ~refused).min().alias("shipped_at"),
            _c("occurred_at").filter(refused).min().alias("refused_at"),
            _c("outcome").filter(refused).first().alias("refusal"),
            _c("outcome").filter(_c("hop") == "triaged").first().alias("triaged_outcome"),
            _c("outcome").filter(_c("hop") == "decided").first().alias("decided_outcome"),
        )
    )
    attributed = customer_events.filter(_c("kind") == "feedback").select(
        _c("event_id").alias("feedback_id"), "account_id", "opportunity_id"
    )
    return (
        feedback.select(
            "feedback_id",
            "theme_id",
            "solicited",
            _c("expressed_at").alias("expressed"),
            _c("captured_at").alias("captured"),
        )
        .join(attributed, on="feedback_id", how="left")
        .join(deals.select("opportunity_id", "region"), on="opportunity_id", how="left")
        .join(moments, on="feedback_id", how="left")
        .with_columns(
            shipped=pl.coalesce("shipped_at", "refused_at"),
            shipped_outcome=pl.when(_c("shipped_at").is_null()).then("refusal"),
        )
        .pipe(_add_board_reports, board_reports, themes, observation_end(company, "board_reports"))
    )


def _add_board_reports(
    items: pl.LazyFrame, board_reports: pl.LazyFrame, themes: pl.LazyFrame, end: datetime
) -> pl.LazyFrame:
    """`board_seen`: the first event of that name, or the first report after capture that names the item's theme."""
    surviving = resolve_themes(themes)
    reports = (
        board_reports.filter(_c("sent_at") < end)
        .select("sent_at", _c("theme_ids").alias("theme_id"))
        .explode("theme_id", empty_as_null=False, keep_nulls=False)
        .pipe(replace_theme, surviving)
        .unique()
    )
    seen = (
        items.select("feedback_id", "theme_id", "captured")
        .pipe(replace_theme, surviving)
        .join(reports, on="theme_id", how="inner")
        .filter(_c("sent_at") >= _c("captured"))
        .group_by("feedback_id")
        .agg(reported=_c("sent_at").min())
    )
    event = pl.when(_c(BOARD) >= _c("captured")).then(BOARD)
    return items.join(seen, on="feedback_id", how="left").with_columns(
        pl.min_horizontal(event, "reported").alias(BOARD)
    )


def _hop(hop: str, entered: pl.Expr, left: pl.Expr, skipped: pl.Expr, outcome: pl.Expr) -> list[pl.Expr]:
    return [
        *map(_c, _ITEM),
        pl.lit(hop).alias("hop"),
        entered.alias("entered_at"),
        left.alias("left_at"),
        skipped.cast(pl.Int64).alias("skipped_before"),
        outcome.cast(pl.String).alias("outcome"),
    ]


def _left(items: pl.LazyFrame, place: int) -> pl.LazyFrame:
    """Rows of the hop that ends at WAY[place], of items that got there."""
    hop = WAY[place]
    before = range(place - 1, -1, -1)  # nearest first
    is_earlier = {j: _c(WAY[j]) <= _c(hop) for j in before}
    entered = pl.coalesce(pl.when(is_earlier[j]).then(_c(WAY[j])) for j in before)
    skipped = pl.coalesce(pl.when(is_earlier[j]).then(pl.lit(place - 1 - j)) for j in before)
    known = hop in ("triaged", "decided", "shipped")
    outcome = _c(f"{hop}_outcome") if known else pl.lit(None, pl.String)
    return items.filter(_c(hop).is_not_null()).select(_hop(hop, entered, _c(hop), skipped, outcome)).filter(
        _c("entered_at").is_not_null()
    )  # fmt: skip


def _waiting(items: pl.LazyFrame, recorded: Sequence[int]) -> pl.LazyFrame:
    """The one hop, of those the firm records, that each item waits for: the first after the furthest it reached."""
    furthest = pl.coalesce(
        pl.when(_c(WAY[j]).is_not_null()).then(pl.lit(j)) for j in range(len(WAY) - 1, 0, -1)
    )
    reached_at = pl.coalesce(_c(WAY[j]) for j in range(len(WAY) - 1, 0, -1))
    nothing = pl.lit(None, pl.Datetime("us", "UTC"))
    waiting = items.with_columns(_furthest=furthest, _reached_at=reached_at)
    earlier = [-1, *recorded][: len(recorded)]
    parts = [
        waiting.filter((_c("_furthest") < place) & (_c("_furthest") >= max(1, previous))).select(
            _hop(WAY[place], _c("_reached_at"), nothing, place - 1 - _c("_furthest"), pl.lit(None, pl.String))
        )
        for previous, place in zip(earlier, recorded, strict=True)
    ]
    empty = waiting.limit(0).select(
        _hop("", _c("_reached_at"), nothing, _c("_furthest"), pl.lit(None, pl.String))
    )
    return pl.concat([empty, *parts])


def _board(items: pl.LazyFrame) -> pl.LazyFrame:
    return items.select(_hop(BOARD, _c("captured"), _c(BOARD), pl.lit(0), pl.lit(None, pl.String)))
