"""The least rights that a token needs for an environment, out of the same catalogue that plan and apply walk."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from orchestrator.model import Write

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.instances import Instance
    from orchestrator.live.seeds import Seed

_ALWAYS = (
    ("auth/token/lookup-self", "read"),
    ("auth/token/revoke-self", "update"),
    ("sys/auth", "read"),
    ("sys/mounts", "read"),
)
_SUDO = re.compile(
    r"sys/(auth/|audit$|audit/|config/(auditing|cors|ui)|leases/(lookup/|revoke-prefix/)|plugins/|policies/(egp|rgp)/"
    r"|storage/raft/autopilot|quotas/)|auth/token/accessors$"
)
_ORDER = ("create", "read", "update", "patch", "delete", "list", "sudo")
_METHODS = {"POST": ("create", "update"), "PATCH": ("patch",), "DELETE": ("delete",)}


def policy(every: Iterable[Instance], seeds: Iterable[Seed], *, writes: bool) -> str:
    """An HCL policy with what `plan` and `drift` need, and with `writes` what `apply` and its destroys need."""
    of_instances = (pair for one in every for pair in _of(one, writes=writes))
    of_seeds = (pair for one in seeds for pair in _of_seed(one, writes=writes))
    return written((*_ALWAYS, *of_instances, *of_seeds))


def written(pairs: Iterable[tuple[str, str]]) -> str:
    """The HCL of a policy that gives each capability at its path, with sudo where the server asks for it."""
    needed: dict[str, set[str]] = defaultdict(set)
    for path, capability in pairs:
        needed[path].add(capability)
        if _SUDO.match(path):
            needed[path].add("sudo")
    return "".join(_rule(path, needed[path]) for path in sorted(needed))


def _rule(path: str, capabilities: set[str]) -> str:
    quoted = ", ".join(f'"{name}"' for name in _ORDER if name in capabilities)
    return f'path "{path}" {{ capabilities = [{quoted}] }}\n'


def _of(one: Instance, *, writes: bool) -> Iterator[tuple[str, str]]:
    for path in (*one.reads, *(_filled(one, template) for template in one.resource.read_paths)):
        yield (f"{path.rstrip('/')}", "list") if path.endswith("/") else (path.partition("?")[0], "read")
    for listed in (one.declaration.object,) if one.declaration.object else one.kind.objects:
        path, how = listed.list.format(mount=one.declaration.mount), "list" if listed.table is None else "read"
        for place in (one.inside, one.declaration.name) if listed.nested else (one.inside,):
            if path:
                yield f"{place}/{path}".lstrip("/"), how
    if writes:
        for write in _writes(one):
            yield from ((_filled(one, write.path), capability) for capability in _METHODS[write.method])
        if one.resource.leases:
            yield f"sys/leases/revoke-prefix/{_filled(one, one.resource.leases)}", "update"


def _of_seed(one: Seed, *, writes: bool) -> Iterator[tuple[str, str]]:
    yield one.metadata, "read"
    yield one.subkeys, "read"
    if writes:
        yield one.data, "create"


def _writes(one: Instance) -> Iterator[Write]:
    resource = one.resource
    yield from resource.writes
    if resource.item or resource.through:
        yield Write(resource.path)
    if resource.beside:
        yield resource.beside
    if not resource.kept:
        yield resource.delete or Write(resource.path, method="DELETE")


def _inside(one: Instance, path: str) -> str:
    return f"{one.inside}/{path}".lstrip("/")


def _filled(one: Instance, template: str) -> str:
    """The path, with `+` for what only the server knows."""
    names = {name: one.names.get(name, "+") for name in re.findall(r"{(\w+)}", template)}
    return _inside(one, template.format_map(names)).partition("?")[0]
