"""The last step: a closed set of tables appears as one snapshot, or not at all."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from assets.table import SourceAsset, TableAsset
from pipelines.warehouse.snapshots import NeverMadeError
from pipelines.workshop import RunWorkshop

SNAPSHOT = dg.AssetKey(["published", "snapshot"])


def build_snapshot_asset(tables: Sequence[TableAsset | SourceAsset]) -> dg.AssetsDefinition:
    """The asset that publishes all tables of the graph together."""
    paths = [asset.contract.path for asset in tables]

    @dg.asset(
        key=SNAPSHOT,
        deps=[dg.AssetKey(path.split("/")) for path in paths],
        group_name="published",
        kinds={"parquet", "duckdb"},
        description=(
            "The published snapshot: all tables of one moment, with catalogue, dictionary and the board's page.\n\n"
            "Analysts read `published/latest`. Appears only when every table passed its checks and was made from the "
            "same versions of its inputs."
        ),
        required_resource_keys={"workshop"},
        code_version="1",
    )
    def snapshot(context: dg.AssetExecutionContext) -> Iterator[Any]:
        workshop: RunWorkshop = context.resources.workshop
        heads = {path: workshop.head(path) for path in paths}
        if missing := [path for path, version in heads.items() if version is None]:
            raise NeverMadeError(missing)
        versions = {path: version for path, version in heads.items() if version is not None}
        published = workshop.publish(versions)
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(str(published.number)),
            metadata={
                "snapshot": published.number,
                "fresh": published.fresh,
                "as_of": published.as_of,
                "path": dg.MetadataValue.path(str(published.path)),
                "tables": len(published.tables),
                "files": len(published.files),
            },
        )

    return snapshot
