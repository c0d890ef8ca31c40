"""What a forward-looking seller saw: the expected marginal rate at the end of the pay period (10-definitions, Forward).

The credit still to come is taken from completed periods as they were known at the close: the seller's own, or, where
those are too few, those of everybody on the plan. Which line of pay a deal follows comes with its price (see `pricing`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from assets.core.moments import start_of_day
from assets.incentives.firm import Firm
from assets.incentives.plan_schedules import KEY as SCHEDULE_KEY
from assets.methods.arrivals import (
    ENOUGH,
    Arrivals,
    Rest,
    Stays,
    average_crew,
    average_newest,
    draw_lines,
    join_lines,
)
from assets.methods.exact import whole_cents
from assets.methods.forward import expect_marginal_rate, shape_pay

NO_HISTORY: Final = "no_history"

_SELLER: Final = ("rep_id", "component")
_ALWAYS: Final = -(2**62)  # known before the period ended: known to every deal after it
_NEVER: Final = 2**62
_DAY_US: Final = 86_400_000_000


has_too_little: Final = pl.col("rest_n") < ENOUGH


@dataclass(frozen=True)
class History:
    """Past pay periods of all sellers, as they were known at any time: what forecasts of every seller are read from.

    Attributes:
        periods: every seller-period that ever had a quota: `rep_id`, `component`, `period_start`, `period_end`, `period` (number).
        arrivals: their lines, by `period`.
    """

    periods: pl.DataFrame
    arrivals: Arrivals


_LINE: Final = (
    "quota_amount", "credit_before", "credited_amount", "draw", "target_pay", "days_counted", "days_in_period", "pay_scale",
    "pay_elsewhere", *SCHEDULE_KEY,
)  # fmt: skip
"""What the line of pay of a position follows from."""


def look_back(priced: pl.DataFrame, history: History, firm: Firm) -> pl.DataFrame:
    """The rows that need a forecast, with what their own seller's history tells of the credit still to come.

    Args:
        priced: rows of `price_credits` as known.
        history: of the sellers priced.
        firm: the company's zone.

    Returns:
        `position`, `plan_id`, `zone`, `at_us`, `days_left`, `_LINE`, and `rest_n` (periods), `rest_mean`, `rest_deviation` as a share of quota.
    """
    c = pl.col
    asked = priced.filter(c("emcr").is_not_null(), c("needs_quota"), c("quota_amount") > 0).select(
        "position", "rep_id", "plan_id", "on", *_LINE,
        at_us=c("at").dt.timestamp("us"),
        days_left=(c("period_end") - c("on")).dt.total_days() - 1,
        zone=pl.when("time_known").then("timezone").otherwise(pl.lit(firm.company.timezone)),
    )  # fmt: skip
    ends = history.periods.select(*_SELLER, "period_end", newest="period").sort("period_end")
    firsts = history.periods.group_by(_SELLER).agg(oldest=c("period").min())
    placed = (
        asked.sort("on", "position")
        .join_asof(ends, left_on="on", right_on="period_end", by=list(_SELLER), check_sortedness=False)
        .join(firsts, on=_SELLER, how="left", maintain_order="left")
        .with_columns(c("oldest").fill_null(0))
        .with_columns(newest=pl.coalesce("newest", c("oldest") - 1))
    )
    own = average_newest(
        history.arrivals, *(placed[name].to_numpy() for name in ("newest", "oldest", "at_us", "days_left"))
    )
    return placed.drop("rep_id", "on", "period_end", "newest", "oldest", strict=False).with_columns(
        _as_columns(own)
    )


def forecast(asked: pl.DataFrame, firm: Firm) -> pl.DataFrame:
    """Those of the rows that look back on enough periods, with `emcr_forward`."""
    rows = asked.filter(~has_too_little).sort("state", "position")
    quota = rows["quota_amount"].cast(pl.Float64).to_numpy()
    credit = rows["credited_amount"].cast(pl.Float64).to_numpy()
    rest = rows["rest_mean"].to_numpy() * quota
    middle = rows["credit_before"].cast(pl.Float64).to_numpy() + credit / 2 + rest
    rates = [np.zeros(0)]
    for part in _cut(rows):
        shape = shape_pay(rows[part], firm.book.schedules)
        spread = rows["rest_deviation"].to_numpy()[part] * quota[part]
        rates.append(expect_marginal_rate(shape, middle[part], spread, credit[part]))
    return rows.with_columns(emcr_forward=pl.Series(np.concatenate(rates)).round(8))


def add_forecasts(priced: pl.DataFrame, forecasts: pl.DataFrame) -> pl.DataFrame:
    """Add `emcr_forward` and `forward_null_reason`; a plan that needs no quota needs no forecast."""
    c = pl.col
    is_sale = c("emcr").is_not_null()
    return (
        priced.join(
            forecasts.select("position", "emcr_forward"), on="position", how="left", maintain_order="left"
        )
        .with_columns(
            emcr_forward=pl.when(is_sale & ~c("needs_quota")).then("emcr").otherwise("emcr_forward")
        )
        .with_columns(
            forward_null_reason=pl.when(is_sale & c("emcr_forward").is_null()).then(pl.lit(NO_HISTORY))
        )
    )


_CHUNK: Final = 100_000  # lines of pay in memory at once


def _cut(rows: pl.DataFrame) -> list[slice]:
    """Neighbours on one plan, so that lines of one length are computed together."""
    ends = [*np.flatnonzero(np.diff(rows["state"].to_numpy())) + 1, rows.height]
    begins = [0, *ends[:-1]]
    return [
        slice(i, min(i + _CHUNK, end))
        for begin, end in zip(begins, ends, strict=True)
        for i in range(begin, end, _CHUNK)
    ]


def _as_columns(rest: Rest) -> list[pl.Series]:
    return [
        pl.Series("rest_n", rest.n, dtype=pl.Int64),
        pl.Series("rest_mean", rest.mean, dtype=pl.Float64),
        pl.Series("rest_deviation", rest.deviation, dtype=pl.Float64),
    ]


def list_periods(firm: Firm) -> pl.DataFrame:
    """Completed or not, every pay period of every seller and component that ever had a quota, numbered in time."""
    key = (*_SELLER, "period_end", "period_start")
    return firm.quotas.select(key).unique().sort(key).with_columns(period=pl.int_range(pl.len()))


def read_history(
    news: pl.LazyFrame, firm: Firm, periods: pl.DataFrame, sellers: pl.Series | None = None
) -> History:
    """Past pay periods from the news of credit.

    Args:
        news: of all credit of the sellers, placed (see `news_places`): `rep_id`, `component`, `at`, `on`, `amount` and `currency`,
            `plan_currency`, `fx_policy`, `pieces`, `known`.
        firm: quotas and exchange rates.
        periods: from `list_periods`.
        sellers: whose; None is everybody.
    """
    longest = (
        periods.select((pl.col("period_end") - pl.col("period_start")).dt.total_days().max()).item() or 1
    )
    theirs = periods if sellers is None else periods.join(sellers.to_frame(), on="rep_id", how="semi")
    return History(periods, _read_arrivals(theirs, news, firm, depth=longest - 1))


def join_histories(parts: Sequence[History]) -> History:
    """One history out of those of different sellers, in order of their rep_ids."""
    return History(parts[0].periods, join_lines([part.arrivals for part in parts]))


def _read_arrivals(periods: pl.DataFrame, news: pl.LazyFrame, firm: Firm, depth: int) -> Arrivals:
    """Lines of seller-periods from the news of their credit and their quotas."""
    c = pl.col
    key = [*_SELLER, "period_start", "period_end"]
    versions = firm.quotas.select(*key, "quota_amount", "known_from", "known_until").unique()
    ended = versions.join(
        versions.select(*key, known_until="known_from"), on=[*key, "known_until"], how="anti"
    )
    quotas = pl.concat(
        [
            versions.select(*key, known="known_from", quota=c("quota_amount").cast(pl.Float64) * 100),
            ended.drop_nulls("known_until").select(*key, known="known_until", quota=pl.lit(float("nan"))),
        ]
    ).join(periods, on=key)
    months = (
        firm.quotas.select(*key, "month").unique().join(periods, on=key).select(*_SELLER, "period_start", "period_end", "month", "period")
    )  # fmt: skip
    placed = (
        news.with_columns(month=c("on").dt.month_start())
        .join(months.lazy(), on=[*_SELLER, "month"])
        .filter(c("on") >= c("period_start"), c("on") < c("period_end"))
    )
    told = firm.exchange.convert(placed, "amount", currency="currency").select(
        "period",
        "period_end",
        "known",
        days_left=(c("period_end") - c("on")).dt.total_days() - 1,
        cents=whole_cents(c("amount")).cast(pl.Int64).fill_null(0),
        gaps=pl.when(c("amount").is_null()).then(c("pieces").cast(pl.Int64)).otherwise(0),
        quota=pl.lit(None, dtype=pl.Float64),
    )
    zero = pl.lit(0, dtype=pl.Int64)
    stated = quotas.lazy().select(
        "period", "period_end", "known", days_left=zero, cents=zero, gaps=zero, quota="quota"
    )
    known = c("known").dt.timestamp("us")
    ended_at = c("period_end").cast(pl.Datetime("us")).dt.timestamp("us") - _DAY_US
    lines = (
        pl.concat([told, stated])
        .with_columns(since=pl.when(known > ended_at).then(known).otherwise(_ALWAYS))
        .sort("period", "since", "known", "quota", "days_left", "cents", nulls_last=False)
        .with_columns(c("quota").forward_fill().over("period").fill_null(float("nan")))
        .collect()
    )
    return draw_lines(
        period=lines["period"].to_numpy(),
        known=lines["since"].to_numpy(),
        days_left=lines["days_left"].to_numpy(),
        cents=lines["cents"].to_numpy(),
        gaps=lines["gaps"].to_numpy(),
        quota=lines["quota"].to_numpy(),
        depth=depth,
    )


def look_around(asked: pl.DataFrame, history: History, firm: Firm) -> pl.DataFrame:
    """The rows of `look_back` whose seller has too few periods, with what those of everybody on their plan tell.

    Args:
        asked: from `look_back`; further columns are kept.
        history: of every seller of the plans.
        firm: terms.
    """
    by = ["plan_id", "component", "zone"]
    few = asked.filter(has_too_little)
    # days are told alike within a zone
    crews = few.sort(*by, "position").partition_by(by, maintain_order=True)
    return pl.concat([few.clear(), *(_pool(crew, history.periods, history.arrivals, firm) for crew in crews)])


def _pool(few: pl.DataFrame, periods: pl.DataFrame, arrivals: Arrivals, firm: Firm) -> pl.DataFrame:
    """Averages of everybody on one plan, for the rows of one plan and component whose own seller has too few periods."""
    c = pl.col
    plan, component, zone = (few[name][0] for name in ("plan_id", "component", "zone"))

    def micros(day: str, missing: int) -> pl.Expr:
        return start_of_day(c(day), zone).dt.timestamp("us").fill_null(missing)

    lines = pl.DataFrame({"period": arrivals.period, "known": arrivals.known}).with_columns(
        line=pl.int_range(pl.len()), next=c("known").shift(-1).over("period").fill_null(_NEVER)
    )
    stays = (
        periods.filter(component=component)
        .join(_list_members(firm, plan, micros), on="rep_id")
        .join(lines, on="period")
        .select(
            "line",
            start=c("period_start").cast(pl.Int32).cast(pl.Int64),
            since=pl.max_horizontal("known", micros("period_end", _NEVER), "member_from"),
            until=pl.min_horizontal("next", "member_until"),
        )
        .filter(c("since") < c("until"))
        .sort("start", "since", "line")
    )
    rest = average_crew(
        arrivals,
        Stays(*(stays[name].to_numpy() for name in ("line", "start", "since", "until"))),
        few["at_us"].to_numpy(),
        few["days_left"].to_numpy(),
    )
    return few.with_columns(_as_columns(rest))


def _list_members(firm: Firm, plan: str, micros: Callable[[str, int], pl.Expr]) -> pl.DataFrame:
    """When each seller was known to be on a plan, and on no other: `rep_id`, `member_from`, `member_until` (microseconds)."""
    c = pl.col
    crew = firm.terms.filter(plan_id=plan).select("rep_id").unique()
    terms = (
        firm.terms.join(crew, on="rep_id", how="semi")
        .select(
            "rep_id",
            ours=(c("plan_id") == plan).cast(pl.Int64),
            since=pl.max_horizontal(micros("holds_from", _NEVER), c("known_from").dt.timestamp("us")),
            until=pl.min_horizontal(
                micros("holds_until", _NEVER), c("known_until").dt.timestamp("us").fill_null(_NEVER)
            ),
        )
        .filter(c("since") < c("until"))
    )
    steps = pl.concat(
        [
            terms.select("rep_id", "ours", time="since", plans=pl.lit(1, dtype=pl.Int64)),
            terms.select("rep_id", ours=-c("ours"), time="until", plans=pl.lit(-1, dtype=pl.Int64)),
        ]
    )
    return (
        steps.group_by("rep_id", "time")
        .agg(c("ours", "plans").sum())
        .sort("rep_id", "time")
        .with_columns(
            c("ours", "plans").cum_sum().over("rep_id"), member_until=c("time").shift(-1).over("rep_id")
        )
        .filter(c("ours") == 1, c("plans") == 1)
        .select("rep_id", member_from="time", member_until=c("member_until").fill_null(_NEVER))
    )
