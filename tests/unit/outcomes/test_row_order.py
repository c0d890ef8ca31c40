"""Same input, same bytes: the order of source rows reaches no table of the chain, from deals to the panel."""

from __future__ import annotations

import polars as pl

from assets.core.customer_events import tie_events
from assets.core.deals import won_deals
from assets.outcomes.account_months import count_month
from assets.outcomes.account_spells import cut_spells
from assets.outcomes.panel import prepare_panel
from assets.step import conform
from expectations.contracts import TABLES

ACCOUNTS, SELLERS = 5, 3


def _day(number: int) -> str:
    return f"2025-{1 + number // 28:02}-{1 + number % 28:02}"


def _sources(rows):
    """A few dozen rows of everything, with ties on purpose: same days, same accounts, same products."""
    n = range(30)
    account = {i: f"A{i % ACCOUNTS}" for i in n}
    return {
        "accounts": rows("accounts", *({"account_id": f"A{i}", "merged_into_id": "A0" if i == 4 else None} for i in range(ACCOUNTS))),
        "reps": rows("reps", *({"rep_id": f"r{i}"} for i in range(SELLERS))),
        "products": rows("products", {"product_id": "p0"}, {"product_id": "p1"}),
        "opportunities": rows("opportunities", *(
            {"opportunity_id": f"d{i:02}", "account_id": account[i], "rep_id": f"r{i % SELLERS}", "product_id": f"p{i % 2}",
             "closed_at": _day(7 * (i // 3)), "is_won": True, "amount": 10 + i, "list_amount": 50, "currency": "USD"} for i in n)),
        "activities": rows("activities", *(
            {"activity_id": f"a{i}", "account_id": account[i], "rep_id": "r0", "occurred_at": _day(3 * i), "direction": "outbound"} for i in n)),
        "subscriptions": rows("subscriptions", *(
            {"subscription_id": f"s{i}", "account_id": account[i], "opportunity_id": f"d{i:02}", "started_at": _day(7 * (i // 3)),
             "ended_at": _day(7 * (i // 3) + 20 + i) if i % 3 else None, "mrr": i, "currency": "USD"} for i in n)),
        "subscription_events": rows("subscription_events", *(
            {"event_id": f"e{i}", "subscription_id": f"s{i}", "kind": ("upgrade", "refund", "renew")[i % 3],
             "effective_at": _day(5 * i), "mrr_delta": i, "amount": 1} for i in n)),
        "complaints": rows("complaints", *({"complaint_id": f"c{i}", "account_id": account[i], "received_at": _day(6 * i)} for i in n)),
        "feedback": rows("feedback", *({"feedback_id": f"f{i}", "account_id": account[i], "captured_at": _day(6 * i)} for i in n)),
        "account_assignments": rows("account_assignments", *(
            {"account_id": account[i], "rep_id": f"r{i % SELLERS}", "role": "farmer", "valid_from": _day(4 * i)} for i in n)),
        "credits": rows("credits"), "ledger": rows("ledger"), "customer_activity": rows("customer_activity"),
    }  # fmt: skip


def test_the_order_of_source_rows_reaches_no_table(rows, company, judged_frames, no_exposures):
    firm = company()
    sources = _sources(rows)

    def chain(seed: int | None) -> dict[str, pl.DataFrame]:
        def frame(name: str) -> pl.LazyFrame:
            whole = sources[name].collect()
            return (whole if seed is None else whole.sample(fraction=1, shuffle=True, seed=seed)).lazy()

        def pick(*names: str) -> dict[str, pl.LazyFrame]:
            return {name: frame(name) for name in names}

        def done(name: str, made: pl.LazyFrame) -> pl.LazyFrame:
            finished[name] = conform(TABLES[name], made).collect()
            return finished[name].lazy()

        finished: dict[str, pl.DataFrame] = {}
        deals = done(
            "deals",
            won_deals(company=firm, **pick("opportunities", "accounts", "reps", "products", "activities")),
        )
        voices = (
            "complaints",
            "feedback",
            "subscriptions",
            "subscription_events",
            "credits",
            "ledger",
            "accounts",
        )
        events = done("customer_events", tie_events(deals=deals, company=firm, **pick(*voices)))
        emcr = pl.LazyFrame(
            {"opportunity_id": [f"d{i:02}" for i in range(30)], "emcr": [i % 7 / 90 for i in range(30)]}
        )
        exposures = emcr.join(no_exposures.drop("emcr"), on="opportunity_id", how="left")
        frames = pick("subscriptions", "subscription_events", "customer_activity", "accounts")
        outcomes = done(
            "deal_outcomes", judged_frames(deals, firm, frames | {"customer_events": events}, exposures)
        )
        shared = {"deal_outcomes": outcomes, "customer_events": events, "company": firm}
        done("account_spells", cut_spells(**shared, **pick("account_assignments", "activities", "accounts")))
        panel = prepare_panel(
            **shared, **pick("account_assignments", "subscriptions", "subscription_events", "accounts")
        )
        months = [count_month(panel, frame("activities"), firm, month).lazy() for month in panel.months]
        done("account_months", pl.concat(months))
        contents.append(panel.contents)
        return finished

    contents: list[dict[str, str]] = []
    plain, shuffled = chain(None), chain(3)
    assert contents[0] == contents[1]
    assert {name: made.height > 0 for name, made in plain.items()} == dict.fromkeys(plain, True)
    assert {name: made.equals(shuffled[name]) for name, made in plain.items()} == dict.fromkeys(plain, True)
