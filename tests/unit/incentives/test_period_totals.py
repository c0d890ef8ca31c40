"""The pay of a period does not depend on the order its deals closed in, from source rows to the mart."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from pay_company import LONG_AGO, Books
from random_plans import STRUCTURES, make_plans
from reference_pay import half_up
from slow_reference import Pricing, Reference

from assets.incentives.deal_prices import price_deals

FIRMS = range(121)
QUARTER = (date(2025, 1, 1), date(2025, 4, 1))
Totals = dict[str, Fraction | None]


def make_firm(seed: int, prefix: str, books: Books, *, reverse: bool) -> None:
    """One seller, one plan of any structure, six to nine deals of one quarter, everything known from the start.

    Tiers of a product are left out: pay along two curves depends on which deal came first.
    """
    draw = random.Random(seed)
    structure = list(STRUCTURES)[seed % len(STRUCTURES)]
    make_plans(draw, books, prefix, structure, [QUARTER], met=Counter(), moves=False, period="quarter")
    for table in ("plans", "plan_components", "plan_tiers"):
        mine = [r for r in books.rows[table] if r["plan_id"] == f"{prefix}plan0"]
        first = [r for r in mine if r["recorded_at"] == LONG_AGO and r.get("product_id") is None]
        books.rows[table] = [r for r in books.rows[table] if not r["plan_id"].startswith(prefix)] + first
    books.rows["plans"][-1] |= {"currency": "USD", "credit_event": "booking"}
    rep = f"{prefix}rep"
    books.seller(rep, f"{prefix}plan0", target_incentive="20000")
    for component in structure.components:
        measured = component in structure.measured
        books.quota(rep, "100" if measured else "60000", component=component)
        if measured:
            row = {"rep_id": rep, "component": component, "period_start": QUARTER[0]}
            books.add("component_results", **row, achieved=str(draw.randint(60, 120)), recorded_at=LONG_AGO)
    amounts = [
        draw.choice([draw.randint(100, 30_000), -draw.randint(1, 900)]) for _ in range(draw.randint(6, 9))
    ]
    for i, amount in enumerate(amounts):
        day = len(amounts) - i if reverse else i + 1
        when = (datetime(2025, 1, 5, tzinfo=UTC) + timedelta(days=6 * day)).strftime("%Y-%m-%d 12:00")
        deal = f"{prefix}deal{i}"
        books.win(deal, rep, str(amount), when, recorded_at=LONG_AGO)
        for component in structure.credited:
            stated = {"component": component, "credit_id": f"{deal}/{component}", "recorded_at": LONG_AGO}
            books.credit(deal, rep, str(amount), when, **stated)


def make_firms(*, reverse: bool) -> list[Books]:
    firms = []
    for seed in FIRMS:
        firms.append(Books())
        make_firm(seed, f"{seed:03d}-", firms[-1], reverse=reverse)
    return firms


def totals_by_engine(firms: list[Books]) -> Totals:
    """Pay to the cent by seller; null where any deal has no price."""
    together = Books()
    for firm in firms:
        for name, rows in firm.rows.items():
            together.rows[name] += rows
    mart = price_deals(together.tables()).collect()
    return add_up_pay((row["rep_id"], row["added_pay_amount"]) for row in mart.iter_rows(named=True))


def totals_by_reference(firms: list[Books]) -> Totals:
    references = [Reference(firm) for firm in firms]
    return add_up_pay(
        (grain[1], reference.price(*grain, final=False)["added_pay_amount"])
        for reference in references
        for grain in reference.grains()
    )


def add_up_pay(pays: Iterable[tuple[str, Decimal | Fraction | None]]) -> Totals:
    totals: Totals = {}
    for rep, pay in pays:
        known = totals.get(rep, Fraction(0))
        totals[rep] = None if known is None or pay is None else known + Fraction(pay)
    return totals


@pytest.fixture(scope="module")
def straight() -> list[Books]:
    return make_firms(reverse=False)


@pytest.mark.parametrize("add_up", [totals_by_engine, totals_by_reference], ids=["engine", "reference"])
def test_the_order_of_deals_does_not_change_the_pay_of_the_period(
    straight: list[Books], add_up: Callable[[list[Books]], Totals]
) -> None:
    one, other = (add_up(firms) for firms in (straight, make_firms(reverse=True)))
    assert one == other
    assert sum(total is not None for total in one.values()) > 0.8 * len(FIRMS)


def test_deals_add_up_to_the_pay_of_the_period(straight: list[Books]) -> None:
    """To T after the last deal, straight from the plan, less T before the first."""
    found = totals_by_engine(straight)
    compared = 0
    for firm in straight:
        reference = Reference(firm)
        grains = sorted(reference.grains(), key=lambda g: (reference.firm.first_win(g[0])["closed_at"], g[2]))
        total = found[grains[0][1]]
        first, last = (Pricing(reference.firm, grain, {}, final=False) for grain in (grains[0], grains[-1]))
        n_components = len({component for _, _, component, _ in grains})
        if total is None or (n_components > 1 and not last.hangs_together([])):
            continue  # components that pay on their own are rounded on their own
        assert total == half_up(total_around(last)[1], 2) - half_up(total_around(first)[0], 2), grains[0]
        compared += 1
    assert compared > 0.5 * len(FIRMS)


def total_around(pricing: Pricing) -> tuple[Fraction, Fraction]:
    """T before and after one row."""
    own = next(o for o in pricing.own if (o.component, o.kind) == (pricing.component, pricing.kind))
    period, curve, quota = pricing.position([p for p in pricing.others() if pricing.precedes(p)], own)
    return period.total, pricing.add(period, curve, quota, own.amount).total
