"""The board's one page."""

from __future__ import annotations

from expectations.columns import VOCABULARY
from expectations.model import Audience, Layer, Table, pick

BOARD_SCORECARD = Table(
    Layer.MARTS,
    "board_scorecard",
    title="At most fifteen numbers for the board.",
    grain="one row per organisation, quarter and measure",
    key=("organisation", "quarter", "position"),
    columns=pick(
        VOCABULARY,
        "organisation!! quarter!! position!! chapter!! measure_name!! measure_value measure_lo measure_hi measure_unit change_value n mature_share "
        "quality_grade!! evidence_level!! suppressed!! sentence!!",
    ),
    audience=Audience.WIDE,
    query="SELECT chapter, measure_name, measure_value, measure_lo, measure_hi, sentence FROM marts.board_scorecard ORDER BY position",
    do_not="Do not quote a number without its sentence: the sentence carries the interval and the evidence level.",
)

TABLES = (BOARD_SCORECARD,)
