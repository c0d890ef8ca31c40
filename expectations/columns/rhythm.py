"""Words about when sales are made: rhythm within a period, bunching at thresholds."""

from __future__ import annotations

from expectations.columns.words import category, share, words
from expectations.model import Column, Kind

RHYTHM: tuple[Column, ...] = (
    # ---- rhythm and thresholds ------------------------------------------------------------------------------------------
    category("candidate_period", "Period that sales are laid over, in phases finer than itself.", "month quarter half year"),
    Column("phase", Kind.COUNT, "Phase of the period, from 1: thirds of a fiscal month, fiscal months of the longer periods.", minimum=1, maximum=12),
    Column("phase_days", Kind.COUNT, "Days of the phase under observation, over all cycles.", "days", minimum=0),
    Column("full_cycles", Kind.COUNT, "Cycles of the period under observation from end to end; under two it can't be told from a trend.", "cycles", minimum=0),
    Column("won_deals", Kind.COUNT, "Deals won.", "deals", minimum=0),
    Column("closed_deals", Kind.COUNT, "Deals won or lost.", "deals", minimum=0),
    Column("phase_activities", Kind.COUNT, "Activities of sellers in the phase, inbound ones left out; null without a source.", "activities", minimum=0),
    *words(
        Kind.ESTIMATE,
        "ratio to the mean pace",
        bookings_index="Bookings per day in the phase over bookings per day, a straight-line trend taken out.",
        won_index="Deals won per day in the phase over deals won per day, a straight-line trend taken out.",
        activity_index="Activities per day in the phase over activities per day, a straight-line trend taken out.",
        index_peak_to_trough="Highest `bookings_index` minus the lowest. Chance alone makes it positive: read it with `rhythm_p`. Its interval keeps the two phases and may reach below 0.",
    ),
    *share(
        win_rate="Deals won over deals closed.",
        end_of_period_share="Share of bookings in the last third of the period, over full cycles.",
        last_days_win_rate="Deals won over deals closed in the last five days of the period.",
        other_days_win_rate="Deals won over deals closed on all other days of the period.",
        rhythm_p="Chance that pure chance gives some candidate period a statistic as large as the largest of the unit's: one p for all candidates (permutation of phases, largest statistic).",
        candidate_p="The same for this candidate's own statistic.",
    ),
    Column("last_days_closed", Kind.COUNT, "Deals won or lost in the last five days of the period.", "deals", minimum=0),
    Column("slump_after_period", Kind.ESTIMATE, "Bookings in the first 14 days of the next period over those in the last 14 days; 1 is no slump.", "ratio", minimum=0),
    Column("sustained_effort_index", Kind.ESTIMATE, "Inverted hockey stick of activities over full cycles: a third over the share that falls into the last third of the period; 1 is even effort.", "ratio", minimum=0),
    Column("phase_statistic", Kind.ESTIMATE, "Share of the variation in deals won per day that phases explain, as standard deviations above its permutations' mean.", "standard deviations"),
    Column("is_period_found", Kind.FLAG, "Whether this is the unit's period: the candidate with the largest statistic, `rhythm_p` at most 5 %."),
    Column("sellers_compared", Kind.COUNT, "Sellers who closed deals both in the first and in the last phase of the period.", "sellers", minimum=0),
    Column("sellers_rising", Kind.COUNT, "Of them, those with the higher win rate in the last phase.", "sellers", minimum=0),
    Column("rhythm_null_reason", Kind.TEXT, "Why the period is not judged: not_identifiable (fewer than two full cycles)."),
    *words(
        Kind.ESTIMATE,
        "in the unit of the estimate",
        **{
            f"{name}_{end}": f"{side} end of the 95 % interval of `{name}`: sellers and cycles drawn anew."
            for name in ["bookings_index", "won_index", "activity_index", "index_peak_to_trough", "win_rate", "discount_share", "end_of_period_share", "last_days_win_rate", "other_days_win_rate", "slump_after_period", "sustained_effort_index"]
            for end, side in (("lo", "Lower"), ("hi", "Upper"))
        },
    ),
    Column("threshold", Kind.RATE, "Attainment around which periods may bunch.", "share of quota", minimum=0),
    category(
        "threshold_kind",
        "What pay does there: notch (a tier reprices all credit), lump, gate: it jumps; drop: it falls; accelerator, decelerator: each further unit pays more, less; cap: none pays any more, at an attainment that goes by the quota (here the median; each period is counted as far from it as it ended from its own); quota: nothing, it is only the quota; placebo: nothing at all; mixed: plans differ.",
        "notch lump gate drop accelerator decelerator cap quota placebo mixed",
    ),
    category("predicted_side", "Where pay alone would make periods end: at or above the threshold, at or below it, or nowhere in particular.", "above below none"),
    Column("is_placebo", Kind.FLAG, "Whether nothing changes at the threshold: excess there is noise or another threshold's."),
    Column("window", Kind.RATE, "Reach of the window to either side of the threshold, kept out of the fit.", "share of quota", minimum=0),
    Column("specification_name", Kind.TEXT, "headline, or the one choice in which the row differs from it."),
    Column("bin_width", Kind.RATE, "Width of a bin of attainment.", "share of quota", minimum=0),
    Column("degree", Kind.COUNT, "Degree of the counterfactual polynomial.", minimum=0),
    category("constrained_side", "Side whose counts the integration constraint raises: where those who bunch came from.", "left right none"),
    *words(
        Kind.ESTIMATE,
        "seller-periods",
        excess_mass="Seller-periods in the excess bins above the counterfactual.",
        excess_mass_lo="Lower end of the 95 % interval of `excess_mass`: sellers drawn anew.",
        excess_mass_hi="Upper end of the 95 % interval of `excess_mass`: sellers drawn anew.",
        excess_mass_se="Standard error of `excess_mass` from drawing sellers anew.",
        excess_mass_se_residual="Standard error of `excess_mass` from drawing the errors of the fit anew.",
        missing_mass="Seller-periods that the bins on the other side of the threshold lack against the counterfactual.",
        missing_mass_lo="Lower end of the 95 % interval of `missing_mass`.",
        missing_mass_hi="Upper end of the 95 % interval of `missing_mass`.",
        counterfactual_height="Counterfactual seller-periods in the bin that starts at the threshold.",
    ),
    *words(
        Kind.ESTIMATE,
        "bins",
        normalised_excess="`excess_mass` over `counterfactual_height`: how many bins' worth of periods were moved; times `bin_width` it compares across bin widths.",
        normalised_excess_lo="Lower end of the 95 % interval of `normalised_excess`.",
        normalised_excess_hi="Upper end of the 95 % interval of `normalised_excess`.",
    ),
    Column("just_below", Kind.COUNT, "Seller-periods that ended in the last bin below the threshold.", "seller-periods", minimum=0),
    Column("just_above", Kind.COUNT, "Seller-periods that ended in the bin that starts at the threshold.", "seller-periods", minimum=0),
    Column("discontinuity_warning", Kind.TEXT, "What the row must not be used for."),
    Column("bunching_null_reason", Kind.TEXT, "Why there is no estimate: too_few_seller_periods (under 200 in reach of the fit), too_few_bins, few_people."),
)  # fmt: skip
