"""What a specification may hold fixed, and what it must refuse."""

from __future__ import annotations

import pytest

from assets.evidence.mediations import STYLES
from assets.evidence.specifications import (
    EXPOSURES,
    MEDIATORS,
    OUTCOMES,
    SEPARATION,
    SPECIFICATIONS,
    Specification,
    specifications_of,
)
from assets.table import DeclarationError
from expectations.contracts import TABLES


@pytest.mark.parametrize("mediator", MEDIATORS)
def test_a_total_effect_refuses_what_lies_on_the_way(mediator: str) -> None:
    with pytest.raises(DeclarationError, match=f"{mediator} can't be held fixed in a total effect"):
        Specification("total", 1, controls=("segment", mediator))
    assert Specification("direct", 1, controls=("segment", mediator), effect="direct").controls


def test_a_regression_discontinuity_at_quota_is_refused_with_its_reason() -> None:
    with pytest.raises(DeclarationError, match="Sellers choose when and at what amount deals close"):
        Specification("at_quota", 2, "seller", threshold="attainment_after")


@pytest.mark.parametrize(
    ("declared", "complaint"),
    [
        ({"level": 1, "controls": ("churned_180d",)}, "neither a confounder nor a mediator"),
        ({"level": 1, "absorbed": "seller"}, "only level 2"),
        ({"level": 2}, "only level 2"),
        ({"level": 0, "controls": ("segment",)}, "holds nothing fixed"),
        ({"level": 1, "effect": "direct"}, "says which mediators"),
        ({"level": 3}, "estimators of its own"),
        ({"level": 1, "shared": ("period",)}, "only level 2"),
    ],
)
def test_other_wrong_declarations_are_refused(declared: dict[str, object], complaint: str) -> None:
    with pytest.raises(DeclarationError, match=complaint):
        Specification("wrong", **declared)  # type: ignore[arg-type]


def test_names_are_unique_and_exposures_are_columns() -> None:
    assert len({s.name for s in SPECIFICATIONS}) == len(SPECIFICATIONS)
    assert {e.column for e in EXPOSURES} <= set(TABLES["deal_outcomes"].schema)
    pay = {e.name for e in EXPOSURES if e.is_pay}
    assert pay <= set(TABLES["deal_incentives"].schema)


def test_each_outcome_has_one_primary_row_and_level_2_three() -> None:
    for outcome in OUTCOMES:
        rows = [
            (exposure.name, specification.name, family)
            for exposure in EXPOSURES
            for specification, family in specifications_of(outcome, exposure, has_pay=True)
        ]
        assert [r[:2] for r in rows if r[2] == "primary"] == [("emcr_as_known", SEPARATION[2])]
        for exposure in ("emcr_as_known", "relative_intensity"):
            names = {r[1] for r in rows if r[0] == exposure}
            assert {*SEPARATION, *(f"{name}_unwinsorised" for name in SEPARATION)} <= names
        controls = {r[1] for r in rows if r[2] == "control"}
        assert ("control_outcome_before_sale" in controls) == (outcome.name == "complaint_180d")


def test_without_pay_data_pressure_leads() -> None:
    for exposure in (e for e in EXPOSURES if not e.is_pay):
        rows = specifications_of(OUTCOMES[0], exposure, has_pay=False)
        assert [s.name for s, family in rows if family == "primary"] == ["seller_period"]
        assert all(exposure.column not in s.controls for s, _ in rows)


def test_every_way_of_selling_that_mediation_goes_through_is_a_mediator() -> None:
    assert set(STYLES) <= set(MEDIATORS)
    assert set(STYLES) <= set(TABLES["deal_outcomes"].schema)
