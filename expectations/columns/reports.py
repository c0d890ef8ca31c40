"""Words about the tables themselves: their quality, and the page of the board."""

from __future__ import annotations

from expectations.columns.words import words
from expectations.model import Column, Kind

REPORTS: tuple[Column, ...] = (
    # ---- quality ----------------------------------------------------------------------------------------------------------
    Column("table", Kind.TEXT, "Table."),
    Column("column", Kind.TEXT, "Column; empty when the row is about the whole table."),
    Column("check", Kind.TEXT, "Sentence that must hold."),
    Column("evaluated", Kind.COUNT, "Rows looked at.", "rows", minimum=0),
    Column("failed", Kind.COUNT, "Rows that break it.", "rows", minimum=0),
    Column("present", Kind.FLAG, "Whether the source brings it."),
    Column("switches_off", Kind.TEXT, "What its absence costs."),
    Column("detail", Kind.TEXT, "What was noticed, in words."),
    Column("file", Kind.TEXT, "Landed file."),
    Column("share", Kind.ESTIMATE, "Share of the table's rows.", "share of 1", minimum=0),
    *words(
        Kind.COUNT,
        "rows",
        rows_in="Records counted in the files, independently of the reader.",
        rows_out="Rows of the finished table.",
        rejected="Rows kept aside with a reason.",
        deduplicated="Rows dropped as exact duplicates of another.",
        not_yet="Rows dated after as_of.",
        filtered="Rows the configured `where` left out.",
        broken_references="Values that point at nothing.",
        contradictions="Rows that another table contradicts.",
        vanished="Rows of the last reading that the source no longer holds; each has a tombstone. Null where nothing could be compared.",
    ),
    Column("stale_since", Kind.TIMESTAMP, "When the rows were read that stand in for a blocked source (`on_block: stale`); null: as fresh as the run.", "UTC"),
    Column("max_contradiction_share", Kind.ESTIMATE, "Configured share of contradicted rows that blocks.", "share of 1", minimum=0, maximum=1),
    # ---- board ------------------------------------------------------------------------------------------------------------
    Column("chapter", Kind.CATEGORY, "Part of the story that the page tells.", values=("intensity", "rhythm", "style", "outcomes", "distance", "heard late")),
    Column("measure_name", Kind.TEXT, "What is measured."),
    Column("position", Kind.COUNT, "Place on the page.", minimum=1, maximum=15),
    Column("measure_value", Kind.ESTIMATE, "Value in the measure's unit."),
    Column("measure_lo", Kind.ESTIMATE, "Lower end of the 95 % interval."),
    Column("measure_hi", Kind.ESTIMATE, "Upper end of the 95 % interval."),
    Column("measure_unit", Kind.TEXT, "Unit of the value."),
    Column("change_value", Kind.ESTIMATE, "Change against the quarter before."),
    Column("quality_grade", Kind.TEXT, "A: complete; B: usable with care; C: read the notes first."),
    Column("evidence_level", Kind.COUNT, "0 descriptive to 5 randomised.", minimum=0, maximum=5),
    Column("sentence", Kind.TEXT, "The number in plain words."),
    Column("organisation", Kind.TEXT, "Organisation unit."),
    Column("quarter", Kind.TEXT, "Fiscal quarter.", "YYYY-Qn"),
)  # fmt: skip
