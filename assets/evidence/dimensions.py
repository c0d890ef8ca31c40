"""The dimensions of the `*_by_incentive` tables: how won deals are put into groups, as a table of facts.

A group is a short text. A deal without one (no plan, no quota, no list price) stands in the group `unknown`, so that the
groups of a dimension add up to `all`. A dimension that no deal knows has no rows: its source is absent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from assets.company import Company
from assets.incentives.plan_features import PLAN_FLAGS
from assets.methods.bands import (
    CLOSING_LOAD,
    CYCLE_DAYS,
    DISCOUNT_SHARE,
    RELATIVE_INTENSITY,
    TOUCHES_30D,
)

UNKNOWN: Final = "unknown"
ALL: Final = "all"
VALUES, CROSSED, FEATURES = "values", "crossed", "features"
"""Families of equations: the groups of a dimension make up `all`; crossed groups make up both of theirs; plans make up those
with a feature and those without."""

_c = pl.col


@dataclass(frozen=True, slots=True)
class Dimension:
    """One way to group deals.

    Attributes:
        name: name in the column `dimension`.
        value: text over columns of `deal_outcomes`; null where the deal's group is not known.
        labels: the groups in their own order; empty: groups are sorted by name.
        ordered: whether the order is one of more and less, so that a ratio to the lowest group means something.
        crosses: names of two dimensions whose groups are combined; the second is read within the first.
        source: a source table without which every deal would stand in one group by default.
        features_of: the dimension whose groups have this feature or not, if there is one.
    """

    name: str
    value: pl.Expr
    labels: tuple[str, ...] = ()
    ordered: bool = False
    crosses: tuple[str, str] | None = None
    source: str = ""
    features_of: str = ""


def _flag(column: str) -> pl.Expr:
    return pl.when(_c(column)).then(pl.lit("yes")).when(~_c(column)).then(pl.lit("no"))


YES_NO: Final = ("no", "yes")


DIMENSIONS: Final = (
    Dimension(ALL, pl.lit(ALL), (ALL,)),
    Dimension("intensity_band", _c("intensity_band"), RELATIVE_INTENSITY.labels, ordered=True),
    Dimension("emcr_quintile", _c("emcr_quintile").cast(pl.String), tuple("12345"), ordered=True),
    Dimension("is_pivotal", _flag("is_pivotal"), YES_NO, ordered=True),
    Dimension("period_end", _flag("period_end_close"), YES_NO, ordered=True),
    Dimension("plan", _c("plan_id")),
    Dimension("tier", _c("tier").cast(pl.String), tuple(map(str, range(100))), ordered=True),
    Dimension("segment", _c("segment")),
    Dimension("region", _c("region")),
    Dimension("product", _c("product_id")),
    Dimension("cohort_quarter", _c("cohort_quarter")),
    Dimension("emcr_quintile_within_segment", pl.lit(None, pl.String), ordered=True, crosses=("segment", "emcr_quintile")),
    Dimension("closing_load", CLOSING_LOAD.label(_c("closing_load")), CLOSING_LOAD.labels, ordered=True),
    Dimension("month_end", _flag("month_end"), YES_NO, ordered=True),
    Dimension("cycle", CYCLE_DAYS.label(_c("cycle_days")), CYCLE_DAYS.labels, ordered=True),
    Dimension("discount", DISCOUNT_SHARE.label(_c("discount_share")), DISCOUNT_SHARE.labels, ordered=True),
    Dimension("touches", TOUCHES_30D.label(_c("touches_30d")), TOUCHES_30D.labels, ordered=True),
    Dimension("is_vulnerable", _flag("is_vulnerable"), YES_NO),
    Dimension("is_target_profile", _flag("is_target_profile"), YES_NO),
    Dimension(
        "with_spiff",
        pl.when(_c("emcr_with_spiff") > _c("emcr")).then(pl.lit("yes")).when(_c("emcr_with_spiff").is_not_null()).then(pl.lit("no")),
        YES_NO,
        ordered=True,
        source="spiffs",
    ),
    *(Dimension(name, _flag(name), YES_NO, features_of="plan") for name in PLAN_FLAGS),
)  # fmt: skip

_BY_NAME: Final = {d.name: d for d in DIMENSIONS}
_SEPARATOR: Final = ": "
_PARTS: Final = r"(?s)^(.*): ([^:]*)$"


def find_present(deal_outcomes: pl.LazyFrame, company: Company) -> tuple[Dimension, ...]:
    """Dimensions for which at least one deal has a group. Reads `deal_outcomes` once."""
    plain = [d for d in DIMENSIONS if not d.crosses and (not d.source or company.has(d.source))]
    known = deal_outcomes.select(d.value.is_not_null().any().alias(d.name) for d in plain).collect()
    present = {d.name for d in plain if known[d.name].item()} | {ALL}
    return tuple(
        d
        for d in DIMENSIONS
        if d.name in present or (d.crosses is not None and present.issuperset(d.crosses))
    )


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows put into the groups of every dimension, as small integers: nothing is repeated per dimension.

    Attributes:
        cells: `cell` (Int32, from 0), `dimension`, `value` (never null: `unknown`), one row per group.
        codes: by dimension, the `cell` of every row, in the order of the rows.
    """

    cells: pl.DataFrame
    codes: Mapping[str, pl.Series]

    def summarise(self, rows: pl.DataFrame, summary: Callable[[pl.LazyFrame], pl.LazyFrame]) -> pl.DataFrame:
        """Apply `summary` to the rows once per dimension, with the column `cell` beside them, and stack what it gives.

        Whoever needs `dimension` and `value` joins `cells`. A dimension is summarised at a time, so that memory holds one.
        """
        parts = [
            summary(rows.with_columns(code.alias("cell")).lazy()).collect() for code in self.codes.values()
        ]
        return pl.concat(parts)

    def name(self, frame: pl.DataFrame) -> pl.DataFrame:
        """`dimension` and `value` in place of `cell`."""
        return frame.join(self.cells, on="cell", how="left").drop("cell")


def list_columns(dimensions: Sequence[Dimension]) -> list[str]:
    """Columns of `deal_outcomes` that the dimensions read."""
    return sorted({name for d in dimensions for name in d.value.meta.root_names()})


def group_rows(rows: pl.DataFrame, dimensions: Sequence[Dimension]) -> Groups:
    """Put rows into groups.

    Args:
        rows: with the columns of `list_columns(dimensions)`.
        dimensions: from `find_present`.
    """
    cells: list[pl.DataFrame] = []
    codes: dict[str, pl.Series] = {}
    for dimension in dimensions:
        labels = rows.with_columns(_label=_group(dimension))["_label"]  # a literal is spread over the rows
        values = labels.unique().sort()
        first = sum(len(frame) for frame in cells)
        codes[dimension.name] = number_words(labels, values) + first
        cells.append(
            pl.DataFrame({"value": values}).select(pl.lit(dimension.name).alias("dimension"), "value")
        )
    return Groups(pl.concat(cells).with_row_index("cell").with_columns(_c("cell").cast(pl.Int32)), codes)


def number_words(words: pl.Series, among: pl.Series | None = None) -> pl.Series:
    """Place of every word among the sorted distinct ones, Int32; null stays null."""
    among = words.drop_nulls().unique().sort() if among is None else among
    return words.cast(pl.Enum(among)).to_physical().cast(pl.Int32)


def number_clusters(words: pl.Series) -> pl.Series:
    """As `number_words`; those without a word are one more cluster together."""
    return number_words(words).fill_null(words.drop_nulls().n_unique())


def _group(dimension: Dimension) -> pl.Expr:
    if dimension.crosses:
        outer, inner = (_group(_BY_NAME[name]) for name in dimension.crosses)
        return pl.concat_str(outer, inner, separator=_SEPARATOR)
    return dimension.value.fill_null(UNKNOWN)


def is_unknown() -> pl.Expr:
    """Whether `value` says that the deal's group, or the inner one of two, is not known."""
    return (_c("value") == UNKNOWN) | (
        _c("dimension").is_in([d.name for d in DIMENSIONS if d.crosses])
        & _c("value").str.ends_with(_SEPARATOR + UNKNOWN)
    )


def reference_of(value: pl.Expr, by: Sequence[str] = ()) -> pl.Expr:
    """The number that a group is compared with: that of the lowest group of its band; null where a ratio means nothing.

    Columns `dimension`, `band_of` (from `order_values`), `value_order`, `suppressed` and `by`; a hidden reference is null.
    """
    band = ["dimension", "band_of", *by]
    shown = pl.when(~_c("suppressed")).then(value)
    return pl.when(_c("band_of").is_not_null()).then(shown.first().over(band, order_by="value_order"))


def order_values(cells: pl.DataFrame) -> pl.DataFrame:
    """Give every group its place in its dimension and say which group a ratio may refer to.

    Args:
        cells: any rows with `dimension` and `value`.

    Returns:
        One row per dimension and value: `value_order` (Int64, from 1, `unknown` last) and `band_of` (the band within
        which groups are compared with the lowest: the dimension, or the outer group of a crossed one; null where a ratio
        means nothing: unordered dimensions and `unknown`).
    """
    values = cells.select("dimension", "value").unique()
    labels = pl.DataFrame(
        [(d.name, v, i) for d in DIMENSIONS for i, v in enumerate(d.labels)],
        schema={"dimension": pl.String, "value": pl.String, "label_order": pl.Int64},
        orient="row",
    )
    ordered = [d.name for d in DIMENSIONS if d.ordered]
    crossed = [d.name for d in DIMENSIONS if d.crosses]
    outer = pl.when(_c("dimension").is_in(crossed)).then(_c("value").str.extract(_PARTS, 1))
    return (
        values.join(labels, on=["dimension", "value"], how="left")
        .with_columns(outer=outer.fill_null(""), is_unknown=is_unknown())
        .sort("dimension", "outer", "is_unknown", "label_order", "value", nulls_last=True)
        .with_columns(value_order=pl.int_range(1, pl.len() + 1).over("dimension"))
        .select(
            "dimension",
            "value",
            _c("value_order").cast(pl.Int64),
            pl.when(_c("dimension").is_in(ordered) & ~_c("is_unknown")).then("outer").alias("band_of"),
        )
    )


def find_nested(groups: Groups) -> pl.DataFrame:
    """Which groups of one dimension make up a group of another: plans and the features that each of them has or has not.

    Returns:
        One row per member of such an equation: `of` (the whole's dimension), `group` (its value), `dimension`, `value`.
    """
    found = [pl.DataFrame(schema=dict.fromkeys(("of", "group", "dimension", "value"), pl.String))]
    for whole in (d.name for d in DIMENSIONS if d.features_of in groups.codes and d.name in groups.codes):
        parts = _BY_NAME[whole].features_of
        pairs = pl.DataFrame({"cell": groups.codes[parts], "whole": groups.codes[whole]}).unique()
        if pairs["cell"].is_duplicated().any():
            continue  # some plan stands on both sides: nothing adds up
        named = pairs.join(groups.cells, on="cell").join(
            groups.cells.select(whole="cell", of="dimension", group="value"), on="whole"
        )
        found.append(named.select("of", "group", "dimension", "value"))
    return pl.concat(found)


def state_equations(
    cells: pl.DataFrame, by: Sequence[str] = (), whole: str = "", nested: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Write down which published cells add up to which.

    Args:
        cells: one row per `dimension`, `value` and the columns `by` (text or integers).
        by: further key columns.
        whole: one of `by` whose cells add up to its own row `all` (such as quarters to all periods).
        nested: from `find_nested`.

    Returns:
        Rows for `suppression.hide_small_cells`: `equation`, `family` (`values`; `crossed`; the name in `whole`), `dimension`,
        `value`, `by` and `is_total`.
    """
    key = ["dimension", "value", *by]
    cells = cells.select(key).unique()
    inside = cells.filter(_c("dimension") != ALL)
    simple = inside.filter(~_c("dimension").is_in([d.name for d in DIMENSIONS if d.crosses]))
    everything = cells.filter(_c("dimension") == ALL)
    parts = [_equations(VALUES, simple, ["dimension", *by], is_total=False)]
    parts += [
        _equations(
            VALUES, everything.with_columns(_dimension=pl.lit(name)), ["_dimension", *by], is_total=True
        )
        for name in simple["dimension"].unique(maintain_order=True)
    ]
    for dimension in (d for d in DIMENSIONS if d.crosses):
        crossed = cells.filter(_c("dimension") == dimension.name)
        for part, margin in enumerate(dimension.crosses or (), start=1):
            of = [pl.lit(margin).alias("_of"), _c("value").str.extract(_PARTS, part).alias("_group")]
            total = [pl.lit(margin).alias("_of"), _c("value").alias("_group")]
            name, within = f"{dimension.name} by {margin}", ["_of", "_group", *by]
            parts.append(_equations(name, crossed.with_columns(of), within, is_total=False))
            parts.append(
                _equations(
                    name, cells.filter(_c("dimension") == margin).with_columns(total), within, is_total=True
                )
            )
    if nested is not None and nested.height:
        members = cells.join(nested, on=["dimension", "value"]).with_columns(_of="of", _group="group")
        totals = cells.join(
            nested.select(dimension="of", value="group").unique(), on=["dimension", "value"]
        ).with_columns(_of="dimension", _group="value")
        for frame, is_total in ((members, False), (totals, True)):
            parts.append(_equations(FEATURES, frame, ["_of", "_group", *by], is_total=is_total))
    if whole:
        others = ["dimension", "value", *(b for b in by if b != whole)]
        parts.append(_equations(whole, cells.filter(_c(whole) != ALL), others, is_total=False))
        parts.append(_equations(whole, cells.filter(_c(whole) == ALL), others, is_total=True))
    return pl.concat(p.select("equation", "family", *key, "is_total") for p in parts)


def _equations(name: str, members: pl.DataFrame, named_by: Sequence[str], *, is_total: bool) -> pl.DataFrame:
    """Members of one family of equations; JSON keeps the parts of a name apart."""
    return members.with_columns(
        equation=pl.lit(name + " ")
        + pl.struct(pl.col(c).alias(f"{i}") for i, c in enumerate(named_by)).struct.json_encode(),
        family=pl.lit(CROSSED if " by " in name else name),
        is_total=pl.lit(is_total),
    )
