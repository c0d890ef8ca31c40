"""What a typed value says, as text: for types no contract kind holds, for files that disagree on a type, for rejects."""

from __future__ import annotations

import polars as pl

_EXACT_FLOAT = 2.0**53  # above it a float no longer names one integer


def as_text(name: str, dtype: pl.DataType) -> pl.Expr:
    """A column of any type as text that reads as the same value, or as nothing readable, but never as a null or an error.

    The id 12.0 is 12, as it is where all files hold floats. Bytes are text where they are UTF-8, else hexadecimal.
    """
    column = pl.col(name)
    if dtype.is_float():
        whole = (column == column.floor()) & (column.abs() < _EXACT_FLOAT)
        digits = pl.when(whole).then(column).cast(pl.Int64()).cast(pl.String())
        return pl.coalesce(digits, column.cast(pl.String())).alias(name)
    if isinstance(dtype, pl.Binary):
        return column.map_batches(_decode, return_dtype=pl.String(), is_elementwise=True)
    if isinstance(dtype, pl.Duration):
        return column.dt.to_string()
    return _nested_as_text(name, dtype) if dtype.is_nested() else column.cast(pl.String(), strict=False)


def _nested_as_text(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(dtype, pl.List) and not isinstance(
        dtype.inner, pl.List | pl.Array | pl.Struct | pl.Binary | pl.Duration
    ):
        return column.cast(pl.List(pl.String())).list.join(",", ignore_nulls=True)
    json = column.struct if isinstance(dtype, pl.Struct) else pl.struct(column).struct
    # polars can't write bytes as JSON
    shown = pl.lit(f"<{dtype}>") if _holds_bytes(dtype) else json.json_encode()
    return pl.when(column.is_not_null()).then(shown).alias(name)


def _decode(values: pl.Series) -> pl.Series:
    try:
        return values.cast(pl.String())
    except pl.exceptions.ComputeError:  # one value that is no UTF-8 fails the whole batch
        return pl.Series(values.name, [_text_of(value) for value in values], pl.String())


def _text_of(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"0x{value.hex()}"


def _holds_bytes(dtype: object) -> bool:
    if isinstance(dtype, pl.List | pl.Array):
        return _holds_bytes(dtype.inner)
    if isinstance(dtype, pl.Struct):
        return any(_holds_bytes(field.dtype) for field in dtype.fields)
    return isinstance(dtype, pl.Binary | pl.Object)
