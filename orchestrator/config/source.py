"""YAML read as people mean it: every value with its place, and none of the surprises of YAML 1.1."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import yaml  # noqa: TID251 - the one place

from orchestrator.declared import Where
from orchestrator.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from orchestrator.documents import Json

DEEPEST = 40
MOST_REPEATED = 100_000

_CONSTANTS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_BEGINS_A_NUMBER = frozenset("+-.0123456789")
_INTEGER = re.compile(r"[-+]?\d{1,18}", re.ASCII)
_NUMBER_LIKE = re.compile(r"[-+]?(0\d+|\d{19,}|0[ox][\da-fA-F]+)", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d{1,2})?", re.ASCII)
_SIGN = "strongroom:"
_FENCE = "---"
_REMARK = re.compile(r"(?:^|(?<=\s))(?P<sign>#)\s*strongroom:(?P<said>.*?)(?=\s#|$)")
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NO_KEYS: Mapping[str, Where] = MappingProxyType({})
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


class Node(NamedTuple):
    """A value and its place; `keys` has the places of a map's keys, a whole file also its comments that are for us.

    A tuple, as this is made once for each word of the YAML.
    """

    value: Json
    where: Where
    keys: Mapping[str, Where] = _NO_KEYS
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


def is_open(node: Node) -> bool:
    """Whether only the machine knows what it says, as a placeholder is not filled in."""
    return isinstance(node.value, str) and "${" in node.value


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


def front_matter(path: Path, file: str, problems: list[Problem]) -> tuple[Node, str] | None:
    """The YAML between the first two lines of `---`, and the text below it; None and what is wrong."""
    try:
        first, *rest = text(path, file).split("\n")
        end = rest.index(_FENCE) if first == _FENCE and _FENCE in rest else None
        if end is not None:
            head = "\n".join(["", *rest[:end]])  # an empty line in place of the fence, so that places are the file's
            return _Reader(file, head, problems).read(), "\n" * (end + 2) + "\n".join(rest[end + 1 :])
        problems.append(problem(Where(file, 1, 1), "no front matter; begin with a line `---`, YAML, and a line `---`"))
    except Unreadable as error:
        problems.append(error.problem)
    return None


def first_keys(path: Path) -> Iterator[str]:
    """The keys of a file's outermost map one by one, as far as it can be read; what they hold is passed over."""
    with suppress(Unreadable, yaml.MarkedYAMLError):
        yield from _Reader(path.name, text(path, path.name), []).keys()


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
        self.file, self.content, self.problems = file, content, problems
        self.next = yaml.CSafeLoader(content).get_event
        self.anchors: dict[str, tuple[Node, int, int] | None] = {}
        self.repeated = 0

    def read(self) -> Node:
        try:
            return self._document()
        except yaml.MarkedYAMLError as error:
            raise self._broken(error) from error

    def keys(self) -> Iterator[str]:
        self.next(), self.next(), self.next()  # the stream, the document, the map
        while type(key := self.next()) is yaml.ScalarEvent:
            yield key.value
            self._pass()

    def _pass(self) -> None:
        """Go on to the end of the next value."""
        inside = 0
        while event := self.next():
            inside += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if not inside:
                return

    def _document(self) -> Node:
        root: Node | None = None
        while event := self.next():
            if isinstance(event, yaml.DocumentStartEvent):
                if root:
                    raise Unreadable(self._where(event.start_mark), "a second document; write one file for each")
                root = self._node(self.next(), 1)
        if root is None:
            raise Unreadable(Where(self.file, 1, 1), "the file is empty")
        return root._replace(remarks=tuple(self._remarks()))

    def _broken(self, error: yaml.MarkedYAMLError) -> Unreadable:
        where = self._where(error.problem_mark)
        what = str(error.problem)
        lines = self.content.splitlines()
        at = lines[where.line - 1][where.column - 1 :] if where.line <= len(lines) else ""
        if what == _NO_TOKEN and at.startswith("\t"):
            return Unreadable(where, "a tab; indent with spaces")
        context = f"{error.context}: " if error.context else ""
        return Unreadable(where, _IN_OUR_WORDS.get(what, f"not YAML: {context}{what}"))

    def _where(self, mark: Json) -> Where:
        return Where(self.file, mark.line + 1, mark.column + 1) if mark else Where(self.file, 1, 1)

    def _wrong(self, where: Where, message: str) -> None:
        self.problems.append(problem(where, message))

    def _remarks(self) -> Iterator[Remark]:
        """The comments that are meant for us; what looks like one inside a text is none."""
        if _SIGN not in self.content:
            return
        events = yaml.parse(self.content, Loader=yaml.CSafeLoader)
        texts = [(_at(one.start_mark), _at(one.end_mark)) for one in events if type(one) is yaml.ScalarEvent]
        for number, line in enumerate(self.content.splitlines()):
            for found in _REMARK.finditer(line):
                at = (number, found.start("sign"))
                if not any(start <= at < end for start, end in texts):
                    yield Remark(Where(self.file, number + 1, found.start("sign") + 1), found["said"].strip())

    def _node(self, event: Json, depth: int) -> Node:
        mark = event.start_mark
        where = Where(self.file, mark.line + 1, mark.column + 1)
        if depth > DEEPEST:
            raise Unreadable(where, f"nested deeper than {DEEPEST} levels")
        if type(event) is yaml.AliasEvent:
            return self._alias(str(event.anchor), where, depth)
        if event.tag is not None:
            self._wrong(where, "a tag; leave it out, or quote a text that begins with `!`")
        if event.anchor is None:
            return self._content(event, where, depth)
        self.anchors[event.anchor] = None
        node = self._content(event, where, depth)
        self.anchors[event.anchor] = (node, *_size(node))
        return node

    def _content(self, event: Json, where: Where, depth: int) -> Node:
        if type(event) is yaml.ScalarEvent:
            return Node(self._scalar(event.value, where) if event.implicit[0] else event.value, where)
        return (self._map if type(event) is yaml.MappingStartEvent else self._list)(where, depth + 1)

    def _alias(self, name: str, where: Where, depth: int) -> Node:
        if name not in self.anchors:
            raise Unreadable(where, "an alias without an anchor; quote a text that begins with `*`")
        anchored = self.anchors[name]
        if anchored is None:
            raise Unreadable(where, "an alias inside its own anchor")
        node, size, height = anchored
        self.repeated += size
        if self.repeated > MOST_REPEATED:
            raise Unreadable(where, f"aliases repeat more than {MOST_REPEATED:,} values")
        if depth + height > DEEPEST:
            raise Unreadable(where, f"nested deeper than {DEEPEST} levels")
        return node

    def _list(self, where: Where, depth: int) -> Node:
        found: list[Node] = []
        while type(event := self.next()) is not yaml.SequenceEndEvent:
            found.append(self._node(event, depth))
        return Node(found, where)

    def _map(self, where: Where, depth: int) -> Node:
        found: dict[str, Node] = {}
        keys: dict[str, Where] = {}
        while type(event := self.next()) is not yaml.MappingEndEvent:
            key = self._node(event, depth)
            value = self._node(self.next(), depth)
            if self._good_key(key, keys):
                found[key.value], keys[key.value] = value, key.where
        return Node(found, where, keys)

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
        if value[:1] not in _BEGINS_A_NUMBER:
            return _CONSTANTS.get(value, value)
        if _NUMBER_LIKE.fullmatch(value):
            self._wrong(where, "readers disagree on this number; quote a text, or write plain decimal digits")
        elif _INTEGER.fullmatch(value):
            return int(value)
        return float(value) if _FLOAT.fullmatch(value) else value


def _size(node: Node) -> tuple[int, int]:
    """How many values it holds, and how many levels of them."""
    inside = node.value.values() if isinstance(node.value, dict) else node.value if isinstance(node.value, list) else ()
    sizes = [_size(one) for one in inside]
    return 1 + sum(size for size, _ in sizes), 1 + max((height for _, height in sizes), default=0)


class _Dumper(yaml.SafeDumper):
    """YAML for people: a text of several lines stands as such, and what occurs twice is written twice."""

    def ignore_aliases(self, data: Json) -> bool:  # noqa: ARG002 - it is asked of each value
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def written(document: Json) -> str:
    """A document as YAML."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def shown_scalar(value: Json) -> str:
    """A value as YAML writes it: None is `null`, True is `true`."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _at(mark: Json) -> tuple[int, int]:
    return mark.line, mark.column
