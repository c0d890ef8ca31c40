"""`aftersale init`: what lies in a folder, recognised by names and columns, and a configuration proposed from it."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import walk
from os.path import relpath
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from expectations.contracts import SOURCES
from expectations.model import Presence, Table
from pipelines.sources.catalogue import DatabaseTable
from pipelines.sources.preset import OBJECT, Preset, list_presets, read_preset
from pipelines.sources.readers.compression import COMPRESSIONS, strip_suffix
from pipelines.sources.readers.frame import UnreadableError
from pipelines.sources.readers.workbook import sheet_header

_DEPTH, _MOST_FILES, _FIRST_BYTES = 4, 5_000, 1 << 18
_SUFFIX = re.compile(
    r"\.(?:(?:csv|tsv|txt|jsonl|ndjson)(?:\.gz|\.zst)?|parquet|pq|xlsx|xlsm)\Z", re.IGNORECASE
)
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")  # what a key may be called in a configuration
_DELIMITERS = {".tsv": "\t"}
# where several systems know the same table: the CRM knows it best
_ORDER = ("salesforce", "hubspot", "stripe", "recurly", "zendesk", "jira")
_FIRST = {"complaints": "zendesk", "feedback": "zendesk", "feedback_events": "zendesk"}
_OF = {"subscription_events": "subscriptions", "feedback_events": "feedback"}


@dataclass(frozen=True)
class Found:
    """One proposed source. `from_what`: the system, or the file's own columns."""

    table: str
    entry: str
    from_what: str


@dataclass(frozen=True)
class Proposal:
    """What to write into aftersale.yaml. `missing`: tables that are needed and were not recognised.

    `passed_over`: (table, system) where another system makes the table.
    """

    found: tuple[Found, ...]
    missing: tuple[str, ...]
    unrecognised: tuple[str, ...]
    passed_over: tuple[tuple[str, str], ...] = ()


def propose(folder: Path, relative_to: Path) -> Proposal:
    """Look at the names and columns of the files below a folder; paths are given relative to `relative_to`."""
    headers = {_shown(path, relative_to): _header(path) for path in sorted(_files(folder))}
    return _propose(headers, lambda path: f"path: {json.dumps(path, ensure_ascii=False)}", {})


def propose_tables(tables: Sequence[DatabaseTable], address: str) -> Proposal:
    """Look at the catalogue of a database. `address`: how the configuration names it, such as `uri_env: CRM_DATABASE`."""
    by_name = {table.name: table for table in tables}

    def place(name: str) -> str:
        key = list(by_name[name].key) if name in by_name else []
        usable = key and all(map(_PLAIN.match, key))
        shown = f", key: {json.dumps(key)}" if usable else ""
        return f"sql: {{{address}, table: {json.dumps(name)}{shown}}}"

    remarks = {
        t.name: f"cursor: {t.likely_cursor} would read only changes"
        for t in tables
        if t.key and t.likely_cursor
    }
    return _propose({t.name: frozenset(t.columns) for t in tables}, place, remarks)


def _propose(
    headers: Mapping[str, frozenset[str]], place: Callable[[str], str], remarks: Mapping[str, str]
) -> Proposal:
    """What the names and columns of files or tables say. `place` writes where one lies; `remarks` go beside it."""
    templates = _recognise(headers)
    found: dict[str, Found] = {}
    could: list[tuple[str, str]] = []
    used: set[str] = set()
    by_rank = sorted(templates.items(), key=lambda item: (_ORDER.index(item[1][0].name), item[0]))
    for template, (preset, objects) in by_rank:
        used |= {template.replace(OBJECT, name) for name in objects}
        for table, made in preset.tables.items():
            main = made.main in objects or any(n in objects for n in made.stand_ins)
            if main and all(n in objects for n, needed in made.objects.items() if needed):
                entry = f"{{preset: {preset.name}, {place(template)}}}"
                one = Found(table, entry, preset.system)
                could.append((table, preset.system))
                if table not in found or preset.name == _FIRST.get(table):
                    found[table] = one
    for child, parent in _OF.items():  # events of one system mean nothing to the rows of another
        if child in found and (parent not in found or found[parent].from_what != found[child].from_what):
            del found[child]
    for path, header in headers.items():
        if path not in used and (own := _as_table(path, header)) is not None:
            table, renamed = own
            shown = ", ".join(f"{k}: {json.dumps(v, ensure_ascii=False)}" for k, v in renamed.items())
            columns = f", columns: {{{shown}}}" if renamed else ""
            entry = f"{{{place(path)}{columns}}}"
            said = "; ".join(filter(None, ("its own columns", remarks.get(path))))
            found.setdefault(table, Found(table, entry, said))
            used.add(path)
    missing = tuple(n for n, t in SOURCES.items() if t.required and n not in found)
    ordered = tuple(found[name] for name in SOURCES if name in found)
    chosen = {(one.table, one.from_what) for one in ordered}
    passed_over = tuple(sorted(pair for pair in set(could) - chosen if pair[0] in found))
    return Proposal(ordered, missing, tuple(path for path in headers if path not in used), passed_over)


def write_proposal(proposal: Proposal, currency: str, timezone: str) -> str:
    """The text of aftersale.yaml."""
    lines = [
        "# Proposed by `aftersale init`. What it could not see: the reporting currency, the time zone, how customers are lost.",
        f"company: {{reporting_currency: {currency}, timezone: {timezone}, churn: {{kind: contract}}}}",
        "# without contracts: churn: {kind: inactivity, days: 90}",
        "sources:",
    ]
    lines += [f"  {one.table}: {one.entry}  # {one.from_what}" for one in proposal.found]
    lines += [
        f"  # {name}: {{path: FILE}}  needed; `aftersale template {name}` gives its columns"
        for name in proposal.missing
    ]
    return "\n".join(lines) + "\n"


def _recognise(headers: Mapping[str, frozenset[str]]) -> dict[str, tuple[Preset, frozenset[str]]]:
    """Path with OBJECT -> the preset that explains most of its files, and the objects found there (at least two)."""
    best: dict[str, tuple[Preset, frozenset[str]]] = {}
    for preset in map(read_preset, list_presets()):
        seen: dict[str, set[str]] = {}
        for name, known in preset.objects.items():
            pattern = re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])")
            for path, header in headers.items():
                needed = {column for column, must in known.columns.items() if must}
                if needed <= set(known.find(header)):
                    for hit in pattern.finditer(path):
                        seen.setdefault(f"{path[: hit.start()]}{OBJECT}{path[hit.end() :]}", set()).add(name)
        for template, names in seen.items():
            if len(names) >= (len(best[template][1]) + 1 if template in best else 2):
                best[template] = preset, frozenset(names)
    # a file explained by two templates belongs to the one that explains more
    kept: dict[str, tuple[Preset, frozenset[str]]] = {}
    taken: set[str] = set()
    for template, (preset, known_objects) in sorted(
        best.items(), key=lambda item: (-len(item[1][1]), item[0])
    ):
        free = frozenset(n for n in known_objects if template.replace(OBJECT, n) not in taken)
        if len(free) >= 2:
            kept[template] = preset, free
            taken |= {template.replace(OBJECT, n) for n in free}
    return kept


def _as_table(path: str, header: frozenset[str]) -> tuple[str, dict[str, str]] | None:
    """The source table that a file is named after and has the needed columns of; columns spelt otherwise, renamed."""
    stem = _fold(_SUFFIX.sub("", Path(path).name))
    named = [t for t in SOURCES.values() if _fold(t.name) in stem]
    for table in sorted(named, key=lambda t: -len(t.name)):
        spelt = {_fold(name): name for name in header}
        renamed = {
            c.name: spelt[_fold(c.name)]
            for c in table.door
            if c.name not in header and _fold(c.name) in spelt
        }
        if _needed(table) <= header | set(renamed):
            return table.name, renamed
    return None


def _needed(table: Table) -> set[str]:
    return {c.name for c in table.door if c.presence in {Presence.MAPPED, Presence.REQUIRED}}


def _files(folder: Path) -> Iterator[Path]:
    seen = 0
    for at, folders, names in walk(folder):
        here = Path(at)
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        if len(here.relative_to(folder).parts) >= _DEPTH:
            folders.clear()
        for name in sorted(names):
            if _SUFFIX.search(name) and not name.startswith(".") and seen < _MOST_FILES:
                seen += 1
                yield here / name


def _header(path: Path) -> frozenset[str]:
    """The columns of a file; none where they can't be read: `aftersale check` says why."""
    try:
        if path.suffix.lower() in {".parquet", ".pq"}:
            return frozenset(pq.read_schema(path).names)
        if path.suffix.lower() in {".xlsx", ".xlsm"}:
            return frozenset(name for name in sheet_header(path) if name)
        first = _first_bytes(path).decode("utf-8-sig", "replace").splitlines()[0]
        plain = Path(strip_suffix(path.name.lower()))
        if plain.suffix in {".jsonl", ".ndjson"}:
            return frozenset(json.loads(first))
        return frozenset(next(csv.reader([first], delimiter=_DELIMITERS.get(plain.suffix, ","))))
    except (
        OSError,
        ValueError,
        IndexError,
        StopIteration,
        csv.Error,
        pa.ArrowException,
        UnreadableError,
    ):
        return frozenset()


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        chunks = iter(lambda: file.read(_FIRST_BYTES), b"")
        for known in COMPRESSIONS:
            if path.suffix.lower() == known.suffix:
                chunks = known.expand(chunks)
        return next(chunks, b"")


def _shown(path: Path, start: Path) -> str:
    return Path(relpath(path, start)).as_posix()


def _fold(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())
