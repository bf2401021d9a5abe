"""One object of a resource type, written, read and deleted over Vault's API."""

from __future__ import annotations

import re
import threading
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.documents import Json, get, put
from orchestrator.model import Resource, Write, held, inside
from orchestrator.shapes import alike
from orchestrator.terraform.provider.api import Api, ApiError
from orchestrator.terraform.provider.contract import Diagnosed
from orchestrator.terraform.provider.state import Flat, nest, nothing, same, steps, within
from orchestrator.terraform.provider.values import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.model import Attribute

_GONE_WITHIN = 60.0
_LISTS = threading.Lock()


def diagnosed(resource: Resource, error: ApiError) -> Diagnosed:
    words = " ".join(error.errors)
    named = (one for one in resource.attributes() if re.search(rf"\b{re.escape(one.key)}\b", words))
    path = next((tuple(steps(one.terraform)) for one in named), ())
    return Diagnosed(f"Vault refused {error.method} {error.path}", error.words, path)


@dataclass(frozen=True)
class LiveObject:
    """One object of a resource type: what Terraform wants or knows of it, and the API that holds it."""

    resource: Resource
    flat: Flat
    api: Api

    def _path(self, template: str) -> str:
        return template.format_map({"made_up": str(uuid.uuid4()), **_texts(self.flat)})

    @property
    def _namespace(self) -> str:
        return self.flat.get("namespace") or ""

    def _skips(self, what: str) -> bool:
        return bool(self.flat.get(self.resource.unless.get(what, "")))

    def read(self, reply: Mapping[str, Json] | None = None) -> Flat | None:
        """What the server holds, in the form that Terraform knows; None when it is gone."""
        if self.resource.item:
            return self._merged({}, {}) if self._item in (self._items() or ()) else None
        document: dict[str, Json] = {}
        for position, template in enumerate(() if self._skips("read") else self.resource.read_paths):
            found = self._held(self.api.read(self._path(template), self._namespace, self.resource.gone))
            if found is None and position == 0:
                return None
            document |= found or {}
        return self._merged(document, reply or {})

    def _held(self, answer: Mapping[str, Json] | None) -> Mapping[str, Json] | None:
        """The object in an answer; None where it says that there is none."""
        return held(self.resource, answer, self._path(self.resource.within))

    def _merged(self, document: Mapping[str, Json], reply: Mapping[str, Json]) -> Flat:
        variant = self._variant(document)
        flat = within(self.resource, variant, self.flat)
        name = self.resource.name
        if name and flat[name] is None:  # imported by an id that the server made
            flat[name] = document.get(name)
        for attribute in variant.attributes():
            flat[attribute.terraform] = _seen(attribute, flat[attribute.terraform], document, reply)
        if self.resource.has_id and not (isinstance(flat["id"], str) and flat["id"]):
            made_up = {"made_up": str(uuid.uuid4()), "address": self.api.address}
            flat["id"] = self.resource.identity.format_map(made_up | _texts(reply) | _texts(flat))
        return flat

    def _variant(self, document: Mapping[str, Json]) -> Resource:
        """Which of its type's variants it is, by what the server holds, else by what Terraform knows."""
        return self.resource.variant(
            lambda one: get(document, one.api) if one.field.readable else None, lambda one: self.flat[one.terraform]
        )

    @property
    def _item(self) -> Json:
        """Its value in the list whose item it is: the setting that is not in the path."""
        return next(self.flat[one.terraform] for one in self._carried(Write(self.resource.path)))

    def _items(self) -> list[Json] | None:
        """The list whose item it is; None where what holds the list is not there."""
        found = self.api.read(self._path(self.resource.path), self._namespace, self.resource.gone)
        return None if found is None else list(found.get(self.resource.item) or ())

    def _put(self, *, there: bool) -> None:
        """The list with this item in it or out of it; one list is changed by one request at a time."""
        path = self._path(self.resource.path)
        with _LISTS:
            items = self._items()
            if items is None and there:  # a write would make a new one, of which nobody said how it should be
                raise ApiError(404, "GET", path, ("what should hold it is not there",))
            wanted = [*(one for one in items or () if one != self._item), *([self._item] if there else [])]
            if items is not None and wanted != items:
                self.api.call("POST", path, {self.resource.item: wanted}, self._namespace, again=True)

    def apply(self, before: Flat | None, secrets: Flat) -> dict[str, Json]:
        """The object after its writes. One that failed halfway is not noted: the next plan finds and adopts it."""
        reply: dict[str, Json] = {}
        sent = False
        try:
            if self.resource.item:
                self._put(there=True)
            for write in self.resource.writes:
                body = self._filled(write.data) if write.follows and sent else self._body(write, before, secrets)
                if body is not None:
                    reply |= self._sent(write, body)
                    sent = True
            found = self._after(reply)
        except ApiError as error:
            raise diagnosed(self.resource, error) from error
        return nest(self.resource, found)

    def _sent(self, write: Write, body: Json) -> Mapping[str, Json]:
        """What a request answers. Where that is lost of one that cannot be repeated, what stands tells what it did."""
        lost: ApiError | None = None
        while True:
            try:
                return self.api.call(write.method, self._path(write.path), body, self._namespace, again=not write.once)
            except ApiError as error:
                if lost is None and not (write.once and error.unclear):
                    raise
                made = self._made(write, lost or error)
                if made is not None:
                    return made
                if lost is not None:
                    raise _unknown(lost) from error
                lost = error

    def _made(self, write: Write, lost: ApiError) -> Mapping[str, Json] | None:
        """What a request made whose answer is lost; None where it made nothing."""
        texts = _texts(self.flat)
        try:
            path = (write.made.path if write.made else self.resource.read_paths[0]).format_map(texts)
        except (KeyError, IndexError):  # only the answer would have told its id, or nothing can be asked
            raise _unknown(lost) from lost
        if write.made is not None:
            document = self.api.read(path, self._namespace, self.resource.gone)
            return None if document is None else inside(write.made, document, texts)
        if self._skips("read"):
            raise _unknown(lost) from lost
        return {} if self._stands(write) else None

    def _stands(self, write: Write) -> bool:
        """Whether what a request sends is there."""
        found = self.read()
        sent = [one.terraform for one in self._carried(write) if one.field.readable and not one.write_only]
        told = [name for name in sent if self.flat[name] is not None and self.flat[name] is not UNKNOWN]
        return found is not None and all(found[name] == self.flat[name] for name in told)

    def _after(self, reply: Mapping[str, Json]) -> Flat:
        """Read back what was written; what the reply alone tells is known by now."""
        known = LiveObject(self.resource, self._merged({}, reply), self.api)
        found = known.read(reply)
        if found is None:
            raise ApiError(404, "GET", known._path(self.resource.path), ("it is not there after it was written",))
        return found

    def _body(self, write: Write, before: Flat | None, secrets: Flat) -> Json:
        """What one request carries; None when there is nothing to send."""
        if ("update" if before else "create") not in write.on or write.follows:
            return None
        body: dict[str, Json] = {}
        changed = before is None
        for attribute in self._carried(write):
            value, moved = self._value(attribute, before, secrets)
            changed = changed or moved
            if value is None or value is UNKNOWN or (attribute.field.apart and not moved):
                continue
            sent = attribute.shape.send(value)
            if attribute.field.whole:
                return sent if changed else None
            if attribute.key in body and nothing(attribute.shape, value):
                continue  # another setting of the same key says more
            if before and write.method == "PATCH":
                sent = _patch(before[attribute.terraform], sent)
            put(body, attribute.key, sent)
        body = write.form(body) if write.form else body
        return {**self._filled(write.data), **body} if changed and (body or write.data or write.always) else None

    def _filled(self, data: Json) -> Json:
        """Data with the templates in its texts filled in."""
        if isinstance(data, str):
            return self._path(data)
        if isinstance(data, list | tuple):
            return [self._filled(one) for one in data]
        return {key: self._filled(one) for key, one in data.items()} if isinstance(data, dict) else data

    def _value(self, attribute: Attribute, before: Flat | None, secrets: Flat) -> tuple[Json, bool]:
        """What to send of a setting, and whether it is news to the server; nothing set is sent as its zero."""
        name, shape = attribute.terraform, attribute.shape
        if attribute.write_only:
            due = before is None or before[attribute.version] != self.flat[attribute.version]
            resent = attribute.field.resent
            value = secrets.get(name) if due or resent else None
            return value, due and (resent or value is not None)
        value = self.flat[name]
        if before is None:
            over = self.resource.kept or self.resource.adopt == "create"
            older = over and attribute.field.readable and not attribute.field.computed
            return (shape.zero if value is None and older else value), True
        reset = value is None and not (nothing(shape, before[name]) or attribute.field.unsaid)
        return (shape.zero if reset else value), not same(shape, before[name], value)

    def _carried(self, write: Write) -> Iterator[Attribute]:
        in_path = set(re.findall(r"\{(\w+)\}", write.path))
        attributes = tuple(self._variant({}).attributes())
        whole = {attribute.api for attribute in attributes}
        for attribute in attributes:
            key = attribute.api if attribute.key in whole else attribute.key
            chosen = bool({key, attribute.api} & {*write.keys}) if write.keys else attribute.terraform not in in_path
            if chosen and not attribute.field.output:
                yield attribute

    def delete(self) -> None:
        if self.resource.kept or self._skips("delete"):
            return
        if self.resource.item:
            self._put(there=False)
            return
        write = self.resource.delete or Write(self.resource.path, method="DELETE")
        body = {**self._filled(write.data), **{key: self.flat[key] for key in write.keys}} or None
        try:
            answer = self.api.call(write.method, self._path(write.path), body, self._namespace, again=True)
        except ApiError as error:
            if error.status == 404 or any(word in text for word in self.resource.gone for text in error.errors):  # noqa: PLR2004
                return
            raise
        if answer.get("status") == "in-progress":
            self._wait_until_gone()

    def _wait_until_gone(self) -> None:
        deadline = time.monotonic() + _GONE_WITHIN
        path = self._path(self.resource.path)
        while self.api.read(path, self._namespace, self.resource.gone) is not None:
            if time.monotonic() > deadline:
                raise ApiError(0, "DELETE", path, (f"it is still there after {_GONE_WITHIN:.0f} s",))
            time.sleep(0.05)


def _unknown(error: ApiError) -> ApiError:
    words = f"{error.words}; it is unknown whether it was carried out: run apply again, which goes on from what stands"
    return ApiError(0, error.method, error.path, (words,))


def _texts(values: Mapping[str, Json]) -> dict[str, str]:
    return {name: value for name, value in values.items() if isinstance(value, str)}


def _patch(before: Json, after: Json) -> Json:
    """A map as a merge patch: what is no longer in it must be said to be null.

    >>> _patch({"owner": "apps", "tier": "1"}, {"owner": "payments"})
    {'tier': None, 'owner': 'payments'}
    """
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    return {**{key: None for key in before if key not in after}, **after}


def _seen(attribute: Attribute, known: Json, document: Mapping[str, Json], reply: Mapping[str, Json]) -> Json:
    """An attribute after a read: the known form where it means the same, else the server's, else what stood there."""
    field, shape = attribute.field, attribute.shape
    if attribute.write_only or field.unversioned:
        return None
    if field.whole:
        return _seen_whole(attribute, known, document)
    live = get(document, attribute.api) if field.readable else None
    if live is None and (field.output or known is UNKNOWN):
        live = reply.get(attribute.key)
    if live is None or (field.unsaid and known is None):
        emptied = live is None and field.readable and shape.zero in ([], {}) and _is_null(document, attribute.api)
        return None if known is UNKNOWN or emptied else known
    if known is not UNKNOWN and (same(shape, known, live) or (nothing(shape, known) and nothing(shape, live))):
        return known
    return shape.render(live)


def _is_null(document: Mapping[str, Json], dotted: str) -> bool:
    """Whether an answer says of a setting that there is nothing, and is not just silent about it."""
    parent, _, leaf = dotted.rpartition(".")
    holder = get(document, parent) if parent else document
    return isinstance(holder, dict) and leaf in holder and holder[leaf] is None


def _seen_whole(attribute: Attribute, known: Json, document: Mapping[str, Json]) -> Json:
    """A whole document, as far as it was declared: the server's other fields and forms are its own business."""
    if known is None or known is UNKNOWN:
        return attribute.shape.render(document)
    declared = attribute.shape.canon(known)
    live = {
        key: document[key] if key in document and not alike(value, document[key]) else value
        for key, value in declared.items()
    }
    return known if live == declared else attribute.shape.render(live)
