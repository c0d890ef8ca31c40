"""The same marts in pandas, as an analyst would write them; as coarse as `core_marts.sql`, and without owners."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

DAY = pd.Timedelta(days=1)


def read(clean: Path, table: str, *columns: str) -> pd.DataFrame:
    """The named columns of a clean table; days as timestamps, money as floats."""
    frame = pd.read_parquet(clean / table, columns=list(columns))
    for name in frame.columns:
        if name.endswith(("_on", "_start", "_end")) or name in ("date", "observed_until"):
            frame[name] = pd.to_datetime(frame[name])
        elif name.endswith("amount"):
            frame[name] = frame[name].astype(float)
    return frame


def price_deals(clean: Path) -> pd.DataFrame:
    """Attainment before each deal, by a cumulative sum in canonical order."""
    credits = read(clean, "credits", "credit_id", "opportunity_id", "rep_id", "component", "credit_type", "credited_amount", "recorded_at")  # fmt: skip
    credits = credits.sort_values("recorded_at").drop_duplicates("credit_id", keep="last")
    deals = read(clean, "deals", "opportunity_id", "closed_at", "closed_on")
    quotas = read(clean, "quotas", "rep_id", "component", "period_start", "period_end", "amount")
    rows = credits.merge(deals, on="opportunity_id").merge(quotas, on=["rep_id", "component"])
    rows = rows[(rows.closed_on >= rows.period_start) & (rows.closed_on < rows.period_end)]
    rows = rows.sort_values(["closed_at", "opportunity_id"])
    total = rows.groupby(["rep_id", "component", "period_start"]).credited_amount.cumsum()
    return rows.assign(attainment_before_final=(total - rows.credited_amount) / rows.amount)


def judge_deals(clean: Path) -> pd.DataFrame:
    """Complaints and refunds within 180 days of the close, where the deal is mature."""
    deals = read(clean, "deals", "opportunity_id", "account_id", "closed_on", "starts_on")
    events = read(clean, "customer_events", "opportunity_id", "kind", "date", "contradicted")
    services = read(clean, "subscriptions", "opportunity_id", "account_id", "started_at")
    zones = read(clean, "accounts", "account_id", "timezone")
    until = read(clean, "deal_outcomes", "observed_until").observed_until.max()
    services = services.merge(zones, on="account_id")
    parts = [
        part.assign(started_on=part.started_at.dt.tz_convert(zone).dt.tz_localize(None).dt.normalize())
        for zone, part in services.groupby("timezone")
    ]
    started = pd.concat(parts).groupby("opportunity_id").started_on.min()
    deals = deals.join(started, on="opportunity_id")
    clock = pd.concat([deals.closed_on, deals.started_on.fillna(deals.starts_on)], axis=1).max(axis=1)
    deals["mature_180d"] = clock + 180 * DAY <= until
    timed = events[~events.contradicted].merge(deals[["opportunity_id", "closed_on"]], on="opportunity_id")
    timed = timed[(timed.date >= timed.closed_on) & (timed.date <= timed.closed_on + 180 * DAY)]
    counts = timed.groupby(["opportunity_id", "kind"]).size().unstack(fill_value=0)
    deals = deals.join(counts, on="opportunity_id")
    complaints, refunds = deals.complaint.fillna(0), deals.refund.fillna(0) > 0
    return deals.assign(
        complaints_180d=complaints.where(deals.mature_180d), refunded_180d=refunds.where(deals.mature_180d)
    ).drop(columns=["complaint", "refund"])


def _active(clean: Path) -> pd.DataFrame:
    names = ("account_id", "opportunity_id", "rep_id", "segment", "emcr", "emcr_quintile", "closed_on", "churned_on", "other_exit_on", "observed_until", "outcome_null_reason")  # fmt: skip
    deals = read(clean, "deal_outcomes", *names)
    deals = deals[deals.account_id.notna() & (deals.closed_on <= deals.observed_until)]
    deals = deals[deals.outcome_null_reason != "never_started"]
    end = deals.churned_on.fillna(deals.other_exit_on).fillna(deals.observed_until)
    return deals.assign(active_to=pd.concat([deals.closed_on, end], axis=1).max(axis=1))


def lay_out_months(clean: Path) -> pd.DataFrame:
    """Every active deal of every month with its days, complaints and its account's touches."""
    active = _active(clean)
    events = read(clean, "customer_events", "opportunity_id", "kind", "date", "contradicted")
    complaints = events[(events.kind == "complaint") & ~events.contradicted].merge(
        active, on="opportunity_id"
    )
    complaints = complaints[
        (complaints.date >= complaints.closed_on) & (complaints.date <= complaints.active_to)
    ]
    calls = read(clean, "activities", "account_id", "occurred_at", "direction")
    calls = calls[calls.direction == "outbound"]
    accounts = read(clean, "accounts", "account_id", "merged_into_id").set_index("account_id").merged_into_id
    survivor = calls.account_id.map(accounts).fillna(calls.account_id)
    called_in = calls.occurred_at.dt.tz_convert("America/New_York").dt.strftime("%Y-%m")
    touches = calls.groupby([survivor.where(calls.account_id.isin(accounts.index)), called_in]).size()
    complained_in = complaints.date.dt.strftime("%Y-%m")
    complained = complaints.groupby(["opportunity_id", complained_in]).size()
    parts = []
    for first in pd.date_range(active.closed_on.min().replace(day=1), active.observed_until.max(), freq="MS"):
        last, month = first + pd.offsets.MonthEnd(0), first.strftime("%Y-%m")
        here = active[(active.closed_on <= last) & (active.active_to >= first)]
        days = (here.active_to.clip(upper=last) - here.closed_on.clip(lower=first)).dt.days + 1
        parts.append(here[["account_id", "opportunity_id", "rep_id", "segment"]].assign(
            month=month, exposure_days=days, emcr_at_sale=here.emcr, churned=here.churned_on.between(first, last),
        ))  # fmt: skip
    panel = pd.concat(parts)
    panel = panel.join(touches.rename("touches"), on=["account_id", "month"])
    panel = panel.join(complained.rename("complaints"), on=["opportunity_id", "month"])
    panel[["touches", "complaints"]] = panel[["touches", "complaints"]].fillna(0)
    return panel.sort_values(["account_id", "opportunity_id", "month"])


def main() -> None:
    """Make and write the marts."""
    clean, out = Path(sys.argv[1]), Path(sys.argv[2])
    for name, make in (
        ("deal_incentives", price_deals), ("deal_outcomes", judge_deals), ("account_months", lay_out_months),
    ):  # fmt: skip
        (out / name).mkdir(parents=True)
        make(clean).to_parquet(out / name / "all.parquet", compression="zstd", index=False)


if __name__ == "__main__":
    main()
