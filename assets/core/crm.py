"""Core rules of the CRM tables that rows keep only together: who manages whom."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from assets.core.groups import GroupCheck, shares_a_day


def _broken_lines(rows: pl.LazyFrame, by: tuple[str, ...]) -> pl.LazyFrame:
    """Lines of an employee with two managers at once, and lines that form a cycle at some instant."""
    two_managers = shares_a_day("valid_from", "valid_to", by)
    lines = rows.with_columns(two_managers.alias("_two")).collect().with_row_index("_line")
    single = lines.filter(~pl.col("_two") & pl.col("manager_id").is_not_null())
    broken = pl.concat([lines.filter("_two")["_line"], _lines_on_a_cycle(single)])
    return lines.filter(pl.col("_line").is_in(broken.implode())).drop("_line", "_two").lazy()


def _lines_on_a_cycle(lines: pl.DataFrame) -> pl.Series:
    """Numbers (`_line`) of the lines that lie on a cycle at some instant.

    A cycle must lie in one strongly connected component of all lines ever, so only those are looked at closely. It exists
    from the latest start of its lines on, so starts are the only instants to look at. At an instant everybody has at
    most one manager: following managers as many times as there are people ends on a cycle or at a root.
    """
    suspects = lines.with_columns(_component(lines)).filter(pl.col("_component").is_not_null())
    instants = suspects.select("_component", _at="valid_from").unique()
    held = (
        suspects.join(instants, on="_component")
        .filter(
            pl.col("_at") >= pl.col("valid_from"),
            pl.col("_at") < pl.col("valid_to").fill_null(pl.col("_at").max() + pl.duration(days=1)),
        )
        .select("_line", "_at", "rep_id", "manager_id")
        .with_row_index("_node")
    )
    above = held.join(
        held.select("_at", manager_id="rep_id", _above="_node"),
        on=["_at", "manager_id"],
        how="left",
        maintain_order="left",
    )
    people = held.height
    step = np.append(above["_above"].fill_null(people).to_numpy().astype(np.int64), people)  # last: the root
    for _ in range(int(people).bit_length()):
        step = step[step]
    on_a_cycle = np.zeros(people + 1, dtype=bool)
    on_a_cycle[step] = True
    return held.filter(pl.Series(on_a_cycle[:people]))["_line"].unique()


def _component(lines: pl.DataFrame) -> pl.Series:
    """Number of the strongly connected component that holds both ends of a line; null where they lie in different ones."""
    people = pl.concat([lines["rep_id"], lines["manager_id"]]).unique().sort()
    low, high = (people.search_sorted(lines[name]).to_numpy() for name in ("rep_id", "manager_id"))
    graph = coo_array((np.ones(len(low)), (low, high)), shape=(len(people), len(people)))
    _, label = connected_components(graph, connection="strong")
    same = label[low] == label[high]
    return pl.Series("_component", np.where(same, label[low], -1)).replace(-1, None)


GROUP_RULES: dict[str, GroupCheck] = {"managers_form_a_tree": GroupCheck(_broken_lines)}
"""Implementations of the group rules that `expectations.contracts.crm` declares, by name."""
