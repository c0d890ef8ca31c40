"""Small cells stay hidden, also from somebody who can subtract."""

from __future__ import annotations

import polars as pl

from assets.evidence.dimensions import state_equations
from assets.evidence.protection import Additive, Relation
from assets.evidence.seasons import add_seasons
from assets.evidence.suppression import blank, hide_small_cells

KEY = ["dimension", "value"]


def deals_of(cells: pl.DataFrame) -> pl.DataFrame:
    """One deal per customer, spread evenly over the sellers."""
    each = pl.col("n_accounts") // pl.col("n_sellers")
    return cells.with_columns(n="n_accounts", largest=each, second=each)


def hidden_of(*cells: tuple[str, str, int, int]) -> set[tuple[str, str]]:
    frame = deals_of(pl.DataFrame(cells, schema=[*KEY, "n_sellers", "n_accounts"], orient="row"))
    marked = hide_small_cells(frame, state_equations(frame), KEY, additive=[Additive("n")])
    assert marked.select(frame.columns).equals(frame)
    return set(marked.filter("suppressed").select(KEY).iter_rows())


def test_the_limits_are_five_sellers_and_ten_customers() -> None:
    large = [("segment", v, 9, 90) for v in "abc"]
    assert hidden_of(("all", "all", 50, 500), ("segment", "x", 5, 10), *large) == set()
    for sellers, accounts in ((4, 10), (5, 9)):
        assert ("segment", "x") in hidden_of(
            ("all", "all", 50, 500), ("segment", "x", sellers, accounts), *large
        )


def test_a_small_cell_hides_the_smallest_large_one_with_it() -> None:
    cells = [("segment", "small", 2, 3), ("segment", "mid", 9, 30), ("segment", "big", 40, 400)]
    assert hidden_of(("all", "all", 50, 433), *cells) == {("segment", "small"), ("segment", "mid")}


def test_several_small_cells_still_hide_a_large_one() -> None:
    # all minus the rest would show the two small ones together: five customers
    cells = [
        ("segment", "s1", 2, 3),
        ("segment", "s2", 1, 2),
        ("segment", "mid", 9, 30),
        ("segment", "big", 40, 400),
    ]
    assert hidden_of(("all", "all", 50, 435), *cells) == {("segment", v) for v in ("s1", "s2", "mid")}


def test_other_dimensions_are_left_alone() -> None:
    cells = [
        ("segment", "small", 2, 3),
        ("segment", "big", 40, 400),
        ("region", "e", 20, 200),
        ("region", "w", 20, 200),
    ]
    assert hidden_of(("all", "all", 42, 403), *cells) == {("segment", "small"), ("segment", "big")}


def test_where_all_parts_are_small_the_total_may_stay() -> None:
    parts = [("segment", v, 3, 6) for v in "abcd"]
    assert hidden_of(("all", "all", 12, 24), *parts) == {("segment", v) for v in "abcd"}


def test_a_part_that_is_the_whole_hides_the_total_with_it() -> None:
    frame = pl.DataFrame(
        [("all", "all", 30, 300), ("region", "only", 4, 300)],
        schema=[*KEY, "n_sellers", "n_accounts"],
        orient="row",
    )
    frame = deals_of(frame)
    assert hide_small_cells(frame, state_equations(frame), KEY)["suppressed"].to_list() == [True, True]


def test_a_firm_too_small_shows_nothing() -> None:
    assert hidden_of(("all", "all", 3, 8), ("segment", "a", 3, 8)) == {("all", "all"), ("segment", "a")}


def test_a_cell_of_two_dimensions_is_protected_along_both() -> None:
    crossed = "emcr_quintile_within_segment"
    cells = [("all", "all", 60, 600)]
    cells += [("segment", s, 30, 300) for s in "ab"] + [("emcr_quintile", q, 20, 200) for q in "123"]
    cells += [(crossed, f"{s}: {q}", 10, 100) for s in "ab" for q in "123" if (s, q) != ("a", "1")]
    hidden = hidden_of(*cells, (crossed, "a: 1", 2, 4))
    assert (crossed, "a: 1") in hidden
    inside = [v for d, v in hidden if d == crossed]
    for part in (0, 1):
        groups = [v.split(": ")[part] for v in inside]
        assert all(groups.count(g) >= 2 for g in groups), f"one cell alone in {inside}"


def test_quarters_are_protected_against_their_total() -> None:
    cells = pl.DataFrame(
        [("all", "all", p, 30, 300) for p in ("2025-Q1", "2025-Q2", "all")]
        + [
            ("segment", s, p, 20, 200)
            for s in "ab"
            for p in ("2025-Q1", "2025-Q2", "all")
            if (s, p) != ("a", "2025-Q1")
        ]
        + [("segment", "a", "2025-Q1", 2, 4)],
        schema=[*KEY, "period", "n_sellers", "n_accounts"],
        orient="row",
    )
    cells = deals_of(cells)
    equations = state_equations(cells, by=["period"], whole="period")
    hidden = hide_small_cells(cells, equations, [*KEY, "period"]).filter("suppressed")
    shown = set(hidden.select("value", "period").iter_rows())
    # a in Q1, so a in Q2 (a's total stays) and b in Q1, and so b in Q2
    assert shown == {(s, q) for s in "ab" for q in ("2025-Q1", "2025-Q2")}


def test_hidden_numbers_are_null_and_never_zero() -> None:
    frame = pl.LazyFrame({"suppressed": [True, False], "n": [3, 30]})
    assert blank(frame, ["n"]).collect()["n"].to_list() == [None, 30]


def test_where_the_rule_is_seen_through_more_is_hidden() -> None:
    """Every row and column of hidden cells has two, and still one of them is the difference of blocks: (a, 3) would be known."""
    crossed = "emcr_quintile_within_segment"
    sizes = {(s, q): 100 for s in "abcd" for q in "1234"}
    sizes |= {("a", "1"): 3, ("b", "2"): 3, ("c", "3"): 3, ("d", "4"): 3, ("a", "3"): 4}
    sizes |= {("a", "2"): 12, ("b", "1"): 12, ("c", "4"): 12, ("d", "3"): 12}
    by_rule = {(crossed, f"{s}: {q}") for (s, q), n in sizes.items() if n < 20}

    def cell(dimension: str, value: str, n: int) -> tuple[str, str, int, int]:
        return dimension, value, 2 if n < 10 else 6, n

    cells = [cell(crossed, f"{s}: {q}", n) for (s, q), n in sizes.items()]
    cells += [cell("segment", s, sum(n for (t, _), n in sizes.items() if t == s)) for s in "abcd"]
    cells += [cell("emcr_quintile", q, sum(n for (_, r), n in sizes.items() if r == q)) for q in "1234"]
    hidden = hidden_of(cell("all", "all", sum(sizes.values())), *cells)
    assert by_rule < hidden
    assert len(hidden) <= len(by_rule) + 4
    assert not any(dimension == "all" for dimension, _ in hidden)


def test_a_table_that_knows_neither_deals_nor_sums_is_protected_by_rule() -> None:
    cells = [
        ("all", "all", 50, 433),
        ("segment", "small", 2, 3),
        ("segment", "mid", 9, 30),
        ("segment", "big", 40, 400),
    ]
    frame = pl.DataFrame(cells, schema=[*KEY, "n_sellers", "n_accounts"], orient="row")
    marked = hide_small_cells(frame, state_equations(frame).drop("family"), KEY)
    assert set(marked.filter("suppressed")["value"]) == {"small", "mid"}


def test_groups_that_other_tables_hide_are_hidden() -> None:
    cells = [("all", "all", 60, 600), ("segment", "a", 30, 300), ("segment", "b", 30, 300)]
    frame = deals_of(pl.DataFrame(cells, schema=[*KEY, "n_sellers", "n_accounts"], orient="row"))
    always = pl.DataFrame({"dimension": ["segment"], "value": ["a"]})
    marked = hide_small_cells(frame, state_equations(frame), KEY, always=always)
    assert ("segment", "a") in set(marked.filter("suppressed").select(KEY).iter_rows())


def test_what_another_table_shows_protects_nothing() -> None:
    """The total is known elsewhere: it can't be hidden, so a second part is; and where there is none, nothing loops."""
    parts = [("segment", "small", 2, 3), ("segment", "mid", 9, 30), ("segment", "big", 40, 400)]
    frame = deals_of(
        pl.DataFrame(
            [("all", "all", 50, 433), *parts], schema=[*KEY, "n_sellers", "n_accounts"], orient="row"
        )
    ).with_columns(is_known=pl.col("dimension") == "all")
    marked = hide_small_cells(frame, state_equations(frame), KEY, additive=[Additive("n")])
    assert set(marked.filter("suppressed")["value"]) == {"small", "mid"}
    alone = frame.filter(pl.col("value").is_in(["all", "small"]))
    assert hide_small_cells(alone, state_equations(alone), KEY)["suppressed"].to_list() == [False, True]


def test_where_the_parts_have_nothing_the_total_is_hidden() -> None:
    """All eight months are those of the small cell: the other parts, hidden or not, leave it no more than the total says."""
    frame = pl.DataFrame(
        [("all", "all", 50, 400, 8), ("segment", "small", 2, 3, 8), ("segment", "mid", 9, 30, 0), ("segment", "big", 40, 367, 0)],
        schema=[*KEY, "n_sellers", "n_accounts", "months"],
        orient="row",
    )  # fmt: skip
    marked = hide_small_cells(frame, state_equations(frame), KEY, additive=[Additive("months")])
    assert set(marked.filter("suppressed")["value"]) == {"all", "small", "mid"}


def hidden_by_sums(*, relations: tuple[Relation, ...] = (), tie: bool = False) -> set[str]:
    """A small cell whose three deals are two of one kind, which add up over one set of cells, and one of another, over another set."""
    frame = pl.DataFrame(
        [
            ("small", 2, 3, 2, 1),
            ("p", 9, 50, 0, 50),
            ("q", 9, 50, 50, 0),
            ("big", 9, 200, 100, 100),
            ("ones", 9, 300, 102, 198),
            ("others", 9, 300, 199, 101),
        ],
        schema=["value", "n_sellers", "n_accounts", "one", "other"],
        orient="row",
    ).with_columns(n="n_accounts")
    sums = [("one", "small", False), ("one", "p", False), ("one", "big", False), ("one", "ones", True)]
    sums += [
        ("other", "small", False),
        ("other", "q", False),
        ("other", "big", False),
        ("other", "others", True),
    ]
    equations = pl.DataFrame(sums, schema=["equation", "value", "is_total"], orient="row").with_columns(
        family="equation", number=pl.lit(None, pl.String)
    )
    if tie:  # everybody sees that the deals of the small cell are so many fewer than the ones of the big cell
        ties = [("tie", "small", "n", False), ("tie", "big", "one", True)]
        rows = pl.DataFrame(ties, schema=["equation", "value", "number", "is_total"], orient="row")
        equations = pl.concat([equations, rows.with_columns(family="equation").select(equations.columns)])
    additive = [
        Additive("n", families=("none",)),
        Additive("one", is_size=False, families=("one",)),
        Additive("other", is_size=False, families=("other",)),
    ]
    marked = hide_small_cells(frame, equations, ["value"], additive=additive, relations=relations)
    return set(marked.filter("suppressed")["value"])


def test_a_number_that_others_bound_is_protected_from_them() -> None:
    """Of the small cell and p there are two ones, of it and q one other: so it has three deals at most, though no sum says so."""
    assert hidden_by_sums() == {"small", "p", "q"}
    both = Relation(("one", "other"), ("n",), is_equal=True)
    assert hidden_by_sums(relations=(both,)) == {"small", "p", "q", "big"}
    at_least = Relation(("one", "other"), ("n",))
    assert hidden_by_sums(relations=(at_least,)) == {"small", "p", "q"}
    at_most = Relation(("n",), ("one", "other"), times=2)
    assert hidden_by_sums(relations=(at_most,)) == {"small", "p", "q", "big"}


def test_a_number_of_another_cell_that_tells_it_is_hidden() -> None:
    """Of the big cell and the two hidden beside it there are 102 ones: so their sum is hidden with it."""
    assert hidden_by_sums(tie=True) == {"small", "p", "q", "big", "ones"}


def test_seasons_say_what_quarters_add_up_to() -> None:
    quarters = pl.DataFrame(
        {"team": "x", "quarter": ["2024-Q1", "2024-Q2", "2025-Q1", "unknown"], "n": [1, 2, 4, 8]}
    )
    totals, equations = add_seasons(quarters, "quarter", ["team"], ["n"])
    assert set(totals.select("quarter", "n").rows()) == {("season 1", 5), ("half 1", 5)}
    assert totals["is_known"].all()
    assert set(equations.filter("is_total")["quarter"]) == {"season 1", "half 1"}
    assert set(equations.filter(~pl.col("is_total"))["quarter"]) == {"2024-Q1", "2025-Q1"}
