"""Hints for people: the valid word that is most like the one they wrote."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, valid: Iterable[str]) -> str:
    """A hint that names the valid word most like `word`, else a few of the valid ones.

    Examples:
        >>> nearest("amout", ["amount", "stage"])
        "did you mean 'amount'?"
    """
    names = sorted(set(valid))
    folded = {n.casefold().replace(" ", "_"): n for n in names}
    found = difflib.get_close_matches(word.casefold().replace(" ", "_"), folded, n=1, cutoff=0.6)
    if found:
        return f"did you mean {folded[found[0]]!r}?"
    return (
        f"valid here: {', '.join(names[:30])}{' ...' if len(names) > 30 else ''}"
        if names
        else "nothing is valid here"
    )
