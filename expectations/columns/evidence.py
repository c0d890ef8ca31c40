"""Words about proof: what incentives were worth, indicators of conduct, estimates."""

from __future__ import annotations

from expectations.columns.words import category, share, words
from expectations.model import Column, Kind

INDICATORS = (
    "cancellations", "cooling_off_cancellations", "never_activated", "complaints", "mis_sale_complaints", "escalated_complaints",
    "refunds", "clawbacks", "losses_without_clawback", "closing_spikes", "period_end_closes", "threshold_closes", "replacements",
    "vulnerable_cancellations", "without_consent", "failed_reviews", "product_skew", "payout_percentile", "paid_before_outcome",
    "manager_incentive",
)  # fmt: skip
"""What `conduct_indicators` counts or measures about a seller."""


EVIDENCE: tuple[Column, ...] = (
    # ---- incentive value ------------------------------------------------------------------------------------------------
    *words(
        Kind.MONEY,
        "",
        bookings="Amounts of deals won, in reporting currency; of a deal that several rows share, each row's part.",
        incentive_paid="Commission and SPIFFs of the deals, overlay and manager credits included.",
        revenue_kept="Part of the bookings whose recurring revenue was still there after 12 months.",
        refunds_amount="Refunds within 365 days.",
        complaint_cost="Redress paid for complaints within 365 days; the cost of handling them is not known.",
        clawbacks_amount="Commission taken back within 365 days.",
        net_value="`revenue_kept` less refunds and redress, plus clawbacks.",
    ),
    *words(
        Kind.ESTIMATE,
        "money per money",
        net_value_per_dollar="`net_value` over `incentive_paid`: what one unit of incentive money went with, not what it caused.",
        net_value_per_dollar_lo="Lower end of the 95 % interval with whole sellers drawn.",
        net_value_per_dollar_hi="Upper end of the 95 % interval with whole sellers drawn.",
    ),
    # ---- conduct ----------------------------------------------------------------------------------------------------------
    Column("indicator", Kind.CATEGORY, "What was counted or measured.", values=INDICATORS),
    Column("observed", Kind.ESTIMATE, "Events counted; for shares of money the money in question."),
    Column("cases", Kind.ESTIMATE, "Cases in which the event could have come: deals, reviews; for shares of money all money.", minimum=0),
    Column("indicator_value", Kind.ESTIMATE, "`observed` over `cases`; `payout_percentile`: share of sellers paid no more."),
    Column("expected_events", Kind.ESTIMATE, "Events that everybody's rate in the same quarter and segment would bring.", "events", minimum=0),
    *words(
        Kind.ESTIMATE,
        "ratio",
        shrunken_ratio="Posterior mean of the ratio to expected, sellers sharing one gamma prior; null where they differ by no more than chance.",
        shrunken_ratio_lo="Lower end of the 95 % posterior interval of the ratio.",
        shrunken_ratio_hi="Upper end of the 95 % posterior interval of the ratio.",
        dispersion="Variance over mean of the counts of sellers like the others, in the period; 1 is chance alone.",
    ),
    *share(
        chance_above_1_5="Posterior probability that the seller's true ratio is above 1.5.",
        excess_p="Probability of at least so many events for a seller like the others.",
        excess_q="False-discovery rate (Benjamini-Hochberg) at which the count would be called, all indicators and sellers of the period together.",
    ),
    *words(
        Kind.ESTIMATE,
        "events",
        funnel_inner="Count that a seller like the others stays at or under with 97.5 %.",
        funnel_outer="Count that a seller like the others stays at or under with 99.9 %.",
        flagged_from="Smallest count at which the seller would be flagged, the others as they are.",
    ),
    Column("is_flagged", Kind.FLAG, "Whether the count is beyond chance at a false-discovery rate of 5 %."),
    Column("sellers_just_below", Kind.COUNT, "Sellers one event short of their own flag: many of them means the flag is being managed.", "sellers", minimum=0),
    Column("sellers_just_above", Kind.COUNT, "Sellers at their own flag or one event over it.", "sellers", minimum=0),
    Column("reviews", Kind.CATEGORY, "What to do about it; a count proves nothing about a person.", values=("investigate", "nothing unusual", "described, not judged")),
    # ---- estimates --------------------------------------------------------------------------------------------------------
    *words(
        Kind.TEXT,
        exposure="How hard the deal was pushed: emcr_as_known, relative_intensity, closing_load, ...",
        specification="What is held fixed, and how.",
        estimator="Model behind the estimate.",
        scale="What the estimate is a ratio or difference of, and for which difference in exposure.",
        assumptions="What must hold for the estimate to be more than a description.",
        warnings="Reasons to read with care, words of a fixed vocabulary separated by commas; empty: none.",
    ),
    category("test_family", "Which tests the q-value is counted among; a control must find nothing.", "primary secondary control"),
    category("effect_kind", "Total; direct: with the mediators held fixed; indirect: what goes through them.", "total direct indirect"),
    *words(
        Kind.ESTIMATE,
        "on the row's scale",
        estimate="Estimate on the row's `scale`: a ratio, where 1 is nothing, or a difference, where 0 is.",
        estimate_lo="Lower end of the 95 % interval of `estimate`.",
        estimate_hi="Upper end of the 95 % interval of `estimate`.",
    ),
    *share(
        "probability",
        p_value="Two-sided p value of no association.",
        q_value="False-discovery rate (Benjamini-Hochberg) within the family; null outside.",
    ),
    Column("n_clusters", Kind.COUNT, "Sellers that the errors are clustered by.", "sellers", minimum=0),
    Column("plan_change", Kind.TEXT, "The move: plan and version before and after; `all` for every seller's first move."),
    Column("term", Kind.CATEGORY, "Mean over the year after the move, one quarter beside the last before it, or a pretended move before the real one.", values=("average", "quarter", "placebo")),
    Column("relative_period", Kind.COUNT, "Quarter of 91 days from the move: 0 is the first after it, -1 the last before; null where the row is no single quarter.", "quarters"),
    Column("pre_trend_p", Kind.ESTIMATE, "p value that the quarters before the move did not differ; small: sellers were not on a common course.", "probability", minimum=0, maximum=1),
    Column("moved_mean", Kind.ESTIMATE, "What was seen of those moved over the year after it, on the row's scale; less `estimate`, what it would have been without the move. In rows of term `average`, for shares."),
    Column("density_ratio", Kind.ESTIMATE, "Density of pay periods just above a threshold over just below it; null with fewer than 200 periods on a side.", "ratio", minimum=0),
    Column("density_p", Kind.ESTIMATE, "p value that the density does not jump at the threshold (McCrary 2008).", "probability", minimum=0, maximum=1),
    Column("n_treated", Kind.COUNT, "Sellers who were moved.", "sellers", minimum=0),
    Column("n_compared", Kind.COUNT, "Sellers who never were.", "sellers", minimum=0),
    Column("e_value", Kind.ESTIMATE, "Risk ratio that an unmeasured confounder would need with both to explain the estimate away.", "ratio", minimum=1),
    Column("e_value_bound", Kind.ESTIMATE, "The same for the limit nearer 1; 1 where the interval holds 1.", "ratio", minimum=1),
)  # fmt: skip
