"""The account directory: which account survives a merge, and on which local day something happened there.

Every table that names accounts is read through it, so that the events of one customer meet under one id and one zone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
from polars.exceptions import ComputeError

from assets.company import Company
from assets.methods.calendar import local_date

_c = pl.col


def surviving_accounts(accounts: pl.DataFrame) -> pl.DataFrame:
    """Follow `merged_into_id` to the end of each chain, doubling the stride, so a cycle costs no more than a chain.

    The accounts of a cycle claim to be one customer and name no survivor: the smallest id stands for them. A survivor
    that is not in the table is a survivor all the same: both its halves must meet.

    Args:
        accounts: `account_id` (unique) and `merged_into_id`.

    Returns:
        `account_id`, `survivor_id`: one row per account.
    """
    merges = accounts.filter(_c("merged_into_id").is_not_null())
    ids = pl.concat([merges["account_id"], merges["merged_into_id"]]).unique().sort()
    place = np.arange(len(ids))
    into = place.copy()
    into[ids.search_sorted(merges["account_id"])] = ids.search_sorted(merges["merged_into_id"])
    lowest = place  # smallest id among the accounts passed, this one included
    for _ in range(len(ids).bit_length()):
        lowest = np.minimum(lowest, lowest[into])
        into = into[into]
    ends = pl.DataFrame({"account_id": ids, "survivor_id": ids.gather(lowest[into])})
    return accounts.select("account_id").join(ends, on="account_id", how="left").select(
        "account_id", pl.coalesce("survivor_id", "account_id").alias("survivor_id")
    )  # fmt: skip


def _zone_is_known(zone: str) -> bool:
    try:
        pl.Series([], dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone(zone)
    except ComputeError:
        return False
    return True


@dataclass(frozen=True)
class Directory:
    """Where each account id leads. Read accounts through `resolve`, never by joining on a raw id.

    Attributes:
        accounts: one row per account: `account_id`, `_survivor`, `_zone` (the survivor's, else its own, else the
            company's), `_created_at` of the account itself.
        zones: every zone in use.
        home: the company's zone.
    """

    accounts: pl.LazyFrame
    zones: tuple[str, ...]
    home: str

    @classmethod
    def of(cls, accounts: pl.LazyFrame, company: Company) -> Self:
        """Build it from `core/accounts`. A zone that no time zone database knows counts as the company's."""
        table = accounts.select("account_id", "merged_into_id", "timezone", "created_at").collect()
        known = [z for z in table["timezone"].drop_nulls().unique().sort() if _zone_is_known(z)]
        table = table.with_columns(timezone=pl.when(_c("timezone").is_in(known)).then("timezone"))
        survivor_zones = table.select("account_id", _of_survivor="timezone")
        directory = (
            table.join(surviving_accounts(table), on="account_id", how="left")
            .join(survivor_zones, left_on="survivor_id", right_on="account_id", how="left")
            .select(
                "account_id",
                _survivor="survivor_id",
                _zone=pl.coalesce("_of_survivor", "timezone", pl.lit(company.timezone)),
                _created_at="created_at",
            )
        )
        zones = tuple(sorted({company.timezone, *directory["_zone"].unique()}))
        return cls(directory.lazy(), zones, company.timezone)

    def resolve(self, rows: pl.LazyFrame, days: Mapping[str, str] | None = None) -> pl.LazyFrame:
        """Put the surviving account into `account_id` and add local days.

        Args:
            rows: anything with `account_id`; ids that are null or unknown stay as they are, in the company's zone.
            days: name of the day to add -> name of its UTC moment.
        """
        found = rows.join(self.accounts.drop("_created_at"), on="account_id", how="left")
        zone = _c("_zone").fill_null(self.home)
        return found.with_columns(
            pl.coalesce("_survivor", "account_id").alias("account_id"),
            *(local_date(_c(moment), zone, self.zones).alias(day) for day, moment in (days or {}).items()),
        ).drop("_survivor", "_zone")
