"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# no timing decides a test, and a red run can be run again with the same examples
settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Third-party data beside the project; tests that need it say clearly when it is absent."""
    for parent in ROOT.parents:
        if (parent / "shared" / "data" / "README.md").is_file():
            return parent / "shared" / "data"
    pytest.skip("needs ../shared/data beside the project (third-party data that is not part of it)")
