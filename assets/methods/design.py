"""What a design matrix allows: rank, and the step that a score asks for."""

from __future__ import annotations

from typing import Final

import numpy as np
import scipy.linalg

from assets.methods.clusters import Floats

_BATCH_ROWS: Final = 512
_DEPENDENT: Final = 1e-9  # share of a column's length that is left when the columns before it are taken out


class EstimationError(Exception):
    """There is no estimate, and why: `reason` is one word, `columns` the covariates concerned."""

    def __init__(self, reason: str, columns: tuple[str, ...]) -> None:
        super().__init__(f"{reason}: {', '.join(columns)}" if columns else reason)
        self.reason = reason
        self.columns = columns


def check_rank(gram: Floats) -> list[int]:
    """Columns that are sums of columns before them, found by Cholesky's elimination of X'WX.

    Args:
        gram: (p, p) cross products, of any weights.

    Returns:
        Positions in rising order; the others have full rank. A column of zeros is one of them.
    """
    rest = gram.astype(np.float64).copy()
    size = np.diag(gram).copy()
    dependent = []
    for j in range(rest.shape[0]):
        if not rest[j, j] > _DEPENDENT * max(size[j], np.finfo(float).tiny):
            dependent.append(j)
            continue
        row = rest[j] / rest[j, j]
        rest = rest - np.outer(rest[:, j], row)
    return dependent


def solve_step(information: Floats, score: Floats) -> Floats:
    """Newton's step. Raises EstimationError `separated` where the information has lost a direction."""
    scale = 1 / np.sqrt(np.maximum(np.diag(information), np.finfo(float).tiny))
    try:
        factor = scipy.linalg.cho_factor(information * np.outer(scale, scale))
    except scipy.linalg.LinAlgError as error:
        raise EstimationError("separated", ()) from error
    step: Floats = scale * scipy.linalg.cho_solve(factor, scale * score)
    return step


def cross_products(left: Floats, right: Floats) -> Floats:
    """(p, q) left' right of tall matrices (n, p) and (n, q), summed in batches of rows.

    A batch is too small for a threaded library to share out: several times less work than one call, and the same sum whatever
    the number of threads.
    """
    count = left.shape[0] // _BATCH_ROWS
    whole = count * _BATCH_ROWS
    first, second = (side[:whole].reshape(count, _BATCH_ROWS, side.shape[1]) for side in (left, right))
    total: Floats = np.matmul(first.transpose(0, 2, 1), second).sum(axis=0) + left[whole:].T @ right[whole:]
    return total


def predict(x: Floats, coefficients: Floats) -> Floats:
    """(n,) linear predictor, in the same batches and for the same reasons."""
    count = x.shape[0] // _BATCH_ROWS
    whole = count * _BATCH_ROWS
    linear = np.empty(x.shape[0])
    batches = x[:whole].reshape(count, _BATCH_ROWS, x.shape[1])
    np.matmul(batches, coefficients, out=linear[:whole].reshape(count, _BATCH_ROWS))
    linear[whole:] = x[whole:] @ coefficients
    return linear
