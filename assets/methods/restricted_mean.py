"""Mean time kept up to a horizon, when some are still waiting: the area under a Kaplan-Meier curve (Irwin 1949).

A difference of restricted means needs no proportional hazards and is in days. The variance is Greenwood's, summed over the events as in
Klein and Moeschberger (2003, 4.5): each event counts with the square of the area that is left after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl
from scipy.special import ndtri

_c = pl.col
_SLACK: Final = 1e-9


def read_restricted_mean(
    steps: pl.LazyFrame, by: Sequence[str], horizons: Sequence[int], *, level: float = 0.95
) -> pl.LazyFrame:
    """Read fitted steps as mean times kept up to fixed horizons.

    Args:
        steps: from `fit_kaplan_meier`.
        by: columns of the group, at least one.
        horizons: > 0, in the unit of the durations.
        level: of the interval.

    Returns:
        `by`, `horizon`, `mean`, `mean_lo`, `mean_hi` in the unit of the durations, the limits within 0 and the horizon, sorted by `by`
        and `horizon`. Null past the longest follow-up unless nobody is left: the curve is not known there.
    """
    at = [*by, "horizon"]
    end = _c("horizon").cast(pl.Float64)
    time = _c("time").cast(pl.Float64)
    wanted = pl.LazyFrame({"horizon": list(horizons)}, schema={"horizon": pl.Int64})
    left = _c("at_risk") - _c("events")
    spread = pl.when(left > 0).then(_c("events") / (_c("at_risk") * left)).otherwise(0.0)
    area = (_c("_until") - time) * _c("survival")
    pieces = (
        steps.join(wanted, how="cross")
        .sort(*at, "time")
        .with_columns(
            _known=(end <= time.max().over(at)) | (_c("survival").min().over(at) <= _SLACK),
            _until=pl.min_horizontal(time.shift(-1).over(at), end),
            _first=pl.min_horizontal(time.min().over(at), end),
        )
        .with_columns(_area=pl.when(time < end).then(pl.coalesce(area, (end - time) * _c("survival"))).otherwise(0.0))
        .with_columns(_rest=_c("_area").cum_sum(reverse=True).over(at))
        .group_by(at, maintain_order=True)
        .agg(
            mean=_c("_first").first() + _c("_rest").first(),
            _variance=pl.when(time <= end).then(spread * _c("_rest") ** 2).otherwise(0.0).sum(),
            _known=_c("_known").first(),
        )
    )  # fmt: skip
    reach = float(ndtri((1 + level) / 2)) * _c("_variance").sqrt()
    limits = {"mean": _c("mean"), "mean_lo": _c("mean") - reach, "mean_hi": _c("mean") + reach}
    return (
        pieces.with_columns(
            pl.when(_c("_known")).then(value.clip(0.0, end)).alias(name) for name, value in limits.items()
        )
        .select(*at, *limits)
        .sort(at)
    )
