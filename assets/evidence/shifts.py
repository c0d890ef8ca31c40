"""When what customers speak of changed, and when the firm noticed, told its board, decided and shipped."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import polars as pl

from assets.company import Company
from assets.evidence.dimensions import ALL
from assets.evidence.protection import Additive
from assets.evidence.suppression import blank, hide_small_cells
from assets.methods.change_points import (
    LEAST_PERIODS,
    average_run_length,
    find_change,
    run_cusum,
)
from assets.methods.false_discovery import adjust_p_values
from assets.methods.resampling import derive_seed
from assets.voice.hops import REFUSALS, observation_end
from assets.voice.themes import replace_theme, resolve_themes

SLACK: Final = 0.5
LIMIT: Final = 5.0
"""CUSUM of the firm's view, in standard deviations: tuned to shifts of one, with one false alarm in 931 weeks."""
SMOOTHED_WEEKS: Final = 4
LEAST_ITEMS: Final = 30
Q_LIMIT: Final = 0.05
CELL: Final = ["theme_id", "channel"]
STAGES: Final = ("seen", "board_seen", "decided", "shipped")

Counts = dict[str, np.ndarray]
"""Items per week: of each theme, and of `all`."""

_c = pl.col
_WEEK: Final = timedelta(days=7)


def list_items(
    *,
    feedback: pl.LazyFrame,
    themes: pl.LazyFrame,
    customer_events: pl.LazyFrame,
    deals: pl.LazyFrame,
    company: Company,
) -> pl.DataFrame:
    """One row per item with a theme.

    Returns:
        `feedback_id`, `theme_id` (surviving), `channel` (who heard it), `said_week` and `captured_week` (Mondays, company's zone),
        `account_id`, `opportunity_id`, `rep_id`, sorted.
    """
    attributed = customer_events.filter(_c("kind") == "feedback").select(
        "account_id", "opportunity_id", feedback_id="event_id"
    )

    def week(moment: pl.Expr) -> pl.Expr:
        return moment.dt.convert_time_zone(company.timezone).dt.date().dt.truncate("1w")

    return (
        feedback.select(
            "feedback_id",
            "theme_id",
            channel=_c("source").fill_null("unknown"),
            said_week=week(pl.coalesce("expressed_at", "captured_at")),
            captured_week=week(_c("captured_at")),
        )
        .join(attributed, on="feedback_id", how="left")
        .join(deals.select("opportunity_id", "rep_id"), on="opportunity_id", how="left")
        .pipe(replace_theme, resolve_themes(themes))
        .filter(_c("theme_id").is_not_null())
        .sort("feedback_id")
        .collect()
    )


def list_answers(
    *,
    feedback_events: pl.LazyFrame,
    board_reports: pl.LazyFrame,
    themes: pl.LazyFrame,
    items: pl.DataFrame,
    company: Company,
) -> dict[str, pl.DataFrame]:
    """Days on which a theme got so far: stage -> `theme_id`, `said_week` (null: whatever was said when), `day`.

    The board sees a theme in a report that names it, or an item of it that was put before it.
    """
    surviving = resolve_themes(themes)
    day = _c("_at").dt.convert_time_zone(company.timezone).dt.date()
    events = (
        feedback_events.filter(
            _c("occurred_at") < observation_end(company, "feedback_events"),
            ~_c("outcome").is_in(REFUSALS).fill_null(value=False),
        )
        .select("feedback_id", "hop", _at="occurred_at")
        .join(items.lazy().select("feedback_id", "theme_id", "said_week"), on="feedback_id", how="inner")
        .select("hop", "theme_id", "said_week", day=day)
        .collect()
    )
    reports = (
        board_reports.filter(_c("sent_at") < observation_end(company, "board_reports"))
        .select(_at="sent_at", theme_id="theme_ids")
        .explode("theme_id", empty_as_null=False, keep_nulls=False)
        .pipe(replace_theme, surviving)
        .select("theme_id", said_week=pl.lit(None, pl.Date), day=day)
        .collect()
    )
    found = {hop: events.filter(_c("hop") == hop).drop("hop") for hop in ("board_seen", "decided", "shipped")}
    return found | {"board_seen": pl.concat([found["board_seen"], reports])}


def detect_shifts(items: pl.DataFrame, answers: dict[str, pl.DataFrame], company: Company) -> pl.DataFrame:
    """Rows of `market_shifts`, sorted.

    Args:
        items: from `list_items`.
        answers: from `list_answers`.
        company: `as_of`, `complete_until`.

    A theme's share of what the channel's customers say in a week is watched, over the weeks from the first item to the end. Shares,
    not counts: a firm that grows hears more of everything, and what is not written down yet is missing from every theme alike. Themes whose share rose are set aside when the others are judged.
    """
    end = observation_end(company, "feedback").date()
    last_week = end - timedelta(days=end.weekday() + 7)  # the last whole one
    channels = [ALL, *items["channel"].unique().sort()]
    rows = []
    for channel in channels:
        heard = items if channel == ALL else items.filter(_c("channel") == channel)
        first = heard["said_week"].min()
        if not isinstance(first, date):
            continue
        weeks = [first + i * _WEEK for i in range(max(0, (last_week - first).days // 7 + 1))]
        said, written = (_count_weeks(heard, name, weeks) for name in ("said_week", "captured_week"))
        seed = {
            theme: derive_seed("market_shifts", theme, channel) for theme in items["theme_id"].unique().sort()
        }
        first_look = {t: _judge(said, t, (), weeks, number) for t, number in seed.items()}
        risen = tuple(t for t, found in first_look.items() if _has_risen(found))
        for theme, number in seed.items():
            # what crowds the others out must not make them fall: they are judged among themselves
            aside = tuple(t for t in risen if t != theme)
            found = _judge(said, theme, aside, weeks, number) if aside else first_look[theme]
            if "change_on" in found:
                found |= _follow(found, theme, said, written, aside, weeks)
            people = _describe_people(heard.filter(_c("theme_id") == theme))
            rows.append({"theme_id": theme, "channel": channel, **people, **found})
    return _publish(rows, answers, end)


def _count_weeks(items: pl.DataFrame, week: str, weeks: list[date]) -> Counts:
    """Items per week, of each theme and of all."""
    place = {day: i for i, day in enumerate(weeks)}
    counted = items.group_by("theme_id", week).len()
    counts = {ALL: np.zeros(len(weeks), dtype=np.int64)}
    for theme, day, number in counted.iter_rows():
        if day in place:
            counts.setdefault(theme, np.zeros(len(weeks), dtype=np.int64))[place[day]] += number
            counts[ALL][place[day]] += number
    return counts


def _describe_people(items: pl.DataFrame) -> dict[str, int]:
    return {
        "n": items.height,
        "n_accounts": items["account_id"].drop_nulls().n_unique(),
        "n_sellers": items["rep_id"].drop_nulls().n_unique(),
    }


def _counts_of(counts: Counts, theme: str, aside: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Weekly items of a theme, and of all themes but those set aside."""
    nothing = np.zeros_like(counts[ALL])
    return counts.get(theme, nothing), counts[ALL] - sum((counts.get(t, nothing) for t in aside), nothing)


def _judge(said: Counts, theme: str, aside: tuple[str, ...], weeks: list[date], seed: int) -> dict[str, Any]:
    hits, totals = _counts_of(said, theme, aside)
    if len(weeks) < LEAST_PERIODS:
        return {"shift_null_reason": "too_few_weeks"}
    if hits.sum() < LEAST_ITEMS:
        return {"shift_null_reason": "too_few_items"}
    found = find_change(hits, totals, seed)
    return {
        "weeks": len(weeks),
        "change_p": found.p,
        "changes_found": found.found,
        "share_before": found.before,
        "share_after": found.after,
        "change_on": weeks[found.at],
        "change_on_lo": weeks[found.lo],
        "change_on_hi": weeks[found.hi],
        "_at": found.at,
    }


def _has_risen(found: dict[str, Any]) -> bool:
    is_change = found.get("changes_found", 0) > 0 and found["change_p"] <= Q_LIMIT
    return bool(is_change and found["share_after"] > found["share_before"])


def _follow(
    found: dict[str, Any],
    theme: str,
    said: Counts,
    written: Counts,
    aside: tuple[str, ...],
    weeks: list[date],
) -> dict[str, Any]:
    """First signal in what was written down, and the week in which half of the peak was passed."""
    at = found.pop("_at")
    hits, totals = _counts_of(said, theme, aside)
    before = max(found["share_before"], 0.5 / max(int(totals.sum()), 1))
    rises = found["share_after"] > before
    on_paper, all_on_paper = _counts_of(written, theme, aside)
    moved = _standardise(on_paper[at:], all_on_paper[at:], before)
    signal = run_cusum(moved if rises else -moved, 0, SLACK, LIMIT, two_sided=False).first_signal
    share = _smooth(hits)[at:] / np.maximum(_smooth(totals)[at:], 1)
    passed = np.flatnonzero(share >= before + (share.max() - before) / 2)
    return {
        # known when the week is over
        "seen_on": weeks[at + signal] + _WEEK if signal >= 0 else None,
        "half_peak_on": weeks[at + int(passed[0])] if rises and passed.size else None,
    }


def _standardise(hits: np.ndarray, totals: np.ndarray, share: float) -> np.ndarray:
    """Shares on the arcsine scale (Anscombe 1948), in standard deviations from `share`; weeks without items are on it."""
    scaled = np.arcsin(np.sqrt((hits + 0.375) / (totals + 0.75))) - np.arcsin(np.sqrt(share))
    return np.where(totals > 0, 2 * np.sqrt(totals + 0.5) * scaled, 0.0)


def _smooth(counts: np.ndarray) -> np.ndarray:
    """Sums over the four weeks up to each."""
    return np.convolve(counts, np.ones(SMOOTHED_WEEKS, dtype=np.int64))[: counts.size]


def _publish(rows: list[dict[str, Any]], answers: dict[str, pl.DataFrame], end: date) -> pl.DataFrame:
    kinds: dict[str, Any] = {
        "theme_id": pl.String, "channel": pl.String, "n": pl.Int64, "n_accounts": pl.Int64, "n_sellers": pl.Int64,
        "shift_null_reason": pl.String, "weeks": pl.Int64, "change_p": pl.Float64, "changes_found": pl.Int64, "share_before": pl.Float64,
        "share_after": pl.Float64, "change_on": pl.Date, "change_on_lo": pl.Date, "change_on_hi": pl.Date, "seen_on": pl.Date,
        "half_peak_on": pl.Date,
    }  # fmt: skip
    table = pl.DataFrame(rows, schema=kinds)
    table = table.with_columns(
        change_q=pl.Series(adjust_p_values(table["change_p"].fill_null(np.nan).to_numpy())).fill_nan(None)
        if table.height
        else pl.lit(None, pl.Float64)
    ).with_columns(is_shift=((_c("change_q") <= Q_LIMIT) & (_c("changes_found") > 0)).fill_null(value=False))
    for stage, days in answers.items():
        first = (
            table.filter("is_shift")
            .join(days, on="theme_id", how="inner")
            .filter(_c("day") >= _c("change_on"), (_c("said_week") >= _c("change_on")).fill_null(value=True))
            .group_by(CELL)
            .agg(_c("day").min().alias(f"{stage}_on"))
        )
        table = table.join(first, on=CELL, how="left")
    until = pl.lit(end)
    stages = {
        f"{stage}_days": (pl.coalesce(f"{stage}_on", until) - _c("change_on")).dt.total_days()
        for stage in STAGES
    } | {f"{stage}_censored": _c(f"{stage}_on").is_null() for stage in STAGES}
    told = [
        "change_on",
        "change_on_lo",
        "change_on_hi",
        "seen_on",
        "half_peak_on",
        "share_before",
        "share_after",
    ]
    table = table.with_columns(pl.when("is_shift").then(name).alias(name) for name in told).with_columns(
        *(pl.when("is_shift").then(value).alias(name) for name, value in stages.items()),
        decided_before_half_peak=pl.when(_c("half_peak_on").is_not_null()).then(
            (_c("decided_on") < _c("half_peak_on")).fill_null(value=False)
        ),
        shift_null_reason=pl.when(~_c("is_shift") & _c("shift_null_reason").is_null())
        .then(pl.lit("no_shift_found"))
        .otherwise("shift_null_reason"),
        false_alarm_weeks=pl.lit(average_run_length(SLACK, LIMIT, two_sided=False)),
        false_discovery_rate=pl.lit(Q_LIMIT),
    )
    hidden = hide_small_cells(table, _state_equations(table), CELL, additive=[Additive("n")])
    open_ = {*CELL, "suppressed", "false_alarm_weeks", "false_discovery_rate", "shift_null_reason"}
    return (
        hidden.with_columns(
            pl.selectors.float().round(8),
            shift_null_reason=pl.when("suppressed").then(pl.lit("few_people")).otherwise("shift_null_reason"),
        )
        .lazy()
        .pipe(blank, [name for name in hidden.columns if name not in open_])
        .collect()
        .sort(CELL)
    )


def _state_equations(cells: pl.DataFrame) -> pl.DataFrame:
    """The items of a theme's channels are those of the theme."""
    return cells.select(*CELL, equation="theme_id", family=pl.lit("channels"), is_total=_c("channel") == ALL)
