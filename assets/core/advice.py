"""What to do about the reasons that rows are rejected for most often, in a few words each."""

from __future__ import annotations

ADVICE = {
    "wall_time_without_zone": "write `timezone: UTC`, or the zone they are in, on this source",
    "too_far_in_future": (
        "they lie over 400 days after the day the run looks from, the newest close of a won deal "
        "unless `company: {as_of: 2025-06-30}` names another: set it, or mend the times"
    ),
    "not_a_timestamp": "say how times are written with `date_format`",
    "not_a_date": "say how days are written with `date_format`",
    "not_a_number": "say how numbers are written with `decimal` and `thousands`",
    "missing": "the column must be filled in every row: map another, or leave the rows out with `where`",
}


def advise(reason: str) -> str:
    """The reason, with what to do about it in brackets where that is known."""
    return f"{reason} ({ADVICE[reason]})" if reason in ADVICE else reason
