"""A home with nothing in it, and hands to put small versions there."""

from pathlib import Path

import pytest
from small_versions import Hands, deals, declare


@pytest.fixture
def hands(tmp_path: Path) -> Hands:
    return Hands(tmp_path)


@pytest.fixture
def make_deals():
    return deals


@pytest.fixture
def make_contract():
    return declare
