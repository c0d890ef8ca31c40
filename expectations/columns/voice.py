"""Words about the customer's voice: distance, needs, shifts of the market, style of selling."""

from __future__ import annotations

from expectations.columns.words import category, share, words
from expectations.model import Column, Kind

VOICE: tuple[Column, ...] = (
    # ---- distance ---------------------------------------------------------------------------------------------------------
    Column("separation_at_capture", Kind.COUNT, "Managers' steps from the customer's owner to the nearest board member on the day the item was written down (0: the owner sits on the board); null without a path.", "steps", minimum=0),
    Column("distance_mean", Kind.ESTIMATE, "Mean steps from a customer's owner to the nearest board member, over customer days with a path.", "steps", minimum=0),
    Column("distance_max", Kind.COUNT, "Most steps on any of these days.", "steps", minimum=0),
    Column("distance_revenue_weighted", Kind.ESTIMATE, "Mean steps, each day weighed by the amounts (reporting currency) of the deals active on it.", "steps", minimum=0),
    Column("customer_days", Kind.COUNT, "Days on which accounts were customers.", "days", minimum=0),
    Column("owner_changes", Kind.COUNT, "Times that a customer passed from one owner to another.", "changes", minimum=0),
    Column("board_members", Kind.COUNT, "Board members on the last day of the month.", "people", minimum=0),
    Column("is_board_assumed", Kind.FLAG, "Whether a root of the tree that nobody marked as board counts as one."),
    Column("executive_contact_resets", Kind.COUNT, "Executive contacts that were with another executive than the customer's last one: a relationship that begins anew.", "contacts", minimum=0),
    *share(
        placed_share="Share of customer days whose owner has a path to the board.",
        executive_touch_share="Share of outbound touches that executives or board members made.",
        fidelity="Product over the hops after capture of the share that leaves each within 90 days.",
        fidelity_lo="Lower end of the 95 % interval of `fidelity`.",
        fidelity_hi="Upper end of the 95 % interval of `fidelity`.",
        weakest_hop_share="Share that leaves the weakest hop within 90 days.",
    ),
    Column("fidelity_hops", Kind.COUNT, "Hops that `fidelity` is a product of.", "hops", minimum=1),
    category("weakest_hop", "Hop that the smallest share leaves within 90 days.", "triaged decided shipped told_back board_seen"),
    *words(
        Kind.ESTIMATE,
        "ratio",
        lag_ratio_per_step="Ratio of mean days in a hop per further step from the board, of items that left it within a year; hops up to told_back, within hops, the row `all`, `all` only.",
        lag_ratio_per_step_lo="Lower end of the 95 % interval, clustered by customer.",
        lag_ratio_per_step_hi="Upper end of the 95 % interval, clustered by customer.",
        loss_ratio_per_step="Ratio of the share not through a hop within a year per further step from the board; the row `all`, `all` only.",
        loss_ratio_per_step_lo="Lower end of the 95 % interval, clustered by customer.",
        loss_ratio_per_step_hi="Upper end of the 95 % interval, clustered by customer.",
    ),
    # ---- needs ------------------------------------------------------------------------------------------------------------
    category("solicitation", "Whether the firm had asked (solicited), or not; the two are never put together.", "solicited unsolicited unknown"),
    *words(
        Kind.COUNT,
        "needs",
        needs_by_sellers="Needs that a seller wrote down within 90 days of their being voiced first.",
        needs_by_others="Needs that anybody else wrote down in that time: support, complaints, surveys, exits, research.",
        needs_by_both="Needs that both wrote down.",
        needs_watched="Needs that could be followed for 365 days after they were written down.",
        needs_met="Of these, needs for which something shipped, or which the customer said were met.",
    ),
    *words(
        Kind.ESTIMATE,
        "needs",
        needs_estimate="All needs, heard or not (Chapman's capture-recapture); null with fewer than seven heard by both.",
        needs_estimate_lo="Lower end of the 95 % log-normal interval.",
        needs_estimate_hi="Upper end of the 95 % log-normal interval.",
    ),
    *share(
        seller_capture_rate="`needs_by_sellers` over `needs_estimate`.",
        seller_capture_rate_lo="Lower end of its 95 % interval: of the share of these needs that sellers heard, not of the chance of a next one.",
        seller_capture_rate_hi="Upper end of its 95 % interval.",
        met_365d="`needs_met` over `needs_watched`.",
        met_365d_lo="Lower end of the 95 % Wilson interval.",
        met_365d_hi="Upper end of the 95 % Wilson interval.",
    ),
    Column("needs_null_reason", Kind.TEXT, "Why there is no estimate: too_few_heard_by_both, few_people."),
    Column("needs_caveat", Kind.TEXT, "What the estimate assumes."),
    # ---- shifts -----------------------------------------------------------------------------------------------------------
    Column("is_shift", Kind.FLAG, "Whether the theme's share changed: `change_q` at most 5 %, and worth the penalty of the search."),
    *words(
        Kind.DATE,
        change_on="Monday of the first week after the change.",
        change_on_lo="First week of the 95 % interval of the change.",
        change_on_hi="Last week of the 95 % interval of the change.",
        half_peak_on="Week in which the theme's share (four weeks) had gone half the way to its peak; null for a share that falls.",
    ),
    *share(
        share_before="Theme's share of what was said before the change.",
        share_after="Theme's share of what was said after it.",
        change_p="Chance of so large a change in a series without any (permutation of weeks).",
        change_q="False-discovery rate (Benjamini-Hochberg) over all themes and channels.",
        false_discovery_rate="Rate of false shifts among those called that the table allows.",
    ),
    Column("changes_found", Kind.COUNT, "Changes of level found by the penalised search; the row tells of the largest.", "changes", minimum=0),
    Column("weeks", Kind.COUNT, "Weeks watched.", "weeks", minimum=0),
    Column("seen_on", Kind.DATE, "Day on which the firm's own record first signalled the change (CUSUM on what was written down); null: not yet."),
    Column("seen_days", Kind.COUNT, "Days from the change to `seen_on`; to the end of observation where censored.", "days", minimum=0),
    Column("seen_censored", Kind.FLAG, "Whether `seen_on` had not come by the end of observation."),
    Column("board_seen_on", Kind.DATE, "Day on which a board report, or an item put before the board, first named the theme; null: not yet."),
    Column("board_seen_days", Kind.COUNT, "Days from the change to `board_seen_on`; to the end of observation where censored.", "days", minimum=0),
    Column("board_seen_censored", Kind.FLAG, "Whether `board_seen_on` had not come by the end of observation."),
    Column("decided_on", Kind.DATE, "Day on which something said since the change was first decided; null: not yet."),
    Column("decided_days", Kind.COUNT, "Days from the change to `decided_on`; to the end of observation where censored.", "days", minimum=0),
    Column("decided_censored", Kind.FLAG, "Whether `decided_on` had not come by the end of observation."),
    Column("shipped_on", Kind.DATE, "Day on which something said since the change was first shipped; null: not yet."),
    Column("shipped_days", Kind.COUNT, "Days from the change to `shipped_on`; to the end of observation where censored.", "days", minimum=0),
    Column("shipped_censored", Kind.FLAG, "Whether `shipped_on` had not come by the end of observation."),
    Column("decided_before_half_peak", Kind.FLAG, "Whether the firm decided before the theme had gone half the way to its peak."),
    Column("false_alarm_weeks", Kind.ESTIMATE, "Mean weeks between false alarms of the CUSUM on a theme that does not change.", "weeks", minimum=0),
    Column("shift_null_reason", Kind.TEXT, "Why no shift is told: no_shift_found, too_few_items (under 30), too_few_weeks (under 20), few_people."),
    # ---- style ------------------------------------------------------------------------------------------------------------
    *share(
        outbound_pressure="Share of activities that are outbound and were not asked for.",
        touches_after_refusal_share="Share of outbound activities to customers who had asked not to be contacted.",
        discovery_share="Share of activities that are meetings, demos and visits.",
    ),
    Column("calls_per_account_month", Kind.ESTIMATE, "Outbound calls per account and calendar month with any activity.", "calls per account-month", minimum=0),
    Column("needs_per_deal", Kind.ESTIMATE, "Needs that sellers wrote down unasked, per deal won.", "needs per deal", minimum=0),
    Column("month_end_extra_discount", Kind.ESTIMATE, "Mean discount of deals closed in the last five days of a month less that of the others.", "share of 1"),
    *words(
        Kind.ESTIMATE,
        "standard deviations",
        style_composite="Mean of the parts: positive is harder selling than the firm's mean team-quarter.",
        **{
            f"{name}_part": f"`{name}` against all team-quarters shown, turned so that positive is harder selling."
            for name in ("outbound_pressure", "calls_per_account_month", "touches_after_refusal_share", "discovery_share", "needs_per_deal", "month_end_extra_discount", "sustained_effort")
        },
    ),
    Column("composite_parts", Kind.COUNT, "Parts of the composite that the firm's sources can tell.", "parts", minimum=0),
    *share(composite_weight="Weight of each of these parts in the composite."),
    # ---- lead and lag -----------------------------------------------------------------------------------------------------
    Column("link", Kind.CATEGORY, "Which stages the two series belong to, in the claimed order.", values=("pay to behaviour", "behaviour to outcome", "pay to outcome")),
    category("leading_series", "Series whose past is looked at.", "revenue_weight_share emcr_mean style_composite churn_rate complaint_rate"),
    category("following_series", "Series that is to be told from it.", "revenue_weight_share emcr_mean style_composite churn_rate complaint_rate"),
    Column("lag_quarters", Kind.COUNT, "Quarters that `leading_series` lies before `following_series`.", "quarters", minimum=1),
    Column("is_claimed_order", Kind.FLAG, "Whether the row runs as the claim has it: pay before behaviour before outcome; the other rows run back."),
    Column("teams", Kind.COUNT, "Teams compared.", "teams", minimum=0),
    Column("lead_null_reason", Kind.TEXT, "Why there is no estimate: too_few_units (under 8 teams), too_few_periods (under 6 quarters with their past known), no_variation, few_people."),
)  # fmt: skip
