"""Mediation against ordinary regressions with dummies, a closed form, and a planted share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.methods.design import EstimationError
from assets.methods.mediation import Mediation, decompose_association


def draw(
    seed: int, *, clusters: int = 60, each: int = 40, direct: float = 0.5, mediated: float = 0.3
) -> dict[str, np.ndarray]:
    """Two mediators, each carrying half of `mediated`; a group's level moves exposure, mediators and outcome alike."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(clusters), each)
    group = cluster * 4 + np.tile(np.arange(each) % 4, clusters)
    level = rng.normal(size=clusters * 4)[group]
    control = rng.normal(size=cluster.size)
    x = rng.normal(size=cluster.size) + level + 0.5 * control
    first = 1.0 * x + level + rng.normal(size=cluster.size) + 0.2 * control
    second = -0.5 * x - level + rng.normal(size=cluster.size)
    y = (
        direct * x
        + mediated / 2 * first
        - mediated * second
        + 2 * level
        + 0.4 * control
        + rng.normal(size=cluster.size)
    )
    return {
        "exposure": x, "mediators": np.column_stack([first, second]), "outcome": y, "controls": control[:, None], "group": group,
        "cluster": cluster,
    }  # fmt: skip


def run(data: dict[str, np.ndarray], **options: int) -> Mediation:
    return decompose_association(**data, names=("first", "second"), **options)  # type: ignore[arg-type]


def test_it_is_three_regressions_with_a_dummy_for_every_group() -> None:
    statsmodels = pytest.importorskip("statsmodels.api")
    data = draw(1, clusters=12, each=20)
    found = run(data, replicates=9)
    dummies = (data["group"][:, None] == np.unique(data["group"])).astype(float)

    def fit(y: np.ndarray, *columns: np.ndarray) -> np.ndarray:
        return statsmodels.OLS(y, np.column_stack([*columns, data["controls"], dummies])).fit().params

    x, m, y = data["exposure"], data["mediators"], data["outcome"]
    direct, b1, b2 = fit(y, x, m)[:3]
    a1, a2 = fit(m[:, 0], x)[0], fit(m[:, 1], x)[0]
    assert found.total.estimate == pytest.approx(fit(y, x)[0], rel=1e-9)
    assert found.direct.estimate == pytest.approx(direct, rel=1e-9)
    assert [p.estimate for p in found.through] == pytest.approx([a1 * b1, a2 * b2], rel=1e-9)
    assert found.n == 240


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), clusters=st.integers(3, 9))
def test_product_and_difference_agree(seed: int, clusters: int) -> None:
    found = run(draw(seed, clusters=clusters), replicates=5)
    parts = sum(p.estimate for p in found.through)
    assert found.total.estimate - found.direct.estimate == pytest.approx(parts, abs=1e-9)
    assert found.indirect.estimate == pytest.approx(parts, abs=1e-12)
    assert found.share.estimate == pytest.approx(parts / found.total.estimate, rel=1e-9)


def test_by_hand() -> None:
    """One group; x = 0, 1, 2, 3; m = x but for one unit; y = m exactly: all of it goes through m, slope of m on x is 0.9."""
    x, m = np.array([0.0, 1, 2, 3]), np.array([0.0, 2, 1, 3])
    found = decompose_association(
        x, m[:, None], m, np.zeros((4, 0)), np.zeros(4, int), np.zeros(4, int), ("m",), replicates=1
    )
    assert (found.total.estimate, found.direct.estimate) == pytest.approx((0.8, 0.0), abs=1e-12)
    assert found.share.estimate == pytest.approx(1.0)


def test_a_planted_share_is_held_by_its_interval() -> None:
    held = {"indirect": 0, "share": 0, "direct": 0}
    for seed in range(40):
        found = run(draw(seed), seed=seed)
        held["indirect"] += found.indirect.lo <= 0.3 <= found.indirect.hi
        held["share"] += found.share.lo <= 0.375 <= found.share.hi
        held["direct"] += found.direct.lo <= 0.5 <= found.direct.hi
    assert min(held.values()) >= 34, held  # binomial(40, 0.95): fewer than 34 has a chance of 0.003


def test_where_nothing_goes_through_nothing_is_found() -> None:
    alarms = 0
    for seed in range(40):
        found = run(draw(seed, mediated=0.0), seed=seed)
        alarms += not found.indirect.lo <= 0 <= found.indirect.hi
        assert (found.indirect.p_value < 0.03) <= (not found.indirect.lo <= 0 <= found.indirect.hi)
    assert alarms <= 6


def test_what_does_not_vary_says_so_and_a_repeated_mediator_is_left_out() -> None:
    data = draw(3)
    constant = data | {"exposure": data["group"].astype(float)}
    with pytest.raises(EstimationError, match="no_within_variation"):
        run(constant)
    twice = data | {"mediators": data["mediators"][:, [0, 0]]}
    found = run(twice)
    assert found.mediators == ("first",)
    assert len(found.through) == 1


def test_row_order_changes_nothing() -> None:
    data = draw(4)
    again = np.random.default_rng(1).permutation(data["exposure"].size)
    shuffled = {name: values[again] for name, values in data.items()}
    first, second = run(data), run(shuffled)
    assert first.share.estimate == pytest.approx(second.share.estimate, rel=1e-12)
    assert first.indirect.hi == pytest.approx(second.indirect.hi, rel=1e-12)
