"""Credit before a deal equals the definition, pair by pair, and never looks ahead."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from assets.methods.credit_order import sum_credit_before
from assets.methods.exact import MONEY

BY = ["rep_id", "period_start"]


def random_credits(seed: int, n: int = 1500) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    closed = rng.integers(0, 60, n)  # few instants: many ties
    return pl.DataFrame(
        {
            "opportunity_id": [f"o{k:04d}" for k in rng.permutation(n)],
            "rep_id": [f"r{k}" for k in rng.integers(0, 40, n)],
            "period_start": rng.integers(0, 2, n),
            "closed_at": closed,
            "known_at": closed + rng.choice([-3, 0, 0, 1, 5, 30], n),
            "credited_amount": [Decimal(int(v)).scaleb(-2) for v in rng.integers(-1_000_00, 9_000_00, n)],
        },
        schema_overrides={"credited_amount": MONEY},
    )


def by_definition(rows: list[dict[str, object]], *, as_known: bool) -> dict[str, Decimal]:
    def precedes(e: dict[str, object], p: dict[str, object]) -> bool:
        is_earlier = (e["closed_at"], e["opportunity_id"]) < (p["closed_at"], p["opportunity_id"])  # type: ignore[operator]
        return (
            all(e[k] == p[k] for k in BY) and is_earlier and (not as_known or e["known_at"] <= p["closed_at"])
        )  # type: ignore[operator]

    return {
        str(p["opportunity_id"]): sum(
            (e["credited_amount"] for e in rows if precedes(e, p)), start=Decimal(0)
        )  # type: ignore[misc]
        for p in rows
    }


def solve(
    credits_: pl.DataFrame, deals: pl.DataFrame | None = None, known: str | None = "known_at"
) -> dict[str, Decimal]:
    frame = sum_credit_before(
        (credits_ if deals is None else deals).lazy(), credits_.lazy(), BY, known=known
    ).collect()
    return dict(frame.select("opportunity_id", "credit_before").iter_rows())


@pytest.mark.parametrize("as_known", [True, False])
def test_it_equals_the_definition(as_known: bool) -> None:
    rows = random_credits(1, 700)
    assert solve(rows, known="known_at" if as_known else None) == by_definition(
        rows.to_dicts(), as_known=as_known
    )


def test_what_is_recorded_after_the_close_changes_nothing() -> None:
    rows = random_credits(2)
    whole = solve(rows)
    rng = np.random.default_rng(3)
    for moment in rng.integers(0, 60, 8):
        closed_by_then = rows.filter(pl.col("closed_at") <= moment)
        known_by_then = rows.filter(pl.col("known_at") <= moment)
        cut = solve(known_by_then, closed_by_then)
        assert cut == {k: whole[k] for k in cut}


def test_a_credit_recorded_late_is_as_good_as_absent() -> None:
    rows = random_credits(4)
    victim = rows["opportunity_id"][7]
    is_victim = pl.col("opportunity_id") == victim
    moved = rows.with_columns(known_at=pl.when(is_victim).then(10_000).otherwise("known_at"))
    others = rows.filter(~is_victim)
    assert solve(moved, others) == solve(others)


def test_a_correction_counts_from_the_day_it_is_known() -> None:
    def row(deal: str, closed: int, known: int, amount: str) -> dict[str, object]:
        return {
            "opportunity_id": deal,
            "rep_id": "r",
            "period_start": 0,
            "closed_at": closed,
            "known_at": known,
            "credited_amount": amount,
        }

    news = [row("a", 1, 1, "100"), row("a", 1, 5, "-20"), row("b", 3, 3, "7"), row("c", 5, 5, "1")]
    frame = pl.DataFrame(news).with_columns(pl.col("credited_amount").cast(MONEY))
    deals = frame.unique("opportunity_id")
    assert solve(frame, deals) == {"a": Decimal(0), "b": Decimal(100), "c": Decimal(87)}


def test_a_deal_out_of_time_or_seller_has_no_credit_before() -> None:
    rows = random_credits(5, 20)
    lost = rows.head(2).with_columns(
        closed_at=pl.Series([None, 3], dtype=pl.Int64), rep_id=pl.Series(["r1", None], dtype=pl.String)
    )
    assert list(solve(rows, lost).values()) == [None, None]
