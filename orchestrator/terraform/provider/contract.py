"""What Terraform asks of a provider, in Python's own values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.terraform.provider.values import Type, Value

Path: TypeAlias = tuple[str | int, ...]
"""Where a value stands: names of attributes and keys, and numbers in lists."""
Object: TypeAlias = "Mapping[str, Value]"


@dataclass(frozen=True)
class Attribute:
    name: str
    type: Type
    required: bool = False
    optional: bool = False
    computed: bool = False
    sensitive: bool = False
    write_only: bool = False
    deprecated: bool = False


@dataclass(frozen=True)
class Block:
    attributes: tuple[Attribute, ...]
    blocks: tuple[NestedBlock, ...] = ()

    @cached_property
    def type(self) -> Type:
        attributes = {attribute.name: attribute.type for attribute in self.attributes}
        return ["object", attributes | {nested.name: nested.type for nested in self.blocks}]


@dataclass(frozen=True)
class NestedBlock:
    name: str
    block: Block
    nesting: str
    """`list`, `set` or `single`."""
    min_items: int = 0
    max_items: int = 0

    @property
    def type(self) -> Type:
        return self.block.type if self.nesting == "single" else [self.nesting, self.block.type]


@dataclass(frozen=True)
class ResourceSchema:
    block: Block
    version: int = 0


class Diagnosed(Exception):  # noqa: N818 - what Terraform calls a diagnostic
    """What the user is told; `state` is what stands after an apply that failed halfway."""

    def __init__(self, summary: str, detail: str = "", path: Path = (), state: Object | None = None) -> None:
        self.summary, self.detail, self.path, self.state = summary, detail, path, state
        super().__init__(summary)


@dataclass(frozen=True)
class Planned:
    state: Object | None
    replace: tuple[Path, ...] = ()


class Provider(Protocol):
    """May raise `Diagnosed`, or several in an `ExceptionGroup`; any other exception is told as a bug.

    All but `schema` are called from many threads. Write-only attributes have a value in `config` only: what is
    returned goes to the plan and the state without them.
    """

    def schema(self) -> tuple[Block, Mapping[str, ResourceSchema]]: ...
    def configure(self, config: Object) -> None: ...
    def validate(self, type_name: str, config: Object) -> Sequence[Diagnosed]: ...
    def upgrade(self, type_name: str, version: int, state: Mapping[str, object]) -> Mapping[str, object]:
        """A state as it was stored, by this version or an older one; the result is then fitted to the schema."""

    def read(self, type_name: str, state: Object) -> Object | None: ...
    def plan(self, type_name: str, prior: Object | None, proposed: Object | None, config: Object | None) -> Planned: ...
    def apply(
        self, type_name: str, prior: Object | None, planned: Object | None, config: Object | None
    ) -> Object | None: ...
    def import_(self, type_name: str, id_: str) -> Sequence[Object]: ...
