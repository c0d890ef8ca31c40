"""The rhythm of every organisation unit: which period it follows, and how each phase of it looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from assets.evidence.dimensions import ALL, UNKNOWN
from assets.evidence.protection import Additive
from assets.evidence.selling_days import SellingDays
from assets.evidence.suppression import DOMINANCE, hide_small_cells
from assets.methods.fiscal import MONTHS_IN
from assets.methods.rates import Interval
from assets.methods.resampling import REPLICATES, derive_seed, draw_totals, draw_weights, read_interval
from assets.methods.rhythm import (
    THIRDS,
    Cycles,
    PeriodTest,
    Span,
    compare_across_ends,
    divide_by_phase,
    find_period,
    index_phases,
    lay_cycles,
    share_at_end,
)

_c = pl.col
Floats = npt.NDArray[np.float64]
Row = dict[str, Any]

UNITS: Final = ("region", "team")
_COARSE_TO_FINE: Final = ("month", "quarter", "half", "year")
BLOCK: Final = ["dimension", "value", "candidate_period"]


@dataclass(frozen=True)
class Unit:
    """An organisation unit: `members` are places of its sellers in `SellingDays.sellers`."""

    dimension: str
    value: str
    value_order: int
    members: npt.NDArray[np.int64]


def list_units(sellers: pl.DataFrame) -> list[Unit]:
    """The company, and every region and team; sellers of none stand in `unknown`. A kind of unit nobody has is left out."""
    units = [Unit(ALL, ALL, 1, np.arange(len(sellers)))]
    for dimension in UNITS:
        if sellers[dimension].null_count() == len(sellers):
            continue
        names = sellers[dimension].fill_null(UNKNOWN)
        values = sorted(names.unique(), key=lambda v: (v == UNKNOWN, v))
        for order, value in enumerate(values, start=1):
            units.append(
                Unit(dimension, value, order, (names == value).arg_true().to_numpy().astype(np.int64))
            )
    return units


def measure_blocks(days: SellingDays, units: list[Unit]) -> pl.DataFrame:
    """How many people stand behind each unit and candidate period, in its thinnest phase, and whether it is suppressed.

    Phases are hidden together: the phases of one period are sums of those of another, and one alone could be worked out.

    Returns:
        `dimension`, `value`, `candidate_period`, `n_sellers`, `n_accounts`, `suppressed`.
    """
    sellers = days.sellers.with_row_index("seller").with_columns(_c(UNITS).fill_null(UNKNOWN))
    won = days.accounts.join(sellers.select("seller", *UNITS), on="seller")
    parts = []
    for period, months in MONTHS_IN.items():
        number = _c("month") + int(days.span.month[0])
        phase = _c("third") if months == 1 else number % months
        phases = len(np.unique(lay_cycles(days.span, period).phase))
        for dimension in dict.fromkeys(unit.dimension for unit in units):
            value = pl.lit(ALL) if dimension == ALL else _c(dimension)
            sizes = (
                won.group_by(value=value, phase=phase)
                .agg(n_sellers=_c("seller").n_unique(), n_accounts=_c("account_id").n_unique())
                .group_by("value")
                .agg(_c("n_sellers", "n_accounts").min().cast(pl.Int64), phases=pl.len())
                # a phase in which nobody sold is small too
                .with_columns(
                    pl.when(_c("phases") == phases).then(_c(c)).otherwise(0).alias(c)
                    for c in ("n_sellers", "n_accounts")
                )
            )
            parts.append(
                pl.DataFrame(
                    {"value": [u.value for u in units if u.dimension == dimension]}
                )
                .join(sizes.drop("phases"), on="value", how="left", maintain_order="left")
                .select(dimension=pl.lit(dimension), value="value", candidate_period=pl.lit(period), n_sellers="n_sellers", n_accounts="n_accounts")
            )  # fmt: skip
    blocks = pl.concat(parts)
    by_phase, names = _count_phases(days, units)
    sized = blocks.join(by_phase, on=BLOCK, how="left", maintain_order="left").with_columns(
        n_sellers=pl.when("dominated").then(0).otherwise("n_sellers")
    )
    additive = [Additive(name, families=(name.rpartition(" ")[0],)) for name in names]
    equations, always = _equations(blocks, sellers), blocks.select(BLOCK).clear()
    place = _c("candidate_period").replace_strict(_COARSE_TO_FINE, range(len(MONTHS_IN)))
    while True:
        hidden = hide_small_cells(sized, equations, BLOCK, additive=additive, always=always)
        # the phases of a longer period are finer: they add up to those of a shorter one, so what is hidden there is hidden here
        finer = hidden.filter(_c("suppressed").cum_max().over("dimension", "value", order_by=place))
        if len(finer) == int(hidden["suppressed"].sum()):
            return blocks.with_columns(hidden["suppressed"])
        always = finer.select(BLOCK)


def _count_phases(days: SellingDays, units: list[Unit]) -> tuple[pl.DataFrame, list[str]]:
    """Deals closed in every phase (`month 1`, ...) of each block, and whether two sellers dominate any of them; the names."""
    rows: list[Row] = []
    names: list[str] = []
    for period in MONTHS_IN:
        cycles = lay_cycles(days.span, period)
        closed = _cells(days.thirds["closed"], cycles) @ np.eye(cycles.phases)[cycles.phase]
        mine = [f"{period} {phase + 1}" for phase in np.unique(cycles.phase).tolist()]
        closed = closed[:, np.unique(cycles.phase)].astype(np.int64)
        names += mine
        for unit in units:
            own = np.sort(closed[unit.members], axis=0)[::-1]
            rest = own[2:].sum(axis=0)
            rows.append(
                {
                    **dict(zip(BLOCK, (unit.dimension, unit.value, period), strict=True)),
                    "dominated": bool((rest < DOMINANCE * own[0]).any()),
                    **dict(zip(mine, own.sum(axis=0).tolist(), strict=True)),
                }
            )
    kinds = dict.fromkeys(BLOCK, pl.String) | {"dominated": pl.Boolean} | dict.fromkeys(names, pl.Int64)
    return pl.DataFrame(rows, schema=kinds), names


def _equations(blocks: pl.DataFrame, sellers: pl.DataFrame) -> pl.DataFrame:
    """Regions add up to the company, teams too; and the teams of a region to it, where they lie in no other."""
    cells = blocks.select(BLOCK)
    one = cells.filter(_c("dimension") == ALL)
    parts = []
    for dimension in UNITS:
        name = pl.lit(f"{dimension} ") + _c("candidate_period")
        parts += [
            cells.filter(_c("dimension") == dimension).with_columns(equation=name, is_total=False),
            one.with_columns(equation=name, is_total=True),
        ]
    places = sellers.select(UNITS).unique()
    wholly = places.filter(_c("region").n_unique().over("team") == 1).rename({"region": "within"})
    name = pl.lit("within ") + _c("within") + " " + _c("candidate_period")
    teams = cells.filter(_c("dimension") == "team").join(wholly, left_on="value", right_on="team")
    regions = cells.filter(_c("dimension") == "region").with_columns(within="value")
    parts += [
        teams.with_columns(equation=name, is_total=False),
        regions.join(wholly.select("within").unique(), on="within").with_columns(
            equation=name, is_total=True
        ),
    ]
    family = _c("candidate_period").alias("family")
    return pl.concat(p.select("equation", family, *BLOCK, "is_total") for p in parts)


def describe_units(days: SellingDays, *, has_activities: bool) -> Iterator[Row]:
    """Rows of `sales_rhythm`, unit by unit, candidate period by candidate period, phase by phase."""
    units = list_units(days.sellers)
    blocks = {tuple(row[k] for k in BLOCK): row for row in measure_blocks(days, units).to_dicts()}
    for unit in units:
        mine = {period: blocks[unit.dimension, unit.value, period] for period in MONTHS_IN}
        shown = any(not block["suppressed"] for block in mine.values())
        described = _Described.of(days, unit) if shown else None
        for period, block in mine.items():
            cell = {
                "dimension": unit.dimension,
                "value": unit.value,
                "value_order": unit.value_order,
                "candidate_period": period,
            }
            cell["suppressed"] = block["suppressed"]
            if described is None or block["suppressed"]:
                phases = np.unique(lay_cycles(days.span, period).phase)
                yield from ({**cell, "phase": int(phase) + 1} for phase in phases)
                continue
            sizes = {name: block[name] for name in ("n_sellers", "n_accounts")}
            for row in described.describe(period, has_activities=has_activities):
                yield {**cell, **sizes, **row}


@dataclass(frozen=True)
class _Described:
    """A unit's sums and their replicates: thirds (b, 3 m), months and ends of months (b, m), sellers' own (s, m, 3)."""

    span: Span
    test: PeriodTest
    thirds: Mapping[str, Floats]
    months: Mapping[str, Floats]
    last_days: Mapping[str, Floats]
    first_days: Floats
    final_days: Floats
    own: Mapping[str, Floats]

    @classmethod
    def of(cls, days: SellingDays, unit: Unit) -> _Described:
        """Sums from the unit's first close on, with sellers drawn anew."""
        closed = days.thirds["closed"][unit.members].sum(axis=(0, 2))
        start = int(np.flatnonzero(closed)[0])
        name = f"sales_rhythm {unit.dimension} {unit.value}"
        tables = [
            *days.thirds.values(),
            *days.last_days.values(),
            days.first_days,
            days.final_days,
        ]
        own = [table[unit.members, start:] for table in tables]
        flat = np.concatenate([table.reshape(unit.members.size, -1) for table in own], axis=1)
        totals = draw_totals(flat, REPLICATES, derive_seed(name, "sellers"))
        ends = np.cumsum([table[0].size for table in own])[:-1]
        drawn = np.split(totals, ends, axis=1)
        thirds = dict(zip(days.thirds, drawn, strict=False))
        span = Span(days.span.month[start:], days.span.days[start:])
        return cls(
            span=span,
            test=find_period(thirds["won"][0].reshape(-1, THIRDS), span, derive_seed(name, "phases")),
            thirds=thirds,
            months={name: t[:, ::3] + t[:, 1::3] + t[:, 2::3] for name, t in thirds.items()},
            last_days=dict(zip(days.last_days, drawn[len(thirds) :], strict=False)),
            first_days=drawn[-2],
            final_days=drawn[-1],
            own={measure: days.thirds[measure][unit.members, start:] for measure in ("closed", "won")},
        )

    def describe(self, period: str, *, has_activities: bool) -> Iterator[Row]:
        """One row per phase that was seen."""
        cycles = lay_cycles(self.span, period)
        known = cycles.is_identifiable
        # of one cycle nothing can be drawn: sellers alone
        kinds = (self.own["won"].shape[0], cycles.is_full.size)
        drawn = min(kind for kind in kinds if kind > 1) if max(kinds) > 1 else 1
        weights = draw_weights(cycles.is_full.size, REPLICATES, derive_seed("sales_rhythm cycles", period))
        cells = self.thirds if period == "month" else self.months
        sums = {
            measure: np.bincount(cycles.phase, table[0], cycles.phases) for measure, table in cells.items()
        }
        by_phase = {
            "win_rate": divide_by_phase(cells["won"], cells["closed"], cycles, weights),
            # one minus: what was taken off the list price
            "discount_share": 1 - divide_by_phase(cells["paid"], cells["listed"], cycles, weights),
        }
        whole = self._judge_ends(period, weights)
        if known:
            booked = index_phases(cells["booked"], cycles, weights)
            by_phase |= {"bookings_index": booked, "won_index": index_phases(cells["won"], cycles, weights)}
            whole |= {
                "end_of_period_share": share_at_end(cells["booked"], cycles, weights),
                "index_peak_to_trough": booked[:, np.argmax(booked[0])] - booked[:, np.argmin(booked[0])],
                "slump_after_period": compare_across_ends(
                    self.final_days, self.first_days, self.span, period, weights
                ),
            }
            if has_activities:
                with np.errstate(divide="ignore"):
                    stick = 3 * share_at_end(cells["activities"], cycles, weights)
                    whole["sustained_effort_index"] = np.where(stick > 0, 1 / stick, np.nan)
                by_phase["activity_index"] = index_phases(cells["activities"], cycles, weights)
        last_days_closed = round(whole.pop("last_days_closed")[0])
        judged = {name: read_interval(values, drawn) for name, values in whole.items()}
        of_unit = {
            "last_days_closed": last_days_closed,
            **_read(judged),
            **self._judge(period, cycles),
            **self._compare_sellers(cycles),
        }
        days = np.bincount(cycles.phase, cycles.days, cycles.phases)
        phases = {name: read_interval(values, drawn) for name, values in by_phase.items()}
        for phase in np.unique(cycles.phase):
            yield {
                "phase": int(phase) + 1,
                "phase_days": int(days[phase]),
                "bookings": round(sums["booked"][phase]),
                "won_deals": round(sums["won"][phase]),
                "closed_deals": round(sums["closed"][phase]),
                "n": round(sums["closed"][phase]),
                "phase_activities": round(sums["activities"][phase]) if has_activities else None,
                **_read(
                    {
                        name: Interval(i.estimate[phase], i.lo[phase], i.hi[phase])
                        for name, i in phases.items()
                    }
                ),
                **of_unit,
            }

    def _judge(self, period: str, cycles: Cycles) -> Row:
        known = cycles.is_identifiable
        return {
            "full_cycles": int(cycles.is_full.sum()),
            "phase_statistic": self.test.statistic.get(period),
            "candidate_p": self.test.candidate_p.get(period),
            "rhythm_p": self.test.p_value if known else None,
            "is_period_found": self.test.found == period if known else None,
            "rhythm_null_reason": None if known else "not_identifiable",
        }

    def _judge_ends(self, period: str, weights: Floats) -> dict[str, Floats]:
        """Win rates of the last days of the period and of all its other days."""
        months = MONTHS_IN[period]
        is_end = (self.span.month + 1) % months == 0
        weight = weights[:, self.span.month // months - self.span.month[0] // months]
        won, closed = (
            ((self.last_days[m][:, is_end] * weight[:, is_end]).sum(axis=1), (self.months[m] * weight).sum(axis=1))
            for m in ("won", "closed")
        )  # fmt: skip
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                "last_days_closed": closed[0],
                "last_days_win_rate": np.where(closed[0] > 0, won[0] / closed[0], np.nan),
                "other_days_win_rate": (won[1] - won[0]) / (closed[1] - closed[0]),
            }

    def _compare_sellers(self, cycles: Cycles) -> Row:
        """How many sellers win a larger share in the last phase than in the first."""
        won, closed = (
            _cells(self.own[m], cycles) @ np.eye(cycles.phases)[cycles.phase][:, [0, -1]] for m in ("won", "closed")
        )  # fmt: skip
        both = (closed > 0).all(axis=1)
        return {
            "sellers_compared": int(both.sum()),
            "sellers_rising": int((both & (won[:, 1] * closed[:, 0] > won[:, 0] * closed[:, 1])).sum()),
        }


def _cells(table: Floats, cycles: Cycles) -> Floats:
    """(s, m, 3) by cell of the candidate: (s, m) for months, (s, 3 m) for thirds."""
    by_month = cycles.phase.size == table.shape[1]
    return table.sum(axis=2) if by_month else table.reshape(table.shape[0], -1)


def _read(intervals: Mapping[str, Interval]) -> Row:
    """Estimate and limits of every name, rounded; NaN is null."""
    row: Row = {}
    for name, interval in intervals.items():
        ends = {"": interval.estimate, "_lo": interval.lo, "_hi": interval.hi}
        row |= {name + end: None if np.isnan(v) else round(float(v), 8) for end, v in ends.items()}
    return row
