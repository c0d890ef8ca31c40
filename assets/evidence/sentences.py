"""One estimate in plain words, its limits included. Below level 4 the word effect is never used."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import isnan
from typing import Final

import polars as pl

from assets.evidence.specifications import Exposure, Outcome, Specification
from assets.methods.disclosure import MIN_ACCOUNTS, MIN_SELLERS
from expectations.cautions import MEANINGS, Caution

HELD: Final = {
    "period": "pay period",
    "days_to_end_bin": "days left in the pay period",
    "cohort_quarter": "quarter of the close",
    "discount_share": "discount",
    "cycle_days": "length of the cycle",
    "product_id": "product",
    "touches_30d": "touches",
}
"""Columns held fixed, where the name does not say it."""

WITHIN: Final = {"": "", "seller": ", within seller", "seller_period": ", within seller and pay period"}

ASSUMPTIONS: Final = {
    0: "none beyond censoring that has nothing to do with the outcome; sellers, territories and customers differ",
    1: "segment, region and cohort are all that moves both the incentive and the outcome",
    2: "within the comparison nothing else moves both the incentive and the outcome; the outcome does not move later incentives",
}
"""What must hold for the number to be more than a description, by level."""

STRENGTH: Final = "an unmeasured confounder could explain it away with a risk ratio of at least {:.2f} with both, a weaker one could not"
DIRECT: Final = "no unmeasured cause of both a mediator and the outcome"
PLACEBO: Final = {
    "shuffled_exposure": "a negative control: the exposures were dealt out again at random, so nothing should be found",
    "future_plan": "a negative control: the exposure is that of the seller's next pay period, which nobody knew, so nothing should be found",
    "outcome_before_sale": "a negative control: complaints before the deal closed, so nothing should be found",
}


CONTROL_IS_QUIET: Final = "the interval holds 1: nothing is found"
CONTROL_FINDS: Final = "the interval leaves out 1: something is found where nothing should be, so this outcome's rows are to be read with care"
AS_IF: Final = {
    "shuffled_exposure": " dealt out at random",
    "future_plan": " in the seller's next pay period",
}
"""What the exposure of a control is."""


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


SLOWER: Final = " (below 1: it waits longer)"
_PREVENTING: Final = (
    Caution.FEW_EVENTS,
    Caution.NO_WITHIN_VARIATION,
    Caution.SEPARATED,
    Caution.FEW_CLUSTERS,
)
"""What can leave a row without a number; whatever else is to be feared comes after it."""


def say(
    outcome: Outcome,
    exposure: Exposure,
    specification: Specification,
    found: Found,
    cautions: Collection[Caution],
) -> str:
    """The row as a sentence for a reader who sees nothing else of it."""
    what = outcome.scale(specification.level).removesuffix(" ratio")
    fixed = [HELD.get(name, name) for name in (*specification.shared, *specification.controls)]
    held = f", with {_list(fixed)} held fixed" if fixed else ""
    if specification.effect == "direct":
        held += ": what does not go through them, if nothing unmeasured moves them and the outcome"
    if not specification.winsorised:
        held += ", the most extreme exposures not cut"
    opening = f"{PLACEBO[specification.placebo].capitalize()}. " if specification.placebo else ""
    which = "of customers" if exposure.of_owner else "on deals closed"
    who = "Deals closed" if found.noun == "deals" else f"{found.noun.capitalize()} {which}"
    subject = f"{who} {exposure.words}{AS_IF.get(specification.placebo, '')}"
    happened = outcome.words + (SLOWER if outcome.hop else "")
    if specification.placebo == "outcome_before_sale":
        happened = happened.replace("within 180 days", "in the 180 days before the close")
    verb = f"had {found.ratio:.2f}x the {what} of {happened} (95 % CI {found.lo:.2f} to {found.hi:.2f})"
    parts = [f"{subject} {verb}{WITHIN[specification.absorbed]}{held}"]
    if specification.placebo:
        parts.append(CONTROL_IS_QUIET if found.lo <= 1 <= found.hi else CONTROL_FINDS)
    elif found.lo <= 1 <= found.hi:
        parts.append("the interval holds 1: no association is shown, and none within it is ruled out")
    else:
        parts.append(STRENGTH.format(found.e_value))
    parts.append(f"n = {found.n:,} {found.noun}, sellers = {found.n_sellers:,}")
    parts.append(f"{found.mature_share:.0%} of the cohort mature".replace("%", " %"))
    parts.append(f"level {specification.level}" if specification.level else "level 0: groups as they are")
    parts += [MEANINGS[c] for c in sorted(cautions)]
    parts.append("not evidence on any individual")
    return opening + "; ".join(parts) + "."


def _list(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def say_nothing(outcome: Outcome, exposure: Exposure, cautions: Collection[Caution]) -> str:
    """Why a row has no number."""
    first = [c for c in _PREVENTING if c in cautions]
    why = (
        "; ".join(MEANINGS[c] for c in [*first, *sorted(set(cautions) - set(first))])
        or "it can't be estimated from what there is"
    )
    return f"No number for {outcome.words} {exposure.contrast}: {why}."


def say_hidden(outcome: Outcome, exposure: Exposure) -> str:
    """Why a row is not shown. That is not to say that there is nothing in it."""
    return (
        f"Hidden: fewer than {MIN_SELLERS} sellers or {MIN_ACCOUNTS} customers stand behind {outcome.words} {exposure.contrast}. "
        "Whether anything was found is not said."
    )


@dataclass(frozen=True, slots=True)
class Change:
    """One row of an event study around moves between plans, all but its estimate.

    Attributes:
        change: "AE 1 > AE 2"; None: every seller's first move.
        words: what is followed.
        shown: how the size of a difference is written.
        term: average, placebo or quarter.
        relative: quarter from the move, 0 the first after it.
        mature_share: None where nothing has to mature.
    """

    change: str | None
    words: str
    shown: str
    term: str
    relative: int | None
    n: int
    n_moved: int
    n_others: int
    pre_trend_p: float
    mature_share: float | None
    e_value: float | None
    cautions: frozenset[Caution]


_ORDINALS: Final = ("first", "second", "third", "fourth")


def say_change(row: Change, contrast: tuple[float, float, float]) -> str:
    """A row of level 4 as a sentence; `contrast` is the difference with its interval, NaN where there is none."""
    estimate, low, high = contrast
    who = _name_movers(row.change)
    if isnan(estimate):
        return f"No estimate of {row.words} for {who}: too few sellers or events, or nobody to compare with."
    if row.term == "quarter" and row.relative == -1:
        return f"The last quarter before the move: what the other quarters of {who} are compared with."

    def write(value: float, sign: str = "") -> str:
        return sign + row.shown.format(abs(value)).replace("%", " pp")

    limits = " to ".join(write(v, "-" if v < 0 else "+") for v in (low, high))
    before = row.term == "placebo" or (row.relative is not None and row.relative < 0)
    held_against = "than if it had gone the way of sellers who were not moved"
    parts = [
        f"{_when(row)}, {row.words} of {who} was {write(estimate)} {'lower' if estimate < 0 else 'higher'} (95 % CI {limits}) {held_against}"
    ]
    holds_none = low <= 0 <= high
    if before:
        parts.append(
            "nothing had changed yet, so nothing should be found"
            + ("" if holds_none else ", and something is")
        )
    elif holds_none:
        parts.append("the interval holds 0: no effect is shown, and none within it is ruled out")
    elif row.e_value is not None:
        parts.append(STRENGTH.format(row.e_value))
    parts.append(f"n = {row.n:,} deals, {row.n_moved} sellers moved, {row.n_others} not")
    if row.mature_share is not None:
        parts.append(f"{row.mature_share:.0%} of the deals mature".replace("%", " %"))
    if not before:
        parts.append("level 4: an effect only if both would have gone the same way without the move")
    if isnan(row.pre_trend_p):
        parts.append("the quarters before it can't be compared")
    else:
        differ = "differed" if Caution.PRE_TREND in row.cautions else "did not visibly differ"
        parts.append(f"the quarters before it {differ} (p = {row.pre_trend_p:.2g})")
    parts += [MEANINGS[c] for c in sorted(row.cautions)]
    return "; ".join([*parts, "not evidence on any individual"]) + "."


WHY_HIDDEN: Final = (
    f"Fewer than {MIN_SELLERS} sellers or {MIN_ACCOUNTS} customers stand behind it, or it would give such a group away; whether "
    "anything was found is not said."
)


def say_hidden_change(change: str | None, words: str) -> str:
    """Why a row of level 4 is not shown."""
    return f"Hidden: {words} for {_name_movers(change)}. {WHY_HIDDEN}"


def _name_movers(change: str | None) -> str:
    return (
        f"sellers moved from {change.replace(' > ', ' to ')}" if change else "sellers moved to another plan"
    )


def _when(row: Change) -> str:
    if row.term == "average":
        return "Over the year after the move"
    if row.term == "placebo" or row.relative is None:
        return "A negative control: in the half year before the move"
    if row.relative < 0:
        return f"In the {_ORDINALS[-row.relative - 1]} quarter before the move"
    return f"In the {_ORDINALS[row.relative]} quarter after the move"


@dataclass(frozen=True, slots=True)
class Via:
    """What a row on mediation is about: `part` is total, direct, indirect or share; `words` of the outcome and of the exposure."""

    part: str
    outcome: str
    exposure: str
    ways: list[str]
    is_hidden: bool


def say_mediation(
    row: Via,
    contrast: tuple[float, float, float] | None,
    sizes: Mapping[str, float],
    cautions: Collection[Caution],
) -> str:
    """A row on mediation as a sentence; `contrast` is the estimate with its interval, shares of 1."""
    ways = _list(row.ways)
    if row.is_hidden:
        return f"Hidden: what goes through {ways} of deals {row.outcome}. {WHY_HIDDEN}"
    if contrast is None:
        why = "; ".join(MEANINGS[c] for c in sorted(cautions) if c in _NO_NUMBER)
        if not why:
            why = "the whole can't be told from nothing"
        return f"No number for what goes through {ways} of deals {row.outcome}: {why}."
    value, lo, hi = contrast
    unknown = "if nothing unmeasured moves them and the outcome"
    if row.part == "share":
        opening = (
            f"Of the difference in the share of deals {row.outcome} {row.exposure}, {value:.0%} "
            f"(95 % CI {lo:.0%} to {hi:.0%}) goes through {ways}, {unknown}"
        ).replace("%", " %").replace("  %", " %")  # fmt: skip
    else:
        size, limits = f"{abs(value):.1%}", f"{lo:+.1%} to {hi:+.1%}"
        side = "lower" if value < 0 else "higher"
        how = {
            "total": "",
            "direct": f", apart from what goes through {ways}, {unknown}",
            "indirect": f" by way of {ways}, {unknown}",
        }[row.part]
        opening = (
            f"The share of deals {row.outcome} was {size} {side} (95 % CI {limits}) among those closed {row.exposure}{how}"
        ).replace("%", " pp").replace("95  pp", "95 %")  # fmt: skip
    parts = [opening, "within seller and pay period, with segment held fixed"]
    if row.part == "share" and value < 0:
        parts.append("below 0: that part goes the other way than the whole")
    if row.part != "share" and lo <= 0 <= hi:
        parts.append("the interval holds 0: no association is shown, and none within it is ruled out")
    parts.append(f"n = {sizes['n']:,} deals, sellers = {sizes['n_clusters']:,}")
    parts.append(
        f"{sizes['mature_share']:.0%} of the deals mature, with all of this known".replace("%", " %")
    )
    parts += ["level 2", *(MEANINGS[c] for c in sorted(cautions)), "not evidence on any individual"]
    return "; ".join(parts) + "."


_NO_NUMBER: Final = {Caution.FEW_EVENTS, Caution.NO_WITHIN_VARIATION}


@dataclass(frozen=True, slots=True)
class Bought:
    """What a row of level 4 of `incentive_value` is about; money per seller and month."""

    change: str
    paid: float
    net: float
    n: int
    n_moved: int
    n_others: int
    currency: str
    is_hidden: bool
    cautions: frozenset[Caution]


def say_bought(row: Bought, ratio: tuple[float, float, float] | None) -> str:
    """What a unit of money more bought, as a sentence; `ratio` with its interval."""
    who = f"sellers moved from {row.change.replace(' > ', ' to ')}"
    if row.is_hidden:
        return f"Hidden: what incentive money bought from {who}. {WHY_HIDDEN}"
    if ratio is None:
        why = "whether the move changed what was paid can't be told, so nothing can be divided by it"
        return f"No number for what incentive money bought from {who}: {why}."

    def change(value: float) -> str:
        return f"{abs(value):,.0f} {row.currency} {'less' if value < 0 else 'more'}"

    value, lo, hi = ratio
    moved = f"Over the year after the move {who} were paid {change(row.paid)} a month and brought {change(row.net)} net value"
    bought = f"{value:,.2f} of net value per unit of pay (95 % CI {lo:,.2f} to {hi:,.2f})"
    parts = [f"{moved} than if they had gone the way of sellers who were not moved: {bought}"]
    if lo <= 1 <= hi:
        parts.append("the interval holds 1, where it pays for itself")
    parts.append(f"n = {row.n:,} deals, {row.n_moved} sellers moved, {row.n_others} not")
    parts.append("level 4: an effect only if both would have gone the same way without the move")
    parts += [MEANINGS[c] for c in sorted(row.cautions)]
    return "; ".join([*parts, "not evidence on any individual"]) + "."


def say_average() -> pl.Expr:
    """A row of level 0 of `incentive_value` as a sentence."""
    numbers = [
        pl.col(f"net_value_per_dollar{end}").round(2).cast(pl.Decimal(18, 2)).cast(pl.String)
        for end in ("", "_lo", "_hi")
    ]
    limits = (
        pl.when(numbers[1].is_null())
        .then(pl.lit("no interval"))
        .otherwise(pl.format("95 % CI {} to {}", *numbers[1:]))
    )
    told = pl.format(
        "Deals of tier {} of {} went with {} of net value per unit of incentive paid ({}), a year of losses, refunds, redress and "
        "clawbacks counted; n = {} deals, sellers = {}; level 0: an average over deals of which many might have come without the "
        "money; not evidence on any individual.",
        "tier", "plan_id", numbers[0], limits, "n", "n_sellers",
    )  # fmt: skip
    nothing = pl.format("No number for tier {} of {}: nothing was paid.", "tier", "plan_id")
    hidden = pl.format(f"Hidden: tier {{}} of {{}}. {WHY_HIDDEN}", "tier", "plan_id")
    return pl.when("suppressed").then(hidden).otherwise(pl.coalesce(told, nothing))
