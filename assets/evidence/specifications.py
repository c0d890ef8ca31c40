"""Which comparisons `incentive_effects` makes: outcomes, exposures and specifications, as tables of facts.

A specification says at which level of evidence an exposure is held against an outcome and what may be held fixed. What
the incentive itself moves (discount, day of the close, product, kind of customer) lies on the way from the exposure to
the outcome: holding it fixed takes away part of what is to be measured, so a total effect refuses it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from assets.table import DeclarationError

CONFOUNDERS: Final = ("segment", "region", "cohort_quarter")
"""Known before anybody sold anything: may be held fixed at every level."""

MATURE_SHARE: Final = 0.8
"""Under it `immature_cohort`: a fifth of the deals could still turn the picture."""

MEDIATORS: Final = {
    "discount_share": "the discount is one of the ways a seller closes under pressure",
    "cycle_days": "how fast a deal closes is what the incentive is meant to move",
    "month_end": "the day of the close is chosen by the seller",
    "period_end_close": "the day of the close is chosen by the seller",
    "days_to_period_end": "the day of the close is chosen by the seller; shared bins of it are an effect of level 2, not a control",
    "product_id": "which product is sold is chosen under the incentive",
    "amount": "sellers make deals larger to reach a threshold",
    "touches_30d": "pressure on the customer is one of the ways",
    "touches_after_refusal_30d": "pressure on the customer is one of the ways",
    "closing_load": "a seller closes more under the incentive",
    "is_target_profile": "which customers are sold to is chosen under the incentive",
    "is_vulnerable": "which customers are sold to is chosen under the incentive",
}
"""On the way from the incentive to the outcome, and why."""

Family = Literal["primary", "secondary", "control"]
Placebo = Literal["", "shuffled_exposure", "future_plan", "outcome_before_sale"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happens to the customer.

    Attributes:
        name: word of the column `outcome`.
        words: what the ratio is a ratio of, in a sentence.
        horizon_days: days it is followed.
        repeats: whether it can happen several times: a rate, else a hazard or a risk.
        reported: whether it is only in the data when somebody writes it down.
        timed: whether the day it happened is used, not only whether it did.
        hop: of feedback: where it arrives; the clock starts at the step before.
    """

    name: str
    words: str
    horizon_days: int
    repeats: bool = False
    reported: bool = False
    timed: bool = False
    hop: str = ""

    def scale(self, level: int) -> str:
        """What the estimate is a ratio of. Without days Poisson gives a ratio of risks, cloglog one of hazards."""
        if self.repeats:
            return "rate ratio"
        return "hazard ratio" if self.timed or level < 2 else "risk ratio"


OUTCOMES: Final = (
    Outcome("churn_180d", "180-day churn", 180, timed=True),
    Outcome("complaint_180d", "complaints within 180 days", 180, repeats=True, reported=True),
    Outcome("refund_180d", "refunds within 180 days", 180),
    Outcome("clawback_180d", "clawed-back commission within 180 days", 180),
    Outcome("feedback_lag", "being written down", 180, reported=True, timed=True, hop="captured"),
)
"""A `feedback_lag` ratio below 1 is slower: feedback waits longer to be written down."""

HOP_OUTCOMES: Final = tuple(
    Outcome(f"feedback_lag_{hop}", words, 180, reported=True, timed=True, hop=hop)
    for hop, words in (
        ("triaged", "being triaged once written down"),
        ("decided", "being decided on once triaged"),
        ("shipped", "being shipped once decided on"),
        ("told_back", "the customer being told once shipped"),
        ("board_seen", "being seen by the board once written down"),
    )
)  # fmt: skip
"""The hops behind the first: at risk is what reached the step before (the nearest one that was recorded), from that moment on."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """How hard a deal was pushed.

    Attributes:
        name: word of the column `exposure`; pay exposures as in `deal_incentives`.
        column: of `deal_outcomes`.
        step: difference that the ratio is for, in the column's unit.
        contrast: the step in a scale: "per ...".
        words: the step in a sentence: "deals closed ... had"; of an owner: "customers ... had".
        is_pay: whether it needs commission data.
        of_owner: whether it is that of the customer's owner at the time, who then takes the seller's place.
    """

    name: str
    column: str
    step: float
    contrast: str
    words: str
    is_pay: bool = False
    of_owner: bool = False


EXPOSURES: Final = (
    Exposure("emcr_as_known", "emcr", 0.10, "per +10 pp emcr", "at +10 pp higher marginal commission", is_pay=True),
    Exposure("relative_intensity", "relative_intensity", 1.0, "per +1 relative intensity", "at a marginal commission higher by one base rate", is_pay=True),
    Exposure("closing_load", "closing_load", 1.0, "per +1 closing load", "in a month in which the seller won one usual month's deals more"),
    Exposure("month_end", "month_end", 1.0, "last five days of the month against others", "in the last five days of a month"),
    Exposure("cycle_days", "cycle_days", 30.0, "per +30 days of cycle", "after 30 more days of selling"),
    Exposure("discount_share", "discount_share", 0.10, "per +10 pp discount", "at 10 pp more discount"),
    Exposure("touches_30d", "touches_30d", 5.0, "per +5 touches", "after five more outbound touches in 30 days"),
)  # fmt: skip

OWNER_EXPOSURES: Final = (
    Exposure("owner_emcr", "owner_emcr", 0.10, "per +10 pp owner emcr in the month before", "whose owner had +10 pp higher marginal commission in the month before", is_pay=True, of_owner=True),
)  # fmt: skip
"""Of what is said, not of deals: how the one who should have heard it, or passed it on, was paid: in the month before, for how much the month
itself will have paid nobody knows on its first days."""

HOP_EXPOSURES: Final = frozenset({"emcr_as_known", "closing_load", "owner_emcr"})
"""What the hops behind the first are held against: the seller's pay, the pressure where pay is not known, the owner's pay."""


@dataclass(frozen=True, slots=True)
class Specification:
    """One way to hold an exposure against an outcome.

    Attributes:
        name: word of the column `specification`.
        level: of evidence, 0 descriptive to 5 randomised; this table makes 0, 1 and 2.
        absorbed: whose effects are taken out: nobody's, the seller's, or the seller's in each pay period.
        shared: columns whose levels have effects shared by all sellers (level 2).
        controls: covariates held fixed.
        effect: total, or direct (what is left when the mediators are held fixed).
        winsorised: whether the exposure is cut at its 1st and 99th percentile.
        placebo: a negative control: what is put in the place of the real thing.
        threshold: column of a running variable: a regression discontinuity. Refused.

    Raises:
        DeclarationError: when a total effect holds a mediator fixed, a level holds what it does not allow, or a threshold is
            named.
    """

    name: str
    level: int
    absorbed: Literal["", "seller", "seller_period"] = ""
    shared: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    effect: Literal["total", "direct"] = "total"
    winsorised: bool = True
    placebo: Placebo = ""
    threshold: str = ""

    def __post_init__(self) -> None:
        if self.threshold:
            raise DeclarationError(
                f"{self.name}: no regression discontinuity at {self.threshold}. Sellers choose when and at what amount deals "
                "close, so those just above a quota are not like those just below: the bunching is the evidence "
                "(quota_bunching), and no comparison across the threshold is."
            )
        if mediators := [c for c in self.controls if c in MEDIATORS]:
            if self.effect == "total":
                raise DeclarationError(
                    f"{self.name}: {mediators[0]} can't be held fixed in a total effect: {MEDIATORS[mediators[0]]}. "
                    "Declare effect='direct' in a specification of its own."
                )
        elif self.effect == "direct":
            raise DeclarationError(f"{self.name}: a direct effect says which mediators it holds fixed")
        if unknown := set(self.controls) - set(CONFOUNDERS) - set(MEDIATORS):
            raise DeclarationError(
                f"{self.name}: {sorted(unknown)} is neither a confounder nor a mediator that is known of"
            )
        if self.level not in (0, 1, 2):
            raise DeclarationError(f"{self.name}: level {self.level} has estimators of its own")
        if (self.level == 2) != bool(self.absorbed) or (self.shared and self.level < 2):
            raise DeclarationError(f"{self.name}: level 2, and only level 2, compares a seller with himself")
        if self.level == 0 and self.controls:
            raise DeclarationError(f"{self.name}: level 0 describes and holds nothing fixed")


_WITHIN: Final = ("seller_period", ("days_to_end_bin",))
SEPARATION: Final = (
    "seller_and_period",
    "seller_period",
    "seller_period_and_days_to_end",
)
"""The three rows of level 2; the last one is the headline."""

SPECIFICATIONS: Final = (
    Specification("unadjusted", 0),
    Specification("adjusted", 1, controls=CONFOUNDERS),
    Specification(SEPARATION[0], 2, "seller", ("period",), ("segment",)),
    Specification(SEPARATION[1], 2, "seller_period", (), ("segment",)),
    Specification(SEPARATION[2], 2, *_WITHIN, ("segment",)),
    Specification(f"{SEPARATION[0]}_unwinsorised", 2, "seller", ("period",), ("segment",), winsorised=False),
    Specification(f"{SEPARATION[1]}_unwinsorised", 2, "seller_period", (), ("segment",), winsorised=False),
    Specification(f"{SEPARATION[2]}_unwinsorised", 2, *_WITHIN, ("segment",), winsorised=False),
    Specification("direct", 2, *_WITHIN, ("segment", "discount_share", "cycle_days", "product_id", "touches_30d"), effect="direct"),
    Specification("control_shuffled_exposure", 2, *_WITHIN, ("segment",), placebo="shuffled_exposure"),
    Specification("control_future_plan", 2, "seller", ("period",), ("segment",), placebo="future_plan"),
    Specification("control_outcome_before_sale", 2, *_WITHIN, ("segment",), placebo="outcome_before_sale"),
)  # fmt: skip


def specifications_of(
    outcome: Outcome, exposure: Exposure, *, has_pay: bool
) -> list[tuple[Specification, Family]]:
    """The rows of one exposure and outcome, with the family that the q-value belongs to.

    The hops behind the first have plain rows only, all of them secondary. Of the others primary is one row per outcome: the headline of level 2 for `emcr_as_known`; without commission data that of each pressure
    exposure, where bins of days to the end of a pay period mean nothing. Controls are made for the primary exposure only,
    an outcome before the sale only of complaints: nothing else is known of customers before they buy.
    """
    if outcome in HOP_OUTCOMES:
        names = _plain(exposure) if exposure.name in HOP_EXPOSURES else ()
        return [(s, "secondary") for s in SPECIFICATIONS if s.name in names]
    chosen: list[tuple[Specification, Family]] = []
    headline = SEPARATION[2] if exposure.is_pay else SEPARATION[1]
    leads = exposure.name == "emcr_as_known" or not has_pay
    for specification in SPECIFICATIONS:
        is_mediator = exposure.column in specification.controls
        if specification.placebo:
            wanted = exposure.name == "emcr_as_known" and (
                specification.placebo != "outcome_before_sale" or outcome.name == "complaint_180d"
            )
            if wanted:
                chosen.append((specification, "control"))
        elif _has_pay_periods(exposure) or (specification.name in _plain(exposure) and not is_mediator):
            is_primary = leads and specification.name == headline
            chosen.append((specification, "primary" if is_primary else "secondary"))
    return chosen


def _has_pay_periods(exposure: Exposure) -> bool:
    """Whether days to the end of the seller's pay period mean something beside it."""
    return exposure.is_pay and not exposure.of_owner


def _plain(exposure: Exposure) -> tuple[str, ...]:
    """Names of the rows without variations: no other winsorising, no mediator held fixed, no control."""
    return ("unadjusted", "adjusted", *(SEPARATION if _has_pay_periods(exposure) else SEPARATION[:2]))
