"""Vectorised prices equal one-deal-at-a-time prices on random small companies."""

from __future__ import annotations

import pytest
from pay_company import Books
from random_company import add_rates, make_company
from slow_reference import Reference

from assets.incentives.deal_prices import price_deals
from assets.incentives.leakage import check_replay

COMPANIES = range(48)


@pytest.fixture(scope="module")
def firms() -> list[Books]:
    made = []
    for seed in COMPANIES:
        books = Books(zone="America/New_York" if seed % 2 else "Europe/Berlin")
        make_company(seed, f"{seed:02d}-", books)
        add_rates(books)
        made.append(books)
    return made


def is_replayed(books: Books, rep: str) -> bool:
    """Bounds meet a plan change inside the quarter: the reference takes one version for the whole of it."""
    assigned = [row for row in books.rows["plan_assignments"] if row["rep_id"] == rep]
    bounded = {p["plan_id"] for p in books.rows["plans"] if p.get("cap") or p.get("floor")}
    has_bounds = any(
        row["plan_id"] in bounded or row.get("draw_kind") == "non_recoverable" for row in assigned
    )
    return has_bounds and any(row.get("valid_to") for row in assigned)


def test_prices_equal_the_reference(firms: list[Books]) -> None:
    checked = {"priced": 0, "null": 0, "bounded": 0, "late": 0}
    for zone in ("America/New_York", "Europe/Berlin"):
        # sellers, plans and deals have their company's prefix, so one run prices all of one zone
        together = Books(zone=zone)
        for books in (b for b in firms if b.zone == zone):
            for name, rows in books.rows.items():
                together.rows[name] += rows
        together.rows["fx_rates"] = firms[0].rows["fx_rates"]
        references = {seed: Reference(firms[seed]) for seed in COMPANIES if firms[seed].zone == zone}
        tables = together.tables()
        mart = price_deals(tables).collect()
        replayed = check_replay(mart.lazy(), tables, sample=100).collect()
        assert replayed["replay_agrees"].drop_nulls().all()
        assert replayed["replay_agrees"].drop_nulls().len() > 90
        for row in mart.sort("opportunity_id", "rep_id", "credit_type").iter_rows(named=True):
            grain = [row[name] for name in ("opportunity_id", "rep_id", "component", "credit_type")]
            reference = references[int(grain[0][:2])]
            if is_replayed(firms[int(grain[0][:2])], grain[1]):
                continue
            known, final = (reference.price(*grain, final=final) for final in (False, True))
            found = (row["emcr_as_known"], row["emcr_lowest"], row["emcr_highest"], row["emcr_as_final"])
            wanted = (known["emcr"], known["lowest"], known["highest"], final["emcr"])
            assert found == pytest.approx(
                tuple(None if w is None else float(w) for w in wanted), abs=1e-12
            ), (grain, row)
            if known["emcr"] is None:
                assert row["null_reason"]
            else:
                attainment = None if known["attainment"] is None else float(known["attainment"])
                assert row["attainment_before"] == pytest.approx(attainment, abs=1e-12), grain
            checked["null" if known["emcr"] is None else "priced"] += 1
            checked["bounded"] += known["lowest"] != known["highest"]
            checked["late"] += known["emcr"] != final["emcr"]
    # the companies have enough of everything
    assert checked["priced"] > 300
    assert min(checked.values()) > 15, checked
