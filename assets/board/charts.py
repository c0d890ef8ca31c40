"""Pictures of the marts as SVG text, each with words that say the same. altair and vl-convert are loaded when drawn.

What a picture shows is as public as the page it stands on: bars of too few people are left out and said to be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from assets.evidence.dimensions import UNKNOWN
from assets.evidence.protection import Additive
from assets.evidence.suppression import count_people, hide_small_cells
from assets.methods.disclosure import MIN_ACCOUNTS, MIN_SELLERS
from assets.methods.rates import estimate_rate

INK: Final = "#1b2430"
ACCENT: Final = "#1f5f8b"
SOFT: Final = "#9fb8c9"
WIDTH: Final = 520
HEIGHT: Final = 240
DAYS_PER_MONTH: Final = 30.4375
MANY: Final = 15
"""More points than this are a course, not a list: a few labels, and words for its ends and extremes."""
FEW, SHORT = 8, 10
"""So many names of so many letters stand beside one another."""
LITTLE: Final = 10
"""Months with less than this part of the usual account-months say little and would need most of the picture."""

_c = pl.col
_HOPS: Final = ("captured", "triaged", "decided", "shipped", "told_back", "board_seen")


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture: `title`, `svg` (text of an SVG document), `text` (the same in words).

    `points` are (group, estimate, lower limit, upper limit) where it shows estimates.
    """

    title: str
    svg: str
    text: str
    points: tuple[tuple[str, float, float | None, float | None], ...] = ()


def draw_churn(
    churn_by_incentive: pl.DataFrame | pl.LazyFrame, dimension: str = "emcr_quintile", horizon_days: int = 180
) -> Chart | None:
    """Customers lost by group with intervals; None when no group can be shown."""
    rows = (
        churn_by_incentive.lazy()
        .filter(
            (_c("dimension") == dimension)
            & (_c("horizon_days") == horizon_days)
            & _c("cif_churn").is_not_null()
            & (_c("value") != UNKNOWN)
        )
        .sort("value_order")
        .collect()
    )
    title = f"Customers lost within {horizon_days} days, by {_words(dimension)}"
    return draw_intervals(
        title, rows.select("value", y="cif_churn", lo="cif_churn_lo", hi="cif_churn_hi"), _words(dimension), "share lost", "%"
    )  # fmt: skip


def draw_complaints(
    complaints_by_incentive: pl.DataFrame | pl.LazyFrame, dimension: str = "intensity_band"
) -> Chart | None:
    """Complaints per 1,000 account-months by group with exact intervals; None when no group can be shown."""
    rows = (
        complaints_by_incentive.lazy()
        .filter(
            (_c("dimension") == dimension)
            & (_c("category") == "all")
            & (_c("period") == "all")
            & _c("rate_per_1000").is_not_null()
            & (_c("value") != UNKNOWN)
        )
        .sort("value_order")
        .collect()
    )
    title = f"Complaints per 1,000 account-months, by {_words(dimension)}"
    points = rows.select("value", y="rate_per_1000", lo="rate_per_1000_lo", hi="rate_per_1000_hi")
    return draw_intervals(title, points, _words(dimension), "complaints per 1,000", "")


def draw_lags(feedback_lag_by_incentive: pl.DataFrame | pl.LazyFrame) -> Chart | None:
    """Median days in each hop; hops in which most items still wait have no median and are named in the words."""
    shown = feedback_lag_by_incentive.lazy().filter((_c("dimension") == "all") & ~_c("suppressed"))
    rows = shown.sort(_c("hop").replace_strict(_HOPS, range(len(_HOPS)), return_dtype=pl.Int64)).collect()
    waiting = rows.filter(_c("median_days").is_null())["hop"].to_list()
    points = rows.filter(_c("median_days").is_not_null()).select(
        value=_c("hop").str.replace("_", " "), y="median_days", lo="median_days_lo", hi="median_days_hi"
    )
    note = f" More than half still wait in: {', '.join(map(_words, waiting))}." if waiting else ""
    return draw_intervals("Median days that feedback waits, by hop", points, "hop", "days", "", note)


def draw_emcr(deal_outcomes: pl.DataFrame | pl.LazyFrame) -> Chart | None:
    """How much the next dollar paid: deals by marginal commission, in steps of one point up to the 99th percentile."""
    known = (
        deal_outcomes.lazy().select("account_id", "rep_id", "emcr").filter(_c("emcr").is_not_null()).collect()
    )
    if known.is_empty():
        return None
    top = known["emcr"].quantile(0.99, "nearest")
    inside = known.filter(_c("emcr") <= top).with_columns(bin=(_c("emcr") * 100 + 1e-9).floor())
    axis = "commission on the next dollar, percent"
    return _draw_histogram("Deals by the commission on the next dollar", inside, axis, step=1.0)


def draw_bunching(
    deal_incentives: pl.DataFrame | pl.LazyFrame, deal_outcomes: pl.DataFrame | pl.LazyFrame
) -> Chart | None:
    """Where deals leave their sellers: attainment after the deal, 50 to 150 % of quota in steps of five points."""
    after = ((_c("attainment_after") * 100 + 1e-9) / 5).floor() * 5
    rows = (
        deal_incentives.lazy()
        .filter((_c("credit_type") == "primary") & _c("attainment_after").is_between(0.5, 1.5, closed="left"))
        .join(deal_outcomes.lazy().select("opportunity_id", "account_id"), on="opportunity_id", how="left")
        .select("account_id", "rep_id", bin=after)
        .collect()
    )  # fmt: skip
    return _draw_histogram("Deals by attainment after them", rows, "attainment, percent of quota", step=5.0)


def draw_trend(account_months: pl.DataFrame | pl.LazyFrame) -> Chart | None:
    """Complaints per 1,000 account-months with an active deal, month by month, with exact intervals."""
    months = (
        account_months.lazy()
        # no source of complaints is not a month without one
        .filter(_c("complaints").is_not_null() & _c("opportunity_id").is_not_null())
        .group_by("month")
        .agg(
            complaints=_c("complaints").sum(),
            # whole units of a millionth of a day: the order of adding does not matter
            units=(_c("account_days") * 1_000_000).round().cast(pl.Int64).sum(),
            accounts=_c("account_id").n_unique(),
            sellers=_c("rep_id").drop_nulls().n_unique(),
        )
        .filter((_c("accounts") >= MIN_ACCOUNTS) & (_c("sellers") >= MIN_SELLERS) & (_c("units") > 0))
        .sort("month")
        .collect()
    )
    if months.is_empty():
        return None
    # the first months of a firm have intervals so wide that the others could not be read beside them
    long = months.filter(_c("units") >= _c("units").median() / LITTLE)
    left_out = len(months) - len(long)
    note = (
        f" {left_out} months with under a tenth of the usual account-months are left out." if left_out else ""
    )
    months = long
    rate = estimate_rate(
        months["complaints"].to_numpy(), months["units"].to_numpy() / 1e6 / DAYS_PER_MONTH / 1000
    )
    points = months.select(value="month").with_columns(y=rate.estimate, lo=rate.lo, hi=rate.hi)
    return draw_intervals(
        "Complaints per 1,000 account-months, by month", points, "month", "complaints per 1,000", "", note
    )


def draw_rhythm(sales_rhythm: pl.DataFrame | pl.LazyFrame) -> Chart | None:
    """The company's bookings by phase of the period that was found, else of the quarter; None where neither can be shown."""
    company = (
        sales_rhythm.lazy().filter((_c("dimension") == "all") & _c("bookings_index").is_not_null()).collect()
    )
    found = company.filter("is_period_found")
    rows = (found if len(found) else company.filter(_c("candidate_period") == "quarter")).sort("phase")
    if rows.is_empty():
        return None
    period, p = rows.select("candidate_period", "rhythm_p").row(0)
    note = f" p = {p:.4f} for the four periods together; {'this one was found' if len(found) else 'none was found'}."
    unit = "third of the month" if period == "month" else f"fiscal month of the {period}"
    points = rows.select(
        value=_c("phase").cast(pl.String), y="bookings_index", lo="bookings_index_lo", hi="bookings_index_hi"
    )
    return draw_intervals(f"Bookings per day by {unit}", points, unit, "ratio to the mean pace", "", note)


def draw_excess(quota_bunching: pl.DataFrame | pl.LazyFrame) -> Chart | None:
    """Seller-periods beyond the counterfactual at thresholds and placebos: all plans together, else the largest plan."""
    rows = (
        quota_bunching.lazy()
        .filter((_c("specification_name") == "headline") & _c("excess_mass").is_not_null())
        .collect()
    )
    if rows.is_empty():
        return None
    plan = rows.sort(_c("plan_id") != "all", -_c("n"), "plan_id", "component")[0]
    shown = rows.join(plan.select("plan_id", "component"), on=["plan_id", "component"]).sort("threshold")
    points = shown.select(
        value=pl.format("{} % {}", (_c("threshold") * 100).cast(pl.Int64), "threshold_kind"),
        y="excess_mass", lo="excess_mass_lo", hi="excess_mass_hi",
    )  # fmt: skip
    title = f"Seller-periods just past each threshold beyond the expected, plan {plan['plan_id'].item()}"
    return draw_intervals(title, points, "attainment", "excess seller-periods", "")


def _words(name: str) -> str:
    return name.replace("emcr_quintile", "fifth of marginal commission, 1 lowest").replace("_", " ")


def draw_intervals(
    title: str, points: pl.DataFrame, x: str, y: str, form: str, note: str = ""
) -> Chart | None:
    """Points with whiskers over groups in their order; columns `value`, `y`, `lo`, `hi`."""
    if points.is_empty():
        return None
    import altair as alt  # noqa: PLC0415 - seconds to load, needed only where something is drawn

    values = points.with_columns(_c("y", "lo", "hi").round(6)).to_dicts()
    names = [str(v["value"]) for v in values]
    is_short = len(names) <= FEW and max(map(len, names)) <= SHORT
    axis = alt.Axis(format=".0%" if form == "%" else ",.2~f", grid=True, tickCount=5)
    base = alt.Chart(alt.Data(values=values)).encode(
        x=alt.X(
            "value:N",
            sort=[v["value"] for v in values],
            title=x,
            axis=alt.Axis(
                labelAngle=0 if is_short else -35,
                labelLimit=160,
                values=_labelled([v["value"] for v in values]),
            ),
        )
    )
    whiskers = base.mark_rule(color=SOFT, strokeWidth=5).encode(
        y=alt.Y("lo:Q", title=y, axis=axis, scale=alt.Scale(zero=True)), y2="hi:Q"
    )
    dots = base.mark_point(color=ACCENT, filled=True, size=70, opacity=1).encode(
        y=alt.Y("y:Q", title=y, axis=axis)
    )
    told = [(str(v["value"]), v) for v in values]
    if len(values) > MANY:
        ends = {"first": values[0], "last": values[-1]}
        ends |= {"highest": max(values, key=lambda v: v["y"]), "lowest": min(values, key=lambda v: v["y"])}
        told = [(f"{name}, {v['value']}", v) for name, v in ends.items()]
    said = "; ".join(f"{name}: {_say(v['y'], form)}{_say_interval(v, form)}" for name, v in told)
    shown = tuple((str(v["value"]), v["y"], v["lo"], v["hi"]) for v in values)
    return Chart(title, _to_svg((whiskers + dots).to_dict()), f"{title}. {said}.{note}", shown)


def sketch(chart: Chart) -> str:
    """The estimates of a chart as an SVG of a few hundred characters, for places that show no more; empty without any."""
    if not chart.points:
        return ""
    top = max(y if hi is None else hi for _, y, _, hi in chart.points) or 1.0
    step = 270 / max(len(chart.points) - 1, 1)

    def at(value: float) -> int:
        return round(90 - 80 * max(value, 0.0) / top)

    xs = [round(20 + step * i) for i in range(len(chart.points))]
    dots = "".join(f"M{x} {at(y)}h0" for x, (_, y, _, _) in zip(xs, chart.points, strict=True))
    limits = zip(xs, chart.points, strict=True)
    whiskers = "".join(
        f"M{x} {at(hi)}V{at(lo)}" for x, (_, _, lo, hi) in limits if lo is not None and hi is not None
    )
    whiskers = whiskers if len(chart.points) <= MANY else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="310" height="95"><path stroke="{SOFT}" stroke-width="5" d="{whiskers}"/>'
        f'<path stroke="{ACCENT}" stroke-width="7" stroke-linecap="round" d="{dots}"/><path stroke="#8996a1" d="M9 90h292"/></svg>'
    )


def _labelled(values: Sequence[str]) -> list[str]:
    """Those that get a label: all of a few, about eight of many, the last one among them."""
    every = 1 if len(values) <= MANY else -(-len(values) // 8)
    return list(values[::-1][::every][::-1])


def _say(value: float, form: str) -> str:
    return f"{100 * value:.1f} %" if form == "%" else f"{value:.2f}"


def _say_interval(row: Mapping[str, Any], form: str) -> str:
    limits = [_say(row[c], form) if row[c] is not None else "open" for c in ("lo", "hi")]
    return f" ({limits[0]} to {limits[1]})" if limits != ["open", "open"] else ""


def _draw_histogram(title: str, rows: pl.DataFrame, x: str, step: float) -> Chart | None:
    """Counts by `bin` (its lower edge); bins of too few sellers or customers are left out, and one beside them that protects them."""
    bins = rows.group_by("bin").agg(count_people()).sort("bin")
    # how many deals there are in all is told by other tables
    whole = bins.select(_c("n", "n_accounts", "n_sellers", "largest", "second").sum()).with_columns(
        bin=pl.lit(float("inf")), is_known=pl.lit(value=True)
    )
    cells = pl.concat([bins.with_columns(is_known=pl.lit(value=False)), whole], how="diagonal_relaxed")
    sums = cells.select("bin", equation=pl.lit("all"), is_total="is_known")
    marked = hide_small_cells(cells, sums, ["bin"], additive=[Additive("n")])
    shown = marked.filter(~_c("suppressed") & ~_c("is_known")).select("bin", deals="n")
    if shown.is_empty():
        return None
    import altair as alt  # noqa: PLC0415

    values = [{"from": b, "to": b + step, "deals": n} for b, n in shown.select("bin", "deals").iter_rows()]
    bars = alt.Chart(alt.Data(values=values)).mark_bar(color=ACCENT, stroke="white").encode(
        x=alt.X("from:Q", bin="binned", title=x, axis=alt.Axis(grid=False, tickCount=10, format=",.2~f")),
        x2="to:Q",
        y=alt.Y("deals:Q", title="deals", axis=alt.Axis(tickCount=5)),
    )  # fmt: skip
    top = max(values, key=lambda v: (v["deals"], -v["from"]))
    hidden = len(bins) - len(shown)
    said = f"{title}. Most deals, {top['deals']:,}, lie from {top['from']:g} to {top['to']:g}; {x}."
    said += (
        f" {hidden} steps with too few sellers or customers, or that would tell of those, are left out."
        if hidden
        else ""
    )
    return Chart(title, _to_svg(bars.to_dict()), said)


def _to_svg(spec: dict[str, Any]) -> str:
    import vl_convert  # noqa: PLC0415

    look: dict[str, Any] = {
        "font": "sans-serif",
        "background": "white",
        "view": {"stroke": None},
        "axis": {
            "labelColor": INK,
            "titleColor": INK,
            "gridColor": "#e3e8ec",
            "domainColor": "#8996a1",
            "tickColor": "#8996a1",
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
        },
    }
    spec = {**spec, "width": WIDTH, "height": HEIGHT, "config": look}
    return str(vl_convert.vegalite_to_svg(spec))
