"""One estimate in plain words, its limits included. Below level 4 the word effect is never used."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from assets.evidence.specifications import Exposure, Outcome, Specification
from expectations.cautions import MEANINGS, Caution

WITHIN: Final = {"": "", "seller": ", within seller", "seller_period": ", within seller and pay period"}

ASSUMPTIONS: Final = {
    0: "none beyond censoring that has nothing to do with the outcome; sellers, territories and customers differ",
    1: "segment, region and cohort are all that moves both the incentive and the outcome",
    2: "within the comparison nothing else moves both the incentive and the outcome; the outcome does not move later incentives",
}
"""What must hold for the number to be more than a description, by level."""

DIRECT: Final = "no unmeasured cause of both a mediator and the outcome"
PLACEBO: Final = {
    "shuffled_exposure": "a negative control: the exposures were dealt out again at random, so nothing should be found",
    "future_plan": "a negative control: the exposure is that of the seller's next pay period, which nobody knew, so nothing should be found",
    "outcome_before_sale": "a negative control: complaints before the deal closed, so nothing should be found",
}


@dataclass(frozen=True, slots=True)
class Found:
    """The numbers a sentence is made of; shares of 1."""

    ratio: float
    lo: float
    hi: float
    n: int
    n_sellers: int
    mature_share: float
    e_value: float
    noun: str


def say(
    outcome: Outcome,
    exposure: Exposure,
    specification: Specification,
    found: Found,
    cautions: Collection[Caution],
) -> str:
    """The row as a sentence for a reader who sees nothing else of it."""
    what = outcome.scale(specification.level).removesuffix(" ratio")
    if specification.effect == "direct":
        held = "; discount, cycle, product and touches held fixed, so this is only the part that does not go through them"
    else:
        held = ""
    opening = f"{PLACEBO[specification.placebo].capitalize()}. " if specification.placebo else ""
    who = "Deals" if found.noun == "deals" else f"{found.noun.capitalize()} on deals"
    subject = f"{who} closed {exposure.words}"
    verb = f"had {found.ratio:.2f}x the {what} of {outcome.words} (95 % CI {found.lo:.2f} to {found.hi:.2f})"
    parts = [f"{subject} {verb}{WITHIN[specification.absorbed]}{held}"]
    if found.lo <= 1 <= found.hi:
        parts.append("the interval holds 1: no association is shown, and none within it is ruled out")
    else:
        parts.append(
            f"unmeasured confounding of a risk ratio of at least {found.e_value:.2f} with both would explain it away"
        )
    parts.append(f"n = {found.n:,} {found.noun}, sellers = {found.n_sellers:,}")
    parts.append(f"{found.mature_share:.0%} of the cohort mature".replace("%", " %"))
    parts.append(f"level {specification.level}" if specification.level else "level 0: groups as they are")
    parts += [MEANINGS[c] for c in sorted(cautions)]
    parts.append("not evidence on any individual")
    return opening + "; ".join(parts) + "."


def say_nothing(outcome: Outcome, exposure: Exposure, cautions: Collection[Caution]) -> str:
    """Why a row has no number."""
    why = "; ".join(MEANINGS[c] for c in sorted(cautions)) or "too few sellers or customers to show"
    return f"No number for {outcome.words} {exposure.contrast}: {why}."
