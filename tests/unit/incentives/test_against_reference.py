"""Vectorised prices equal one-deal-at-a-time prices on 1,000 random small companies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

import polars as pl
import pytest
from pay_company import Books, Row
from random_company import make_company
from random_firm import ONCE_PER_FIRM, SETTINGS, Setting, setting_of
from random_plans import STRUCTURES
from slow_reference import Reference

from assets.incentives.deal_prices import price_deals
from assets.incentives.leakage import check_replay

COMPANIES = range(1000)

EXACT = (
    "plan_id", "version", "period_start", "period_end", "days_to_period_end", "quota_amount", "credited_amount", "is_pivotal",
    "tier", "added_pay_amount", "spiff_amount", "forward_null_reason",
)  # fmt: skip
CLOSE = {  # eight decimals, each side rounded on its own
    "emcr_as_known": 1e-8, "emcr_lowest": 1e-8, "emcr_highest": 1e-8, "emcr_with_spiff": 1e-8, "attainment_before": 1e-8,
    "attainment_after": 1e-8, "distance_to_threshold": 1e-8, "base_rate": 1e-8, "relative_intensity": 1e-7, "added_pay": 1e-7,
    "emcr_forward": 1e-7,
}  # fmt: skip
SAME_REASON = {
    # one fault of a plan has several names, by what else is known of it
    "no_plan": {"no_plan", "plan_not_known", "plans_overlap"},
    "no_quota": {"no_quota", "quota_not_known"},
    "no_deal": {"no_deal", "not_won", "no_close"},
}


@dataclass
class Comparison:
    """What was met, and what differed: (column, feature) and the first rows of each."""

    met: Counter[str] = field(default_factory=Counter)
    wrong: dict[str, list[Any]] = field(default_factory=dict)

    def differ(self, what: str, *detail: Any) -> None:
        self.wrong.setdefault(what, []).append(detail)

    def report(self) -> str:
        lines = [f"{len(rows)} x {what}, first: {rows[0]}" for what, rows in sorted(self.wrong.items())]
        return "\n".join(lines)


@dataclass
class Batch:
    """All companies of one setting, and the prices of one run over them."""

    setting: Setting
    firms: dict[str, Books] = field(default_factory=dict)

    def together(self) -> Books:
        books = self.setting.books()
        for firm in self.firms.values():
            for name, rows in firm.rows.items():
                if name not in ONCE_PER_FIRM:
                    books.rows[name] += rows
        return books


@pytest.fixture(scope="module")
def made() -> tuple[list[Batch], Counter[str]]:
    batches = {setting: Batch(setting) for setting in SETTINGS}
    met: Counter[str] = Counter()
    for seed in COMPANIES:
        setting = setting_of(seed)
        books = setting.books()
        met += make_company(seed, f"{seed:04d}-", books, setting)
        batches[setting].firms[f"{seed:04d}"] = books
    return list(batches.values()), met


def number(value: Any) -> float | None:
    return None if value is None else float(value)


def near(found: float | None, wanted: float | None, tolerance: float) -> bool:
    """Equal but for the rounding of each side; both null or neither."""
    if found is None or wanted is None:
        return found is wanted
    return abs(found - wanted) <= 1.01 * tolerance * max(1.0, abs(wanted))


def compare_known(found: Row, known: Row, comparison: Comparison) -> None:
    """One row as known; where there is no price, only that and why."""
    grain = (found["opportunity_id"], found["rep_id"], found["component"], found["credit_type"])
    reason, has_price = known["null_reason"], known["null_reason"] in {None, "not_a_sale"}
    comparison.met[f"as known: {reason or 'priced'}"] += 1
    if (found["emcr_as_known"] is None) != (known["emcr"] is None):
        comparison.differ("emcr_as_known is null", grain, found["null_reason"], number(known["emcr"]), reason)
        return
    if known["emcr"] is None:
        allowed = {name for true in known["true_reasons"] for name in SAME_REASON.get(true, {true})}
        if found["null_reason"] not in allowed:
            comparison.differ(f"reason {reason}", grain, found["null_reason"], sorted(known["true_reasons"]))
    elif found["null_reason"] != known["relative_null_reason"]:
        comparison.differ(
            "reason of relative intensity", grain, found["null_reason"], known["relative_null_reason"]
        )
    if not has_price:
        return
    for name in EXACT:
        value, wanted = found.get(name), known[name]
        value = Fraction(value) if isinstance(value, Decimal) else value
        if value != wanted and not (name == "spiff_amount" and known["emcr"] is None):
            comparison.differ(name, grain, found.get(name), wanted)
    for name, tolerance in CLOSE.items():
        wanted = known[{"emcr_as_known": "emcr"}.get(name, name)]
        if not near(found[name], number(wanted), tolerance):
            comparison.differ(name, grain, found[name], number(wanted))
    count_prices(known, comparison.met)


def count_prices(known: Row, met: Counter[str]) -> None:
    """What the prices themselves went through."""
    met["order of the day matters"] += known["emcr_lowest"] != known["emcr_highest"]
    met["interval of a day"] += known["many_others"] is True
    met["forward from history"] += known["emcr_forward"] is not None and known["from_history"] is True
    met["forward without history"] += known["forward_null_reason"] is not None
    met["spiff paid"] += bool(known["spiff_amount"])
    met["pivotal"] += bool(known["is_pivotal"])
    met["bound binds"] += known["bound_binds"] is True
    met["gate opens"] += known["gate_opens"] is True
    met["segment"] += known["is_segment"] is True
    met["continuous change"] += known["is_continuous_change"] is True
    met["replayed"] += known["is_replayed"] is True
    met["base rate zero"] += known["relative_null_reason"] is not None


def compare_final(found: Row, final: Row, comparison: Comparison) -> None:
    grain = (found["opportunity_id"], found["rep_id"], found["component"], found["credit_type"])
    comparison.met[f"as final: {final['null_reason'] or 'priced'}"] += 1
    comparison.met["priced in parts"] += final["n_times"] is not None and final["emcr"] is not None
    pairs = {
        "emcr_as_final": "emcr",
        "attainment_before_final": "attainment_before",
        "added_pay_final": "added_pay",
    }
    for name, of in pairs.items():
        if name != "emcr_as_final" and final["emcr"] is None:
            continue
        if not near(found[name], number(final[of]), 1e-7 if of == "added_pay" else 1e-8):
            comparison.differ(name, grain, found[name], number(final[of]), final["null_reason"])
    if final["emcr"] is not None and found["added_pay_amount_final"] != final["added_pay_amount"]:
        comparison.differ(
            "added_pay_amount_final", grain, found["added_pay_amount_final"], final["added_pay_amount"]
        )


def compare_shift(found: Row, known: Row, final: Row, comparison: Comparison) -> None:
    """Whether today the credit counts in another period than the close was in."""
    if known["period_start"] is None or final["on"] is None:
        return
    shifted = not known["period_start"] <= final["on"] < known["period_end"]
    comparison.met["credit in another period"] += shifted
    if found["period_shifted"] is not shifted:
        comparison.differ("period_shifted", found["opportunity_id"], found["period_shifted"], shifted)


def priced_rows(batch: Batch) -> Iterator[Row]:
    tables = batch.together().tables()
    mart = price_deals(tables).collect()
    replayed = check_replay(mart.lazy(), tables, sample=100).collect()
    assert replayed["replay_agrees"].drop_nulls().all()
    assert replayed["replay_agrees"].drop_nulls().len() > 50
    return mart.sort("opportunity_id", "rep_id", "component", "credit_type").iter_rows(named=True)


def compare(batch: Batch, comparison: Comparison) -> None:
    references = {name: Reference(books) for name, books in batch.firms.items()}
    wanted = {(name, grain) for name, reference in references.items() for grain in reference.grains()}
    for row in priced_rows(batch):
        firm, grain = (
            row["opportunity_id"][:4],
            tuple(row[n] for n in ("opportunity_id", "rep_id", "component", "credit_type")),
        )
        if (firm, grain) not in wanted:
            comparison.differ("row nobody asked for", grain)
            continue
        wanted.remove((firm, grain))
        known, final = (references[firm].price(*grain, final=final) for final in (False, True))
        compare_known(row, known, comparison)
        compare_final(row, final, comparison)
        compare_shift(row, known, final, comparison)
        comparison.met["later knowledge moves the price"] += known["emcr"] != final["emcr"]
    for missing in sorted(wanted):
        comparison.differ("row missing", missing)


def test_prices_equal_the_reference(made: tuple[list[Batch], Counter[str]]) -> None:
    batches, _ = made
    comparison = Comparison()
    for batch in batches:
        compare(batch, comparison)
    assert not comparison.wrong, f"{sum(map(len, comparison.wrong.values()))} differ\n{comparison.report()}"
    met = comparison.met
    assert met["as known: priced"] > 10_000
    few = {name: n for name, n in met.items() if n < 20}
    assert not few, few


def test_the_companies_have_enough_of_everything(made: tuple[list[Batch], Counter[str]]) -> None:
    met = made[1]
    assert {f"structure: {structure.name}" for structure in STRUCTURES} <= set(met)
    few = {name: n for name, n in met.items() if n < 20}
    assert not few, few


def test_mart_rows_are_unique(made: tuple[list[Batch], Counter[str]]) -> None:
    grain = ["opportunity_id", "rep_id", "component", "credit_type"]
    mart = price_deals(made[0][0].together().tables()).collect()
    assert mart.select(pl.struct(grain).is_unique().all()).item()


def test_bytes_do_not_hang_on_how_many_sellers_are_priced_at_a_time(
    made: tuple[list[Batch], Counter[str]],
) -> None:
    grain = ["opportunity_id", "rep_id", "component", "credit_type"]
    setting, firms = made[0][0].setting, made[0][0].firms
    tables = Batch(setting, dict(list(firms.items())[:25])).together().tables()
    whole, cut = (price_deals(tables, batch=size).sort(grain).collect() for size in (10**9, 60))
    assert whole["emcr_forward"].drop_nulls().len() > 100
    assert whole.equals(cut)
