"""Great Expectations suites as code: each expectation with its reason and severity."""

from __future__ import annotations

from expectations.suites import core, marts
from expectations.suites.model import Expectation

SUITES: dict[str, tuple[Expectation, ...]] = core.SUITES | marts.SUITES
"""Suites by table path."""
