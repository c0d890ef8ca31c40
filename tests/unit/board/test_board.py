"""The board's page: numbers that follow from the marts, nothing small, nothing that runs."""

from __future__ import annotations

import base64
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from assets.board.charts import (
    draw_bunching,
    draw_churn,
    draw_excess,
    draw_intervals,
    draw_rhythm,
    draw_trend,
    sketch,
)
from assets.board.listening import _last_month
from assets.board.measures import MEASURES
from assets.board.page import CHAPTERS, render_board
from assets.board.pictures import draw_all
from assets.board.scorecard import format_number, score
from assets.company import Company
from assets.evidence.complaint_rates import rate_complaints
from assets.evidence.lags import estimate_lags
from assets.evidence.retention import estimate_churn
from expectations.contracts import TABLES

COMPANY = Company(
    reporting_currency="USD",
    timezone="UTC",
    as_of=date(2025, 12, 31),
    sources=frozenset({"complaints", "feedback", "feedback_events"}),
)
EVIL = "<script>alert(1)</script>"


def table(name: str, rows: list[dict[str, object]]) -> pl.LazyFrame:
    schema = TABLES[name].schema
    return pl.DataFrame([{c: row.get(c) for c in schema} for row in rows], schema=schema).lazy()


def quarter(day: date) -> str:
    return f"{day.year}-Q{(day.month + 2) // 3}"


def shift(
    theme: str, *, channel: str, after: float, before: float = 0.1, waits: bool = False
) -> dict[str, object]:
    return {
        "theme_id": theme, "channel": channel, "is_shift": True, "share_before": before, "share_after": after, "n": 500,
        "change_on": date(2025, 3, 3), "change_on_lo": date(2025, 2, 24), "change_on_hi": date(2025, 3, 17), "board_seen_days": 60,
        "board_seen_censored": waits,
    }  # fmt: skip


def firm(deals: int = 1600, sellers: int = 13) -> dict[str, pl.LazyFrame]:
    """A firm in which the highest fifth loses customers twice as fast, and complains twice as much."""
    rng = np.random.default_rng(21)
    outcomes, events, hops, months, incentives = [], [], [], [], []
    for i in range(deals):
        closed = date(2024, 1, 1) + timedelta(days=int(rng.integers(0, 720)))
        fifth = int(rng.integers(1, 6))
        left = closed + timedelta(days=int(rng.exponential(700 / (1 + (fifth - 1) / 4))))
        seen = (COMPANY.as_of - closed).days
        outcomes.append({
            "opportunity_id": f"o{i}", "account_id": f"a{i}", "rep_id": f"r{i % sellers}", "closed_on": closed, "clock_start_on": closed,
            "churned_on": left if left <= COMPANY.as_of else None, "observed_until": COMPANY.as_of, "cohort_quarter": quarter(closed),
            "emcr": 0.05 + fifth / 50, "relative_intensity": 0.75 + fifth / 8, "emcr_quintile": None if i % 11 == 0 else fifth, "is_pivotal": i % 7 == 0,
            "month_end": closed.day >= 26, "intensity_band": "1" if fifth < 4 else "over 1.25 to 1.5",
            "segment": EVIL if i % 2 else "SMB", "mature_90d": seen >= 90, "refunded_90d": i % 20 == 0 if seen >= 90 else None,
        })  # fmt: skip
        incentives.append({
            "opportunity_id": f"o{i}", "rep_id": f"r{i % sellers}", "component": "commission", "credit_type": "primary",
            "attainment_after": float(rng.uniform(0.4, 1.6)),
        })  # fmt: skip
        months.append({
            "account_id": f"a{i}", "opportunity_id": f"o{i}", "month": f"2025-{1 + i % 12:02d}", "rep_id": f"r{i % sellers}",
            "account_days": 30.0, "complaints": int(i % 9 == 0),
        })  # fmt: skip
        if rng.random() < 0.1 * fifth:
            day = closed + timedelta(days=int(rng.integers(0, 90)))
            events.append(
                {
                    "kind": "complaint",
                    "event_id": f"c{i}",
                    "opportunity_id": f"o{i}",
                    "date": day,
                    "category": "mis_sale",
                }
            )
        entered = datetime(closed.year, closed.month, closed.day, tzinfo=UTC)
        wait = float(rng.exponential(25))
        end = (datetime(2026, 1, 1, tzinfo=UTC) - entered) / timedelta(days=1)
        hops.append({
            "feedback_id": f"f{i}", "hop": ["triaged", "decided", "board_seen"][i % 3], "opportunity_id": f"o{i}", "account_id": f"a{i}",
            "entered_at": entered, "left_at": entered + timedelta(days=wait) if wait < end else None, "days": min(wait, end),
            "business_days": int(min(wait, end)), "censored": wait >= end,
        })  # fmt: skip
    made = {
        "deal_outcomes": table("deal_outcomes", outcomes),
        "feedback_hops": table("feedback_hops", hops),
        "account_months": table("account_months", months),
        "deal_incentives": table("deal_incentives", incentives),
    }
    made["incentive_value"] = table("incentive_value", [
        {"plan_id": plan, "tier": tier, "incentive_paid": Decimal(100 * paid), "net_value": Decimal(100 * paid * per), "suppressed": sellers < 5, "n": 100,
         "net_value_per_dollar": float(per), "net_value_per_dollar_lo": per - 0.5, "net_value_per_dollar_hi": per + 0.5}
        for plan, tier, paid, per in (("A", 1, 30, 8), ("B", 1, 10, 12), ("A", 2, 30, 3), ("B", 3, 10, 5))
    ])  # fmt: skip
    made["conduct_indicators"] = table("conduct_indicators", [
        {"indicator": "paid_before_outcome", "rep_id": f"r{i}", "period": "2025-Q2", "observed": 75.0 + i, "cases": 100.0}
        for i in range(sellers)
    ])  # fmt: skip
    made["selling_style"] = table("selling_style", [
        {"team": team, "quarter": q, "outbound_pressure": pressure, "needs_per_deal": 0.5, "n": n, "won_deals": 20 * n // 100}
        for q, more in (("2025-Q3", 0.0), ("2025-Q4", 0.1))
        for team, pressure, n in (
            *((f"t{i}", 0.4 + i / 50 + more, 100) for i in range(6)), ("all", 0.45 + more, 600),
        )
    ])  # fmt: skip
    made["customer_distance"] = table("customer_distance", [
        {"segment": "all", "month": month, "distance_mean": steps, "placed_share": 0.99, "n_accounts": 800,
         "fidelity": 0.1 if month == "all" else None, "fidelity_lo": 0.08 if month == "all" else None,
         "fidelity_hi": 0.12 if month == "all" else None, "weakest_hop": "told_back"}
        for month, steps in (("2025-09", 3.5), ("2025-11", 3.8), ("2025-12", 3.9), ("all", 3.7))
    ])  # fmt: skip
    made["unmet_needs"] = table("unmet_needs", [
        {"dimension": dimension, "value": value, "quarter": "all", "solicitation": kind, "n": 300,
         "seller_capture_rate": rate, "seller_capture_rate_lo": rate - 0.05, "seller_capture_rate_hi": rate + 0.05}
        for dimension, value, kind, rate in (
            ("all", "all", "unsolicited", 0.4), ("all", "all", "solicited", 0.9), ("segment", EVIL, "unsolicited", 0.15),
            ("segment", "SMB", "unsolicited", 0.6), ("segment", "unknown", "unsolicited", 0.1), ("emcr_quintile", "1", "unsolicited", 0.05),
        )
    ])  # fmt: skip
    made["market_shifts"] = table("market_shifts", [
        shift("rises", channel="all", after=0.4), shift("rises", channel="seller", after=0.9),
        shift("falls", channel="all", after=0.0, before=0.9), shift("small", channel="all", after=0.2),
    ])  # fmt: skip
    made["themes"] = table(
        "themes", [{"theme_id": "small", "label": "a small thing"}, {"theme_id": "rises", "label": None}]
    )
    made["churn_by_incentive"] = estimate_churn(made["deal_outcomes"], COMPANY)[0].collect().lazy()
    made["complaints_by_incentive"] = (
        rate_complaints(made["deal_outcomes"], table("customer_events", events), COMPANY)[0].collect().lazy()
    )
    made["feedback_lag_by_incentive"] = (
        estimate_lags(made["feedback_hops"], made["deal_outcomes"], COMPANY).collect().lazy()
    )
    return made


SCORED = (
    "deal_outcomes", "churn_by_incentive", "complaints_by_incentive", "incentive_value", "conduct_indicators", "feedback_hops",
    "selling_style", "customer_distance", "unmet_needs", "market_shifts", "themes",
)  # fmt: skip


@pytest.fixture(scope="module")
def marts() -> dict[str, pl.LazyFrame]:
    return firm()


@pytest.fixture(scope="module")
def scorecard(marts: dict[str, pl.LazyFrame]) -> pl.DataFrame:
    return score(**{name: marts[name] for name in SCORED}, company=COMPANY).collect()


def line(scorecard: pl.DataFrame, name: str) -> dict[str, object]:
    return scorecard.row(by_predicate=pl.col("measure_name") == name, named=True)


def test_there_are_at_most_fifteen_numbers_each_with_its_sentence(scorecard: pl.DataFrame) -> None:
    contract = TABLES["board_scorecard"]
    assert scorecard.schema == contract.schema
    assert len(MEASURES) == 15
    assert 10 <= len(scorecard) <= 15
    assert not scorecard.select(contract.key).is_duplicated().any()
    assert set(scorecard["quarter"]) == {"2025-Q4"}
    assert scorecard["sentence"].str.ends_with(")").all()
    assert not scorecard["sentence"].str.contains(r"(?i)\beffect|caused|because of").any()
    inside = (pl.col("measure_lo") <= pl.col("measure_value")) & (
        pl.col("measure_value") <= pl.col("measure_hi")
    )
    assert scorecard.select(inside.all()).item()


def test_shares_of_a_quarter_are_counted_and_compared_with_the_quarter_before(
    marts, scorecard: pl.DataFrame
) -> None:
    deals = marts["deal_outcomes"].collect()
    share = {
        q: deals.filter(pl.col("cohort_quarter") == q)
        .select((pl.col("relative_intensity") > 1.25).mean())
        .item()
        for q in ("2025-Q4", "2025-Q3")
    }
    got = line(scorecard, "Deals paid over 1.25 times the base rate")
    assert got["measure_value"] == pytest.approx(share["2025-Q4"], abs=1e-8)
    assert got["change_value"] == pytest.approx(share["2025-Q4"] - share["2025-Q3"], abs=1e-7)


def test_losses_are_those_of_the_newest_quarter_that_had_the_time(marts, scorecard: pl.DataFrame) -> None:
    churn = marts["churn_by_incentive"].collect()
    cohort = churn.row(
        by_predicate=(pl.col("dimension") == "cohort_quarter")
        & (pl.col("value") == "2025-Q2")
        & (pl.col("horizon_days") == 180),
        named=True,
    )
    got = line(scorecard, "Customers lost within 180 days")
    assert (got["measure_value"], got["n"], got["mature_share"]) == (cohort["cif_churn"], cohort["n"], 1.0)
    assert "2025-Q2" in str(got["sentence"])
    assert got["quality_grade"] == "A"


def test_the_gap_has_the_planted_direction_and_says_associated(scorecard: pl.DataFrame) -> None:
    gap = line(scorecard, "Difference in customers lost, highest against lowest group")
    assert gap["measure_lo"] > 0
    assert "associated with" in str(gap["sentence"])


def test_a_dollar_above_the_first_tier_is_held_against_one_in_it(scorecard: pl.DataFrame) -> None:
    got = line(scorecard, "Kept per dollar of incentive, tiers above the first")
    assert got["measure_value"] == pytest.approx((30 * 3 + 10 * 5) / 40)
    away = 0.5 * np.hypot(30 / 40, 10 / 40)
    assert (got["measure_lo"], got["measure_hi"]) == (pytest.approx(3.5 - away), pytest.approx(3.5 + away))
    assert "against 9.00 in the first tier" in str(got["sentence"])
    assert "would have come anyway" in str(got["sentence"])


def test_money_paid_in_the_dark_is_that_of_all_sellers(scorecard: pl.DataFrame) -> None:
    got = line(scorecard, "Commission paid before the outcome could be known")
    assert got["measure_value"] == pytest.approx((75 * 13 + 78) / 1300)
    assert got["n"] == 13
    assert "2025-Q2" in str(got["sentence"])


def test_the_page_tells_its_story_in_order(scorecard: pl.DataFrame) -> None:
    chapters = scorecard.sort("position")["chapter"].unique(maintain_order=True).to_list()
    assert chapters == ["intensity", "rhythm", "style", "outcomes", "distance", "heard late"]
    html = render_board(scorecard, [])
    places = [html.index(f">{words}<") for words in CHAPTERS.values()]
    assert places == sorted(places)
    assert html.count('class="chapter"') == 6


def test_style_is_that_of_the_firm_with_limits_over_teams(marts, scorecard: pl.DataFrame) -> None:
    got = line(scorecard, "Contacts that pressed on the customer")
    assert (got["measure_value"], got["n"]) == (0.55, 600)
    assert got["change_value"] == pytest.approx(0.1)
    assert 0.5 < got["measure_lo"] < 0.55 < got["measure_hi"] < 0.6
    assert line(scorecard, "Needs written down per deal won")["n"] == 120
    # where a team is hidden the others do not tell how the firm's teams differ
    hidden = pl.when(pl.col("team") != "t0").then("outbound_pressure")
    frames = {n: marts[n] for n in SCORED} | {
        "selling_style": marts["selling_style"].with_columns(outbound_pressure=hidden)
    }
    got = line(score(**frames, company=COMPANY).collect(), "Contacts that pressed on the customer")
    assert (got["measure_value"], got["measure_lo"], got["measure_hi"]) == (0.55, None, None)


def test_distance_is_that_of_the_last_month_of_the_quarter(scorecard: pl.DataFrame) -> None:
    got = line(scorecard, "Steps between customers and the board")
    assert (got["measure_value"], got["change_value"]) == (3.9, pytest.approx(0.4))
    assert "In 2025-12" in str(got["sentence"])
    through = line(scorecard, "What gets through to the board")
    assert (through["measure_value"], through["measure_lo"], through["measure_hi"]) == (0.1, 0.08, 0.12)
    assert "the weakest hop is told back" in str(through["sentence"])


def test_needs_heard_are_the_unasked_ones_and_name_the_deafest_segment(scorecard: pl.DataFrame) -> None:
    got = line(scorecard, "Needs that sellers hear")
    assert (got["measure_value"], got["n"]) == (0.4, 300)
    assert f"least in segment {EVIL}, 15.0 %" in str(got["sentence"])


def test_the_largest_rise_waits_for_the_board(marts, scorecard: pl.DataFrame) -> None:
    got = line(scorecard, "Days until the board saw the largest shift")
    assert (got["measure_value"], got["measure_lo"], got["measure_hi"]) == (60.0, 46.0, 67.0)
    assert "theme rises, from the week of 2025-03-03) reached the board after 60 days" in str(got["sentence"])
    named = {"themes": table("themes", [{"theme_id": "rises", "label": f"Prices {EVIL}"}])}
    got = line(
        score(**({n: marts[n] for n in SCORED} | named), company=COMPANY).collect(),
        "Days until the board saw the largest shift",
    )
    assert f"(theme Prices {EVIL}, from the week of" in str(got["sentence"])
    waiting = {
        "market_shifts": table("market_shifts", [shift("rises", channel="all", after=0.4, waits=True)])
    }
    got = line(
        score(**({n: marts[n] for n in SCORED} | waiting), company=COMPANY).collect(),
        "Days until the board saw the largest shift",
    )
    assert (got["measure_value"], got["measure_hi"]) == (60.0, None)
    assert "had still not reached the board after 60 days" in str(got["sentence"])
    quiet = {"market_shifts": table("market_shifts", [shift("falls", channel="all", after=0.0)])}
    got = line(
        score(**({n: marts[n] for n in SCORED} | quiet), company=COMPANY).collect(),
        "Days until the board saw the largest shift",
    )
    assert got["measure_value"] is None
    assert "nothing was observed" in str(got["sentence"])


@pytest.mark.parametrize(
    ("quarter_number", "start", "month"),
    [(2025 * 4, 1, "2025-03"), (2025 * 4 + 3, 1, "2025-12"), (2026 * 4, 2, "2025-04"), (2026 * 4 + 3, 2, "2026-01"), (2026 * 4 + 1, 10, "2026-03")],
)  # fmt: skip
def test_the_last_month_of_a_fiscal_quarter(quarter_number: int, start: int, month: str) -> None:
    assert _last_month(quarter_number, start) == month


def test_few_people_are_not_shown() -> None:
    small = firm(deals=300, sellers=4)
    got = score(**{name: small[name] for name in SCORED}, company=COMPANY).collect()
    numbers = ["measure_value", "measure_lo", "measure_hi", "change_value", "n", "mature_share"]
    ours = (
        got["chapter"].is_in(["intensity", "rhythm", "outcomes"]) & ~got["measure_name"].str.contains("Kept")
    ) | got["measure_name"].str.contains("Feedback")
    got = got.filter(ours)  # the others come from marts that hide for themselves
    assert len(got) >= 8
    assert got["suppressed"].all()
    assert got.select(pl.col(numbers).is_null().all()).row(0) == (True,) * len(numbers)
    assert "not shown" in render_board(got, [])


def score_few(deals: pl.LazyFrame, marts: dict[str, pl.LazyFrame]) -> pl.DataFrame:
    """The page of a firm with these deals and the feedback about them."""
    less = {
        **marts,
        "deal_outcomes": deals,
        "feedback_hops": marts["feedback_hops"].join(deals, on="opportunity_id", how="semi"),
        "churn_by_incentive": estimate_churn(deals, COMPANY)[0],
    }
    return score(**{name: less[name] for name in SCORED}, company=COMPANY).collect()


def test_a_quarter_that_protects_a_small_one_is_not_counted_on_the_page(marts) -> None:
    """Six deals closed in the third quarter; the page's own has a hundred, the fewest of the others."""
    number = pl.col("opportunity_id").str.slice(1).cast(pl.Int64)
    within = pl.int_range(pl.len()).over("cohort_quarter")
    name = "Commission on the next dollar, median deal"
    fourth = (pl.col("cohort_quarter") != "2025-Q4") | (within < 100)
    deals = marts["deal_outcomes"].sort(number).filter(fourth)
    assert line(score_few(deals, marts), name)["n"] == 100
    few = deals.filter((pl.col("cohort_quarter") != "2025-Q3") | (within < 6))
    assert line(score_few(few, marts), name)["n"] is None


def test_feedback_of_a_quarter_is_not_counted_where_the_rest_would_be_few(marts) -> None:
    """All items that entered a hop are counted elsewhere: without those of the page's quarter, four would be left."""
    at = pl.col("entered_at").dt.date()
    entered = (at >= date(2025, 7, 1)) & (at < date(2025, 10, 1))
    hops = marts["feedback_hops"].filter(pl.col("hop") == "board_seen")
    name = "Feedback seen by the board within 90 days"

    def page(rest: int) -> dict[str, object]:
        kept = pl.concat([hops.filter(entered), hops.filter(~entered).head(rest)])
        made = score(**{**{n: marts[n] for n in SCORED}, "feedback_hops": kept}, company=COMPANY)
        return line(made.collect(), name)

    assert page(60)["n"] == page(0)["n"] == hops.filter(entered).collect().height
    assert (page(4)["n"], page(4)["suppressed"]) == (None, True)


def test_absent_sources_leave_their_lines_out(marts) -> None:
    bare = marts["deal_outcomes"].with_columns(
        pl.lit(None, pl.Float64).alias("emcr"), pl.lit(None, pl.Float64).alias("relative_intensity"),
    )  # fmt: skip
    got = score(
        deal_outcomes=bare,
        churn_by_incentive=marts["churn_by_incentive"].filter(pl.col("dimension") != "emcr_quintile"),
        complaints_by_incentive=TABLES["complaints_by_incentive"].empty(),
        incentive_value=TABLES["incentive_value"].empty(),
        conduct_indicators=TABLES["conduct_indicators"].empty(),
        feedback_hops=TABLES["feedback_hops"].empty(),
        **{
            name: TABLES[name].empty()
            for name in ("selling_style", "customer_distance", "unmet_needs", "market_shifts", "themes")
        },
        company=COMPANY,
    ).collect()
    assert got["measure_name"].to_list() == [
        "Deals closed in the last five days of the month",
        "Customers lost within 180 days",
        "Difference in customers lost, highest against lowest group",
    ]
    assert "last five days of the month: group yes" in got["sentence"][2]


def test_an_empty_firm_still_has_a_page() -> None:
    empty = score(**{name: TABLES[name].empty() for name in SCORED}, company=COMPANY).collect()
    assert empty.is_empty()
    assert "Nothing can be said yet" in render_board(empty, [])


def test_row_order_does_not_matter(marts, scorecard: pl.DataFrame) -> None:
    shuffled = {
        name: marts[name].collect().sample(fraction=1, shuffle=True, seed=1).lazy() for name in SCORED
    }
    assert_frame_equal(score(**shuffled, company=COMPANY).collect(), scorecard, check_exact=True)


@pytest.mark.parametrize(
    ("value", "unit", "signed", "text"),
    [(0.1234, "share of 1", False, "12.3 %"), (-0.01, "share of 1", True, "-1.0 points"), (0.05, "points", False, "+5.0 points"),
     (1.5, "ratio", False, "1.50"), (60.0, "days", False, "60"), (-0.0004, "share of 1", True, "no change"), (0.004, "ratio", True, "no change"), (None, "ratio", False, "not known")],
)  # fmt: skip
def test_numbers_read_as_people_say_them(value, unit, signed, text) -> None:
    assert format_number(value, unit, signed=signed) == text


class _Page(HTMLParser):
    """What a browser would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.images: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "action", "data")]
        if tag == "img":
            self.images.append(dict(attrs))


def test_the_page_is_self_contained_and_escapes_what_comes_from_data(marts, scorecard: pl.DataFrame) -> None:
    frames = {name: frame.collect() for name, frame in marts.items()}
    charts = [*draw_all(frames), draw_churn(frames["churn_by_incentive"], "segment")]
    assert len(charts) == 10
    coverage = pl.DataFrame(
        {
            "table": ["quotas", "accounts", EVIL],
            "column": ["", "", ""],
            "present": [False, True, False],
            "switches_off": ["attainment", None, None],
        }
    )
    evil = scorecard.with_columns(measure_name=pl.lit(EVIL), sentence=pl.lit(EVIL))
    html = render_board(evil, charts, source_coverage=coverage, facts={EVIL: EVIL, "Snapshot": 3})
    page = _Page()
    page.feed(html)
    assert "script" not in page.tags
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= len(scorecard)
    assert page.addresses
    assert all(a.startswith("data:image/svg+xml;base64,") for a in page.addresses)
    assert not re.search(r"https?://|@import|url\(", html)
    assert "attainment" in html
    assert len(page.images) == len(charts)
    for image in page.images:
        assert image["alt"]
        svg = base64.b64decode(str(image["src"]).split(",", 1)[1]).decode()
        tags = {node.tag.split("}")[1] for node in ET.fromstring(svg).iter()}
        assert "script" not in tags
        assert not re.search(r'(?:href|src)="(?!#)', svg)


def test_every_picture_says_its_numbers_in_words(marts) -> None:
    frames = {name: frame.collect() for name, frame in marts.items()}
    chart = draw_churn(frames["churn_by_incentive"])
    assert chart is not None
    top = frames["churn_by_incentive"].row(
        by_predicate=(pl.col("dimension") == "emcr_quintile")
        & (pl.col("value") == "5")
        & (pl.col("horizon_days") == 180),
        named=True,
    )
    assert "unknown" not in chart.text
    assert f"5: {100 * top['cif_churn']:.1f} %" in chart.text


def test_pay_that_is_not_on_record_yet_is_said_beside_the_number(marts, scorecard: pl.DataFrame) -> None:
    name = "Commission on the next dollar, median deal"
    assert "not on record yet" not in str(line(scorecard, name)["sentence"])
    credited = pl.when(pl.int_range(pl.len()) % 3 > 0).then("emcr")
    frames = {n: marts[n] for n in SCORED} | {
        "deal_outcomes": marts["deal_outcomes"].with_columns(emcr=credited)
    }
    said = line(score(**frames, company=COMPANY).collect(), name)
    assert "% of the deals have a known pay; what is not on record yet is left out" in str(said["sentence"])
    assert said["quality_grade"] == "C"


def test_an_old_source_and_vanished_rows_are_said_on_the_page(scorecard: pl.DataFrame) -> None:
    since = datetime(2026, 1, 1, 6, 0, tzinfo=UTC)
    coverage = pl.DataFrame(
        {
            "table": ["complaints", "quotas"],
            "column": ["", ""],
            "present": [True, True],
            "switches_off": ["", ""],
            "stale_since": [since, None],
            "vanished": [None, 7],
        }
    )
    html = render_board(scorecard, [], source_coverage=coverage, at=datetime(2026, 1, 6, 6, 0, tzinfo=UTC))
    assert "older than this page: complaints 5 days old." in html
    assert "read on 2026-01-01 06:00 UTC, 5 days old" in html
    assert "quotas 7." in html
    assert "older than this page" not in render_board(
        scorecard, [], source_coverage=coverage.drop("stale_since")
    )


def test_a_sketch_fits_where_a_thousand_characters_do(marts) -> None:
    chart = draw_churn(marts["churn_by_incentive"])
    assert chart is not None
    small = sketch(chart)
    assert len(base64.b64encode(small.encode())) + len(chart.title) < 950
    paths = [node.attrib["d"] for node in ET.fromstring(small).iter() if node.tag.endswith("path")]
    whiskers, dots, _ = paths
    assert whiskers.count("M") == dots.count("M") == len(chart.points)
    heights = [int(y) for y in re.findall(r"M\d+ (\d+)h0", dots)]
    order = sorted(range(len(heights)), key=lambda i: -heights[i])
    assert order == sorted(range(len(heights)), key=lambda i: chart.points[i][1])


def test_a_long_course_is_told_by_its_ends_and_extremes() -> None:
    rates = [{"month": f"20{y}-{m:02}", "y": float(10 * y + m)} for y in (23, 24, 25) for m in range(1, 13)]
    points = pl.DataFrame([{"value": r["month"], "y": r["y"], "lo": r["y"], "hi": r["y"]} for r in rates])
    chart = draw_intervals("Course", points, "month", "rate", "")
    assert chart is not None
    assert "first, 2023-01: 231.00" in chart.text
    assert "last, 2025-12: 262.00" in chart.text
    assert chart.text.count("20") < 10
    assert 5 <= len(re.findall(r">20\d\d-\d\d<", chart.svg)) <= 9
    assert ">2025-12<" in chart.svg


def test_no_source_of_complaints_is_not_a_month_without_one(marts) -> None:
    assert draw_trend(marts["account_months"]) is not None
    assert draw_trend(marts["account_months"].with_columns(complaints=pl.lit(None, pl.Int64))) is None


def draw_attained(attained: list[float]) -> str:
    """What the chart of attainment says of a deal per customer, by six sellers."""
    rows = [
        {"opportunity_id": f"o{i}", "rep_id": f"r{i % 6}", "credit_type": "primary", "attainment_after": x}
        for i, x in enumerate(attained)
    ]
    outcomes = [{"opportunity_id": f"o{i}", "account_id": f"a{i}"} for i in range(len(rows))]
    chart = draw_bunching(
        table("deal_incentives", rows).collect(), table("deal_outcomes", outcomes).collect()
    )
    return "" if chart is None else chart.text


def test_bars_of_few_people_are_left_out_and_do_not_follow_from_the_others() -> None:
    many = [0.97] * 31 + [0.92] * 20
    assert "Most deals, 31, lie from 95 to 100" in draw_attained(many)
    assert "left out" not in draw_attained(many)
    # how many deals there are in all is no secret: nine beside two bars that are shown would be told
    said = draw_attained([1.02] * 9 + many)
    assert "Most deals, 31, lie from 95 to 100" in said
    assert "2 steps with too few" in said
    assert draw_attained([1.02] * 9 + [0.97] * 31) == ""


def test_the_rhythm_that_was_found_is_drawn_else_the_quarter() -> None:
    def phases(period: str, *, is_found: bool, index: tuple[float, ...]) -> list[dict[str, object]]:
        return [
            {
                "dimension": "all", "value": "all", "candidate_period": period, "phase": i, "bookings_index": value,
                "bookings_index_lo": value - 0.1, "bookings_index_hi": value + 0.1, "rhythm_p": 0.0005, "is_period_found": is_found,
            }
            for i, value in enumerate(index, start=1)
        ]  # fmt: skip

    quarter = phases("quarter", is_found=False, index=(0.5, 0.75, 1.75))
    found = draw_rhythm(
        table("sales_rhythm", [*quarter, *phases("month", is_found=True, index=(1.5, 1.0, 0.5))])
    )
    assert found is not None
    assert "by third of the month" in found.text
    assert "1: 1.50 (1.40 to 1.60)" in found.text
    assert "this one was found" in found.text
    other = draw_rhythm(table("sales_rhythm", quarter))
    assert other is not None
    assert "none was found" in other.text
    assert "3: 1.75" in other.text
    assert draw_rhythm(table("sales_rhythm", [{**quarter[0], "bookings_index": None}])) is None


def test_excess_is_drawn_of_all_plans_else_of_the_largest() -> None:
    def at(plan: str, threshold: str, n: int, excess: float | None) -> dict[str, object]:
        return {
            "plan_id": plan, "component": "commission", "threshold": Decimal(threshold), "threshold_kind": "notch",
            "specification_name": "headline", "n": n, "excess_mass": excess, "excess_mass_lo": 1.0, "excess_mass_hi": 50.0,
        }  # fmt: skip

    plans = [at("A", "1", 300, 11.0), at("B", "1.15", 400, 22.0), at("B", "1", 400, 33.0)]
    largest = draw_excess(table("quota_bunching", plans))
    assert largest is not None
    assert largest.text.index("100 % notch: 33.00") < largest.text.index("115 % notch: 22.00")
    assert "11.00" not in largest.text
    pooled = draw_excess(table("quota_bunching", [*plans, at("all", "1", 700, 44.0)]))
    assert pooled is not None
    assert "44.00" in pooled.text
    assert draw_excess(table("quota_bunching", [at("A", "1", 100, None)])) is None
