"""Several files of one source become one table of contract columns: renamed in polars, computed in DuckDB."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from assets.landing import FILE, RECORD, REJECTS
from pipelines.sources.hints import nearest
from pipelines.sources.mapping import Mapped, Plan
from pipelines.sources.opened import QUERY, Opened
from pipelines.sources.preset import insert_own
from pipelines.sources.readers.frame import SOURCE_FILE, SOURCE_RECORD, SourceFile, UnreadableError
from pipelines.sources.readers.plain_text import as_text
from pipelines.sources.readers.sql import (
    check_expression,
    check_query,
    explain_error,
    open_locked,
    quote_name,
    quote_text,
)
from pipelines.sources.readers.typed import DAMAGE, decode_fully, rows_as_json
from pipelines.sources.settings import Source

_KEEP, _FAULT, _VALUE = "aftersale:keep", "aftersale:fault", "aftersale:value"
_WHERE = "where"
# what DuckDB may hand to the core as it is; everything else as text
_NATIVE = (
    "VARCHAR",
    "DATE",
    "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE",
    "BOOLEAN",
    "DOUBLE",
    "FLOAT",
    "VARCHAR[]",
)
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")


@dataclass(frozen=True)
class MappedRows:
    """Mapped rows (contract columns, FILE, RECORD), what SQL could not make of the others, what `where` left out."""

    rows: pl.LazyFrame
    faults: pl.DataFrame
    filtered: int = 0


def map_rows(
    source: Source, plan: Plan, opened: Opened, folder: Path
) -> tuple[MappedRows, Mapping[str, int]]:
    """The rows in contract columns: in polars where all are plain renames, else in DuckDB."""
    _check_every_file(plan, opened.files)
    if source.where is None and not any(m.expression for m in plan.mapped):
        needed = list(dict.fromkeys(m.renamed for m in plan.mapped if not m.personal))
        _check_decodes(opened.files, needed)
        rows, notes = stack(opened.files, needed)
        return rename(rows, plan), notes
    rows, notes = stack(opened.files, opened.columns)
    return compute(
        rows, opened.columns, plan, where=source.where, tokens=source.null_tokens, folder=folder,
        prove=lambda needed: prove(opened.files, needed),
    ), notes  # fmt: skip


def prove(files: Sequence[SourceFile], columns: Collection[str]) -> None:
    """Raise UnreadableError where a file's columns can't be decoded; before polars reads any of them."""
    for file in files:
        try:
            file.prove([name for name in file.columns if name in columns])
        except UnreadableError as error:
            raise UnreadableError(error.reason, error.hint, file.path) from None


def stack(files: Sequence[SourceFile], columns: Sequence[str]) -> tuple[pl.LazyFrame, dict[str, int]]:
    """The files' rows under each other, with SOURCE_FILE; a column a file lacks is null, mixed types become text."""
    schemas = [file.rows.collect_schema() for file in files]
    notes: Counter[str] = Counter()
    types: dict[str, pl.DataType] = {}
    for name in columns:
        found = list(dict.fromkeys(s[name] for s in schemas if name in s))
        types[name] = found[0] if len(found) == 1 else pl.String()
        if len(found) > 1:
            notes[f"mixed_types_read_as_text:{name}"] = 1
    parts = []
    for file, schema in zip(files, schemas, strict=True):
        cells = []
        for name in columns:
            if name not in schema:
                notes[f"column_missing_in_files:{name}"] += 1
                cells.append(pl.lit(None, types[name]).alias(name))
            else:
                cells.append(pl.col(name) if schema[name] == types[name] else as_text(name, schema[name]))
        parts.append(file.rows.select(*cells, pl.lit(file.path).alias(SOURCE_FILE), SOURCE_RECORD))
    return (pl.concat(parts) if len(parts) > 1 else parts[0]), dict(notes)


def rename(rows: pl.LazyFrame, plan: Plan) -> MappedRows:
    """Contract columns where all of them are plain renames."""
    cells = [pl.col(m.renamed).alias(m.column) for m in plan.mapped if not m.personal]
    named = rows.select(*cells, pl.col(SOURCE_FILE).alias(FILE), pl.col(SOURCE_RECORD).alias(RECORD))
    return MappedRows(named, pl.DataFrame(schema=REJECTS))


def compute(
    rows: pl.LazyFrame,
    columns: Sequence[str],
    plan: Plan,
    *,
    where: str | None,
    tokens: Sequence[str],
    folder: Path,
    prove: Callable[[Collection[str]], None],
) -> MappedRows:
    """Contract columns where some are SQL, or rows are filtered.

    `columns` are those of `rows`; cells equal to one of the `tokens` are null to the SQL. Every expression is run as
    TRY(expression); null where all columns it names are not null is a fault. `prove` is told which columns are about to be
    read. Raises UnreadableError for wrong SQL.
    """
    text, out = folder / "text.parquet", folder / "mapped.parquet"
    made = [m for m in plan.mapped if not m.personal]
    with open_locked(folder) as connection:
        inputs = {m.column: _inputs(connection, m.expression, columns) for m in made if m.expression}
        if where is not None:
            inputs[_WHERE] = _inputs(connection, where, columns)
        needed = {m.renamed for m in made if m.renamed}.union(*inputs.values())
        prove(needed)
        count = _sink(rows, [c for c in columns if c in needed], tokens, text)
        try:
            connection.execute(f"CREATE VIEW source AS SELECT * FROM read_parquet({quote_text(str(text))})")
            types = _types(connection, made)
            connection.execute(
                f"COPY ({_sql(made, types, where, inputs)}) TO {quote_text(str(out))} (FORMAT parquet)"
            )
        except duckdb.Error as error:
            raise _wrong_sql(error, columns, inputs) from None
    mapped = pl.scan_parquet(out, glob=False)
    kept = mapped.filter(pl.col(_FAULT).is_null()).select(*(m.column for m in made), FILE, RECORD)
    faults = mapped.filter(pl.col(_FAULT).is_not_null()).select(FILE, RECORD, _FAULT, _VALUE).collect()
    total = int(mapped.select(pl.len()).collect().item())
    return MappedRows(kept, _as_rejects(faults), count - total)


def run_query(
    sources: Mapping[str, tuple[pl.LazyFrame, Sequence[str]]],
    query: str,
    folder: Path,
    own: Sequence[str] = (),
) -> SourceFile:
    """The result of a query over named tables of text, its rows numbered in the order of their values.

    `sources`: name -> (rows, columns) with null tokens already null. `own`: columns to put where a preset's query has
    its mark, unless it makes them itself. Raises UnreadableError for wrong SQL.
    """
    out = folder / "query.parquet"
    with open_locked(folder) as connection:
        check_query(connection, insert_own(query, ()))
        for name, (rows, every) in sources.items():
            columns = [column for column in every if column]  # SQL can't name what has no name
            if not columns:
                raise UnreadableError(f"the files of {name} have no columns", "Export them again")
            text = folder / f"{name}.parquet"
            _sink(rows, columns, (), text)
            shown = ", ".join(quote_name(c) for c in columns)
            connection.execute(
                f"CREATE VIEW {quote_name(name)} AS SELECT {shown} FROM read_parquet({quote_text(str(text))})"
            )
        try:
            plain = insert_own(query, ()).rstrip().rstrip(";")
            made = (
                {name.casefold() for name, *_ in connection.execute(f"DESCRIBE {plain}").fetchall()}
                if own
                else ()
            )
            more = [name for name in own if name.casefold() not in made]
            text_of = insert_own(query, more).rstrip().rstrip(";") if more else plain
            connection.execute(f"CREATE VIEW answer AS\n{text_of}\n")
            cells = [
                f"{_cell(name, kind)} AS {quote_name(name)}"
                for name, kind, *_ in connection.execute("DESCRIBE answer").fetchall()
            ]
            # the order of a GROUP BY is nobody's promise: sorted, the same input numbers its rows alike
            connection.execute(
                f"COPY (SELECT row_number() OVER () AS {quote_name(SOURCE_RECORD)}, * FROM"
                f" (SELECT {', '.join(cells)} FROM answer ORDER BY ALL)) TO {quote_text(str(out))} (FORMAT parquet)"
            )
        except duckdb.Error as error:
            raise UnreadableError(
                f"the query fails: {explain_error(error)}", "Correct it in aftersale.yaml"
            ) from None
    rows = pl.scan_parquet(out, glob=False)
    columns_out = tuple(n for n in rows.collect_schema().names() if n != SOURCE_RECORD)
    count = int(rows.select(pl.len()).collect().item())
    return SourceFile(QUERY, columns_out, rows, count, lambda numbers: rows_as_json(rows, numbers))


def null_tokens(columns: Sequence[str], schema: pl.Schema, tokens: Sequence[str]) -> list[pl.Expr]:
    """The columns with the words for "nothing" made null, for SQL that should not meet them."""
    words = pl.Series(list(tokens), dtype=pl.String)
    return [
        pl.when(pl.col(name).is_in(words.implode())).then(None).otherwise(pl.col(name)).alias(name)
        if tokens and schema[name] == pl.String
        else pl.col(name)
        for name in columns
    ]


def _sink(rows: pl.LazyFrame, columns: Sequence[str], tokens: Sequence[str], path: Path) -> int:
    """Write what SQL will see; returns the number of rows."""
    schema = rows.collect_schema()
    internal = [n for n in (SOURCE_FILE, SOURCE_RECORD) if n in schema]
    try:
        rows.select(*null_tokens(columns, schema, tokens), *internal).sink_parquet(path, compression="lz4")
        return int(pl.scan_parquet(path, glob=False).select(pl.len()).collect().item())
    except DAMAGE as error:
        raise UnreadableError(
            f"the data can't be decoded ({str(error).splitlines()[0][:160]})", "Fetch the file again"
        ) from None


def _inputs(
    connection: duckdb.DuckDBPyConnection, expression: str, columns: Sequence[str]
) -> tuple[str, ...]:
    named = check_expression(connection, expression)
    return tuple(c for c in columns if c.casefold() in named)


def _types(connection: duckdb.DuckDBPyConnection, made: Sequence[Mapped]) -> dict[str, str]:
    cells = [f"TRY(\n{m.expression}\n) AS {quote_name(m.column)}" for m in made if m.expression]
    if not cells:
        return {}
    described = connection.execute(f"DESCRIBE SELECT {', '.join(cells)} FROM source").fetchall()
    return {name: kind for name, kind, *_ in described}


def _cell(name: str, kind: str) -> str:
    if kind.startswith("TIMESTAMP_"):
        return f"CAST({quote_name(name)} AS TIMESTAMP)"
    native = kind in _NATIVE or kind in _INTEGERS or kind.startswith("DECIMAL(")
    return quote_name(name) if native else f"CAST({quote_name(name)} AS VARCHAR)"


def _sql(
    made: Sequence[Mapped], types: Mapping[str, str], where: str | None, inputs: Mapping[str, tuple[str, ...]]
) -> str:
    """Inner: the values and whether their inputs were there. Outer: which value is a fault. Rows left out are gone."""
    file, record = f"{quote_name(SOURCE_FILE)} AS {FILE}", f"{quote_name(SOURCE_RECORD)} AS {RECORD}"
    inner = [
        file,
        record,
        f"TRY(\n{where}\n) AS {quote_name(_KEEP)}" if where else f"true AS {quote_name(_KEEP)}",
    ]
    faults: list[str] = []
    values: list[str] = []
    for m in made:
        value = f"TRY(\n{m.expression}\n)" if m.expression else quote_name(m.renamed)
        inner.append(f"{value} AS {quote_name(m.column)}")
    for name, columns in inputs.items():
        if not columns:  # a constant may be null
            continue
        given, shown = quote_name(f"aftersale:given {name}"), quote_name(f"aftersale:shown {name}")
        inner.append(f"({' AND '.join(f'{quote_name(c)} IS NOT NULL' for c in columns)}) AS {given}")
        inner.append(
            f"concat_ws(', ', {', '.join(f'CAST({quote_name(c)} AS VARCHAR)' for c in columns)}) AS {shown}"
        )
        result = _KEEP if name == _WHERE else name
        broken = f"WHEN {given} AND {quote_name(result)} IS NULL"
        at = 0 if name == _WHERE else len(faults)  # an undecided `where` comes first
        faults.insert(at, f"{broken} THEN {quote_text(name)}")
        values.insert(at, f"{broken} THEN {shown}")
    cells = [
        f"{_cell(m.column, types.get(m.column, 'VARCHAR'))} AS {quote_name(m.column)}"
        for m in made
        if m.expression
    ]
    cells += [quote_name(m.column) for m in made if not m.expression]
    fault = f"CASE {' '.join(faults)} END" if faults else "NULL::VARCHAR"
    value = f"CASE {' '.join(values)} END" if values else "NULL::VARCHAR"
    outer = [FILE, RECORD, *cells, f"{fault} AS {quote_name(_FAULT)}", f"{value} AS {quote_name(_VALUE)}"]
    wanted = f"{quote_name(_KEEP)} OR {quote_name(_FAULT)} = {quote_text(_WHERE)}"
    return f"SELECT {', '.join(outer)} FROM (SELECT {', '.join(inner)} FROM source) WHERE {wanted}"


def _wrong_sql(
    error: duckdb.Error, columns: Sequence[str], inputs: Mapping[str, tuple[str, ...]]
) -> UnreadableError:
    said = explain_error(error)
    unknown = said.split('Referenced column "')[1].split('"')[0] if 'Referenced column "' in said else ""
    if unknown:
        return UnreadableError(
            f"the SQL names a column {unknown!r} that the source lacks", nearest(unknown, columns)
        )
    return UnreadableError(
        f"the SQL fails: {said}", f"Correct it in aftersale.yaml (SQL is used for {', '.join(inputs)})"
    )


def _as_rejects(faults: pl.DataFrame) -> pl.DataFrame:
    """Faults in REJECTS' shape, `raw` still empty."""
    where = pl.col(_FAULT) == _WHERE
    return faults.sort(FILE, RECORD).select(
        pl.col(FILE).alias("file"),
        pl.col(RECORD).alias("record"),
        pl.when(where).then(pl.lit("")).otherwise(_FAULT).alias("column"),
        pl.when(where).then(pl.lit(_WHERE)).otherwise(pl.lit("expression")).alias("reason"),
        pl.col(_VALUE).alias("value"),
        pl.lit(None, pl.String).alias("raw"),
    )


def _check_every_file(plan: Plan, files: Sequence[SourceFile]) -> None:
    """A column that must be mapped must be in every file of a glob: a file without it is another export."""
    needed = [m.renamed for m in plan.mapped if m.required and m.renamed]
    for file in files:
        for name in needed:
            if name not in file.columns:
                hint = f"Other files of this source have it: {nearest(name, file.columns)} Read the files as two tables of a query"
                raise UnreadableError(f"the column {name!r} is missing", hint, file.path)


def _check_decodes(files: Sequence[SourceFile], needed: Sequence[str]) -> None:
    """Damaged Parquet pages block here, not in the middle of a later step."""
    for file in files:
        if not file.typed:
            continue
        prove([file], needed)
        rows = decode_fully(file.rows.select(*(c for c in needed if c in file.columns), SOURCE_RECORD))
        if rows != file.records:
            said = f"it holds {rows:,} rows, its footer says {file.records:,}"
            raise UnreadableError(said, "Fetch it again", file.path)
