"""Pay plans of the demo company: facts, the source tables made of them, and what they pay, in whole numbers.

This arithmetic is the demo's own on purpose: the pipeline's methods are measured against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from pipelines.sources.demo.draws import Draws, Flags, Ints
from pipelines.sources.demo.values import (
    DAY,
    always,
    day_number,
    days,
    moments,
    money,
    quarter_starts,
    shares,
)

_NEVER = 10**14  # cents; beyond any edge, cap or quota, and small enough to be multiplied by 10,000
_NO_DAY = 10**6


@dataclass(frozen=True)
class Tier:
    """From an attainment in percent, a rate in basis points and a lump in cents."""

    from_percent: int
    rate: int
    lump: int = 0


@dataclass(frozen=True)
class Plan:
    """One version of a plan. Money in cents; `quota` is the typical one per quarter, 0 where none is needed."""

    plan_id: str
    version: int
    first: date
    last: date | None
    currency: str
    timezone: str
    tiers: tuple[Tier, ...]
    quota: int = 0
    retroactive: bool = False
    gate_percent: int = 0
    cap: int = 0
    component: str = "commission"
    measure: str = "bookings"


STAFF_TARGET = 600_000
"""Variable pay at target per quarter of engineers and success managers, in cents."""
RETENTION_QUOTA = 9_000
"""Customers to keep in a quarter, in hundredths of a percent."""

_OPENED = date(2010, 1, 1)
_CHANGED = date(2024, 5, 15)  # in the middle of a quarter
_EAST, _WEST, _BERLIN = "America/New_York", "America/Chicago", "Europe/Berlin"

PLANS = (
    Plan("AE", 1, _OPENED, _CHANGED, "USD", _EAST, (Tier(0, 800), Tier(100, 1600), Tier(150, 2400)), 25_000_000),
    Plan("AE", 2, _CHANGED, None, "USD", _EAST, (Tier(0, 700), Tier(100, 1800), Tier(150, 2600)), 25_000_000),
    Plan("AE-RETRO", 1, _OPENED, None, "USD", _WEST, (Tier(0, 500), Tier(100, 800), Tier(130, 1100)), 25_000_000, retroactive=True),
    Plan("AE-EUROPE", 1, _OPENED, None, "EUR", _BERLIN, (Tier(0, 750), Tier(100, 1500), Tier(150, 2000)), 23_000_000),
    Plan("AE-GATE", 1, _OPENED, None, "USD", _EAST, (Tier(0, 600), Tier(100, 1200, lump=400_000)), 22_000_000, gate_percent=50, cap=4_500_000),
    Plan("SE", 1, _OPENED, None, "USD", _EAST, (Tier(0, 200),)),
    Plan("SE-EUROPE", 1, _OPENED, None, "EUR", _BERLIN, (Tier(0, 200),)),
    Plan("CS", 1, _OPENED, None, "USD", _EAST, (Tier(0, 10_000),), quota=RETENTION_QUOTA, component="retention", measure="retention"),
)  # fmt: skip

PLAN_OF_TEAM = ("AE", "AE-RETRO", "AE-EUROPE", "AE-GATE")
"""Teams take these plans in turn."""
PLAN_CHANGE = day_number(_CHANGED)

_MOST_TIERS = max(len(p.tiers) for p in PLANS)
_FIRST_ROW = {p.plan_id: row for row, p in reversed(list(enumerate(PLANS)))}


def _padded(values: list[list[int]], padding: int) -> Ints:
    return np.array([v + [padding] * (_MOST_TIERS - len(v)) for v in values], dtype=np.int64)


_EDGE = _padded([[t.from_percent for t in p.tiers] for p in PLANS], _NEVER)
_RATE = _padded([[t.rate for t in p.tiers] for p in PLANS], 0)
_LUMP = _padded([[t.lump for t in p.tiers] for p in PLANS], 0)
_RETROACTIVE = np.array([p.retroactive for p in PLANS])
_GATE = np.array([p.gate_percent for p in PLANS], dtype=np.int64)
_CAP = np.array([p.cap or _NEVER for p in PLANS], dtype=np.int64)
_QUOTA = np.array([p.quota for p in PLANS], dtype=np.int64)


def plan_rows(plan_ids: tuple[str, ...], which: Ints, day: Ints) -> Ints:
    """Row of PLANS for plans (positions in `plan_ids`) on given days: the version of that day."""
    first = np.array([_FIRST_ROW[p] for p in plan_ids], dtype=np.int64)[which]
    changed = np.array([PLANS[_FIRST_ROW[p]].last is not None for p in plan_ids])[which]
    return np.asarray(first + (changed & (day >= PLAN_CHANGE)))


def pay(credit: Ints, quota: Ints, row: Ints) -> Ints:
    """Pay for a period's total credit, in ten-thousandths of a cent, exactly.

    Args:
        credit: Total credit of the period in cents, shape (n,).
        quota: Quota in cents; must be divisible by 100, so that every tier edge is whole.
        row: Row of PLANS.

    Tiers, gate, lumps and cap as in 02-commission: an edge belongs to the upper tier, the gate pays from the first
    unit once it is reached, the cap comes last.
    """
    paid = np.zeros(credit.shape, dtype=np.int64)
    for tier in range(_MOST_TIERS):
        edge = _EDGE[row, tier]
        lower = np.where(edge < _NEVER, edge * (quota // 100), _NEVER)
        step = _RATE[row, tier] - (_RATE[row, tier - 1] if tier else 0)
        reached = credit >= lower
        base = np.where(_RETROACTIVE[row], credit, credit - lower)
        paid += np.where(reached, step * base + _LUMP[row, tier] * 10_000, 0)
    paid = np.where(credit >= _GATE[row] * (quota // 100), paid, 0)
    return np.minimum(paid, _CAP[row] * 10_000)


def cents(pay_units: Ints) -> Ints:
    """Ten-thousandths of a cent, rounded half up to cents; pay is never negative here."""
    return np.asarray((pay_units + 5_000) // 10_000)


@dataclass(frozen=True)
class Quotas:
    """Quotas of seller and quarter, one per element, in cents; days are day numbers.

    `first` was recorded on `recorded`; from `revised` on (a day, or never) it is `final`.
    """

    first: Ints
    final: Ints
    recorded: Ints
    revised: Ints
    is_revised: Flags


def quotas(draws: Draws, rep: Ints, quarter: Ints, typical: Ints, territory: Ints | np.ndarray) -> Quotas:
    """Quotas: a good territory gets a higher one; 1 % arrive three weeks late, 2 % are raised in the quarter."""
    key = rep * 400 + quarter
    start = quarter_starts(quarter)
    step = 500_000
    first = np.rint(typical * np.exp(0.20 * territory) / step).astype(np.int64) * step
    late = draws.chance("quota late", key, 0.01)
    is_revised = ~late & draws.chance("quota revised", key, 0.02)
    raised = np.rint(first * 1.06 / 100_000).astype(np.int64) * 100_000
    return Quotas(
        first=first,
        final=np.where(is_revised, raised, first),
        recorded=np.where(late, start + 20, start - 10),
        revised=np.where(is_revised, start + 40, _NO_DAY),
        is_revised=is_revised,
    )


def typical_quota(row: Ints) -> Ints:
    """Typical quota in cents of rows of PLANS."""
    return np.asarray(_QUOTA[row])


def plan_tables(until: date) -> dict[str, pl.DataFrame]:
    """`plans`, `plan_components`, `plan_tiers` as known on a day."""
    known = [p for p in PLANS if p.first <= until]
    tiers = [(p, number, tier) for p in known for number, tier in enumerate(p.tiers, start=1)]
    components = [(p, p.component, p.measure) for p in known]

    def recorded(plans: list[Plan]) -> pl.Series:
        return moments(np.array([(day_number(p.first) - 20) * DAY for p in plans]))

    def identity(plans: list[Plan]) -> dict[str, pl.Series]:
        return {
            "plan_id": pl.Series([p.plan_id for p in plans]),
            "version": pl.Series([p.version for p in plans], dtype=pl.Int64),
        }

    caps = np.array([p.cap for p in known], dtype=np.int64)
    gates = np.array([p.gate_percent for p, _, _ in components], dtype=np.int64)
    return {
        "plans": pl.DataFrame(
            {
                **identity(known),
                "valid_from": pl.Series([p.first for p in known]),
                "valid_to": pl.Series(
                    [p.last if p.last and p.last <= until else None for p in known], dtype=pl.Date
                ),
                "period": ["quarter"] * len(known),
                "fiscal_start_month": pl.Series([1] * len(known), dtype=pl.Int64),
                "currency": [p.currency for p in known],
                "timezone": [p.timezone for p in known],
                "credit_event": ["booking"] * len(known),
                "tier_method": ["retroactive" if p.retroactive else "incremental" for p in known],
                "cap": money(caps, caps > 0),
                "floor": money(caps, np.zeros(len(known), dtype=bool)),
                "mid_period_policy": ["continuous"] * len(known),
                "fx_policy": ["booking"] * len(known),
                "clawback_method": ["original_rate"] * len(known),
                "clawback_schedule": always(None, len(known)),
                "recorded_at": recorded(known),
            }
        ),
        "plan_components": pl.DataFrame(
            {
                **identity([p for p, _, _ in components]),
                "component": [c for _, c, _ in components],
                "measure": [m for _, _, m in components],
                "weight": shares(np.full(len(components), 10_000)),
                "rate_basis": ["target" if m == "retention" else "credit" for _, _, m in components],
                "combine": ["additive"] * len(components),
                "gate_attainment": shares(gates * 100, gates > 0),
                "gate_from": pl.Series(["first_unit" if g else None for g in gates], dtype=pl.String),
                "recorded_at": recorded([p for p, _, _ in components]),
            }
        ),
        "plan_tiers": pl.DataFrame(
            {
                **identity([p for p, _, _ in tiers]),
                "component": [p.component for p, _, _ in tiers],
                "tier": pl.Series([n for _, n, _ in tiers], dtype=pl.Int64),
                "from_attainment": shares(np.array([t.from_percent * 100 for _, _, t in tiers])),
                "rate": shares(np.array([t.rate for _, _, t in tiers])),
                "lump_bonus": money(
                    np.array([t.lump for _, _, t in tiers]), np.array([t.lump > 0 for _, _, t in tiers])
                ),
                "product_id": always(None, len(tiers)),
                "recorded_at": recorded([p for p, _, _ in tiers]),
            }
        ),
    }


def assignment_table(
    rep_id: pl.Series, plan_ids: list[str], *, hired: Ints, target: Ints, salary: Ints, until: date
) -> pl.DataFrame:
    """`plan_assignments`: everyone on every version of their plan, from the later of the hire and the version's start.

    Args:
        rep_id: Ids, one per person.
        plan_ids: Plan of each person.
        hired: Day numbers.
        target: Variable pay at target per quarter, in cents.
        salary: Base salary per year, in cents.
        until: Versions that start later are not known yet.
    """
    people = pl.DataFrame(
        {"rep_id": rep_id, "plan_id": plan_ids, "hired": days(hired), "target": target, "salary": salary}
    )
    versions = pl.DataFrame(
        {
            "plan_id": [p.plan_id for p in PLANS if p.first <= until],
            "version": pl.Series([p.version for p in PLANS if p.first <= until], dtype=pl.Int64),
            "first": [p.first for p in PLANS if p.first <= until],
            "valid_to": pl.Series(
                [p.last if p.last and p.last <= until else None for p in PLANS if p.first <= until],
                dtype=pl.Date,
            ),
        }
    )
    rows = (
        people.join(versions, on="plan_id", maintain_order="left_right")
        .with_columns(valid_from=pl.max_horizontal("hired", "first"))
        .filter(pl.col("valid_to").is_null() | (pl.col("valid_from") < pl.col("valid_to")))
    )
    quarterly = rows["target"].to_numpy()
    none = np.zeros(rows.height, dtype=bool)
    return rows.select(
        "rep_id",
        "plan_id",
        "version",
        "valid_from",
        "valid_to",
        on_target_earnings=money(quarterly * 4 + rows["salary"].to_numpy()),
        target_incentive=money(quarterly),
        draw=money(quarterly, none),
        draw_kind=pl.lit(None, pl.String),
        recorded_at=(
            pl.col("valid_from").cast(pl.Datetime("us")) - pl.duration(days=10)
        ).dt.replace_time_zone("UTC"),
    )
