"""On which plan-local day news of credit stands, as known to each deal that sees it.

A plan or an assignment that is recorded after a credit may move its day (another time zone) or its currency: deals from
then on see the credit taken back from where it was and told where it is. Nothing is counted here.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.incentives.firm import Firm
from assets.incentives.knowledge import Knowledge
from assets.incentives.terms import PLACE, find_terms

_FACTS: Final = ("on", "plan_currency", "fx_policy")


def place_news(news: pl.LazyFrame, terms: pl.DataFrame, firm: Firm, knowledge: Knowledge) -> pl.LazyFrame:
    """Add to news the plan-local day of its credit (`on`), and `plan_currency`, `fx_policy` of its seller's plan on that day.

    Args:
        news: from `credits.tell_news`.
        terms: from `find_terms`, as known at each credit's own time.
        firm: all terms.
        knowledge: as known, or as final.

    Returns:
        The news, `currency` never null where the seller had a plan, and more news where a day or currency became known
        later.
    """
    at_first = terms.lazy().select(*PLACE, *_FACTS)
    placed = news.join(at_first, on=PLACE, how="left")
    if knowledge is Knowledge.AS_KNOWN:
        moves = _find_moves(news, at_first, firm)
        if moves.height:
            placed = pl.concat([placed, _retell(news, moves)])
    return placed.with_columns(currency=pl.coalesce("currency", "plan_currency")).collect().lazy()


def _find_moves(news: pl.LazyFrame, at_first: pl.LazyFrame, firm: Firm) -> pl.DataFrame:
    """Places whose day or currency changed with knowledge: `PLACE`, `seen`, and the facts after and (`was_`) before."""
    c = pl.col
    recorded = pl.concat(
        [firm.terms.select("rep_id", seen=name) for name in ("known_from", "known_until")]
    ).drop_nulls()
    asked = (
        news.select(PLACE).unique().join(recorded.unique().lazy(), on="rep_id").filter(c("seen") > c("at"))
    ).collect()
    if not asked.height:
        return asked
    later = find_terms(asked.lazy(), firm.terms, firm.company.timezone, Knowledge.AS_KNOWN, seen="seen")
    known = pl.concat(
        [
            at_first.join(asked.lazy(), on=PLACE, how="semi").with_columns(seen="at").collect(),
            later.select(*PLACE, *_FACTS, "seen"),
        ],
        how="diagonal",
    )
    was = {f"was_{name}": c(name).shift(1).over(PLACE, order_by="seen") for name in _FACTS}
    moved = pl.any_horizontal(c(name).ne_missing(c(f"was_{name}")) for name in _FACTS)
    return known.with_columns(**was).filter(c("seen") > c("at"), moved)


def _retell(news: pl.LazyFrame, moves: pl.DataFrame) -> pl.LazyFrame:
    """News taken back from where it stood and told where it stands, from the time that became known."""
    c = pl.col
    names = [*news.collect_schema().names(), *_FACTS]
    moved = news.join(moves.lazy(), on=PLACE).with_columns(known=pl.max_horizontal("known", "seen"))
    back = moved.with_columns(
        *(c(f"was_{name}").alias(name) for name in _FACTS), amount=-c("amount"), pieces=-c("pieces")
    )
    return pl.concat([back.select(names), moved.select(names)])
