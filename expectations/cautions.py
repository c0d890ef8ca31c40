"""What may be wrong with an estimate: the fixed words of the column `warnings`, and what each of them means."""

from __future__ import annotations

from enum import StrEnum


class Caution(StrEnum):
    """A reason to read an estimate with care. No other word ever stands in a `warnings` column."""

    FEW_CLUSTERS = "few_clusters"
    FEW_EVENTS = "few_events"
    IMMATURE_COHORT = "immature_cohort"
    TIMING_NOT_SEPARABLE = "timing_not_separable"
    NO_WITHIN_VARIATION = "no_within_variation"
    SEPARATED = "separated"
    KNOWLEDGE_TIME_UNKNOWN = "knowledge_time_unknown"
    REPORTING_BIAS = "reporting_bias"
    CLAWBACK_CLIFF = "clawback_cliff"
    COMPOSITION_CHANGE = "composition_change"
    SIMPSON = "simpson"
    DENSITY_JUMP = "density_jump"
    PRE_TREND = "pre_trend"


MEANINGS: dict[Caution, str] = {
    Caution.FEW_CLUSTERS: "fewer than 40 sellers, or at level 4 fewer than 20 on a side: how much sellers differ is itself uncertain, and with it the interval",
    Caution.FEW_EVENTS: "fewer than 20 events: no estimate is shown",
    Caution.IMMATURE_COHORT: "less than 80 % of the cohort could have been watched to the horizon",
    Caution.TIMING_NOT_SEPARABLE: "the three within-seller rows do not agree on the sign: incentive and the time left in the pay period can't be told apart",
    Caution.NO_WITHIN_VARIATION: "the exposure does not vary where this comparison would need it to: no estimate",
    Caution.SEPARATED: "an infinite ratio would fit best: no estimate",
    Caution.KNOWLEDGE_TIME_UNKNOWN: "when credits or deals were recorded is not known: what sellers knew at the close is assumed",
    Caution.REPORTING_BIAS: "only what was written down is in the data, and how much is written down may itself move with the incentive",
    Caution.CLAWBACK_CLIFF: "more customers are lost just when commission can no longer be taken back than just before and after: earlier losses may have been held up, unless contracts end on that day",
    Caution.COMPOSITION_CHANGE: "customers of high and low exposure are different kinds of customers: segment shares differ by over 0.2 standard deviations",
    Caution.SIMPSON: "the direction turns round within segments",
    Caution.DENSITY_JUMP: "pay periods pile up on one side of a pay threshold: sellers choose when deals close",
    Caution.PRE_TREND: "outcomes moved apart before the change",
}
"""In words for the reader."""
