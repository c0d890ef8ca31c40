"""What is wrong with a configuration, in the user's words instead of pydantic's."""

from __future__ import annotations

from pydantic import BaseModel, ValidationError

from pipelines.sources.hints import nearest
from pipelines.sources.settings import (
    Alerts,
    ChurnSettings,
    CompanySettings,
    Database,
    Delta,
    FileEntry,
    PublishSettings,
    Root,
    ScheduleSettings,
    Source,
)
from pipelines.sources.strict_yaml import ConfigError, Document

_WORDS = {
    "missing": "is missing",
    "string_type": "must be text: put it in quotes",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping of keys",
    "list_type": "must be a list",
    "model_type": "must be a mapping of keys",
}


def as_config_error(document: Document, error: ValidationError) -> ConfigError:
    """The first problem of a validation, in the user's words."""
    problem = error.errors(include_url=False)[0]
    path = tuple(p for p in problem["loc"] if p != "[key]")
    kind, said = problem["type"], problem["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return document.error(path, f"unknown key: {_key_hint(path)}")
    if kind == "missing":
        return document.error(path, f"the key {path[-1]!r} is missing")
    if kind == "value_error" and "isoformat" in said:
        said = "must be a day such as 2025-12-31"
    if kind == "string_pattern_mismatch":
        said = f"{problem['input']!r} has not the form asked for ({problem['ctx']['pattern'].strip('^$')})"
    return document.error(path, _WORDS.get(kind, said))


def _key_hint(path: tuple[str | int, ...]) -> str:
    models: dict[tuple[str | int, ...], type[BaseModel]] = {
        (): Root,
        ("company",): CompanySettings,
        ("company", "churn"): ChurnSettings,
        ("alerts",): Alerts,
        ("schedule",): ScheduleSettings,
        ("publish",): PublishSettings,
    }
    around, word = path[:-1], str(path[-1])
    if around[:1] == ("sources",):
        nested: dict[str, type[BaseModel]] = {"sql": Database, "delta": Delta, "files": FileEntry}
        model = next((m for key, m in nested.items() if key in around), Source)
        if model is FileEntry and word in Source.model_fields:
            return f"{word!r} stands on the table, not on a file of its query"
    else:
        model = models.get(around, Root)
    return nearest(word, model.model_fields)
