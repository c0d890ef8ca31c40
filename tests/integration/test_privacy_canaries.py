"""Words planted where people write names, addresses and remarks are found in no byte of the home but the quarantine."""

from __future__ import annotations

import re
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.commands.check import run_check
from pipelines.commands.inspect import show_status
from pipelines.commands.run import run_pipeline
from pipelines.exits import Exit
from tests.integration.company_files import won, write_company

SELLERS, DEALS = 6, 40
CANARY = re.compile(rb"canary[0-9]+x")
# the firm's own words for why and how: kept in the store (internal), shown and published nowhere
OWN_WORDS = {"lost_reason", "left_reason", "outcome", "reason"}


class Planter:
    """Gives out words that occur nowhere else."""

    def __init__(self) -> None:
        self.planted = 0

    def __call__(self, form: str = "{}") -> str:
        self.planted += 1
        return form.format(f"canary{self.planted}x")


def plant(folder: Path) -> tuple[Path, int]:
    """A company whose names, addresses, remarks, seller ids and unreadable cells are canaries; its configuration and their number."""
    word = Planter()
    sellers = [word() for _ in range(SELLERS)]
    deals = [f"{i:02}" for i in range(DEALS)]
    tables: dict[str, list[dict[str, Any]]] = {
        "accounts": [
            {"account_id": f"A-{n}", "name": word("Mr {} Roe"), "email": word("{}@example.org"), "phone": word("+1 555 {}"),
             "segment": "smb"}
            for n in deals
        ],
        "reps": [
            {"rep_id": s, "full_name": word("Ms {}"), "role": "hunter", "left_reason": word("said {} and left")} for s in sellers
        ],
        "reporting_lines": [
            {"rep_id": s, "valid_from": "2024-01-01", "manager_id": "" if s == sellers[0] else sellers[0]} for s in sellers
        ],
        "opportunities": [
            *(
                won(n, sellers[int(n) % SELLERS], "2025-01-10T12:00:00Z", "10.00", account_id=f"A-{n}", next_step=word("call {}"),
                    lost_reason="")
                for n in deals
            ),
            {**won("lost", sellers[0], "2025-01-10T12:00:00Z", "10.00"), "is_won": "false", "lost_reason": word("their {} hates us")},
            won("bad", sellers[1], "2025-01-10T12:00:00Z", word("ask {}")),
            won("worse", sellers[1], word("{}@example.org"), "10.00", next_step=word("+1 555 {}")),
            won("bad", sellers[1], "2025-01-10T12:00:00Z", "11.00", next_step=word("tell {} again")),
        ],
        "activities": [
            {"activity_id": f"V-{n}", "account_id": f"A-{n}", "rep_id": sellers[0], "occurred_at": "2025-01-05T12:00:00Z",
             "channel": "call", "direction": "outbound", "outcome": word("spoke to {}")}
            for n in deals[:5]
        ],
        "complaints": [
            {"complaint_id": f"C-{n}", "account_id": f"A-{n}", "received_at": "2025-03-01T12:00:00Z", "body": word("{} lied to me"),
             "category": "mis_sale"}
            for n in deals[:20]
        ],
        "feedback": [
            {"feedback_id": f"F-{n}", "account_id": f"A-{n}", "rep_id": sellers[1], "captured_at": "2025-02-01T12:00:00Z",
             "source": "seller", "need": "unmet", "remark": word("{} wants dark mode"), "contact": word("{}@example.org")}
            for n in deals[:20]
        ],
        "feedback_events": [
            {"feedback_id": f"F-{n}", "hop": "captured", "occurred_at": "2025-02-02T12:00:00Z", "actor_id": sellers[2]}
            for n in deals[:20]
        ],
        "quality_reviews": [
            {"review_id": f"Q-{n}", "rep_id": sellers[0], "reviewed_at": "2025-02-01T12:00:00Z", "passed": "false",
             "reason": word("{} was rude")}
            for n in deals[:5]
        ],
    }  # fmt: skip
    lenient = {"max_reject_share": 0.5}
    config = write_company(folder, tables, company={"as_of": "2025-12-31"}, opportunities=lenient)
    return config, word.planted


def contents(home: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file outside the quarantine, Parquet read out."""
    for path in sorted(home.rglob("*")):
        if not path.is_file() or path.is_symlink() or path.is_relative_to(home / "rejects"):
            continue
        if path.suffix == ".parquet":
            frame = pl.read_parquet(path, hive_partitioning=False)
            inside = path.is_relative_to(home / "store" / "core")
            text = frame.select(pl.selectors.string() | pl.selectors.categorical() | pl.selectors.enum())
            shown = (
                text.select(pl.selectors.all() - pl.selectors.by_name(OWN_WORDS, require_all=False))
                if inside
                else text
            )
            yield path, shown.cast(pl.String).write_csv().encode() + (b"" if inside else path.read_bytes())
        else:
            data = path.read_bytes()
            yield path, data
            if data.startswith(b"SQLite format 3"):
                yield path, b"\n".join(unpacked(path))


def unpacked(database: Path) -> Iterator[bytes]:
    """Every value of a database, and what it is when it is unpacked: Dagster keeps its snapshots compressed."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        for table in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    data = value if isinstance(value, bytes) else str(value).encode()
                    yield data
                    with suppress(zlib.error):
                        yield zlib.decompress(data)


@pytest.mark.parametrize("blocked", [False, True])
def test_no_canary_leaves_the_quarantine(
    blocked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    config, planted = plant(tmp_path / "source")
    assert planted >= 200
    if blocked:
        config.write_text(config.read_text().replace("max_reject_share: 0.5", "max_reject_share: 0.0"))
    home = tmp_path / "home"
    assert run_pipeline(home, config) is (Exit.BLOCKED if blocked else Exit.PUBLISHED)
    found = {
        f"{path.relative_to(home)}: {hit.decode()}"
        for path, data in contents(home)
        for hit in set(CANARY.findall(data))
    }
    assert sorted(found) == []
    (database,) = (home / "dagster" / "history" / "runs").glob("????????-*.db")
    assert b"materialization" in b"".join(unpacked(database))
    assert list((home / "logs").glob("*.jsonl"))
    run_check(home, config)
    show_status(home, as_json=True)
    said = capfd.readouterr()
    assert not CANARY.search((said.out + said.err).encode())
    quarantine = [
        pl.read_parquet(p).write_csv() for p in (home / "rejects").rglob("*.parquet") if ".tomb" not in p.name
    ]
    assert any("ask canary" in text for text in quarantine)
    assert (home / "rejects").stat().st_mode & 0o777 == 0o700


def test_ids_that_are_names_are_hidden_wherever_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Said on one table each; deals, complaints, feedback and reports refer to them."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    word = Planter()
    customers = [word("Mr {} Roe") for _ in range(DEALS)]
    deals = [word("{}@example.org") for _ in range(DEALS)]
    themes = [word("what {} said") for _ in range(2)]
    tables: dict[str, list[dict[str, Any]]] = {
        "accounts": [{"account_id": c, "segment": "smb"} for c in customers],
        "reps": [{"rep_id": f"S{i}", "role": "hunter"} for i in range(SELLERS)],
        "opportunities": [
            won(d, f"S{i % SELLERS}", "2025-01-10T12:00:00Z", "10.00", account_id=customers[i])
            for i, d in enumerate(deals)
        ],
        "customer_activity": [
            {"account_id": c, "occurred_at": "2025-02-05T12:00:00Z", "kind": "login"} for c in customers
        ],
        "complaints": [
            {"complaint_id": f"C-{i}", "account_id": c, "opportunity_id": deals[i], "received_at": "2025-03-01T12:00:00Z",
             "category": "mis_sale"}
            for i, c in enumerate(customers[:20])
        ],
        "themes": [{"theme_id": t, "label": "said"} for t in themes],
        "feedback": [
            {"feedback_id": f"F-{i}", "account_id": c, "theme_id": themes[i % 2], "captured_at": "2025-02-01T12:00:00Z",
             "source": "seller", "need": "unmet"}
            for i, c in enumerate(customers[:20])
        ],
        "board_reports": [{"report_id": "B-1", "sent_at": "2025-04-01T12:00:00Z", "theme_ids": ",".join(themes)}],
    }  # fmt: skip
    config = write_company(
        tmp_path / "source",
        tables,
        company={"as_of": "2025-12-31", "churn": {"kind": "inactivity", "days": 90}},
        accounts={"pseudonymise": ["account_id"]},
        opportunities={"pseudonymise": ["opportunity_id"]},
        feedback={"pseudonymise": ["theme_id"]},
        customer_activity={"complete_until": "2025-12-31"},
    )
    home = tmp_path / "home"
    assert run_pipeline(home, config) is Exit.PUBLISHED
    found = {
        f"{path.relative_to(home)}: {hit.decode()}"
        for path, data in contents(home)
        for hit in set(CANARY.findall(data))
    }
    assert sorted(found) == []
    said = capfd.readouterr()
    assert not CANARY.search((said.out + said.err).encode())
    marts = home / "published" / "latest" / "marts"
    outcomes = pl.read_parquet(marts / "deal_outcomes.parquet")
    assert outcomes["account_id"].n_unique() == DEALS
    # complaints found their deals and reports their themes, under pseudonyms
    assert outcomes["complaints_90d"].sum() == 20
    coverage = pl.read_parquet(home / "published" / "latest" / "quality" / "source_coverage.parquet")
    assert coverage["broken_references"].sum() == 0
