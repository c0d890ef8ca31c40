"""What a forward-looking seller saw: the expected marginal rate at the end of the pay period (10-definitions, Forward).

The credit still to come is taken from completed periods as they were known at the close: the seller's own, or, where
those are too few, those of everybody on the plan. Which line of pay a deal follows comes with its price (see `pricing`).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from assets.incentives.firm import Firm
from assets.methods.arrivals import ENOUGH, Arrivals, Crew, Rest, average_crew, average_newest, draw_lines
from assets.methods.exact import whole_cents
from assets.methods.forward import expect_marginal_rate, shape_pay

NO_HISTORY: Final = "no_history"

_SELLER: Final = ("rep_id", "component")
_ALWAYS: Final = -(2**62)  # known before the period ended: known to every deal after it
_NEVER: Final = 2**62
_DAY_US: Final = 86_400_000_000


def add_forward(priced: pl.DataFrame, news: pl.LazyFrame, firm: Firm) -> pl.DataFrame:
    """Add `emcr_forward` and `forward_null_reason`.

    Args:
        priced: rows of `price_credits` as known, with what `shape_pay` needs, `needs_quota`, `rep_id`, `plan_id`, `on`, `at`,
            `period_end`, `credit_before`.
        news: credit as it became known, placed: `rep_id`, `component`, `at`, `on`, `amount` and `currency`, `plan_currency`, `fx_policy`,
            `pieces`, `known`.
        firm: quotas, terms and exchange rates.
    """
    c = pl.col
    asked = priced.filter(c("emcr").is_not_null(), c("needs_quota"), c("quota_amount") > 0).select(
        "position", *_SELLER, "plan_id", "on", "at",
        days_left=(c("period_end") - c("on")).dt.total_days() - 1,
    )  # fmt: skip
    forecast = _forecast_rest(asked, news, firm).join(priced, on="position", maintain_order="left")
    quota = forecast["quota_amount"].cast(pl.Float64).to_numpy()
    credit = forecast["credited_amount"].cast(pl.Float64).to_numpy()
    rest = forecast["rest_mean"].to_numpy() * quota
    middle = forecast["credit_before"].cast(pl.Float64).to_numpy() + credit / 2 + rest
    rates = [np.zeros(0)]
    for i in range(0, forecast.height, _CHUNK):
        part = slice(i, i + _CHUNK)
        shape = shape_pay(forecast[part], firm.book.schedules)
        spread = forecast["rest_deviation"].to_numpy()[part] * quota[part]
        rates.append(expect_marginal_rate(shape, middle[part], spread, credit[part]))
    found = forecast.select("position", expected=pl.Series(np.concatenate(rates)).round(8))
    is_sale = c("emcr").is_not_null()
    return (
        priced.join(found, on="position", how="left", maintain_order="left")
        .with_columns(emcr_forward=pl.when(is_sale & ~c("needs_quota")).then("emcr").otherwise("expected"))
        .with_columns(
            forward_null_reason=pl.when(is_sale & c("emcr_forward").is_null()).then(pl.lit(NO_HISTORY))
        )
        .drop("expected")
    )


_CHUNK: Final = 200_000  # lines of pay in memory at once


def _forecast_rest(asked: pl.DataFrame, news: pl.LazyFrame, firm: Firm) -> pl.DataFrame:
    """`position`, `rest_mean`, `rest_deviation` of the credit still to come, as a share of quota; no row without history."""
    c = pl.col
    periods = _list_periods(firm)
    arrivals = _read_arrivals(periods, news, firm, int(asked["days_left"].max() or 0))  # type: ignore[arg-type]
    ends = periods.select(*_SELLER, "period_end", newest="period").sort("period_end")
    firsts = periods.group_by(_SELLER).agg(oldest=c("period").min())
    placed = (
        asked.sort("on", "position")
        .join_asof(ends, left_on="on", right_on="period_end", by=list(_SELLER), check_sortedness=False)
        .join(firsts, on=_SELLER, how="left", maintain_order="left")
        .with_columns(at_us=c("at").dt.timestamp("us"), oldest=c("oldest").fill_null(0))
        .with_columns(newest=pl.coalesce("newest", c("oldest") - 1))
    )
    own = average_newest(
        arrivals, *(placed[name].to_numpy() for name in ("newest", "oldest", "at_us", "days_left"))
    )
    few = placed.with_columns(_as_columns(own)).filter(c("rest_n") < ENOUGH)
    pooled = [_pool(crew, periods, arrivals, firm) for _, crew in _crews(few)]
    enough = placed.with_columns(_as_columns(own)).filter(c("rest_n") >= ENOUGH)
    names = ("position", "rest_n", "rest_mean", "rest_deviation")
    return (
        pl.concat([enough.select(names), *(p.select(names) for p in pooled)])
        .filter(c("rest_n") >= ENOUGH)
        .sort("position")
        .drop("rest_n")
    )


def _as_columns(rest: Rest) -> list[pl.Series]:
    return [
        pl.Series("rest_n", rest.n, dtype=pl.Int64),
        pl.Series("rest_mean", rest.mean, dtype=pl.Float64),
        pl.Series("rest_deviation", rest.deviation, dtype=pl.Float64),
    ]


def _list_periods(firm: Firm) -> pl.DataFrame:
    """Completed or not, every pay period of every seller and component that ever had a quota, numbered in time."""
    key = (*_SELLER, "period_end", "period_start")
    return firm.quotas.select(key).unique().sort(key).with_columns(period=pl.int_range(pl.len()))


def _read_arrivals(periods: pl.DataFrame, news: pl.LazyFrame, firm: Firm, depth: int) -> Arrivals:
    """Lines of all seller-periods from the news of their credit and their quotas."""
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


def _crews(few: pl.DataFrame) -> list[tuple[tuple[object, ...], pl.DataFrame]]:
    return list(
        few.sort("plan_id", "component", "position").group_by("plan_id", "component", maintain_order=True)
    )


def _pool(few: pl.DataFrame, periods: pl.DataFrame, arrivals: Arrivals, firm: Firm) -> pl.DataFrame:
    """Averages of everybody on one plan, for the rows of one plan and component whose own seller has too few periods."""
    c = pl.col
    plan, component = few["plan_id"][0], few["component"][0]
    on_plan = firm.terms.filter(plan_id=plan)
    terms = (
        firm.terms.join(on_plan.select("rep_id").unique(), on="rep_id", how="semi")
        .with_columns(seller=c("rep_id").rank("dense").cast(pl.Int64))
        .sort("seller", "term")
    )
    sellers = terms.select("rep_id", "seller").unique()
    crew = Crew(
        seller=terms["seller"].to_numpy(),
        is_on_plan=(terms["plan_id"] == plan).to_numpy(),
        holds_from=_days(terms["holds_from"], 0),
        holds_until=_days(terms["holds_until"], _NEVER),
        known_from=_micros(terms["known_from"], 0),
        known_until=_micros(terms["known_until"], _NEVER),
    )
    theirs = (
        periods.filter(component=component)
        .join(sellers, on="rep_id")
        .sort("period_start", "seller", "period")
    )
    numbers = theirs["period"].to_numpy()
    # between two times at which anything about the crew became known all deals of a day see the same
    lines = np.isin(arrivals.period, numbers) & (arrivals.known > _ALWAYS)
    events = np.unique(np.concatenate([arrivals.known[lines], crew.known_from, crew.known_until]))
    state = pl.Series("state", np.searchsorted(events, few["at_us"].to_numpy(), side="right"))
    seen = few.drop("rest_n", "rest_mean", "rest_deviation").with_columns(state, day=_as_days("on"))
    moments = (
        seen.group_by("day", "days_left", "state").agg(c("at_us").min()).sort("day", "days_left", "state")
    )
    rest = average_crew(
        arrivals,
        crew,
        (
            numbers,
            theirs["seller"].to_numpy(),
            _days(theirs["period_start"], 0),
            _days(theirs["period_end"], 0),
        ),
        (moments["day"].to_numpy(), moments["at_us"].to_numpy(), moments["days_left"].to_numpy()),
    )
    return seen.join(moments.drop("at_us").with_columns(_as_columns(rest)), on=["day", "days_left", "state"])


def _as_days(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.Int32).cast(pl.Int64)


def _days(dates: pl.Series, missing: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return dates.cast(pl.Int32).cast(pl.Int64).fill_null(missing).to_numpy()


def _micros(times: pl.Series, missing: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return times.dt.timestamp("us").fill_null(missing).to_numpy()
