"""One vocabulary: what each column name means, wherever it appears. Nullability and rules belong to the contracts."""

from __future__ import annotations

from expectations.columns.evidence import EVIDENCE
from expectations.columns.outcomes import OUTCOMES
from expectations.columns.pay import PAY
from expectations.columns.reports import REPORTS
from expectations.columns.rhythm import RHYTHM
from expectations.columns.sources import WHAT_SOURCES_SAY
from expectations.columns.voice import VOICE
from expectations.model import Column

_ALL = (*WHAT_SOURCES_SAY, *PAY, *OUTCOMES, *VOICE, *RHYTHM, *EVIDENCE, *REPORTS)

VOCABULARY: dict[str, Column] = {column.name: column for column in _ALL}

if len(VOCABULARY) != len(_ALL):
    names = [column.name for column in _ALL]
    twice = sorted({name for name in names if names.count(name) > 1})
    raise ValueError(f"the vocabulary defines {twice} twice")
