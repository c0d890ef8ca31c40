"""Plans that pay their components together, priced by replaying the seller's pay period up to each deal.

Where a cap, floor or draw holds over several components, where components multiply or gate, or where bounds meet a plan
that changed or a product with tiers of its own, a deal's pay is no function of one component's credit. For those deals
alone the period is laid out again, with only the news known at the close: every piece of credit grows its component by
C(s after) - C(s before) under the version in force at its place, and the plan's total is taken before and after the
deal (see `plan_total`). What a component is worth when no deal credits it comes from `component_results`.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.incentives.firm import Firm
from assets.incentives.knowledge import Knowledge, holds
from assets.incentives.plan_parts import list_parts
from assets.incentives.plan_schedules import KEY
from assets.incentives.terms import find_terms
from assets.incentives.totals import total_steps
from assets.methods.commission import measure_curves
from assets.methods.day_orders import EXACT_UP_TO
from assets.methods.exact import UNIT, whole_cents, whole_units
from assets.methods.measured_pay import share_out
from assets.methods.plan_total import ADDITIVE

CASE: Final = (
    "rep_id", "opportunity_id", "at", "time_known", "period_start", "period_end", "counts_from", "counts_until",
)  # fmt: skip
"""Names what is priced together: one deal of one seller at one place."""

_CHUNK: Final = 2_000_000  # pieces laid out at once


def price_jointly(rows: pl.DataFrame, told: pl.DataFrame, firm: Firm, knowledge: Knowledge) -> pl.DataFrame:
    """Price the rows of plans that pay as a whole (10-definitions; Rates, Deal EMCR, Lowest and highest).

    Args:
        rows: positions with `CASE`, `span`, `state`, `component`, `credit_type`, `product_id` ("" unless it has tiers of its own),
            `credited_amount`, terms and money per period as `pricing` stages them.
        told: news inside each span: `span`, `component`, `product_id`, `opportunity_id`, `at`, `on`, `time_known`, `amount`, `pieces`,
            `known`.
        firm: what prices are looked up in.
        knowledge: which news and versions count.

    Returns:
        One row per `position`: `pay_amount`, `added_pay`, `emcr`, `base_rate`, `relative_intensity`, `emcr_lowest`,
        `emcr_highest`, `null_reason`, `parts_known_at`, `parts_assumed`, `n_others`, and the line the total follows in the
        row's own component: `pay_scale`, `pay_elsewhere` (see `forward.shape_pay`).
    """
    cases = rows.unique(CASE, maintain_order=True).with_row_index("case")
    steps = rows.join(cases.select(*CASE, "case"), on=CASE).with_columns(
        step=pl.struct("component", "credit_type", "position").rank("ordinal").over("case").cast(pl.Int64) - 1
    )
    pieces = _list_pieces(cases, told, knowledge)
    pieces = _find_versions(pieces, cases, firm, knowledge)
    parts = list_parts(cases, steps, pieces, firm, knowledge)
    chunks = [
        _replay(cases.filter(pl.col("case").is_in(chunk.implode())), steps, pieces, parts, firm)
        for chunk in _cut(cases, pieces)
    ]
    known = parts.group_by("case").agg(
        parts_known_at=pl.col("known_at").max(), parts_assumed=pl.col("assumed").any()
    )
    crowd = pieces.group_by("case").agg(pl.col("n_others").max())
    facts = (
        steps.select("position", "case").join(known, on="case", how="left").join(crowd, on="case", how="left")
    )
    return pl.concat(chunks).join(facts.drop("case"), on="position", how="left")


def _list_pieces(cases: pl.DataFrame, told: pl.DataFrame, knowledge: Knowledge) -> pl.DataFrame:
    """Credit of other deals as each case knew it: what stands before it, and what its day might put before it.

    One row per case, deal, component and place: `cents`, `gaps` (states without a rate), `is_loose` (of the same day, both
    without a time), `precedes`, `bit` (2^k for the k-th loose deal).
    """
    c = pl.col
    other = told.lazy().rename(
        {"opportunity_id": "other", "at": "other_at", "on": "other_on", "time_known": "other_timed"}
    )
    precedes = (c("other_at") < c("at")) | ((c("other_at") == c("at")) & (c("other") < c("opportunity_id")))
    # as final, parts of the deal that counted earlier stand before the later ones
    is_earlier_part = c("other_at") < c("at") if knowledge is Knowledge.AS_FINAL else pl.lit(value=False)
    is_other = (c("other") != c("opportunity_id")) | is_earlier_part
    is_loose = (
        ~c("time_known") & ~c("other_timed") & (c("on") == c("other_on"))
        if knowledge is Knowledge.AS_KNOWN
        else pl.lit(value=False)
    )
    return (
        cases.lazy()
        .select("case", "span", "opportunity_id", "at", "on", "time_known")
        .join(other, on="span")
        .filter(is_other, c("known").is_null() | (c("known") <= c("at")))
        .with_columns(precedes=precedes, is_loose=is_loose)
        .filter(c("precedes") | c("is_loose"))
        .group_by(
            "case", "component", "other", "other_at", "other_timed", "product_id", "precedes", "is_loose"
        )
        .agg(
            cents=whole_cents(c("amount")).sum().cast(pl.Int64),
            gaps=c("pieces").filter(c("amount").is_null()).sum().fill_null(0),
        )
        .filter((c("cents") != 0) | (c("gaps") != 0))
        .with_columns(
            nth=pl.when("is_loose")
            .then(c("other").rank("dense").over("case", "is_loose").cast(pl.Int64) - 1)
        )
        .sort("case", "component", "other_at", "other", "product_id")
        .with_columns(n_others=(c("nth").max().over("case") + 1).fill_null(0))
        .with_columns(bit=pl.when(c("n_others") <= EXACT_UP_TO).then(pl.lit(2, dtype=pl.Int64).pow(c("nth"))))
        .collect()
    )  # fmt: skip


def _find_versions(
    pieces: pl.DataFrame, cases: pl.DataFrame, firm: Firm, knowledge: Knowledge
) -> pl.DataFrame:
    """Each piece with the plan state in force at its place as its case knew it, and the schedule that prices it.

    Adds `piece_state`, `piece_product`, `is_paid_piece` (it adds to the sum), `piece_units` (target pay in 1e-10 of money, or null)
    and `piece_reason`.
    """
    c = pl.col
    facts = cases.select("case", "rep_id", "is_changed", "state", "target_incentive", seen="at")
    located = pieces.join(facts, on="case", maintain_order="left")
    place = {"at": "other_at", "time_known": "other_timed"}
    changed = located.filter("is_changed")
    named = ["rep_id", "at", "time_known", "seen"]
    if changed.height:
        places = changed.select("rep_id", "seen", **{name: c(of) for name, of in place.items()}).unique()
        terms = find_terms(places.lazy(), firm.terms, firm.company.timezone, knowledge, seen="seen")
        states = firm.book.states.lazy().select(
            "state", "plan_id", "version", state_from="known_from", state_until="known_until"
        )
        in_force = (
            terms.lazy()
            .select(*named, "plan_id", "version", piece_incentive="target_incentive")
            .join(states, on=["plan_id", "version"])
            .rename({"known_from": "_"}, strict=False)
            .with_columns(known_from="state_from", known_until="state_until")
            .filter(holds(knowledge, "seen"))
            .select(*named, "piece_incentive", piece_state="state")
            .collect()
        )
        located = located.join(
            in_force.rename(place),
            on=["rep_id", "other_at", "other_timed", "seen"],
            how="left",
            maintain_order="left",
        )
    else:
        located = located.with_columns(piece_state="state", piece_incentive="target_incentive")
    own_tiers = firm.book.rules.filter(c("product_id") != "").select(*KEY, has_own=pl.lit(value=True))
    rules = firm.book.rules.select(*KEY, "combine", "rate_basis", "weight")
    is_paid = (c("combine") == "additive").fill_null(value=False)
    is_target = (c("rate_basis") == "target").fill_null(value=False)
    units = whole_cents(c("piece_incentive")) * whole_units(c("weight")).cast(pl.Int128)
    return (
        located.with_columns(
            piece_state=pl.when("is_changed").then("piece_state").otherwise("state"),
            piece_incentive=pl.when("is_changed").then("piece_incentive").otherwise("target_incentive"),
        )
        .join(
            own_tiers,
            left_on=["piece_state", "component", "product_id"],
            right_on=KEY,
            how="left",
            maintain_order="left",
        )
        .with_columns(piece_product=pl.when("has_own").then("product_id").otherwise(pl.lit("")))
        .join(
            rules,
            left_on=["piece_state", "component", "piece_product"],
            right_on=KEY,
            how="left",
            maintain_order="left",
        )
        .with_columns(
            is_paid_piece=is_paid,
            piece_units=pl.when(is_target).then(units),
            piece_reason=pl.when(is_paid & is_target & units.is_null()).then(pl.lit("no_target_incentive")),
        )
        .drop(
            "is_changed",
            "state",
            "target_incentive",
            "seen",
            "rep_id",
            "has_own",
            "combine",
            "rate_basis",
            "weight",
            "piece_incentive",
        )
    )


def _cut(cases: pl.DataFrame, pieces: pl.DataFrame) -> list[pl.Series]:
    """Cases in bundles whose replays fit into memory together."""
    c = pl.col
    sizes = pieces.group_by("case").agg(
        size=pl.len() * pl.when(c("bit").max() > 0).then(2 * c("bit").max()).otherwise(1)
    )
    bundles = cases.join(sizes, on="case", how="left", maintain_order="left").with_columns(
        bundle=(c("size").fill_null(0) + 1).cum_sum() // _CHUNK
    )
    return [bundle["case"] for bundle in bundles.partition_by("bundle", maintain_order=True)]


def _replay(
    cases: pl.DataFrame, steps: pl.DataFrame, pieces: pl.DataFrame, parts: pl.DataFrame, firm: Firm
) -> pl.DataFrame:
    """Totals of every case before and after each of its rows, over all the orders its day could have had."""
    c = pl.col
    asked = pl.Series("case", cases["case"]).implode()
    steps, pieces, parts = (f.filter(c("case").is_in(asked)) for f in (steps, pieces, parts))
    orders = _list_orders(cases, pieces)
    laid_out = orders.join(pieces, on="case").filter(
        pl.when(c("bit").is_null()).then("precedes").otherwise((c("subset") & c("bit")) != 0)
    )
    laid_out = laid_out.sort("order", "component", "other_at", "other", "product_id").with_columns(
        stop=c("cents").cum_sum().over("order", "component")
    )
    points = measure_curves(
        _list_points(orders, laid_out, steps, parts).lazy(), firm.book.schedules, "start", "stop"
    ).collect()
    points = _share_results_out(points, parts)
    # credit of a component that the plan does not have moves nothing: it need not have a rate
    counted = laid_out.join(parts, on=["case", "component"], how="semi")
    gaps = counted.group_by("order").agg(has_gap=(c("gaps").sum() != 0))
    known = orders.join(gaps, on="order", how="left").with_columns(c("has_gap").fill_null(value=False))
    return total_steps(points, known, parts, steps, cases)


def _share_results_out(points: pl.DataFrame, parts: pl.DataFrame) -> pl.DataFrame:
    """Points whose pay is for a result of the whole period: the days that count have their share of it."""
    c = pl.col
    measured = parts.filter(c("achieved").is_not_null(), c("kind") == ADDITIVE)
    days = ("days_counted", "days_in_period")
    by_rate, by_lump = share_out(
        c("stop_by_rate"), c("stop_by_lump"), is_target=c("target_units").is_not_null(), days=days[0], of=days[1]
    )  # fmt: skip
    return (
        points.join(measured.select("case", "slot", *days), on=["case", "slot"], how="left")
        .with_columns(stop_by_rate=by_rate, stop_by_lump=by_lump)
        .drop(days)
    )


def _list_orders(cases: pl.DataFrame, pieces: pl.DataFrame) -> pl.DataFrame:
    """What each case's day could have put before it: `order` (number), `case`, `subset` of the loose deals, `is_canonical`."""
    c = pl.col
    loose = pieces.filter(c("bit").is_not_null())
    days = loose.group_by("case").agg(
        n_subsets=2 * c("bit").max(), before=c("bit").filter("precedes").unique().sum()
    )
    return (
        cases.select("case")
        .join(days, on="case", how="left", maintain_order="left")
        .with_columns(c("n_subsets").fill_null(1), c("before").fill_null(0))
        .with_columns(subset=pl.int_ranges(0, "n_subsets"))
        .explode("subset", empty_as_null=False)
        .select("case", "subset", is_canonical=c("subset") == c("before"))
        .with_row_index("order")
    )


_POINT: Final = (
    "order", "case", "slot", "kind", "step", "position", "state", "component", "product_id", "quota_amount", "target_units",
    "start", "stop",
)  # fmt: skip


def _list_points(
    orders: pl.DataFrame, laid_out: pl.DataFrame, steps: pl.DataFrame, parts: pl.DataFrame
) -> pl.DataFrame:
    """Where each component's curve is read: what it is worth when the deal comes (no `step`), and what the deal adds."""
    c = pl.col
    unit = pl.lit(UNIT, dtype=pl.Int128)
    credited = laid_out.group_by("order", "component").agg(credit=c("cents").sum())
    standing = (
        orders.select("order", "case")
        .join(parts, on="case")
        .join(credited, on=["order", "component"], how="left")
        .with_columns(
            credit=pl.coalesce("achieved", c("credit").fill_null(0).cast(pl.Int128) * unit),
            start=pl.lit(None, dtype=pl.Int128),
            step=pl.lit(None, dtype=pl.Int64),
            position=pl.lit(None, dtype=pl.get_index_type()),
            product_id=pl.lit(""),
        )
    )
    # a component that grew under several prices is worth what it paid from zero, piece by piece
    worth = standing.with_columns(stop=pl.when("grows").then(pl.lit(0, dtype=pl.Int128)).otherwise("credit"))
    growth = (
        laid_out.join(
            parts.filter("grows").select("case", "component", "slot", "kind", "quota_amount"), on=["case", "component"]
        )
        .filter(c("is_paid_piece"))
        .select(
            "order", "case", "slot", "kind", "component", "quota_amount",
            step=pl.lit(None, dtype=pl.Int64),
            position=pl.lit(None, dtype=pl.get_index_type()),
            state="piece_state",
            product_id="piece_product",
            target_units="piece_units",
            start=(c("stop") - c("cents")).cast(pl.Int128) * unit,
            stop=c("stop").cast(pl.Int128) * unit,
        )
    )  # fmt: skip
    x = whole_cents(c("credited_amount")) * unit
    added = (
        orders.select("order", "case")
        .join(
            steps.sort("case", "step")
            .with_columns(x=x, earlier=x.cum_sum().over("case", "component") - x)
            .select("case", "step", "position", "component", "product_id", "x", "earlier"),
            on="case",
        )
        .join(
            standing.select(
                "order", "component", "slot", "kind", "state", "quota_amount", "target_units", "credit"
            ),
            on=["order", "component"],
        )
        .with_columns(start=c("credit") + c("earlier"), stop=c("credit") + c("earlier") + c("x"))
    )
    return pl.concat([f.select(_POINT) for f in (worth, growth, added)])
