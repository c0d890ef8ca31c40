"""Two hundred made-up organisations, published and attacked: nothing about a small cell is told more closely than it may be.

A few of them are tried in every run, all two hundred by `.ci/run`.
"""

from __future__ import annotations

import os

import polars as pl
import pytest

from assets.evidence.suppression import count_people, is_small
from expectations.contracts import TABLES
from expectations.model import Audience
from tests.unit.evidence.organisations import Organisation
from tests.unit.evidence.outsider import attack
from tests.unit.evidence.published import CALLERS, publish
from tests.unit.evidence.small_cells import find_breaches, find_errors
from tests.unit.evidence.wide import WIDE

ORGANISATIONS = int(os.environ.get("ORGANISATIONS", "0"))
SEEDS = range(ORGANISATIONS) if ORGANISATIONS else (1, 8, 13, 18, 49)
"""Without a number of organisations: some in which something was told once."""
_QUIET = {"incentive_effects", "plan_features", "lead_lags", "board_scorecard"}
"""Tables with people in them that call no `hide_small_cells`: their facts say why."""


def test_the_facts_cover_every_table_that_is_handed_around() -> None:
    assert WIDE.keys() == {name for name, table in TABLES.items() if table.audience is Audience.WIDE}
    protected = {name for name, facts in WIDE.items() if facts.protection.startswith("hide_small_cells")}
    nobody = {name for name, facts in WIDE.items() if facts.protection == "no people in it"}
    assert protected | nobody | _QUIET == WIDE.keys()
    assert len(protected) == len(CALLERS)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_small_cell_of_an_organisation_is_told(seed: int) -> None:
    published = publish(Organisation.make(seed))
    breaches, tried = find_breaches(published)
    assert breaches == []
    assert tried > 100
    shown = sum(int((~hiding.cells["suppressed"]).sum()) for hiding in published.hidings.values())
    assert shown > 50  # hiding everything would be safe, too


def test_hiding_only_the_small_cells_is_seen_through() -> None:
    """The attacker is no straw man."""
    breaches, tried = find_breaches(publish(Organisation.make(0), "small"), every=12)
    assert {key[0] for key, *_ in breaches} >= {"churn", "rates", "needs", "style"}
    assert len(breaches) > tried / 2


@pytest.mark.parametrize("seed", [1, 8])
def test_what_the_attacker_believes_is_so(seed: int) -> None:
    assert find_errors(attack(publish(Organisation.make(seed), "nothing"))) == []


def test_one_sellers_numbers_are_hidden_although_others_have_a_deal_each() -> None:
    rows = pl.DataFrame({"rep_id": [1] * 96 + [2, 3, 4, 5], "account_id": range(100)})
    even = pl.DataFrame({"rep_id": [1, 2, 3, 4, 5] * 20, "account_id": range(100)})
    small = [frame.select(count_people()).select(is_small()).item() for frame in (rows, even)]
    assert small == [True, False]
