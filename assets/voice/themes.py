"""Themes that were merged, followed to the one that survives."""

from __future__ import annotations

import polars as pl

_c = pl.col


def resolve_themes(themes: pl.LazyFrame) -> pl.LazyFrame:
    """`theme_id`, `surviving`: merges followed to their end (pointers are doubled: 32 merges in a row)."""
    pointers = themes.select("theme_id", surviving=pl.coalesce("merged_into_id", "theme_id"))
    for _ in range(5):
        following = pointers.rename({"theme_id": "surviving", "surviving": "next"})
        pointers = pointers.join(following, on="surviving", how="left").select(
            "theme_id", surviving=pl.coalesce("next", "surviving")
        )
    return pointers


def replace_theme(frame: pl.LazyFrame, surviving: pl.LazyFrame) -> pl.LazyFrame:
    """Put the surviving theme into `theme_id`; themes that are in no table stay as they are."""
    joined = frame.join(surviving, on="theme_id", how="left")
    return joined.with_columns(theme_id=pl.coalesce("surviving", "theme_id")).drop("surviving")
