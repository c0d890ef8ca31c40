"""YAML that can't surprise: no aliases, no tags, no duplicate keys, no sexagesimal numbers; every value keeps its line.

Knows nothing of what the document means; `config.py` does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]

_MAX_BYTES = 4 << 20  # rows written in the file are small tables; anything larger belongs in a CSV
_MAX_DEPTH = 12
_PREFIX = "tag:yaml.org,2002:"
_SCALARS = {
    # YAML 1.2's core words only: `no` stays a word, 06:30 stays a time, 2025-01-01 stays text until a field wants a date
    "null": (re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]),
    "bool": (re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF")),
    "int": (re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z"), list("-+0123456789")),
    "float": (re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?\Z"), list("-+.0123456789")),
}


class ConfigError(Exception):
    """The configuration is wrong (exit 4). `line` is 1-based; `key` is the dotted path of the entry at fault."""

    def __init__(self, file: Path | str, line: int, key: str, message: str) -> None:
        at = f" {key}:" if key else ""
        super().__init__(f"{file}, line {line}:{at} {message}")
        self.file, self.line, self.key, self.message = str(file), line, key, message


class _Loader(yaml.SafeLoader):
    """A SafeLoader that resolves only `_SCALARS`."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's own shape)


for _tag, (_pattern, _first) in _SCALARS.items():
    for _letter in _first:
        _Loader.yaml_implicit_resolvers.setdefault(_letter, []).append((_PREFIX + _tag, _pattern))


@dataclass(frozen=True)
class Document:
    """A parsed file: plain values, and for each path of keys the line it stands on."""

    file: Path
    value: Value
    lines: Mapping[tuple[str | int, ...], int]

    def line(self, path: tuple[str | int, ...]) -> int:
        """Line of the entry at `path`, or of the nearest entry around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def error(self, path: tuple[str | int, ...], message: str) -> ConfigError:
        """A ConfigError that points at `path`."""
        return ConfigError(self.file, self.line(path), ".".join(str(p) for p in path), message)


def read_document(file: Path, verbatim: frozenset[str] = frozenset()) -> Document:
    """Parse `file` strictly.

    Scalars below a key named in `verbatim` stay the text that was written (0.10 keeps its zero), null excepted.
    Raises ConfigError for an unreadable file, a syntax error, an alias or anchor, a tag, a duplicate key, a key that
    is not text, and documents nested or long beyond reason.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigError(
            file, 1, "", f"can't be read: {error.strerror or error}. Name another with --config"
        ) from None
    if len(data) > _MAX_BYTES:
        raise ConfigError(file, 1, "", f"is {len(data):,} bytes long; at most {_MAX_BYTES:,} make sense here")
    try:
        text = data.decode("utf-8-sig")
        _refuse_aliases(file, text)
        node = _Loader(text).get_single_node()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(file, line, "", "is not UTF-8 text: save it as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ConfigError(
            file, mark.line + 1 if mark else 1, "", f"not valid YAML: {error.problem}"
        ) from None
    except yaml.reader.ReaderError as error:
        line = data.decode("utf-8-sig").count("\n", 0, error.position) + 1
        raise ConfigError(file, line, "", "holds a control character") from None
    except RecursionError:
        raise ConfigError(file, 1, "", f"is nested deeper than {_MAX_DEPTH} levels") from None
    lines: dict[tuple[str | int, ...], int] = {(): 1}
    value = None if node is None else _Builder(file, lines, verbatim).build(node, (), as_text=False)
    return Document(file, value, lines)


def _refuse_aliases(file: Path, text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if anchor := getattr(event, "anchor", None):  # an alias event carries one as well
            said = f"anchors and aliases ({anchor}) are not allowed: write the value out"
            raise ConfigError(file, line, "", said)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH:
            raise ConfigError(file, line, "", f"is nested deeper than {_MAX_DEPTH} levels")


@dataclass(frozen=True)
class _Builder:
    file: Path
    lines: dict[tuple[str | int, ...], int]
    verbatim: frozenset[str]

    def build(self, node: yaml.Node, path: tuple[str | int, ...], *, as_text: bool) -> Value:
        """Plain value of a node; notes its line under `path`."""
        self.lines.setdefault(path, node.start_mark.line + 1)
        kind = node.tag.removeprefix(_PREFIX)
        if isinstance(node, yaml.MappingNode) and kind == "map":
            return self._mapping(node, path, as_text=as_text)
        if isinstance(node, yaml.SequenceNode) and kind == "seq":
            return [self.build(item, (*path, i), as_text=as_text) for i, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and kind in {"str", *_SCALARS}:
            return self._scalar(node, kind, as_text=as_text)
        raise ConfigError(
            self.file, node.start_mark.line + 1, _dotted(path), f"the tag {node.tag!r} is not allowed"
        )

    def _mapping(self, node: yaml.MappingNode, path: tuple[str | int, ...], *, as_text: bool) -> Value:
        made: dict[str, Value] = {}
        for key_node, value_node in node.value:
            line, key = key_node.start_mark.line + 1, key_node.value
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag.removeprefix(_PREFIX) not in {
                "str",
                *_SCALARS,
            }:
                raise ConfigError(self.file, line, _dotted(path), "a key must be a plain word")
            if key in made:
                first = self.lines[*path, key]
                raise ConfigError(
                    self.file, line, _dotted((*path, key)), f"the key is there twice, first on line {first}"
                )
            self.lines[*path, key] = line
            made[key] = self.build(value_node, (*path, key), as_text=as_text or key in self.verbatim)
        return made

    @staticmethod
    def _scalar(node: yaml.ScalarNode, kind: str, *, as_text: bool) -> Value:
        text: str = node.value
        match kind:
            case "null":
                return None
            case _ if as_text:
                return text
            case "bool":
                return text.lower() == "true"
            case "int":
                return int(text) if len(text) < 20 else text  # longer ones are ids
            case "float":
                return float(text)
        return text


def _dotted(path: tuple[str | int, ...]) -> str:
    return ".".join(str(p) for p in path)
