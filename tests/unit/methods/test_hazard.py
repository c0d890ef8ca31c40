"""The clustered complementary log-log hazard, held against statsmodels and against itself in pieces."""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from assets.methods.design import Design, EstimationError
from assets.methods.hazard import (
    BLOCK_ROWS,
    Chunk,
    HazardFit,
    collapse_rows,
    fit_hazard,
    reblock,
)

NAMES = ("constant", "x", "flag", "band")
REST = ("events", "trials", "risk", "cluster")


def draw(n: int, clusters: int, seed: int = 0) -> Chunk:
    """A panel of rare events with a random effect per cluster."""
    rng = np.random.default_rng(seed)
    cluster = rng.integers(0, clusters, n)
    x = np.column_stack([np.ones(n), rng.normal(size=n), rng.integers(0, 2, n), rng.integers(0, 6, n) / 5])
    offset = np.log(rng.uniform(0.5, 1, n))
    eta = x @ np.array([-3.5, 0.3, -0.2, 0.4]) + offset + 0.2 * rng.normal(size=clusters)[cluster]
    events = (rng.uniform(size=n) < 1 - np.exp(-np.exp(eta))).astype(np.float64)
    return Chunk(Design.of(x), events[:, None], np.ones(n), np.exp(offset)[:, None], cluster)


def cut(whole: Chunk, pieces: int) -> list[Chunk]:
    ends = np.linspace(0, whole.events.size, pieces + 1).astype(int)
    return [
        Chunk(whole.x.take(slice(a, b)), *(getattr(whole, name)[a:b] for name in REST))
        for a, b in pairwise(ends)
    ]


def fit(whole: Chunk, pieces: int = 1) -> HazardFit:
    return fit_hazard(lambda: cut(whole, pieces), NAMES, int(whole.cluster.max()) + 1)


def test_it_agrees_with_statsmodels_in_every_printed_digit() -> None:
    import statsmodels.api as sm

    panel = draw(100_000, 120)
    ours = fit(panel)
    link = sm.families.links.CLogLog()
    binomial = sm.families.Binomial(link=link)
    model = sm.GLM(panel.events, panel.x.lay_out(), family=binomial, offset=np.log(panel.risk[:, 0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = model.fit(cov_type="cluster", cov_kwds={"groups": panel.cluster}, tol=1e-13)
    assert_allclose(ours.coefficients, theirs.params, rtol=1e-9)
    assert_allclose(ours.errors, theirs.bse, rtol=1e-9)
    assert ours.log_likelihood == pytest.approx(theirs.llf, rel=1e-12)


@pytest.mark.parametrize("pieces", [7, 36])
def test_pieces_change_no_bit(pieces: int) -> None:
    panel = draw(3 * BLOCK_ROWS + 1_234, 60)
    whole, parts = fit(panel), fit(panel, pieces)
    assert_array_equal(whole.coefficients, parts.coefficients)
    assert_array_equal(whole.covariance, parts.covariance)


def test_blocks_hold_every_row_once_in_order() -> None:
    panel = draw(1_000, 5)
    blocks = list(reblock(cut(panel, 13), rows=64))
    assert [b.events.size for b in blocks] == [64] * 15 + [40]
    assert_array_equal(np.concatenate([b.x.lay_out() for b in blocks]), panel.x.lay_out())


def test_equal_rows_collapse_without_a_change() -> None:
    rng = np.random.default_rng(4)
    n = 20_000
    frame = pl.DataFrame(
        {
            "seller": rng.integers(0, 50, n),
            "band": rng.integers(0, 5, n),
            "tenure": rng.integers(0, 4, n),
            "risk": np.ones(n),
        }
    )
    chance = 0.02 * np.exp(0.2 * frame["band"].to_numpy())
    frame = frame.with_columns(event=pl.Series(rng.uniform(size=n) < chance))
    cells = collapse_rows(frame.lazy(), ["band", "tenure"], "seller").collect()
    assert cells.height <= 50 * 5 * 4
    assert (cells["trials"].sum(), cells["events"].sum()) == (n, frame["event"].sum())

    def chunk(rows: pl.DataFrame, events: pl.Series, trials: pl.Series | None) -> Chunk:
        columns = [np.ones(rows.height), rows["band"].to_numpy(), rows["tenure"].to_numpy()]
        return Chunk(
            Design.of(np.column_stack(columns)), events.cast(pl.Float64).to_numpy()[:, None],
            np.ones(rows.height) if trials is None else trials.cast(pl.Float64).to_numpy(),
            rows["risk"].to_numpy()[:, None], rows["seller"].to_numpy(),
        )  # fmt: skip

    by_row = fit_hazard(lambda: [chunk(frame, frame["event"], None)], ["c", "band", "tenure"], 50)
    by_cell = fit_hazard(
        lambda: [chunk(cells, cells["events"], cells["trials"])], ["c", "band", "tenure"], 50
    )
    assert_allclose(by_cell.coefficients, by_row.coefficients, rtol=1e-10)
    assert_allclose(by_cell.errors, by_row.errors, rtol=1e-10)
    assert by_cell.n == by_row.n == n


def test_a_column_that_is_a_sum_of_others_is_named() -> None:
    panel = draw(2_000, 20)
    x = panel.x.lay_out()
    doubled = Chunk(
        Design.of(np.column_stack([x, x[:, 1] - x[:, 3]])), *(getattr(panel, name) for name in REST)
    )
    with pytest.raises(EstimationError) as caught:
        fit_hazard(lambda: [doubled], [*NAMES, "difference"], 20)
    assert (caught.value.reason, caught.value.columns) == ("rank_deficient", ("difference",))


def test_separation_is_said_and_not_printed() -> None:
    panel = draw(4_000, 20)
    never = (np.arange(4_000) % 10 == 0).astype(float)
    events = np.where(never[:, None] > 0, 0.0, panel.events)
    x = Design.of(np.column_stack([panel.x.lay_out(), never]))
    separated = Chunk(x, events, panel.trials, panel.risk, panel.cluster)
    with pytest.raises(EstimationError) as caught:
        fit_hazard(lambda: [separated], [*NAMES, "never"], 20)
    assert caught.value.reason == "separated"
    assert "never" in caught.value.columns


def test_nobody_with_an_event_is_no_estimate() -> None:
    panel = draw(500, 5)
    nobody = Chunk(panel.x, np.zeros((500, 1)), panel.trials, panel.risk, panel.cluster)
    with pytest.raises(EstimationError, match="no_events"):
        fit_hazard(lambda: [nobody], NAMES, 5)


def test_steps_in_columns_are_the_panel_laid_out() -> None:
    """One row with K steps gives what K rows with dummies give: the same model, a K-th of the rows."""
    rng = np.random.default_rng(3)
    n, steps = 4_000, 4
    x, cluster = np.column_stack([np.ones(n), rng.normal(size=n)]), rng.integers(0, 50, n)
    risk = rng.uniform(1, 30, (n, steps))
    chance = 1 - np.exp(-0.003 * risk * np.exp(0.3 * x[:, 1:]) * np.array([1, 2, 0.5, 1]))
    hit = rng.uniform(size=(n, steps)) < chance
    risk[np.cumsum(hit, axis=1) - hit > 0] = 0.0  # nobody is at risk after the event
    events = (hit & (risk > 0)).astype(float)
    wide = fit_hazard(
        lambda: [Chunk(Design.of(x), events, np.ones(n), risk, cluster)],
        ["step 1", "step 2", "step 3", "constant", "x"],
        50,
    )
    person, step = np.nonzero(risk)
    marks = (step[:, None] == np.arange(1, steps)).astype(float)
    tall = Chunk(
        Design.of(np.concatenate([marks, x[person]], axis=1)), events[person, step][:, None],
        np.ones(person.size), risk[person, step][:, None], cluster[person],
    )  # fmt: skip
    laid_out = fit_hazard(lambda: [tall], wide.names, 50)
    assert_allclose(wide.coefficients, laid_out.coefficients, rtol=1e-8)
    assert_allclose(wide.covariance, laid_out.covariance, rtol=1e-8, atol=1e-12)
    assert wide.log_likelihood == pytest.approx(laid_out.log_likelihood, rel=1e-10)
    assert (wide.n, wide.events) == (laid_out.n, laid_out.events)


def test_wider_steps_keep_the_hazard_ratio() -> None:
    """Grouping proportional hazards into steps of any width leaves the ratio what it is: 1.5 planted, within 3 errors."""
    rng = np.random.default_rng(8)
    n = 20_000
    x = rng.normal(size=(n, 1))
    time = rng.exponential(400 / 1.5 ** x[:, 0])
    for width in (30, 90, 180):
        edges = np.arange(0, 181, width)
        planned = np.where(time[:, None] > edges[:-1], float(width), 0.0)
        events = ((time[:, None] > edges[:-1]) & (time[:, None] <= edges[1:])).astype(float)
        names = [*(f"step {k}" for k in range(1, planned.shape[1])), "constant", "x"]
        chunk = Chunk(
            Design.of(np.column_stack([np.ones(n), x])), events, np.ones(n), planned, np.arange(n) % 200
        )
        found = fit_hazard(lambda c=chunk: [c], names, 200)
        assert abs(found.coefficients[-1] - np.log(1.5)) < 3 * found.errors[-1]
