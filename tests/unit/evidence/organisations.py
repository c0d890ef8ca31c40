"""Made-up organisations, whole enough for every table that is safe to hand around: groups and sellers of very different size.

Nothing is missing and nothing contradicts anything: that is when most tables share their counts, and most can be subtracted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from assets.company import Company
from assets.core.deals import fiscal_quarter
from expectations.contracts import TABLES

LAST = date(2025, 12, 31)
PLANS = {"P0": True, "P1": False, "P2": False, "P3": True}
"""Plan -> whether it has a cap."""
WAY = ("captured", "triaged", "decided", "shipped", "told_back")
COMPANY = Company(
    "USD",
    "UTC",
    LAST,
    sources=frozenset({"complaints", "feedback", "feedback_events", "activities", "account_assignments"}),
    columns={
        "activities": frozenset({"direction", "channel", "opted_out", "solicited"}),
        "feedback": frozenset({"source", "need"}),
    },
)
_c = pl.col


def frame_of(name: str, rows: pl.DataFrame) -> pl.LazyFrame:
    """A table with the dtypes of its contract out of a frame that has only some of its columns."""
    schema = TABLES[name].schema
    return rows.select(
        _c(c).cast(t) if c in rows.columns else pl.lit(None, t).alias(c) for c, t in schema.items()
    ).lazy()


@dataclass(frozen=True)
class Organisation:
    """One firm. Every frame has a row per thing, with the columns that tables ask for."""

    sellers: pl.DataFrame
    accounts: pl.DataFrame
    deals: pl.DataFrame
    lost: pl.DataFrame
    complaints: pl.DataFrame
    items: pl.DataFrame
    hops: pl.DataFrame
    activities: pl.DataFrame
    assignments: pl.DataFrame

    @classmethod
    def make(cls, seed: int) -> Organisation:
        """The same firm for the same seed."""
        rng = np.random.default_rng([seed, 4])
        first = date(LAST.year - int(rng.integers(0, 2)), 1, 1)
        sellers = _hire(rng)
        accounts = _find_customers(rng)
        deals = _sell(rng, int(rng.integers(80, 420)), first, sellers, accounts, "o")
        items, hops = _speak(rng, deals)
        return cls(
            sellers, accounts, deals, _sell(rng, 60, first, sellers, accounts, "lost"), _complain(rng, deals), items, hops,
            _act(rng, first, sellers, accounts), _assign(rng, first, sellers),
        )  # fmt: skip


def _hire(rng: np.random.Generator) -> pl.DataFrame:
    n = int(rng.integers(8, 40))
    team = rng.choice(["east 1", "east 2", "west 1", "west 2"], n, p=rng.dirichlet([3, 1, 2, 0.7]))
    plan = rng.choice(list(PLANS), n, p=rng.dirichlet([3, 2, 0.5, 0.3]))
    return pl.DataFrame(
        {
            "rep_id": [f"r{i:02}" for i in range(n)],
            "team": team,
            "region": [t.split()[0] for t in team],
            "plan_id": plan,
            "busy": rng.dirichlet(np.full(n, 1.0)),
        }
    )


def _find_customers(rng: np.random.Generator) -> pl.DataFrame:
    n = int(rng.integers(40, 260))
    return pl.DataFrame(
        {
            "account_id": [f"a{i:03}" for i in range(n)],
            "segment": rng.choice(["Big", "Mid", "Rare", "SMB"], n, p=rng.dirichlet([1, 2, 0.2, 4])),
        }
    )


def _sell(
    rng: np.random.Generator, n: int, first: date, sellers: pl.DataFrame, accounts: pl.DataFrame, name: str
) -> pl.DataFrame:
    days = (LAST - first).days + 1
    on = rng.integers(0, days, n)
    on[:2] = 1, days - 2  # whole months, from the first to the last
    closed = [first + timedelta(days=int(d)) for d in on]
    left = [c + timedelta(days=int(d)) for c, d in zip(closed, rng.exponential(500, n), strict=True)]
    fifth = [None if rng.random() < 0.03 else int(q) for q in rng.integers(1, 6, n)]
    rows = pl.DataFrame(
        {
            "opportunity_id": [f"{name}{i:03}" for i in range(n)],
            "rep_id": rng.choice(sellers["rep_id"].to_numpy(), n, p=sellers["busy"].to_numpy()),
            "account_id": rng.choice(accounts["account_id"].to_numpy(), n),
            "closed_on": closed,
            "churned_on": [day if day <= LAST else None for day in left],
            "emcr_quintile": pl.Series(fifth, dtype=pl.Int64),
            "tier": rng.choice([1, 2, 3], n, p=rng.dirichlet([4, 2, 0.5])),
        }
    )
    return (
        rows.join(sellers.drop("busy"), on="rep_id", maintain_order="left")
        .join(accounts, on="account_id", maintain_order="left")
        .with_columns(
            clock_start_on="closed_on",
            observed_until=pl.lit(LAST),
            cohort_quarter=fiscal_quarter(_c("closed_on"), 1),
            month_end=_c("closed_on").dt.day() > 25,
            has_cap=_c("plan_id").replace_strict(PLANS),
            mature_90d=_c("closed_on") <= LAST - timedelta(days=90),
            contradicted=pl.lit(value=False),
            amount=pl.lit(100),
            currency=pl.lit("USD"),
        )
    )


def _complain(rng: np.random.Generator, deals: pl.DataFrame) -> pl.DataFrame:
    said = deals[np.repeat(np.arange(len(deals)), rng.poisson(0.3, len(deals)))]
    n = len(said)
    return said.select("opportunity_id", "account_id", "closed_on").with_columns(
        kind=pl.lit("complaint"),
        event_id=pl.Series([f"c{i}" for i in range(n)], dtype=pl.String),
        attribution=pl.lit("opportunity"),
        date=_c("closed_on") + pl.Series(rng.integers(0, 300, n) * 86_400_000, dtype=pl.Duration("ms")),
        category=pl.Series(rng.choice(["mis_sale", "service"], n), dtype=pl.String),
        is_upheld=pl.lit(value=False),
        contradicted=pl.lit(value=False),
    )


def _speak(rng: np.random.Generator, deals: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What customers said of deals, and how far each item got: no hop is skipped."""
    n = int(rng.integers(40, 200))
    items = deals[rng.integers(0, len(deals), n)].select(
        "opportunity_id", "account_id", "rep_id", "segment", "emcr_quintile", "closed_on"
    )
    items = items.with_columns(
        feedback_id=pl.Series([f"f{i:03}" for i in range(n)]),
        theme_id=pl.Series(rng.choice(["t1", "t2", "t3"], n, p=rng.dirichlet([3, 1, 0.3]))),
        channel=pl.Series(rng.choice(["seller", "support", "survey"], n, p=rng.dirichlet([2, 2, 0.3]))),
        solicitation=pl.Series(rng.choice(["solicited", "unsolicited"], n)),
        by_sellers=pl.Series(rng.random(n) < 0.6),
        reach=pl.Series(rng.integers(1, len(WAY) + 1, n)),
    ).with_columns(by_others=~_c("by_sellers") | (pl.Series(rng.random(n)) < 0.4))
    entered = datetime(2025, 3, 1, tzinfo=UTC)
    hops = []
    for place, hop in enumerate((*WAY, "board_seen")):
        is_board = hop == "board_seen"
        there = items.filter((_c("reach") >= 1) if is_board or place == 0 else (_c("reach") >= place))
        # captured is always left; the last hop that an item reached was left, the next one is waited in
        waits = pl.Series(rng.random(len(there)) < 0.5) if is_board else there["reach"] <= place
        hops.append(
            there.select("feedback_id", "opportunity_id", "account_id").with_columns(
                hop=pl.lit(hop),
                solicited=there["solicitation"] == "solicited",
                entered_at=pl.lit(entered),
                censored=waits if place else pl.lit(value=False),
                days=pl.Series(rng.integers(1, 200, len(there)).astype(float)),
                skipped_before=pl.lit(0),
            )
        )
    done = pl.concat(hops).with_columns(
        business_days=(_c("days") * 5 // 7).cast(pl.Int64),
        left_at=pl.when(~_c("censored")).then(_c("entered_at") + pl.duration(days="days")),
    )
    return items, done


def _act(
    rng: np.random.Generator, first: date, sellers: pl.DataFrame, accounts: pl.DataFrame
) -> pl.DataFrame:
    n = int(rng.integers(200, 1500))
    days = rng.integers(0, (LAST - first).days + 1, n)
    return pl.DataFrame(
        {
            "activity_id": [f"v{i:04}" for i in range(n)],
            "rep_id": rng.choice(
                sellers["rep_id"].to_numpy(), n, p=rng.dirichlet(np.full(len(sellers), 2.0))
            ),
            "account_id": rng.choice(accounts["account_id"].to_numpy(), n),
            "occurred_at": [
                datetime(first.year, 1, 1, 12, tzinfo=UTC) + timedelta(days=int(d)) for d in days
            ],
            "channel": rng.choice(["call", "meeting", "email"], n),
            "direction": ["outbound"] * n,
            "solicited": rng.random(n) < 0.3,
            "opted_out": rng.random(n) < 0.05,
        }
    )


def _assign(rng: np.random.Generator, first: date, sellers: pl.DataFrame) -> pl.DataFrame:
    """Everybody on a plan from the first day; some are moved to another one, once, after a while."""
    to = rng.choice(["none", "P1", "P2"], len(sellers), p=rng.dirichlet([2, 1, 0.3]))
    rows = []
    for (rep, plan), other in zip(sellers.select("rep_id", "plan_id").iter_rows(), to, strict=True):
        moved = None if other in ("none", plan) else first + timedelta(days=int(rng.integers(120, 240)))
        rows.append((rep, plan, first, moved))
        if moved:
            rows.append((rep, str(other), moved, None))
    schema = {"rep_id": pl.String, "plan_id": pl.String, "valid_from": pl.Date, "valid_to": pl.Date}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        version=pl.lit(1), recorded_at=pl.lit(datetime(2020, 1, 1, tzinfo=UTC))
    )
