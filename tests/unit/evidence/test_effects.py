"""incentive_effects: hand-made firms with a known answer, and what must hold of every row and sentence."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from assets.company import Company
from assets.evidence.effects import estimate_effects
from assets.evidence.sentences import CONTROL_FINDS, CONTROL_IS_QUIET, Found, say
from assets.evidence.specifications import EXPOSURES, OUTCOMES, SEPARATION, SPECIFICATIONS
from expectations.cautions import MEANINGS, Caution
from expectations.contracts import TABLES
from tests.unit.evidence.attacker import Attacker

END = date(2025, 12, 31)
HEADLINE = SEPARATION[2]
FIRM_TABLES = (
    "deal_outcomes",
    "deal_incentives",
    "feedback_hops",
    "customer_events",
    "plan_change_effects",
    "quota_bunching",
    "plans",
)


def draw_firm(
    *,
    sellers: int = 45,
    deals: int = 40,
    ratio: float = 1.5,
    ability: float = 0.0,
    seed: int = 1,
    months: int = 24,
) -> dict[str, list[dict[str, object]]]:
    """Deals of sellers, churning at a hazard with `ratio` per +10 pp EMCR; able sellers have higher rates and keep customers."""
    rng = np.random.default_rng(seed)
    outcomes, incentives, hops, events = [], [], [], []
    for seller in range(sellers):
        skill = rng.normal()
        for deal in range(deals):
            number = f"{seller:03}-{deal:03}"
            closed = date(2023, 7, 1) + timedelta(days=int(rng.integers(0, 30 * months)))
            period = date(closed.year, closed.month - (closed.month - 1) % 3, 1)
            emcr = float(np.clip(0.10 + 0.05 * rng.normal() + 0.04 * ability * skill, 0, 0.4).round(8))
            log_hazard = np.log(ratio) * emcr / 0.1 - ability * skill
            churn = int(rng.exponential(700 / np.exp(log_hazard)))
            left = closed + timedelta(days=churn)
            mature = closed + timedelta(days=180) <= END
            row = {
                "opportunity_id": number, "account_id": f"a{number}", "rep_id": f"r{seller:03}", "closed_on": closed,
                "clock_start_on": closed, "observed_until": END, "churned_on": left if left <= END else None,
                "segment": ["small", "large"][deal % 2], "region": "north", "cohort_quarter": f"{period}",
                "emcr": emcr, "relative_intensity": emcr / 0.1, "days_to_period_end": (91 - (closed - period).days) % 92,
                "amount": 1000, "product_id": "p", "discount_share": 0.1 * rng.uniform(), "cycle_days": int(rng.integers(1, 90)),
                "touches_30d": int(rng.integers(0, 9)), "month_end": closed.day > 25, "closing_load": rng.uniform(0.5, 1.5),
                "mature_180d": mature,
                "complaints_180d": int(rng.poisson(0.12 * ratio ** (emcr / 0.1))) if mature else None,
                "refunded_180d": bool(rng.uniform() < 0.05) if mature else None,
                "clawed_back_180d": False if mature else None,
            }  # fmt: skip
            outcomes.append(row)
            incentives.append(
                {
                    "opportunity_id": number,
                    "rep_id": f"r{seller:03}",
                    "credit_type": "primary",
                    "period_start": period,
                }
            )
    return {
        "deal_outcomes": outcomes,
        "deal_incentives": incentives,
        "feedback_hops": hops,
        "customer_events": events,
        "plan_change_effects": [],
        "quota_bunching": [],
        "plans": [],
    }


@pytest.fixture(scope="module")
def firm() -> dict[str, list[dict[str, object]]]:
    return draw_firm(ability=0.5)


@pytest.fixture(scope="module")
def known() -> Company:
    everything = {"opportunities": frozenset({"recorded_at"}), "credits": frozenset({"recorded_at"})}
    return Company(
        "USD", "UTC", END, sources=frozenset({*everything, "complaints", "feedback"}), columns=everything
    )


def estimate(frame_of, firm, company) -> pl.DataFrame:
    return estimate_effects(company=company, **{n: frame_of(n, r) for n, r in firm.items()}).collect()


def row(
    table: pl.DataFrame, outcome: str, specification: str, exposure: str = "emcr_as_known"
) -> dict[str, object]:
    (found,) = table.filter(outcome=outcome, exposure=exposure, specification=specification).to_dicts()
    return found


def covers(found: dict[str, object], truth: float) -> bool:
    return found["estimate_lo"] <= truth <= found["estimate_hi"]


@pytest.fixture(scope="module")
def table(frame_of, firm, known) -> pl.DataFrame:
    return estimate(frame_of, firm, known)


def test_within_sellers_the_planted_ratio_is_found_and_across_them_it_is_not(table) -> None:
    for specification in SEPARATION:
        assert covers(row(table, "churn_180d", specification), 1.5)
    assert not covers(row(table, "churn_180d", "unadjusted"), 1.5)
    assert covers(row(table, "complaint_180d", HEADLINE), 1.5)


def test_how_many_stand_behind_a_hidden_row_can_not_be_told_from_the_others(frame_of, known) -> None:
    """What pays is known of four sellers' deals only. No row is a sum of others: a linear program over all of them finds no size."""
    firm = draw_firm(sellers=12, deals=30)
    for deal in firm["deal_outcomes"]:
        if deal["rep_id"] > "r003":
            deal["emcr"] = deal["relative_intensity"] = None
    table = estimate(frame_of, firm, known)
    hidden = table.filter("suppressed")
    assert hidden["exposure"].n_unique() >= 1
    assert table.filter(~pl.col("suppressed") & pl.col("n").is_not_null()).height > 0
    numbers = [name for name, kind in table.schema.items() if kind.is_numeric() and name != "evidence_level"]
    assert hidden.select(pl.col(numbers).is_null().all()).row(0) == (True,) * len(numbers)
    assert not hidden["sentence"].str.contains(r"\d{2,} (deals|sellers|events)").any()
    attacker = Attacker()
    rows = table.select(
        "outcome", "exposure", "specification", "evidence_level", "n", "events", "n_clusters"
    ).rows()
    for name, place in (("n", 4), ("events", 5), ("sellers", 6)):
        attacker.read("effects", name, [(row[:3], row[place]) for row in rows])
    for row in rows:
        for part in ("events", "sellers"):
            attacker.at_most([("effects", part, *row[:3])], [("effects", "n", *row[:3])])
        for other in rows:
            # the same deals, with more known of them
            if other[:2] == row[:2] and other[3] < row[3] and HEADLINE not in (row[2], other[2]):
                attacker.at_most([("effects", "n", *row[:3])], [("effects", "n", *other[:3])])
    wanted = {
        ("effects", "n", *row): 10.0 for row in hidden.select("outcome", "exposure", "specification").rows()
    }
    assert all(high - low >= 10 - 1e-3 for low, high in attacker.bound(wanted).values())


def test_one_row_is_what_its_columns_say(table) -> None:
    found = row(table, "churn_180d", HEADLINE)
    assert found["scale"] == "hazard ratio per +10 pp emcr"
    assert (found["evidence_level"], found["test_family"], found["n_clusters"]) == (2, "primary", 45)
    assert found["events"] > 200
    assert found["e_value"] > found["e_value_bound"] >= 1
    assert found["estimator"] == "partial likelihood within seller-period and days to end bin effects"
    assert (
        row(table, "churn_180d", SEPARATION[0])["estimator"]
        == "Poisson with seller effects and period effects"
    )
    assert row(table, "churn_180d", "adjusted")["estimator"] == "complementary log-log hazard"
    assert found["n"] < row(table, "churn_180d", "unadjusted")["n"]
    assert row(table, "refund_180d", HEADLINE)["scale"] == "risk ratio per +10 pp emcr"
    assert row(table, "complaint_180d", "unadjusted")["scale"] == "rate ratio per +10 pp emcr"
    assert row(table, "churn_180d", HEADLINE, "relative_intensity")["estimate"] == pytest.approx(
        found["estimate"], rel=1e-6
    )


def test_controls_find_nothing_and_have_no_q(table) -> None:
    controls = table.filter(test_family="control")
    assert set(controls["specification"]) >= {"control_shuffled_exposure", "control_future_plan"}
    assert controls["q_value"].is_null().all()
    with_estimate = controls.filter(pl.col("estimate").is_not_null())
    assert with_estimate.height >= 4
    assert with_estimate.select((pl.col("p_value") > 0.005).all()).item()


def test_q_values_are_counted_per_family(table) -> None:
    from scipy.stats import false_discovery_control

    for family in ("primary", "secondary"):
        tests = table.filter(pl.col("test_family") == family, pl.col("p_value").is_not_null())
        assert tests["q_value"].to_list() == pytest.approx(
            false_discovery_control(tests["p_value"].to_numpy()).tolist(), rel=1e-6
        )


def test_no_event_is_no_estimate_and_says_so(table) -> None:
    found = row(table, "clawback_180d", HEADLINE)
    assert (found["estimate"], found["p_value"], found["events"], found["warnings"]) == (
        None,
        None,
        0,
        "few_events",
    )
    assert re.match(r"No number for [^:(]+: fewer than 20 events", found["sentence"])


def test_every_sentence_claims_no_more_than_its_level(table) -> None:
    assert table.height > 100
    for found in table.to_dicts():
        said = found["sentence"]
        assert not re.search(r"\b(effect|cause|caused|impact|due to|leads? to)", said, re.IGNORECASE), said
        if found["estimate"] is None:
            assert said.startswith("No number for")
            continue
        assert said.endswith("not evidence on any individual.")
        is_ratio = found["scale"].split(" per ")[0].endswith("ratio") or " against " in found["scale"]
        if is_ratio:
            assert f"{found['estimate']:.2f}x" in said
            assert f"{found['estimate_lo']:.2f} to {found['estimate_hi']:.2f}" in said
        assert f"sellers = {found['n_clusters']:,}" in said
        assert f"level {found['evidence_level']}" in said
        if found["test_family"] == "control":
            quiet = found["estimate_lo"] <= 1 <= found["estimate_hi"]
            assert (CONTROL_IS_QUIET in said, CONTROL_FINDS in said) == (quiet, not quiet)
        elif found["specification"] != "mediation_share":
            holds_nothing = found["estimate_lo"] <= is_ratio <= found["estimate_hi"]
            assert ("no association is shown" in said) == holds_nothing
            assert ("could explain it away" in said) == (is_ratio and not holds_nothing)
        for word in filter(None, found["warnings"].split(", ")):
            assert MEANINGS[Caution(word)] in said


def test_every_warning_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Caution)


def test_an_exposure_constant_within_sellers_has_no_level_2(frame_of, known) -> None:
    firm = draw_firm(seed=3, sellers=45, deals=30)
    rate = {f"r{s:03}": 0.05 + s / 500 for s in range(45)}
    for deal in firm["deal_outcomes"]:
        deal["emcr"] = rate[deal["rep_id"]]
    table = estimate(frame_of, firm, known)
    for specification in SEPARATION:
        found = row(table, "churn_180d", specification)
        assert (found["estimate"], found["warnings"]) == (None, "no_within_variation")
    assert row(table, "churn_180d", "unadjusted")["estimate"] is not None


def test_few_sellers_are_warned_of_and_four_are_hidden(frame_of, known) -> None:
    few = estimate(frame_of, draw_firm(sellers=12, seed=4), known)
    assert "few_clusters" in row(few, "churn_180d", HEADLINE)["warnings"]
    hidden = estimate(frame_of, draw_firm(sellers=4, deals=60, seed=4), known)
    found = row(hidden, "churn_180d", HEADLINE)
    assert found["suppressed"]
    numbers = (
        "estimate",
        "estimate_lo",
        "estimate_hi",
        "p_value",
        "q_value",
        "n",
        "events",
        "n_clusters",
        "n_accounts",
    )
    assert {found[name] for name in numbers} == {None}
    assert found["sentence"].startswith("Hidden: fewer than 5 sellers or 10 customers")
    assert found["warnings"] == ""


def test_unknown_knowledge_time_and_young_cohorts_are_warned_of(frame_of, firm, known) -> None:
    blind = replace(known, columns={})
    young = {**firm, "deal_outcomes": [
        r | {"observed_until": date(2024, 9, 30), "churned_on": r["churned_on"] if (r["churned_on"] or END) <= date(2024, 9, 30) else None}
        for r in firm["deal_outcomes"] if r["closed_on"] <= date(2024, 9, 1)
    ]}  # fmt: skip
    found = row(estimate(frame_of, young, blind), "churn_180d", HEADLINE)
    assert {"knowledge_time_unknown", "immature_cohort"} <= set(found["warnings"].split(", "))
    assert 0 < found["mature_share"] < 0.8


def test_signs_that_disagree_are_warned_of(frame_of, known) -> None:
    """Churn that depends on the time left in the period only: as late deals have higher rates, dropping the bins finds them."""
    firm = draw_firm(seed=5, ratio=1.0, deals=60)
    rng = np.random.default_rng(5)
    for deal in firm["deal_outcomes"]:
        late = deal["days_to_period_end"] < 20
        deal["emcr"] = float(np.clip(0.10 + 0.08 * late + 0.02 * rng.normal(), 0, 1).round(8))
        log_hazard = 1.2 * late - 2.0 * (deal["emcr"] - 0.10) / 0.1 * 0.4
        left = deal["closed_on"] + timedelta(days=int(rng.exponential(700 / np.exp(log_hazard))))
        deal["churned_on"] = left if left <= END else None
    table = estimate(frame_of, firm, known)
    estimates = [row(table, "churn_180d", s)["estimate"] for s in SEPARATION]
    assert estimates[1] > 1 > estimates[2]
    assert all("timing_not_separable" in row(table, "churn_180d", s)["warnings"] for s in SEPARATION)


def test_a_direction_that_turns_within_segments_is_warned_of(frame_of, known) -> None:
    firm = draw_firm(seed=6, ratio=1.0)
    rng = np.random.default_rng(6)
    for deal in firm["deal_outcomes"]:
        large = deal["segment"] == "large"
        deal["emcr"] = float(np.clip((0.2 if large else 0.1) + 0.05 * rng.normal(), 0, 1).round(8))
        log_hazard = 1.5 * large - 4 * deal["emcr"]
        left = deal["closed_on"] + timedelta(days=int(rng.exponential(900 / np.exp(log_hazard))))
        deal["churned_on"] = left if left <= END else None
    found = row(estimate(frame_of, firm, known), "churn_180d", "unadjusted")
    assert {"simpson", "composition_change"} <= set(found["warnings"].split(", "))


def test_the_table_fits_its_contract_and_row_order_changes_no_byte(table, frame_of, firm, known) -> None:
    contract = TABLES["incentive_effects"]
    first = table
    second = estimate(frame_of, {name: rows[::-1] for name, rows in firm.items()}, known)
    assert first.schema == contract.schema
    assert_frame_equal(first, second, check_exact=True)
    assert not first.select(pl.any_horizontal(rule.broken for rule in contract.rules).any()).item()
    assert not first.select(contract.key).is_duplicated().any()


def test_without_pay_data_pressure_is_primary(frame_of, firm, known) -> None:
    bare = {**firm, "deal_incentives": [], "deal_outcomes": [
        r | {"emcr": None, "relative_intensity": None, "days_to_period_end": None} for r in firm["deal_outcomes"]
    ]}  # fmt: skip
    table = estimate(frame_of, bare, known)
    assert set(table["exposure"]) == {
        "closing_load",
        "month_end",
        "cycle_days",
        "discount_share",
        "touches_30d",
    }
    primary = table.filter(test_family="primary", outcome="churn_180d")
    assert set(primary["specification"]) == {"seller_period"}
    assert primary.height == 5


OWNER_RATIO, SALE_RATIO = 1.6, 1.2


def hear(firm: dict[str, list[dict[str, object]]], seed: int) -> dict[str, list[dict[str, object]]]:
    """One item per deal, heard by another seller than the one who sold; both ways of being paid make it wait longer."""
    rng = np.random.default_rng(seed)
    paid: dict[tuple[str, str], list[float]] = {}
    deals = [d | {"cohort_month": f"{d['closed_on']:%Y-%m}"} for d in firm["deal_outcomes"]]
    for deal in deals:
        paid.setdefault((deal["rep_id"], deal["cohort_month"]), []).append(deal["emcr"])
    hops = []
    for number, deal in enumerate(deals):
        said = datetime(2023, 10, 1, tzinfo=UTC) + timedelta(days=float(rng.uniform(0, 500)))
        owner = f"r{(int(deal['rep_id'][1:]) + 7) % 45:03}"
        before = said.replace(day=1) - timedelta(days=1)
        rates = paid.get((owner, f"{before:%Y-%m}"), [0.10])
        slower = SALE_RATIO ** (deal["emcr"] / 0.1) * OWNER_RATIO ** (sum(rates) / len(rates) / 0.1)
        days = float(rng.exponential(8 * slower))
        hops.append(
            {"feedback_id": f"f{number}", "hop": "captured", "opportunity_id": deal["opportunity_id"], "account_id": deal["account_id"],
             "owner_rep_id": owner, "entered_at": said, "left_at": said + timedelta(days=days), "days": days, "censored": False}
        )  # fmt: skip
    return {**firm, "deal_outcomes": deals, "feedback_hops": hops}


def test_how_the_owner_was_paid_when_it_was_said_and_how_the_seller_was_are_told_apart(
    frame_of, known
) -> None:
    """Over ten firms 95 % intervals miss more than two in one of 90. Nothing else happens in them, and no other exposure is known."""
    quiet = {"churned_on": None, "complaints_180d": 0, "refunded_180d": False, "clawed_back_180d": False}
    quiet |= dict.fromkeys(
        ("relative_intensity", "closing_load", "month_end", "discount_share", "touches_30d")
    )
    tables = []
    for seed in range(10):
        firm = hear(draw_firm(seed=seed, ratio=1.0), seed)
        deals = [deal | quiet for deal in firm["deal_outcomes"]]
        tables.append(estimate(frame_of, {**firm, "deal_outcomes": deals}, known))
    for exposure, planted, specification in (
        ("owner_emcr", 1 / OWNER_RATIO, "unadjusted"),
        ("owner_emcr", 1 / OWNER_RATIO, SEPARATION[0]),
        ("owner_emcr", 1 / OWNER_RATIO, SEPARATION[1]),
        ("emcr_as_known", 1 / SALE_RATIO, SEPARATION[0]),
    ):
        rows = [row(t, "feedback_lag", specification, exposure) for t in tables]
        assert sum(covers(r, planted) for r in rows) >= 8, (exposure, specification)
        assert all(r["estimate_hi"] < 1 for r in rows if exposure == "owner_emcr")
    found = row(tables[0], "feedback_lag", SEPARATION[0], "owner_emcr")
    assert found["scale"] == "hazard ratio per +10 pp owner emcr in the month before"
    assert (found["test_family"], found["n_clusters"]) == ("secondary", 45)
    assert "Pieces of feedback of customers whose owner had +10 pp higher" in found["sentence"]


def test_an_owner_says_nothing_of_outcomes_of_deals(frame_of, known) -> None:
    table = estimate(frame_of, hear(draw_firm(seed=1), 1), known).filter(exposure="owner_emcr")
    assert set(table["outcome"]) == {"feedback_lag"}
    assert set(table["test_family"]) == {"secondary"}


def test_an_empty_firm_has_no_rows(frame_of, known) -> None:
    nothing = {name: [] for name in FIRM_TABLES}
    assert estimate(frame_of, nothing, known).is_empty()


def moved(outcome: str, term: str, change: str, **known: object) -> dict[str, object]:
    """A row of `plan_change_effects`."""
    return {
        "plan_change": change, "outcome": outcome, "term": term, "scale": "share of deals", "evidence_level": 4,
        "estimate": 0.03, "estimate_lo": 0.01, "estimate_hi": 0.05, "p_value": 0.004, "n": 900, "events": 90, "n_treated": 30,
        "n_compared": 41, "n_accounts": 700, "mature_share": 0.9, "e_value": 2.0, "e_value_bound": 1.4, "estimator": "event study",
        "assumptions": "a common course", "warnings": "", "suppressed": False, "sentence": "Over the year after the move, an effect.",
    } | known  # fmt: skip


def test_plan_changes_are_the_rows_of_level_4(frame_of, known) -> None:
    def read(*rows: dict[str, object]) -> pl.DataFrame:
        nothing = {name: [] for name in FIRM_TABLES}
        return estimate(frame_of, nothing | {"plan_change_effects": list(rows)}, known)

    one_kind = [
        moved(outcome, term, change)
        for outcome in ("churn_180d", "complaint_180d", "emcr_as_known", "deals_won")
        for term in ("average", "placebo", "quarter")
        for change in ("all", "AE 1 > AE 2")
    ]
    table = read(*one_kind)
    # the kind of move is all moves once more; pay and volume are no outcomes; single quarters stand in their own table
    assert table.select("outcome", "exposure", "specification", "test_family").rows() == [
        ("churn_180d", "plan_change", "control_pretended_move", "control"),
        ("churn_180d", "plan_change", "event_study", "primary"),
        ("complaint_180d", "plan_change", "control_pretended_move", "control"),
        ("complaint_180d", "plan_change", "event_study", "primary"),
    ]
    found = row(table, "churn_180d", "event_study", "plan_change")
    assert (found["estimate"], found["evidence_level"], found["n_clusters"], found["e_value_bound"]) == (
        0.03,
        4,
        71,
        1.4,
    )
    assert found["scale"] == "difference in share of deals, moved to another plan against not"
    assert found["q_value"] == pytest.approx(0.004)
    assert row(table, "churn_180d", "control_pretended_move", "plan_change")["q_value"] is None

    several = read(
        *one_kind, moved("churn_180d", "average", "AE 2 > KEY 1", estimate=-0.02, estimate_lo=-0.05)
    )
    kinds = several.filter(outcome="churn_180d", test_family="secondary")["specification"].to_list()
    assert kinds == ["event_study AE 1 > AE 2", "event_study AE 2 > KEY 1"]
    assert not several.select(
        pl.any_horizontal(r.broken for r in TABLES["incentive_effects"].rules).any()
    ).item()

    hidden = read(moved("churn_180d", "average", "all", suppressed=True, **dict.fromkeys(
        ("estimate", "estimate_lo", "estimate_hi", "p_value", "n", "n_treated", "n_compared", "n_accounts"))))  # fmt: skip
    assert hidden["n_clusters"].to_list() == [None]


def test_a_pile_at_a_pay_threshold_is_warned_of_where_pay_is_the_exposure(frame_of, firm, known) -> None:
    def warnings_of(**bunched: object) -> dict[str, set[str]]:
        pile = {"plan_id": "all", "component": "commission", "warnings": "density_jump"} | bunched
        rows = {**firm, "quota_bunching": [pile], "deal_outcomes": firm["deal_outcomes"][:600]}
        table = estimate(frame_of, rows, known)
        return {
            str(exposure): set(", ".join(found["warnings"]).split(", "))
            for (exposure,), found in table.group_by("exposure")
        }

    piled = warnings_of(is_placebo=False)
    assert "density_jump" in piled["emcr_as_known"] & piled["relative_intensity"]
    assert "density_jump" not in piled["month_end"] | piled["closing_load"]
    # a pile where nothing is paid is no pile at a pay threshold
    assert "density_jump" not in warnings_of(is_placebo=True)["emcr_as_known"]


def test_losses_that_wait_for_the_end_of_clawback_are_warned_of(frame_of, firm, known) -> None:
    schedule = {
        "plan_id": "AE",
        "version": 1,
        "clawback_method": "schedule",
        "clawback_schedule": "[[0, 1.0], [3, 0.5], [5, 0]]",
    }

    def warned(*, held: bool, plan: dict[str, object]) -> set[str]:
        deals = []
        for deal in firm["deal_outcomes"][:900]:
            left = deal["churned_on"]
            month = deal["closed_on"].month + 5
            free = date(
                deal["closed_on"].year + (month - 1) // 12,
                (month - 1) % 12 + 1,
                min(deal["closed_on"].day, 28),
            )
            # whoever would have left in the last three months of clawback leaves in the week after it
            if held and left and free - timedelta(days=90) <= left < free:
                left = free + timedelta(days=left.day % 7)
            deals.append(
                deal | {"plan_id": "AE", "version": 1, "churned_on": left if left and left <= END else None}
            )
        table = estimate(frame_of, {**firm, "deal_outcomes": deals, "plans": [plan]}, known)
        churn = table.filter(outcome="churn_180d")
        others = table.filter(pl.col("outcome") != "churn_180d")
        assert "clawback_cliff" not in ", ".join(others["warnings"])
        return set(", ".join(churn["warnings"]).split(", "))

    assert "clawback_cliff" in warned(held=True, plan=schedule)
    assert "clawback_cliff" not in warned(held=False, plan=schedule)
    # commission that can always be taken back has no such day
    assert "clawback_cliff" not in warned(held=True, plan=schedule | {"clawback_method": "original_rate"})


def test_what_goes_through_the_way_of_selling_adds_up(frame_of, known) -> None:
    """Discount answers to the rate and churn to discount: most of the difference goes through it, nothing through touches."""
    firm = draw_firm(seed=8, ratio=1.0, sellers=60, deals=60)
    rng = np.random.default_rng(8)
    for deal in firm["deal_outcomes"]:
        deal["discount_share"] = float(0.05 + 0.10 * deal["emcr"] / 0.1 + 0.03 * rng.normal())
        deal["churned_180d"] = (
            bool(rng.uniform() < 0.05 + 1.0 * deal["discount_share"]) if deal["mature_180d"] else None
        )
    table = estimate(frame_of, firm, known).filter(pl.col("specification").str.starts_with("mediation"))
    churn = {
        r["specification"].removeprefix("mediation_"): r
        for r in table.filter(outcome="churn_180d").to_dicts()
    }
    assert {n: r["effect_kind"] for n, r in churn.items()} == {
        "total": "total", "direct": "direct", "indirect": "indirect", "share": "indirect", "via_discount_share": "indirect",
        "via_cycle_days": "indirect", "via_touches_30d": "indirect",
    }  # fmt: skip
    assert churn["total"]["estimate"] == pytest.approx(
        churn["direct"]["estimate"] + churn["indirect"]["estimate"], abs=1e-8
    )
    parts = sum(r["estimate"] for n, r in churn.items() if n.startswith("via_"))
    assert churn["indirect"]["estimate"] == pytest.approx(parts, abs=1e-8)
    assert covers(churn["via_discount_share"], 0.10)
    assert covers(churn["direct"], 0.0)
    assert covers(churn["via_touches_30d"], 0.0)
    assert churn["share"]["estimate_lo"] > 0.5
    assert (churn["total"]["evidence_level"], churn["total"]["scale"]) == (
        2,
        "difference in share of deals per +10 pp emcr",
    )
    assert "nothing unmeasured moves" in churn["indirect"]["assumptions"]
    assert "by way of discount," in churn["via_discount_share"]["sentence"]
    # no clawbacks: no numbers, and the reason
    none = table.filter(outcome="clawback_180d")
    assert none["estimate"].is_null().all()
    assert none["warnings"].unique().to_list() == ["few_events"]
    assert none["sentence"].str.contains("fewer than 20 events").all()


def test_a_control_that_finds_something_says_so() -> None:
    found = Found(1.4, 1.1, 1.8, 900, 45, 0.9, 2.1, "deals")
    (control,) = [s for s in SPECIFICATIONS if s.placebo == "future_plan"]
    said = say(OUTCOMES[0], EXPOSURES[0], control, found, ())
    assert CONTROL_FINDS in said
    assert "explain it away" not in said
    assert "in the seller's next pay period" in said
    assert CONTROL_IS_QUIET in say(OUTCOMES[0], EXPOSURES[0], control, replace(found, lo=0.9), ())
