"""The keys of `aftersale.yaml` and the values they take, each checked alone. What hangs together: `config.py`."""

from __future__ import annotations

import codecs
import re
from datetime import date
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from assets.landing import Reading
from pipelines.objects import is_object_url

DATABASE = "database"
"""Stands for the file where rows come out of a database."""
_NAME = (
    r"([A-Za-z_]|<object>)([A-Za-z0-9_$]|<object>)*"  # <object>: where a preset puts the names of its objects
)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # a folder, a path, a name that isn't there
        raise ValueError(f"{name!r} is no IANA time zone such as America/New_York") from None
    return name


def _codec(name: str) -> str:
    try:
        known = codecs.lookup(name)
        "".encode(name)  # refuses codecs that don't make text, such as zip
    except (LookupError, ValueError):
        raise ValueError(f"{name!r} is no text encoding such as utf-8, cp1252 or utf-16") from None
    return known.name


def _one_byte(mark: str) -> str:
    mark = mark.replace("\\t", "\t")
    if len(mark.encode()) != 1 or mark in '\r\n\0"':
        raise ValueError("must be one ASCII character, and neither a line end nor a quote")
    return mark


def _quote(mark: str) -> str:
    if len(mark.encode()) > 1 or (mark and (mark in "\r\n\0" or mark.isalnum())):
        raise ValueError("must be one ASCII character, or empty where the file quotes nothing")
    return mark


def _day(value: object) -> object:
    return date.fromisoformat(value) if isinstance(value, str) else value


def _web_address(url: str) -> str:
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise ValueError("must be an address that starts with https:// or http://")
    return url


def _identifier(name: str) -> str:
    if not _IDENTIFIER.match(name):
        raise ValueError(f"{name!r} must be letters, digits and underscores")
    return name


Day = Annotated[date, BeforeValidator(_day)]
Zone = Annotated[str, AfterValidator(_zone)]
Share = Annotated[float, Field(ge=0, le=1)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class Strict(BaseModel):
    """Unknown keys and values of another type are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ChurnSettings(Strict):
    """How a customer is lost."""

    kind: Literal["contract", "inactivity"] = "contract"
    days: Annotated[int, Field(ge=1, le=3660)] | None = None

    @model_validator(mode="after")
    def _days_where_needed(self) -> ChurnSettings:
        if self.kind == "inactivity" and self.days is None:
            raise ValueError("churn by inactivity needs 'days', such as {kind: inactivity, days: 90}")
        return self


class CompanySettings(Strict):
    """What the firm is."""

    reporting_currency: Currency
    timezone: Zone
    fiscal_start_month: Annotated[int, Field(ge=1, le=12)] = 1
    churn: ChurnSettings = ChurnSettings()
    as_of: Day | None = None
    history_from: Annotated[str, Field(pattern=r"^[12][0-9]{3}-(0[1-9]|1[0-2])$")] | None = None
    cooling_off_days: Annotated[int, Field(ge=0, le=366)] = 14
    demo_seed: int | None = None


class Layout(Strict):
    """How the bytes of a file become text cells."""

    delimiter: Annotated[str, AfterValidator(_one_byte)] | None = None
    quote: Annotated[str, AfterValidator(_quote)] = '"'
    encoding: Annotated[str, AfterValidator(_codec)] | None = None
    null_tokens: list[str] = [""]
    sheet: str | None = None
    header_row: Annotated[int, Field(ge=1)] | None = None


def _without_credentials(path: str) -> str:
    if "@" in urlsplit(path).netloc and len(urlsplit(path).scheme) > 1:
        raise ValueError("must hold no credentials: they belong in the environment")
    return path


def _object_store(url: str) -> str:
    parts = urlsplit(url)
    if not is_object_url(url) or not parts.netloc or any(mark in url for mark in "?#*[<"):
        raise ValueError("must be a place in an object store, such as s3://bucket/folder")
    return url


def _database(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.scheme not in {"postgresql", "sqlite"}:
        raise ValueError("must start with postgresql:// or sqlite://")
    if parts.password:
        raise ValueError("must hold no password: use 'uri_env' and keep the address in the environment")
    return uri


class Database(Strict):
    """A database, and what to ask of it. `overlap`: seconds (units, for a number) of the cursor that are read again."""

    uri: Annotated[str, AfterValidator(_database)] | None = None
    uri_env: Annotated[str, AfterValidator(_identifier)] | None = None
    table: Annotated[str, Field(pattern=rf"^{_NAME}(\.{_NAME})?$")] | None = None
    query: Annotated[str, Field(min_length=1)] | None = None
    cursor: Annotated[str, AfterValidator(_identifier)] | None = None
    overlap: Annotated[int, Field(ge=0)] = 3_600
    key: list[Annotated[str, AfterValidator(_identifier)]] = []

    @model_validator(mode="after")
    def _one_of_each(self) -> Database:
        if (self.uri is None) == (self.uri_env is None):
            raise ValueError(
                "needs 'uri', or 'uri_env' with the name of an environment variable that holds it"
            )
        if (self.table is None) == (self.query is None):
            raise ValueError("needs either 'table' or 'query'")
        if self.cursor is not None and not self.key:
            raise ValueError("'cursor' needs 'key' as well: without it deletes would never be seen")
        return self


class Delta(Strict):
    """A Delta table, and which of its versions; the newest where none is named."""

    path: Annotated[str, Field(min_length=1), AfterValidator(_without_credentials)]
    version: Annotated[int, Field(ge=0)] | None = None


class FileEntry(Layout):
    """One input of a query: a file or glob, or an answer of a database or Delta table."""

    path: Annotated[str, AfterValidator(_without_credentials)] = ""
    sql: Database | None = None
    delta: Delta | None = None

    @model_validator(mode="after")
    def _one_place(self) -> FileEntry:
        if bool(self.path) + (self.sql is not None) + (self.delta is not None) != 1:
            raise ValueError("needs exactly one of 'path', 'sql' or 'delta'")
        return self


class Source(Layout):
    """Where one source table comes from, and how its columns are made."""

    path: Annotated[str, Field(min_length=1), AfterValidator(_without_credentials)] | None = None
    files: dict[Annotated[str, AfterValidator(_identifier)], FileEntry] | None = None
    query: str | None = None
    sql: Database | None = None
    delta: Delta | None = None
    rows: list[dict[str, str | None]] | None = None
    preset: str | None = None
    columns: dict[str, Annotated[str, Field(min_length=1)]] = {}
    where: Annotated[str, Field(min_length=1)] | None = None
    decimal: Literal[".", ","] = "."
    thousands: Annotated[str, Field(max_length=1)] = ""
    date_format: str = ""
    timestamp_format: str = ""
    timezone: Annotated[str, AfterValidator(lambda z: z and _zone(z))] = ""
    currency_symbols: str = ""
    parentheses_negative: bool = False
    max_reject_share: Share = 0.01
    max_contradiction_share: Share = 0.25
    max_vanished_share: Share | None = None
    on_block: Literal["stop", "stale"] = "stop"
    complete_until: Day | None = None
    pseudonymise: list[str] = []

    @property
    def reading(self) -> Reading:
        """How the core is to understand the text."""
        same = (
            "decimal",
            "thousands",
            "currency_symbols",
            "parentheses_negative",
            "date_format",
            "timestamp_format",
        )
        limits = ("timezone", "max_reject_share", "max_contradiction_share")
        return Reading(null_tokens=tuple(self.null_tokens), **{n: getattr(self, n) for n in (*same, *limits)})

    @property
    def entries(self) -> dict[str, FileEntry]:
        """The files of this source; the single file or glob of a plain source is called `source`."""
        if self.files is not None:
            return self.files
        if self.path is None and self.sql is None and self.delta is None:
            return {}
        layout = {name: getattr(self, name) for name in Layout.model_fields}
        return {"source": FileEntry(path=self.path or "", sql=self.sql, delta=self.delta, **layout)}

    @property
    def asks_a_database(self) -> bool:
        """Whether rows come out of a database: it is asked by the schedules, not every minute."""
        return any(entry.sql is not None for entry in self.entries.values())


class Alerts(Strict):
    """Whom to tell."""

    webhook: Annotated[str, AfterValidator(_web_address)] | None = None


class ScheduleSettings(Strict):
    """When to run; off where nothing is said."""

    daily: Annotated[str, Field(pattern=r"^([01]?[0-9]|2[0-3]):[0-5][0-9]$")] | None = None


class PublishSettings(Strict):
    """What a snapshot holds."""

    restricted: bool = False
    to: Annotated[str, AfterValidator(_without_credentials), AfterValidator(_object_store)] | None = None


class Root(Strict):
    """The whole file."""

    company: CompanySettings
    sources: dict[str, Source]
    alerts: Alerts = Alerts()
    schedule: ScheduleSettings = ScheduleSettings()
    publish: PublishSettings = PublishSettings()
