"""The small version of `python -m tests.acceptance`: one seed, all three effects, through the steps of the pipeline."""

from __future__ import annotations

import polars as pl
import pytest

from pipelines.sources.demo import Effect
from tests.acceptance.designs import (
    BOUGHT,
    BUNCHING_SHARE,
    MEDIATED,
    MOVE_DIFFERENCE,
    find_bunching,
    find_mediation,
    find_moves,
    find_value,
)
from tests.acceptance.findings import Finding, judge, summarise
from tests.acceptance.planted_truth import EFFECTS, TRUTH, find

SEED = 1
RIGHT, NAIVE = "seller_period_and_days_to_end", "unadjusted"


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    folder = tmp_path_factory.mktemp("planted")
    return pl.DataFrame([f.to_json() for effect in EFFECTS for f in find(folder, SEED, effect)])


def test_every_outcome_and_effect_is_estimated(findings: pl.DataFrame) -> None:
    pairs = findings.select("outcome", "effect").unique()
    assert pairs.height == len(TRUTH) * len(EFFECTS)
    assert {RIGHT, NAIVE, "control_shuffled_exposure", "control_future_plan"} <= set(
        findings["specification"]
    )


def test_the_right_specification_holds_the_planted_ratio_and_its_sign(findings: pl.DataFrame) -> None:
    right = findings.filter(specification=RIGHT)
    covered = right.filter(pl.col("planted").is_between("lo", "hi"))
    assert covered.height >= right.height - 1  # nine intervals of 95 %
    planted = right.filter(pl.col("effect") != "none")
    assert planted.select(((pl.col("estimate") > 1) == (pl.col("planted") > 1)).all()).item()


def test_controls_find_nothing(findings: pl.DataFrame) -> None:
    controls = findings.filter(pl.col("specification").str.starts_with("control_"))
    alarms = controls.filter((pl.col("lo") > 1) | (pl.col("hi") < 1))
    assert controls.height == 18
    assert alarms.height <= 3


def row(**changes: object) -> dict[str, object]:
    base = {
        "seed": 0,
        "effect": "harm",
        "outcome": "churn_180d",
        "specification": RIGHT,
        "planted": 1.3,
        "estimate": 1.3,
        "lo": 1.1,
        "hi": 1.5,
        "nothing": 1.0,
    }
    return base | changes


def test_the_judgement_fails_where_a_promise_is_broken() -> None:
    def sentences(rows: list[dict[str, object]]) -> str:
        return " | ".join(judge(summarise(pl.DataFrame(rows))))

    good = [row(lo=1.31 if i < 5 else 1.1) for i in range(100)]
    assert sentences(good) == ""
    assert "holds the truth in 89%" in sentences([row(lo=1.31 if i < 11 else 1.1) for i in range(100)])
    assert "holds the truth in 100%" in sentences([row() for _ in range(100)])
    quiet = row(effect="none", planted=1.0, estimate=1.0, lo=0.9)
    assert "11% false alarms" in sentences([quiet | ({"lo": 1.01} if i < 11 else {}) for i in range(100)])
    assert "the sign is right in only 80%" in sentences(
        [row(estimate=0.9 if i < 20 else 1.3) for i in range(100)]
    )
    control = row(specification="control_future_plan", planted=1.0)
    assert "the control finds something" in sentences([control])
    naive = [row(specification=NAIVE, estimate=1.3 * (1.1 if i % 2 else 1 / 1.1)) for i in range(100)]
    assert "not shown to be wrong" in sentences(naive)
    assert sentences([r | {"estimate": r["estimate"] * 0.9} for r in naive]) == ""


def only(findings: list[Finding], specification: str) -> Finding:
    (found,) = [f for f in findings if f.specification == specification]
    return found


@pytest.mark.parametrize("effect", MOVE_DIFFERENCE)
def test_a_planted_move_is_found_and_a_pretended_one_is_not(effect: Effect) -> None:
    found = find_moves(SEED, effect)
    right, control = only(found, "event_study"), only(found, "control_pretended_move")
    assert right.lo <= right.planted == MOVE_DIFFERENCE[effect] <= right.hi
    assert control.lo <= 0 <= control.hi
    # everybody's customers leave more readily as time goes on, and a before and after takes that for the move's
    assert only(found, "before_and_after").estimate > right.planted + 0.01


@pytest.mark.parametrize("effect", BUNCHING_SHARE)
def test_planted_bunching_is_found_and_placebos_are_quiet(effect: Effect) -> None:
    found = find_bunching(SEED, effect)
    right = only(found, "headline")
    assert right.lo <= right.planted <= right.hi
    assert (right.lo > 0) == (effect == "harm")
    for percent in (85, 115):
        control = only(found, f"control_placebo_at_{percent}")
        assert control.lo <= 0 <= control.hi


@pytest.mark.parametrize("effect", MEDIATED)
def test_what_goes_through_discount_is_found_and_nothing_through_touches(effect: Effect) -> None:
    found = find_mediation(SEED, effect)
    for name in ("mediation_indirect", "mediation_via_discount_share", "mediation_direct", "mediation_total"):
        path = only(found, name)
        assert path.lo <= path.planted <= path.hi
    indirect, touches = only(found, "mediation_indirect"), only(found, "mediation_via_touches_30d")
    assert (indirect.lo > 0, indirect.hi < 0) == (effect == "harm", effect == "opposite")
    assert touches.lo <= 0 <= touches.hi


@pytest.mark.parametrize("effect", BOUGHT)
def test_what_more_pay_bought_is_found_and_the_average_is_not_it(effect: Effect) -> None:
    found = find_value(SEED, effect)
    right, average = only(found, "plan_change"), only(found, "average")
    assert right.lo <= right.planted == BOUGHT[effect] <= right.hi
    assert average.estimate > right.hi or effect == "opposite"
    assert average.estimate > 5
