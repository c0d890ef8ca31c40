"""The clustered hazard on a million person-months beside statsmodels, every coefficient and every error in all printed digits."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.testing import assert_allclose

from assets.methods.hazard import fit_hazard
from tests.benchmarks.hazard import NAMES, PIECE_ROWS, SELLERS, draw, lay_out

ROWS = 1_000_000


def test_a_million_rows_give_the_digits_of_statsmodels() -> None:
    import statsmodels.api as sm

    frames = [draw(ROWS, part) for part in range(-(-ROWS // PIECE_ROWS))]
    ours = fit_hazard(lambda: (lay_out(f, f["event"], None) for f in frames), NAMES, SELLERS)
    together = pl.concat(frames)
    whole = lay_out(together, together["event"], None)
    family = sm.families.Binomial(link=sm.families.links.CLogLog())
    theirs = sm.GLM(whole.events[:, 0], whole.x.lay_out(), family=family).fit(
        cov_type="cluster", cov_kwds={"groups": whole.cluster}, tol=1e-12
    )
    assert whole.cluster.size == ROWS
    assert_allclose(ours.coefficients, theirs.params, rtol=1e-8)
    assert_allclose(ours.errors, theirs.bse, rtol=1e-8)
    # what a table of statsmodels prints
    assert np.array_equal(np.round(ours.coefficients, 4), np.round(theirs.params, 4))
