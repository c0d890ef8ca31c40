"""The pictures of the board's page, in the order of its story."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import polars as pl

from assets.board.charts import (
    Chart,
    draw_bunching,
    draw_churn,
    draw_complaints,
    draw_emcr,
    draw_lags,
    draw_rhythm,
    draw_trend,
)
from assets.board.voice_charts import draw_distance, draw_needs, draw_pressure

STORY: Final[tuple[tuple[tuple[str, ...], Callable[..., Chart | None]], ...]] = (
    (("deal_outcomes",), draw_emcr),
    (("deal_incentives", "deal_outcomes"), draw_bunching),
    (("sales_rhythm",), draw_rhythm),
    (("selling_style",), draw_pressure),
    (("churn_by_incentive",), draw_churn),
    (("churn_by_incentive",), partial(draw_churn, dimension="closing_load")),
    (("complaints_by_incentive",), draw_complaints),
    (("account_months",), draw_trend),
    (("customer_distance",), draw_distance),
    (("feedback_lag_by_incentive",), draw_lags),
    (("unmet_needs",), draw_needs),
)
"""Which marts a picture needs, by bare name, and who draws it: intensity, rhythm, style, outcomes, distance, what was heard late."""


def draw_all(frames: Mapping[str, pl.DataFrame | pl.LazyFrame]) -> Sequence[Chart]:
    """Every picture that the given marts allow, in the order of the page; lazy ones give a few columns."""
    drawn = [draw(*(frames[name] for name in needs)) for needs, draw in STORY if frames.keys() >= set(needs)]
    return [chart for chart in drawn if chart is not None]
