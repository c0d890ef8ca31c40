"""How long feedback waits at each hop, by group of the deals it is about."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import polars as pl

from assets.company import Company
from assets.evidence.dimensions import (
    CROSSED,
    FEATURES,
    VALUES,
    Dimension,
    Groups,
    find_nested,
    find_present,
    group_rows,
    list_columns,
    number_words,
    order_values,
    reference_of,
    state_equations,
)
from assets.evidence.group_sizes import hide_groups
from assets.evidence.protection import Additive, Relation
from assets.evidence.reverse_time import fit_reverse_time, read_shares
from assets.evidence.suppression import blank, count_people, hide_small_cells, is_small
from assets.methods.bands import cut_quintiles, place_in_quintile
from assets.methods.standardisation import disagree, standardise
from assets.methods.survival import fit_cumulative_incidence, fit_kaplan_meier, read_horizons, read_quantile
from assets.outcomes.ownership import add_owner_intensity
from assets.voice.hops import BOARD, MICROSECONDS_PER_DAY, REFUSALS, WAY, observation_end
from expectations.columns import VOCABULARY

LEFT: Final = 1
REFUSED: Final = 2
_HOPS: Final = pl.Enum(
    sorted(VOCABULARY["hop"].values)
)  # numbers in the order of the words sort in a fraction of the time
TOGETHER: Final = ("triaged", "board_seen")  # both run from the capture

OF_OWNERS: Final = "owner_emcr_quintile"
"""Commission on the next dollar of who looked after the customer when the hop was entered, in the fifths of the deals."""

_c = pl.col
_CELL: Final = ["dimension", "value", "hop"]

_PASSED_ON: Final = "passed on "
_TOGETHER: Final = "hops"

OF_ITEMS: Final = (
    Dimension(
        "solicited",
        pl.when("solicited").then(pl.lit("solicited")).when(~_c("solicited")).then(pl.lit("unsolicited")),
    ),
    Dimension("separation", _c("separation_at_capture").cast(pl.String)),
    Dimension(OF_OWNERS, _c(OF_OWNERS).cast(pl.String)),
)
"""Ways to group feedback by what is known of the item itself, whatever the deal it is about."""

_NUMBERS: Final = (
    "n", "reached", "censored", "median_days", "median_days_lo", "median_days_hi", "p75_days", "captured_30d",
    "captured_30d_lo", "captured_30d_hi", "captured_90d", "captured_90d_lo", "captured_90d_hi", "captured_90d_standardised",
    "standardised_share", "is_reversed", "median_business_days", "n_accounts", "n_sellers",
)  # fmt: skip


def estimate_lags(feedback_hops: pl.LazyFrame, deal_outcomes: pl.LazyFrame, company: Company) -> pl.LazyFrame:
    """Estimate the time in each hop per dimension and group.

    Args:
        feedback_hops: the mart.
        deal_outcomes: the mart; feedback that is about no deal stands in `all` and in every `unknown`.
        company: sources, end of observation.

    Returns:
        The columns of the contract FEEDBACK_LAG_BY_INCENTIVE. Sellers are those of the deals. Beside the dimensions of deals stand
        those of the items (`OF_ITEMS`): asked for or not, how far from the board, and how the customer's owner of that day was paid.
    """
    dimensions = find_present(deal_outcomes, company)
    followed = number_causes(feedback_hops, company)
    items = _place_owners(followed, deal_outcomes, company).join(
        deal_outcomes.select(
            *dict.fromkeys(["opportunity_id", "rep_id", "segment", *list_columns(dimensions)])
        ),
        on="opportunity_id",
        how="left",
    )
    # in the order of the waits, so that no dimension has to sort them again
    rows = items.collect().sort("days")
    known = rows.select(d.value.is_not_null().any().alias(d.name) for d in OF_ITEMS).row(0, named=True)
    groups = group_rows(rows, [*dimensions, *(d for d in OF_ITEMS if known[d.name])])
    rows = rows.select(
        _c("hop").cast(_HOPS), "days", "business_days", "time_since", "cause", "is_left",
        *(number_words(rows[name]).alias(name) for name in ("account_id", "rep_id", "owner_rep_id")),
        segment=number_words(rows["segment"]).fill_null(-1),
    )  # fmt: skip
    sizes = _name(groups, groups.summarise(rows, _describe))
    lags = _name(groups, groups.summarise(rows, lambda part: describe_lags(part, ["cell", "hop"])))
    lags = lags.join(_name(groups, _standardise(rows, groups)), on=_CELL, how="left")
    always = sizes.join(hide_groups(deal_outcomes, dimensions), on=["dimension", "value"], how="semi")
    few_owners = _find_few_owners(rows, groups)
    hidden = _hide(sizes, groups, pl.concat([always.select(_CELL), few_owners]))
    return (
        hidden.join(lags, on=_CELL, how="left")
        .join(order_values(sizes), on=["dimension", "value"])
        .lazy()
        .with_columns(
            is_reversed=disagree(
                _c("captured_90d"),
                reference_of(_c("captured_90d"), ["hop"]),
                _c("captured_90d_standardised"),
                reference_of(_c("captured_90d_standardised"), ["hop"]),
            )
        )
        .with_columns(pl.selectors.float().round(8))
        .pipe(blank, _NUMBERS)
        .select(*_CELL, "value_order", *_NUMBERS, "suppressed")
        .sort(_CELL)
    )


def _name(groups: Groups, frame: pl.DataFrame) -> pl.DataFrame:
    return groups.name(frame).with_columns(_c("hop").cast(pl.String))


def _place_owners(feedback_hops: pl.LazyFrame, deal_outcomes: pl.LazyFrame, company: Company) -> pl.LazyFrame:
    cuts = deal_outcomes.select(cut_quintiles(_c("emcr"))).collect().item().drop_nulls()
    paid = add_owner_intensity(feedback_hops, deal_outcomes, "entered_at", company.timezone)
    return paid.with_columns(place_in_quintile(_c("owner_emcr"), tuple(cuts)).alias(OF_OWNERS))


def _find_few_owners(rows: pl.DataFrame, groups: Groups) -> pl.DataFrame:
    """Cells of owners that are small by the owners in them, however many sellers sold the deals."""
    of_owners = Groups(groups.cells, {name: code for name, code in groups.codes.items() if name == OF_OWNERS})
    if not of_owners.codes:
        return pl.DataFrame(schema=dict.fromkeys(_CELL, pl.String))
    people = of_owners.summarise(
        rows, lambda part: part.group_by("cell", "hop").agg(count_people(seller="owner_rep_id"))
    )
    return _name(groups, people).filter(is_small()).select(_CELL)


def number_causes(feedback_hops: pl.LazyFrame, company: Company) -> pl.LazyFrame:
    """Add `cause` (0 waiting, `LEFT`, `REFUSED`), `is_left` and `time_since` to the rows of `feedback_hops`.

    `time_since` are the days from entering the hop to the end of observation of `feedback`.
    """
    refused = (_c("hop") == "shipped") & _c("outcome").is_in(REFUSALS).fill_null(value=False)
    since = (pl.lit(observation_end(company, "feedback")) - _c("entered_at")).dt.total_microseconds()
    return feedback_hops.with_columns(
        cause=pl.when("censored").then(0).when(refused).then(REFUSED).otherwise(LEFT).cast(pl.Int64),
        time_since=pl.max_horizontal(since / MICROSECONDS_PER_DAY, "days"),
    ).with_columns(is_left=_c("cause") == LEFT)


def describe_lags(rows: pl.LazyFrame, by: list[str]) -> pl.LazyFrame:
    """Median, upper quartile and shares within 30 and 90 days, per group.

    Args:
        rows: from `number_causes`, with the columns `by`, of which `hop` is one.
        by: columns of the group.

    Returns:
        `by`, `median_days` with its interval, `p75_days`, `median_business_days` (Kaplan-Meier, refusals censored; null while
        more than half, or a quarter, still wait), `captured_30d`, `captured_90d` (Aalen-Johansen, refusals competing; null
        past the longest wait). Hop `captured` is right-truncated: its median, quartile and shares are reverse-time
        estimates, conditional on having been captured at all, without intervals.
    """
    captured = _c("hop") == "captured"
    # times are moments, so the steps are nearly as many as the rows: they are made once for all that is read from them
    km = fit_kaplan_meier(rows.filter(~captured), by, duration="days", event="is_left").collect().lazy()
    in_business = fit_kaplan_meier(rows.filter(~captured), by, duration="business_days", event="is_left")
    steps = fit_cumulative_incidence(
        rows.filter(~captured), by, duration="days", causes=(LEFT,), horizons=(30, 90)
    )
    ends = ("", "_lo", "_hi")
    shares = read_horizons(steps.drop("cause").collect().lazy(), by, (30, 90)).collect().lazy()
    medians = ["quantile", "quantile_lo", "quantile_hi"]
    names = dict(zip(medians, ("median_days", "median_days_lo", "median_days_hi"), strict=True))
    waited = (
        read_quantile(km, by)
        .rename(names)
        .join(read_quantile(km, by, 0.75).select(*by, p75_days="quantile"), on=by, how="left")
        .join(read_quantile(in_business, by).select(*by, median_business_days="quantile"), on=by, how="left")
    )
    for days in (30, 90):
        read = (_c(f"incidence{end}").alias(f"captured_{days}d{end}") for end in ends)
        at = shares.filter(_c("horizon") == days).select(*by, *read)
        waited = waited.join(at, on=by, how="left")
    limits = [f"captured_{days}d{end}" for days in (30, 90) for end in ends]
    order = [*by, *names.values(), "p75_days", "median_business_days", *limits]
    waited = waited.with_columns(_c("median_business_days").cast(pl.Float64)).select(order)
    return pl.concat([waited, _describe_capture(rows.filter(captured), by).select(order)])


def _describe_capture(rows: pl.LazyFrame, by: list[str]) -> pl.LazyFrame:
    steps = fit_reverse_time(rows, by, lag="days", time_since="time_since")
    nothing = pl.lit(None, pl.Float64)
    return read_shares(steps, by, (30, 90), (0.5, 0.75)).select(
        *by,
        _c("quantile_0.5").alias("median_days"),
        nothing.alias("median_days_lo"),
        nothing.alias("median_days_hi"),
        _c("quantile_0.75").alias("p75_days"),
        nothing.alias("median_business_days"),
        _c("share_30").alias("captured_30d"),
        _c("share_90").alias("captured_90d"),
        *(nothing.alias(f"captured_{days}d_{end}") for days in (30, 90) for end in ("lo", "hi")),
    )


def _describe(rows: pl.LazyFrame) -> pl.LazyFrame:
    return rows.group_by("cell", "hop").agg(
        *count_people(),
        reached=(_c("cause") == LEFT).sum().cast(pl.Int64),
        censored=(_c("cause") == 0).sum().cast(pl.Int64),
    )


def _standardise(rows: pl.DataFrame, groups: Groups) -> pl.DataFrame:
    """Share within 90 days that each group would have with everybody's mix of segments, hop by hop; not for `captured`."""
    by = ["cell", "hop"]
    within = [*by, "segment"]
    waiting = rows.filter(_c("hop") != "captured")
    kept = Groups(
        groups.cells, {name: code.filter(rows["hop"] != "captured") for name, code in groups.codes.items()}
    )
    weights = waiting.group_by("hop", "segment").agg(weight=pl.len().cast(pl.Int64))

    def leave(part: pl.LazyFrame) -> pl.LazyFrame:
        steps = fit_cumulative_incidence(part, within, duration="days", causes=(LEFT,), horizons=(90,))
        return read_horizons(steps.drop("cause"), within, (90,))

    by_segment = kept.summarise(waiting, leave).select(*by, "segment", captured_90d="incidence")
    return standardise(by_segment, weights, by, ["segment"], ["captured_90d"])


def _hide(sizes: pl.DataFrame, groups: Groups, always: pl.DataFrame) -> pl.DataFrame:
    """Mark small cells, and what protects them.

    What enters two hops at once is one number shown twice, so they are hidden together. What leaves a hop enters the next one: so a
    group hidden at a hop stays hidden at the later ones.
    """
    pair = sizes.filter(_c("hop").is_in(TOGETHER)).with_columns(
        equation=pl.concat_str(pl.lit(_TOGETHER), "dimension", "value", separator="\t"),
        family=pl.lit(_TOGETHER),
        is_total=_c("hop") == TOGETHER[0],
    )
    equal = pair.filter(_c("n").n_unique().over("equation") == 1)
    sums = state_equations(sizes, by=["hop"], nested=find_nested(groups))
    # a group without a row at the next hop passed nothing on, and everybody sees that: it protects no other
    passed = sums.join(sizes.select(*_CELL, "reached"), on=_CELL).filter((_c("reached") > 0) | _c("is_total"))
    equations = pl.concat(
        [
            sums,
            passed.select(
                (pl.lit(_PASSED_ON) + _c("equation")).alias("equation"),
                pl.lit(_PASSED_ON).alias("family"),
                *_CELL,
                "is_total",
            ),
            equal.select("equation", "family", *_CELL, "is_total"),
        ]
    )
    groups_of = (VALUES, CROSSED, FEATURES)
    additive = [
        Additive("n", families=(*groups_of, _TOGETHER), width="n_width"),
        Additive("reached", is_size=False, families=(*groups_of, _PASSED_ON)),
        Additive("censored", is_size=False, families=groups_of),
    ]
    relations = (Relation(("reached", "censored"), ("n",)),)
    cells = _pass_on_smallness(sizes)
    equations = pl.concat([equations.with_columns(number=pl.lit(None, pl.String)), _tie_hops(sizes)])
    hidden = sizes.join(always.unique(), on=always.columns, how="semi").select(_CELL)
    while True:
        marked = hide_small_cells(
            _bound_by_told(cells, hidden),
            equations,
            _CELL,
            additive=additive,
            relations=relations,
            always=hidden,
        )
        later = marked.filter(_is_at_or_after(_c("suppressed"))).select(_CELL)
        if later.join(hidden, on=_CELL, how="anti").is_empty():
            break
        hidden = later
    return sizes.join(marked.select(*_CELL, "suppressed"), on=_CELL, how="left", maintain_order="left")


def _list_hops(sizes: pl.DataFrame) -> list[str]:
    """The hops on the way that the firm records."""
    recorded = set(sizes["hop"])
    return [hop for hop in WAY if hop in recorded]


def _tie_hops(sizes: pl.DataFrame) -> pl.DataFrame:
    """What left a hop entered the next one, in groups where that is so: everybody sees that it is, or may guess."""
    following = dict(pairwise(_list_hops(sizes)))
    left = sizes.with_columns(next=_c("hop").replace_strict(following, default=None, return_dtype=pl.String))
    entered = sizes.select("dimension", "value", next="hop", entered="n")
    same = left.join(entered, on=["dimension", "value", "next"]).filter(_c("reached") == _c("entered"))
    return pl.concat(
        same.select(
            pl.concat_str(pl.lit("next"), "dimension", "value", "next", separator="\t").alias("equation"),
            pl.lit("next").alias("family"),
            "dimension",
            "value",
            _c(hop).alias("hop"),
            pl.lit(number == "n").alias("is_total"),
            pl.lit(number).alias("number"),
        )
        for hop, number in (("hop", "reached"), ("next", "n"))
    )


def _bound_by_told(cells: pl.DataFrame, hidden: pl.DataFrame) -> pl.DataFrame:
    """Add `n_width`: 0 where the hop before is shown and tells the size, 1 after that, null elsewhere.

    How many items left a hop that may be shown is an event of that cell, and later hops of the group are no larger: who follows items
    from hop to hop can place their sizes closely. Exactly, only that one.
    """
    places = {hop: place for place, hop in enumerate(_list_hops(cells))}
    place = pl.when(_c("hop") == TOGETHER[1]).then(pl.lit(TOGETHER[0])).otherwise("hop")
    place = place.replace_strict(places, default=len(places), return_dtype=pl.Int64)
    small = cells.select(*_CELL, small=is_small(), place=place)
    shown = small.filter(~_c("small") & (_c("hop") != BOARD)).join(hidden, on=_CELL, how="anti")
    last = shown.group_by("dimension", "value").agg(told=_c("place").max() + 1)
    after = _c("place") - _c("told")
    width = pl.when(after == 0).then(0).when(after > 0).then(1)
    known = small.join(last, on=["dimension", "value"], how="left").select(*_CELL, n_width=width)
    return cells.join(known, on=_CELL, how="left", maintain_order="left")


def _is_at_or_after(marked: pl.Expr) -> pl.Expr:
    """Whether a hop, or one before it on the way, is marked; the board's hop runs from the capture."""
    group = ["dimension", "value"]
    place = _c("hop").replace_strict(WAY, range(len(WAY)), default=len(WAY), return_dtype=pl.Int64)
    to_the_board = marked | (marked & (_c("hop") == "captured")).any().over(group)
    return (
        pl.when(_c("hop") == BOARD).then(to_the_board).otherwise(marked.cum_max().over(group, order_by=place))
    )


def _pass_on_smallness(sizes: pl.DataFrame) -> pl.DataFrame:
    """A hop after a small one is small, too: what it was entered by is what left the small one.

    (The hop before a small one is shown all the same: how many of its items left is an event of a cell that may be shown.)
    """
    return sizes.with_columns(n_sellers=pl.when(_is_at_or_after(is_small())).then(0).otherwise("n_sellers"))
