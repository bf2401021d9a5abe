"""HCL 1, the language that Vault policies are written in: text to items, each with its place."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from textwrap import dedent
from typing import TYPE_CHECKING

from orchestrator.declared import Where
from orchestrator.errors import ConfigInvalid, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.documents import Json

DEEPEST = 40
_TOKEN = re.compile(
    r"""
      (?P<blank>\s+|\#[^\n]*|//[^\n]*|/\*.*?\*/)
    | (?P<heredoc><<(?P<indented>-?)(?P<tag>\w+)[ \t]*\r?\n(?P<body>.*?)^[ \t]*(?P=tag)[ \t]*\r?$)
    | (?P<text>"(?:[^"\\\n]|\\.)*")
    | (?P<number>-?(?:0[xX][\da-fA-F]+|\d+(?:\.\d+)?(?:[eE][-+]?\d+)?))
    | (?P<word>[^\W\d][\w.-]*)
    | (?P<mark>[{}\[\]=,])
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_END = ""
_HINTS = {":": "; write =", "'": '; quote with "', ";": "; a new line ends a setting"}


@dataclass(frozen=True)
class Token:
    """A word of the language; its kind is that of a mark itself, or empty at the end."""

    kind: str
    text: str
    where: Where


@dataclass(frozen=True)
class Value:
    """A literal, a list of values, or a block: a tuple of items."""

    content: Json
    where: Where

    def plain(self) -> Json:
        if isinstance(self.content, tuple):
            return {"/".join(item.keys): item.value.plain() for item in self.content}
        return [one.plain() for one in self.content] if isinstance(self.content, list) else self.content


@dataclass(frozen=True)
class Item:
    """`key = value`, or `key "label" { ... }`."""

    keys: tuple[str, ...]
    value: Value
    where: Where


def items(text: str, file: str) -> tuple[Item, ...]:
    """What the text says, or ConfigInvalid at the place from which it makes no sense."""
    return _Parser(text, file).block(None)


def wrong(where: Where, message: str) -> ConfigInvalid:
    return ConfigInvalid([Problem(where.file, where.line, where.column, message)])


def _tokens(text: str, file: str) -> Iterator[Token]:
    place, line, begin = 0, 1, 0
    while place < len(text):
        where = Where(file, line, place - begin + 1)
        found = _TOKEN.match(text, place)
        if found is None:
            raise wrong(where, _unreadable(text, place))
        kind = str(found.lastgroup)
        if kind != "blank":
            yield _token(kind, found, where)
        if breaks := found[0].count("\n"):
            line, begin = line + breaks, found.start() + found[0].rindex("\n") + 1
        place = found.end()
    yield Token(_END, "the end of the file", Where(file, line, place - begin + 1))


def _token(kind: str, found: re.Match[str], where: Where) -> Token:
    if found["tag"]:
        return Token("text", dedent(found["body"]) if found["indented"] else found["body"], where)
    if kind == "text":
        return Token(kind, _unquoted(found[0], where), where)
    return Token(found[0] if kind == "mark" else kind, found[0], where)


def _unquoted(text: str, where: Where) -> str:
    try:
        return str(json.loads(text, strict=False)) if "\\" in text else text[1:-1]
    except ValueError as error:
        raise wrong(where, r"a text with an unknown escape; write \\ for a backslash") from error


def _unreadable(text: str, place: int) -> str:
    if text.startswith("/*", place):
        return "a comment that never ends; close it with */"
    if text.startswith("<<", place):
        return "a heredoc that never ends; close it with its word alone in a line"
    if text[place] == '"':
        return 'a text that never ends; close it with " in the same line'
    return f"unexpected {text[place]!r}{_HINTS.get(text[place], '')}"


class _Parser:
    """The tokens of one file and how far they are read."""

    def __init__(self, text: str, file: str) -> None:
        self.tokens = _tokens(text, file)
        self.next = next(self.tokens)
        self.depth = 0

    def take(self) -> Token:
        taken, self.next = self.next, next(self.tokens, self.next)
        return taken

    def deeper(self, where: Where) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise wrong(where, f"nested deeper than {DEEPEST} levels")

    def block(self, opened: Token | None) -> tuple[Item, ...]:
        """Items up to the brace that closes what `opened`, or to the end of the file."""
        found: list[Item] = []
        while self.next.kind not in {"}", _END}:
            found.append(self.item())
            if self.next.kind == ",":
                self.take()
        end = self.take()
        if opened and end.kind == _END:
            raise wrong(opened.where, "a { that is never closed; add }")
        if opened is None and end.kind == "}":
            raise wrong(end.where, "a } that closes nothing; take it out")
        return tuple(found)

    def item(self) -> Item:
        first = self.next
        keys: list[str] = []
        while self.next.kind in {"word", "text"}:
            keys.append(self.take().text)
        if not keys:
            raise wrong(first.where, f"expected a name, found {first.text}")
        mark = self.next
        if mark.kind == "=" and len(keys) == 1:
            self.take()
            return Item(tuple(keys), self.value(), first.where)
        if mark.kind != "{":
            raise wrong(
                mark.where, f"expected {'= or {' if len(keys) == 1 else '{'} after {keys[-1]!r}, found {mark.text}"
            )
        return Item(tuple(keys), self.value(), first.where)

    def value(self) -> Value:
        token = self.take()
        if token.kind == "text":
            return Value(token.text, token.where)
        if token.kind == "number":
            return Value(_number(token.text), token.where)
        if token.text in {"true", "false"}:
            return Value(token.text == "true", token.where)
        if token.kind in {"[", "{"}:
            self.deeper(token.where)
            content = self.list(token) if token.kind == "[" else self.block(token)
            self.depth -= 1
            return Value(content, token.where)
        hint = f'; put it in quotes: "{token.text}"' if token.kind == "word" else ""
        raise wrong(token.where, f"expected a value, found {token.text}{hint}")

    def list(self, opened: Token) -> list[Value]:
        found: list[Value] = []
        while self.next.kind != "]":
            if self.next.kind == _END:
                raise wrong(opened.where, "a [ that is never closed; add ]")
            found.append(self.value())
            if self.next.kind == ",":
                self.take()
            elif self.next.kind not in {"]", _END}:
                raise wrong(self.next.where, f"expected , or ] in a list, found {self.next.text}")
        self.take()
        return found


def _number(text: str) -> int | float:
    try:
        return int(text, 0)
    except ValueError:
        return float(text)
