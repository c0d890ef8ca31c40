"""Small versions, and hands that put them into a home."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from assets.storage import Version
from expectations.model import Audience, Column, Kind, Layer, Presence, Sensitivity, Table
from pipelines.warehouse.snapshots import Snapshot, publish
from pipelines.warehouse.store import Store

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
COLUMNS = (
    Column("deal_id", Kind.ID, "A deal.", presence=Presence.REQUIRED),
    Column("amount", Kind.MONEY, "What was sold.", unit="USD"),
    Column("seller_id", Kind.ID, "Who sold it.", sensitivity=Sensitivity.PSEUDONYM),
    Column("tags", Kind.LIST, "Words about it."),
)


def declare(path: str, audience: Audience = Audience.ANALYST) -> Table:
    layer, name = path.split("/")
    return Table(
        Layer(layer),
        name,
        "T",
        "a deal",
        ("deal_id",),
        COLUMNS,
        audience=audience,
        query="SELECT 1",
        do_not="Do not.",
    )


def deals(*ids: str) -> pl.LazyFrame:
    rows = [{"deal_id": i, "amount": None, "seller_id": "s", "tags": ["a", "b"]} for i in ids]
    return pl.LazyFrame(rows, schema=declare("marts/any").schema)


class Hands:
    """Commits versions and publishes them in one home."""

    def __init__(self, home: Path) -> None:
        self.home, self.store = home, Store(home)
        self.audiences: dict[str, Audience] = {}

    def commit(
        self,
        path: str,
        key: str,
        frames: pl.LazyFrame | Mapping[str, pl.LazyFrame],
        inputs: Mapping[str, str] | None = None,
        *,
        audience: Audience = Audience.ANALYST,
        sides: Mapping[str, pl.DataFrame] | None = None,
        head: str = "",
    ) -> Version:
        contract = declare(path, audience)
        self.audiences[path] = audience
        months = {"": frames} if isinstance(frames, pl.LazyFrame) else frames
        staged = tuple(self.store.stage(contract, f, key, {"as_of": "x"}, m) for m, f in months.items())
        blank = Version(
            path, key, "", (), dict(inputs or {}), 0, "code", 1, "run", "2026-01-01T00:00:00+00:00"
        )
        version = self.store.commit(blank, staged, sides or {})
        if head:
            self.store.record_head(head, version)
        return version

    def publish(
        self, *versions: Version, now: datetime = NOON, code: str = "1", restricted: bool = False
    ) -> Snapshot:
        def build(folder: Path, final: Path) -> None:
            (folder / "board.html").write_text(f"made for {final.name}")

        return publish(
            self.store,
            {v.table: v for v in versions},
            self.audiences,
            build,
            as_of="2025-12-31",
            run_id="run",
            code_version=code,
            facts={"identities": 1},
            restricted=restricted,
            now=now,
        )
