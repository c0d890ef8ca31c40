"""Delta tables as sources: one version, pinned, streamed into a Parquet file that is landed like any other."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.extras import MissingExtraError, import_extra
from pipelines.objects import is_object_url, redact
from pipelines.sources.allowed import Allow
from pipelines.sources.readers.opening import hash_file
from pipelines.sources.settings import Delta

_ROW_GROUP = 131_072


class DeltaError(Exception):
    """The table can't be opened, or has no such version; the message holds no credential."""


@dataclass(frozen=True)
class Pinned:
    """The rows of one version."""

    path: Path
    version: int


def fetch_delta(
    source: Delta, root: Path, folder: Path, *, allow: Allow = frozenset, limit: int | None = None
) -> Pinned:
    """Bring one version (the newest, where none is configured) into `folder`; with a `limit` only its first rows.

    A version never changes, so one that is here already is not fetched again. Of columns that `allow` leaves out only the
    names come. Raises DeltaError.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    place = source.path if is_object_url(source.path) else str(root / source.path)
    try:
        table: Any = import_extra("deltalake").DeltaTable(place, version=source.version)
        version, identity = int(table.version()), str(table.metadata().id)
        target, state = folder / "rows.parquet", folder / "state.json"
        names = [field.name for field in table.schema().fields]
        allowed = sorted(allow(names))
        said = {"table": identity, "version": version, "columns": allowed}
        if limit is None and _remembered(state, target, said):
            return Pinned(target, version)
        withheld = [pl.lit(None, pl.String).alias(name) for name in names if name not in allowed]
        rows = pl.scan_delta(table).with_columns(withheld)
        draft = folder / "rows.part"
        (rows if limit is None else rows.head(limit)).sink_parquet(
            draft, row_group_size=_ROW_GROUP, maintain_order=True
        )
        draft.replace(target)
        if limit is None:
            new = state.with_suffix(".new")
            new.write_text(json.dumps({**said, "sha256": hash_file(target)}))
            new.replace(state)
        return Pinned(target, version)
    except MissingExtraError as error:
        raise DeltaError(str(error)) from None
    except Exception as error:  # noqa: BLE001 (the library's own errors are of a private module)
        raise DeltaError(_explain(error, source)) from None


def _explain(error: Exception, source: Delta) -> str:
    name = type(error).__name__
    if name == "TableNotFoundError":
        return "there is no Delta table. Correct the path: the folder that holds _delta_log"
    if source.version is not None and "version" in str(error):
        return (
            f"it has no version {source.version} (any more). Name one that is there, or none for the newest"
        )
    return redact(f"not readable ({name}: {error})")


def _remembered(state: Path, target: Path, said: dict[str, object]) -> bool:
    try:
        known = json.loads(state.read_text())
        return bool(known == {**said, "sha256": hash_file(target)})
    except (OSError, ValueError):
        return False
