"""What a forward-looking seller expects still to come: credit after the same day of completed periods, as a share of quota."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from fractions import Fraction
from math import sqrt

from reference_knowledge import Known, Terms, exact

NEWEST_PERIODS = 8
ENOUGH = 4
Money = Callable[[Fraction | None, str | None, date, date], Fraction | None]


def forecast(
    known: Known, rep: str, component: str, terms: Terms, days_left: int, money: Money
) -> tuple[Fraction, float] | None:
    """Mean and sample standard deviation of the rest of the period, as shares of quota; None without history.

    From the seller's newest 8 completed periods; with fewer than 4 of them from those of everybody who is on the plan
    on the day of the deal, over the 8 newest period starts; with fewer than 4 of those from nothing.
    """
    mine = _shares(known, rep, component, terms.on, days_left, money)
    if len(mine) < ENOUGH:
        colleagues = [
            r
            for r in known.firm.reps
            if (v := known.version_on(r, terms.on)) and v[0] == terms.plan["plan_id"]
        ]
        mine = {
            (start, name): share
            for name in sorted({*colleagues, rep})
            for start, share in _shares(known, name, component, terms.on, days_left, money).items()
        }
        newest = sorted({start for start, _ in mine})[-NEWEST_PERIODS:]
        chosen = [share for (start, _), share in mine.items() if start in newest]
    else:
        chosen = [mine[start] for start in sorted(mine)[-NEWEST_PERIODS:]]
    n = len(chosen)
    if n < ENOUGH:
        return None
    mean = sum(chosen, Fraction(0)) / n
    variance = sum(((share - mean) ** 2 for share in chosen), Fraction(0)) / (n - 1)
    return mean, sqrt(variance)


def _shares(
    known: Known, rep: str, component: str, on: date, days_left: int, money: Money
) -> dict[date, Fraction]:
    """By completed period with a quota: credit on days with fewer days left, per quota."""
    shares = {}
    for quota in known.quotas(rep, component):
        start, end, amount = quota["period_start"], quota["period_end"], exact(quota["amount"])
        if end > on or amount <= 0:
            continue
        late = [
            money(p.amount, p.currency, p.on, start)
            for p in known.pieces(rep)
            if p.component == component and start <= p.on < end and (end - p.on).days - 1 < days_left
        ]
        if None not in late:
            shares[start] = sum(late, Fraction(0)) / amount
    return shares
