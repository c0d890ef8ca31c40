"""What every month of the panel is made from, prepared once: one order of accounts and deals, and dated facts on numbers.

Each account, and each active deal under it, has its `place` in the order of the finished table. A month picks the places
that were there, so no month is joined to another and none is sorted by text. What a month may know is dated on or before
its last day; `content` names exactly that, so a month whose facts are the same is never made again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Final

import polars as pl

from assets.company import Company
from assets.core.directory import Directory
from assets.core.ownership import held_assignments, owner_spells
from assets.methods.calendar import last_day_of
from assets.outcomes.active_deals import active_deals
from assets.outcomes.churn import deals_of_subscriptions
from assets.outcomes.ownership import owner_intensity

_c = pl.col

COUNTED: Final = {
    "complaints": ("complaint", "complaints"),
    "refunds": ("refund", "subscription_events"),
    "feedback": ("feedback", "feedback"),
}
"""Count -> kind of customer event, and the source without which it is null."""

_SUMS: Final = (*COUNTED, "mrr_delta")

_SEEDS: Final = (1, 2)  # two sums of 64 bits each: no two sets of rows ever met share both


@dataclass(frozen=True)
class Panel:
    """Frames by place; days are local dates, all inclusive.

    Attributes:
        months: YYYY-MM, from the first close to the last day observed.
        observed_until: the last day observed.
        names: row number = place: `account_id`, `opportunity_id` (null: the account itself), sorted by both.
        sellers: row number = seller: `rep_id`, sorted.
        accounts: `account`, `account_id`, `segment`, `first_close`, `known_from`, `known_to`: an account is said to be of
            the highest segment among its deals so far, so one with deals of several segments has several rows.
        deals: `place`, `account`, `seller`, `segment`, `emcr`, `active_from`, `active_to`, `churned_on`; by place.
        owners: `account`, `owner` (a seller's number), `owned_from`, `owned_to`, as `owner_spells` gives them.
        intensity: `owner`, `month`, `owner_emcr`.
        happened: `place`, `month` and the sums of what is `COUNTED`, and `mrr_delta`.
        callers: `account_id` as the sources write it, `account`, `first_close`.
        contents: by month, what names all the facts that it was made from.
    """

    months: tuple[str, ...]
    observed_until: date
    names: pl.DataFrame
    sellers: pl.DataFrame
    accounts: pl.DataFrame
    deals: pl.DataFrame
    owners: pl.DataFrame
    intensity: pl.DataFrame
    happened: pl.DataFrame
    callers: pl.DataFrame
    contents: dict[str, str]

    def content(self, month: str) -> str:
        """Names what the month is made from, but for its activities; equal names, equal rows."""
        return self.contents[month]


def months_between(first: date | None, last: date | None) -> tuple[str, ...]:
    """The months that hold the days from `first` to `last`; none where there are none."""
    if first is None or last is None:
        return ()
    months = pl.date_range(first.replace(day=1), last, interval="1mo", eager=True)
    return tuple(months.dt.strftime("%Y-%m"))


def prepare_panel(
    *,
    deal_outcomes: pl.LazyFrame,
    account_assignments: pl.LazyFrame,
    customer_events: pl.LazyFrame,
    subscriptions: pl.LazyFrame,
    subscription_events: pl.LazyFrame,
    accounts: pl.LazyFrame,
    company: Company,
) -> Panel:
    """Read every table once and put what the months need on numbers."""
    directory = Directory.of(accounts, company)
    dated = deal_outcomes.filter(_c("account_id").is_not_null(), _c("closed_on") <= _c("observed_until"))
    first, last = (
        deal_outcomes.filter(_c("closed_on") <= _c("observed_until"))
        .select(first=_c("closed_on").min(), last=_c("observed_until").max())
        .collect()
        .row(0)
    )
    active = active_deals(deal_outcomes).select(
        "account_id", "opportunity_id", "rep_id", "segment", "emcr", "active_from", "active_to", "churned_on"
    )
    places = _number(dated, active)
    own = places.filter(_c("opportunity_id").is_null()).select("account_id", "account")
    deals = (
        active.drop("account_id")
        .join(places.select("opportunity_id", "place", "account").lazy(), on="opportunity_id", how="inner")
        .sort("place")
        .collect()
    )
    followed_assignments = held_assignments(account_assignments, directory).join(
        own.lazy(), on="account_id", how="semi"
    )
    owners = owner_spells(followed_assignments).join(own.lazy(), on="account_id").drop("account_id").collect()
    sellers = pl.concat([deals["rep_id"], owners["owner_rep_id"]]).drop_nulls().unique().sort().to_frame()
    followed = _follow(dated).join(own.lazy(), on="account_id", how="inner").collect()
    happened = pl.concat(
        [
            _events(customer_events),
            _revenue_moves(subscriptions, subscription_events, deal_outcomes, directory, company),
        ],
        how="diagonal",
    )
    first_closes = followed.group_by("account").agg(_c("first_close").first())
    panel = Panel(
        months=months_between(first, last),
        observed_until=last or company.as_of,
        names=places.select("account_id", "opportunity_id"),
        sellers=sellers,
        accounts=followed,
        deals=_number_sellers(deals.drop("opportunity_id"), sellers, "rep_id", "seller"),
        owners=_number_sellers(owners, sellers, "owner_rep_id", "owner"),
        # who only sold to nobody known, or never held an account, is no owner of a row here
        intensity=_number_sellers(
            owner_intensity(deal_outcomes).collect(), sellers, "owner_rep_id", "owner"
        ).drop_nulls("owner"),
        happened=_place(happened, deals, followed, last or company.as_of),
        callers=directory.accounts.select("account_id", "_survivor")
        .join(own.lazy(), left_on="_survivor", right_on="account_id", how="inner")
        .drop("_survivor")
        .collect()
        .join(first_closes, on="account"),
        contents={},
    )
    panel.contents.update(_name_contents(panel))
    return panel


def _number(dated: pl.LazyFrame, active: pl.LazyFrame) -> pl.DataFrame:
    """`place`, `account` (the place of the account's own row), `account_id`, `opportunity_id`, in the table's order."""
    own = dated.select("account_id", opportunity_id=pl.lit(None, pl.String)).unique()
    return (
        pl.concat([own, active.select("account_id", "opportunity_id")])
        .sort("account_id", "opportunity_id", nulls_last=False)
        .with_row_index("place")
        .with_columns(account=pl.when(_c("opportunity_id").is_null()).then("place").forward_fill())
        .collect()
    )


def _number_sellers(rows: pl.DataFrame, sellers: pl.DataFrame, name: str, number: str) -> pl.DataFrame:
    numbers = sellers.select(
        pl.int_range(pl.len(), dtype=pl.UInt32).alias(number), pl.col("rep_id").alias(name)
    )
    return rows.join(numbers, on=name, how="left", maintain_order="left").drop(name)


def _follow(dated: pl.LazyFrame) -> pl.LazyFrame:
    """One row per account and span of days in which its segment was the highest so far (see `Panel.accounts`)."""
    stated = dated.group_by("account_id", "segment").agg(known_from=_c("closed_on").min())
    first = stated.group_by("account_id").agg(first_close=_c("known_from").min(), _several=pl.len() > 1)
    stated = stated.join(first, on="account_id")
    several = stated.filter("_several")
    surpassed = (
        several.join(several.select("account_id", _higher="segment", _from="known_from"), on="account_id")
        .filter((_c("_higher") > _c("segment")) | (_c("segment").is_null() & _c("_higher").is_not_null()))
        .group_by("account_id", "segment")
        .agg(known_to=_c("_from").min())
    )
    return (
        stated.join(surpassed, on=["account_id", "segment"], how="left", nulls_equal=True)
        .filter(_c("known_to").is_null() | (_c("known_from") < _c("known_to")))
        .drop("_several")
    )


def _events(customer_events: pl.LazyFrame) -> pl.LazyFrame:
    """The countable events, one row each, a 1 in the column of its count."""
    kinds = [kind for kind, _ in COUNTED.values()]
    return customer_events.filter(
        _c("date").is_not_null(), _c("kind").is_in(kinds), ~_c("contradicted")
    ).select(
        "account_id",
        "opportunity_id",
        "date",
        *((_c("kind") == kind).cast(pl.Int64).alias(name) for name, (kind, _) in COUNTED.items()),
    )


def _revenue_moves(
    subscriptions: pl.LazyFrame,
    subscription_events: pl.LazyFrame,
    deal_outcomes: pl.LazyFrame,
    directory: Directory,
    company: Company,
) -> pl.LazyFrame:
    """Changes of recurring revenue, tied to the deals of their subscriptions."""
    moves = subscription_events.filter(_c("mrr_delta").is_not_null()).select(
        "subscription_id", "effective_at", "mrr_delta"
    )
    lines = subscriptions.join(moves, on="subscription_id", how="semi").select(
        "subscription_id", "account_id", "opportunity_id", "product_id", "started_at"
    )
    owned = deals_of_subscriptions(
        directory.resolve(lines, {"started_on": "started_at"}), deal_outcomes, company
    ).select("subscription_id", "account_id", "opportunity_id")
    return directory.resolve(
        moves.join(owned, on="subscription_id", how="inner"), {"date": "effective_at"}
    ).select("account_id", "opportunity_id", "date", "mrr_delta")


def _place(
    happened: pl.LazyFrame, deals: pl.DataFrame, followed: pl.DataFrame, observed_until: date
) -> pl.DataFrame:
    """Sum what happened in each month by the deal that was active on the day, else by the account, followed by then."""
    spans = deals.lazy().select("opportunity_id", "active_from", "active_to", _deal="place")
    own = followed.lazy().group_by("account_id").agg(_c("account", "first_close").first())
    inside = _c("date").is_between("active_from", "active_to").fill_null(value=False)
    seen = _c("date").is_between("first_close", observed_until).fill_null(value=False)
    return (
        happened.join(spans, on="opportunity_id", how="left")
        .join(own, on="account_id", how="left")
        .filter(inside | seen)
        .group_by(place=pl.when(inside).then("_deal").otherwise("account"), month=_month_of("date"))
        .agg(_c(_SUMS).sum())
        .collect()
    )


def _month_of(day: str) -> pl.Expr:
    return _c(day).dt.strftime("%Y-%m")


def _name_contents(panel: Panel) -> dict[str, str]:
    """Names by month: hashes of the facts dated in it or before, added up, so that no order of rows matters.

    A deal that is still active ends on the last day observed; only in that month does this shape a row, and it is dated
    there. What happened, and how sellers were paid, shapes its own month alone. Nothing of an account shapes a month before
    its first close: owners and merges of before are dated there.
    """
    closes = panel.accounts.select("account", "first_close").unique()
    owners = panel.owners.join(closes, on="account", how="left")
    owned = owners.select(
        "account", "owner", "owned_from", known=pl.max_horizontal("owned_from", "first_close")
    )
    left = owners.drop_nulls("owned_to").select(
        "account", "owner", "owned_to", known=pl.max_horizontal("owned_to", "first_close")
    )
    merged = panel.callers.filter(
        _c("account_id") != panel.names["account_id"].gather(panel.callers["account"])
    )
    known, own = [], []
    for seed in _SEEDS:
        place = panel.names.select(pl.struct(pl.all()).hash(seed)).to_series()
        seller = panel.sellers["rep_id"].hash(seed)
        sums = partial(
            _sum_hashes, seed, {"place": place, "account": place, "seller": seller, "owner": seller}
        )
        known += [
            sums(panel.accounts.drop("account_id", "known_to"), "known_from"),
            sums(owned, "known"),
            sums(left, "known"),
            sums(merged, "first_close"),
            sums(panel.deals.drop("active_to", "churned_on"), "active_from"),
            sums(panel.deals.select("place", "active_to", "churned_on"), "active_to"),
        ]
        own += [sums(panel.happened, "month"), sums(panel.intensity, "month")]
    contents = {}
    for month in panel.months:
        until = min(panel.observed_until, last_day_of(month))
        so_far = [sum(n for at, n in facts.items() if at <= month) for facts in known]
        contents[month] = f"{until} {so_far} {[facts.get(month, 0) for facts in own]}"
    return contents


def _sum_hashes(
    seed: int, identities: dict[str, pl.Series], rows: pl.DataFrame, dated: str
) -> dict[str, int]:
    """Sums of the hashes of all rows, by the month of the day (or the month) in the column `dated`.

    A number says nothing by itself, for all of them shift when an account is added: `identities` holds, by the name of the
    column, the hashes of what the numbers stand for.
    """
    named = rows.with_columns(
        identities[name].gather(rows[name]).alias(name) for name in rows.columns if name in identities
    )
    month = _c(dated) if rows.schema[dated] == pl.String() else _month_of(dated)
    hashed = named.select(month=month, hash=pl.struct(named.columns).hash(seed))
    return dict(hashed.group_by("month").agg(_c("hash").sum()).iter_rows())
