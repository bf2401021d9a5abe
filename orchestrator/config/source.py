"""YAML read as people mean it: every value with its place, and none of the surprises of YAML 1.1."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import yaml  # noqa: TID251 - the one place

from orchestrator.declared import Where
from orchestrator.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from orchestrator.model import Json

DEEPEST = 40
MOST_REPEATED = 100_000

_CONSTANTS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?\d{1,18}", re.ASCII)
_NUMBER_LIKE = re.compile(r"[-+]?(0\d+|\d{19,}|0[ox][\da-fA-F]+)", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d{1,2})?", re.ASCII)
_REMARK = re.compile(r"(?:^|(?<=\s))(?P<sign>#)\s*strongroom:(?P<said>.*?)(?=\s#|$)")
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NO_TOKEN = "found character that cannot start any token"  # noqa: S105 - a parser's token
_IN_OUR_WORDS = {
    _NO_TOKEN: "a text cannot begin with this character; quote it",
    "mapping values are not allowed in this context": "a second `: ` in one line; quote the text or begin a new line",
}


@dataclass(frozen=True)
class Remark:
    """What a comment says to us: `# strongroom: ...`."""

    where: Where
    said: str


@dataclass(frozen=True)
class Node:
    """A value and its place; `keys` has the places of a map's keys, `size` counts it with all that is in it.

    A whole file also has its comments that are meant for us.
    """

    value: Json
    where: Where
    keys: Mapping[str, Where] = field(default_factory=dict)
    size: int = 1
    height: int = 1
    remarks: tuple[Remark, ...] = ()

    def items(self) -> Iterator[tuple[str, Node]]:
        if isinstance(self.value, dict):
            yield from self.value.items()

    def get(self, dotted: str) -> Node | None:
        return self.at(dotted.split("."))

    def at(self, path: Iterable[str]) -> Node | None:
        found = self
        for part in path:
            if not isinstance(found.value, dict) or part not in found.value:
                return None
            found = found.value[part]
        return found

    def texts(self) -> Iterator[Node]:
        """The text it is, or the texts in the list it is."""
        for one in self.value if isinstance(self.value, list) else [self]:
            if isinstance(one.value, str):
                yield one

    def plain(self) -> Json:
        if isinstance(self.value, dict):
            return {key: one.plain() for key, one in self.value.items()}
        return [one.plain() for one in self.value] if isinstance(self.value, list) else self.value


def problem(where: Where, message: str) -> Problem:
    return Problem(where.file, where.line, where.column, message)


def text(path: Path, file: str) -> str:
    """What a file of ours says; a `Problem` of its own where it cannot be read."""
    try:
        data = path.read_bytes()
        content = data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        where = _place(file, data[: error.start].decode(), error.start)
        raise Unreadable(where, f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8") from error
    except OSError as error:
        raise Unreadable(Where(file, 1, 1), f"{_why(path, error)}") from error
    if found := _UNPRINTABLE.search(content):
        where = _place(file, content, found.start())
        raise Unreadable(where, f"the control character U+{ord(found[0]):04X}; remove it")
    return content


def read(path: Path, file: str, problems: list[Problem]) -> Node | None:
    """The YAML of a file, or None and what is wrong with it."""
    try:
        return _Reader(file, text(path, file), problems).read()
    except Unreadable as error:
        problems.append(error.problem)
        return None


class Unreadable(Exception):  # noqa: N818 - the name is the sentence: the file is unreadable
    """The rest of a file cannot be read."""

    def __init__(self, where: Where, message: str) -> None:
        self.problem = problem(where, message)
        super().__init__(message)


def _why(path: Path, error: OSError) -> str:
    if path.is_dir():
        return "a directory; expected a file"
    return "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"


def _place(file: str, content: str, index: int) -> Where:
    before = content[:index].split("\n")
    return Where(file, len(before), len(before[-1]) + 1)


class _Reader:
    """The events of one file on their way to nodes."""

    def __init__(self, file: str, content: str, problems: list[Problem]) -> None:
        self.file, self.lines, self.problems = file, content.splitlines(), problems
        self.events = self._events(content)
        self.anchors: dict[str, Node | None] = {}
        self.repeated = 0
        self.texts: list[tuple[tuple[int, int], tuple[int, int]]] = []  # where scalars begin and end

    def _events(self, content: str) -> Iterator[yaml.Event]:
        try:
            yield from yaml.parse(content, Loader=yaml.CSafeLoader)
        except yaml.MarkedYAMLError as error:
            raise self._broken(error) from error

    def _broken(self, error: yaml.MarkedYAMLError) -> Unreadable:
        where = self._where(error.problem_mark)
        what = str(error.problem)
        at = self.lines[where.line - 1][where.column - 1 :] if where.line <= len(self.lines) else ""
        if what == _NO_TOKEN and at.startswith("\t"):
            return Unreadable(where, "a tab; indent with spaces")
        context = f"{error.context}: " if error.context else ""
        return Unreadable(where, _IN_OUR_WORDS.get(what, f"not YAML: {context}{what}"))

    def _where(self, mark: Json) -> Where:
        return Where(self.file, mark.line + 1, mark.column + 1) if mark else Where(self.file, 1, 1)

    def _wrong(self, where: Where, message: str) -> None:
        self.problems.append(problem(where, message))

    def read(self) -> Node:
        root: Node | None = None
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root:
                    raise Unreadable(self._where(event.start_mark), "a second document; write one file for each")
                root = self._node(next(self.events), 1)
        if root is None:
            raise Unreadable(Where(self.file, 1, 1), "the file is empty")
        return replace(root, remarks=tuple(self._remarks()))

    def _remarks(self) -> Iterator[Remark]:
        for number, line in enumerate(self.lines):
            for found in _REMARK.finditer(line):
                at = (number, found.start("sign"))
                if not any(start <= at < end for start, end in self.texts):
                    yield Remark(Where(self.file, number + 1, found.start("sign") + 1), found["said"].strip())

    def _node(self, event: yaml.Event, depth: int) -> Node:
        where = self._where(event.start_mark)
        if depth > DEEPEST:
            raise Unreadable(where, f"nested deeper than {DEEPEST} levels")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(str(event.anchor), where, depth)
        if event.tag is not None:  # type: ignore[attr-defined]
            self._wrong(where, "a tag; leave it out, or quote a text that begins with `!`")
        anchor: str | None = event.anchor  # type: ignore[attr-defined]
        if anchor is not None:
            self.anchors[anchor] = None
        node = self._content(event, where, depth)
        if anchor is not None:
            self.anchors[anchor] = node
        return node

    def _content(self, event: yaml.Event, where: Where, depth: int) -> Node:
        if isinstance(event, yaml.MappingStartEvent):
            return self._map(where, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(where, depth)
        self.texts.append((_at(event.start_mark), _at(event.end_mark)))
        plain = event.implicit[0]  # type: ignore[attr-defined]
        value: str = event.value  # type: ignore[attr-defined]
        return Node(self._scalar(value, where) if plain else value, where)

    def _alias(self, name: str, where: Where, depth: int) -> Node:
        if name not in self.anchors:
            raise Unreadable(where, "an alias without an anchor; quote a text that begins with `*`")
        node = self.anchors[name]
        if node is None:
            raise Unreadable(where, "an alias inside its own anchor")
        self.repeated += node.size
        if self.repeated > MOST_REPEATED:
            raise Unreadable(where, f"aliases repeat more than {MOST_REPEATED:,} values")
        if depth + node.height > DEEPEST:
            raise Unreadable(where, f"nested deeper than {DEEPEST} levels")
        return node

    def _list(self, where: Where, depth: int) -> Node:
        found: list[Node] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            found.append(self._node(event, depth + 1))
        return _parent(found, where, {}, found)

    def _map(self, where: Where, depth: int) -> Node:
        found: dict[str, Node] = {}
        keys: dict[str, Where] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            value = self._node(next(self.events), depth + 1)
            if self._good_key(key, keys):
                found[key.value], keys[key.value] = value, key.where
        return _parent(found, where, keys, list(found.values()))

    def _good_key(self, key: Node, keys: Mapping[str, Where]) -> bool:
        if not isinstance(key.value, str):
            shown = "this key" if isinstance(key.value, dict | list) else f"the key {shown_scalar(key.value)}"
            self._wrong(key.where, f"{shown} is not a text; quote it")
        elif not key.value.isprintable():
            self._wrong(key.where, "a key with a control character; remove it")
        elif key.value == "<<":
            self._wrong(key.where, "`<<` is not merged here; put what is shared into a file and name it in `extends`")
        elif key.value in keys:
            self._wrong(key.where, f"the key {key.value!r} stands twice; the first is in line {keys[key.value].line}")
        else:
            return True
        return False

    def _scalar(self, value: str, where: Where) -> Json:
        """A plain scalar by YAML 1.2: no `yes`, no `20:30`; numbers that readers disagree on are refused."""
        if value in _CONSTANTS:
            return _CONSTANTS[value]
        if _NUMBER_LIKE.fullmatch(value):
            self._wrong(where, "readers disagree on this number; quote a text, or write plain decimal digits")
        elif _INTEGER.fullmatch(value):
            return int(value)
        return float(value) if _FLOAT.fullmatch(value) else value


def _at(mark: Json) -> tuple[int, int]:
    return mark.line, mark.column


def _parent(value: Json, where: Where, keys: Mapping[str, Where], children: list[Node]) -> Node:
    size = 1 + sum(child.size for child in children)
    return Node(value, where, keys, size, 1 + max((child.height for child in children), default=0))


def shown_scalar(value: Json) -> str:
    """A value as YAML writes it: None is `null`, True is `true`."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else repr(value)
