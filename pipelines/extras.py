"""Libraries that only some sources need: they come with an extra of this package, and are asked for by its name."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

_EXTRAS: Mapping[str, str] = {"openpyxl": "excel", "deltalake": "delta", "obstore": "objects"}


class MissingExtraError(Exception):
    """The library that a source needs is not installed; the message says how to get it."""


def import_extra(module: str) -> Any:
    """The module, whose library is one of an extra. Raises MissingExtraError."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        library = module.partition(".")[0]
        if (error.name or "").partition(".")[0] != library:
            raise
        extra = _EXTRAS[library]
        raise MissingExtraError(
            f"this needs {library}, which comes with the extra '{extra}': pip install 'aftersale[{extra}]' "
            f"(in a checkout: .venv/bin/pip install -e '.[{extra}]')"
        ) from None
