"""docker-compose.yml, as far as this project's own says anything: read for an engine that has no Compose beside it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.config import source
from orchestrator.errors import ConfigInvalid
from orchestrator.shapes import seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from orchestrator.config.source import Node
    from orchestrator.documents import Json
    from orchestrator.errors import Problem

FILE = "docker-compose.yml"
_PLACE = re.compile(r"\$\$|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$")
_TOP = ("services", "networks", "volumes")


@dataclass(frozen=True)
class Mount:
    """A volume of the project at a path of a container."""

    volume: str
    path: str
    mode: str = "rw"


@dataclass(frozen=True)
class Build:
    """A folder with a Dockerfile, and the arguments for it."""

    context: str
    args: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Service:
    """One container: what is told to the engine stands in its own words under `options`."""

    name: str
    image: str
    build: Build | None
    mounts: tuple[Mount, ...]
    networks: tuple[str, ...]
    after: tuple[str, ...]  # the services that have to be healthy first
    grace: int  # seconds to end in
    options: Mapping[str, Json]

    @property
    def digest(self) -> str:
        """By which one sees that a container was made from another description."""
        said = [self.image, [(one.volume, one.path, one.mode) for one in self.mounts], self.networks, self.options]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Description:
    """Every service, and the names of the networks and volumes that are made for them."""

    services: Mapping[str, Service]
    networks: tuple[str, ...]
    volumes: tuple[str, ...]


def read(root: Path, variables: Mapping[str, str]) -> Description:
    """The file with its variables filled in, or ConfigInvalid with all that cannot be carried out here."""
    problems: list[Problem] = []
    node = source.read(root / FILE, FILE, problems)
    found = _description(_filled(node, variables, problems), problems) if node else None
    if problems or found is None:
        raise ConfigInvalid(problems)
    return found


def dotenv(root: Path) -> dict[str, str]:
    """What `.env` beside the file says, which Compose reads too."""
    path = root / ".env"
    lines = source.text(path, ".env").splitlines() if path.exists() else []
    pairs = (line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("'\"") for name, _, value in pairs}


def _filled(node: Node, variables: Mapping[str, str], problems: list[Problem]) -> Node:
    if isinstance(node.value, dict):
        return node._replace(value={key: _filled(one, variables, problems) for key, one in node.value.items()})
    if isinstance(node.value, list):
        return node._replace(value=[_filled(one, variables, problems) for one in node.value])
    if not isinstance(node.value, str) or "$" not in node.value:
        return node

    def put(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        if found["name"] is None:
            wrong = "`$` begins something else than ${NAME} or ${NAME:-default}; write $$ for the character itself"
            problems.append(source.problem(node.where, wrong))
        return variables.get(found["name"] or "") or found["default"] or ""

    return node._replace(value=_PLACE.sub(put, node.value))


def _description(node: Node, problems: list[Problem]) -> Description:
    _unknown(node, "", _TOP, problems)
    services = node.get("services")
    found = {name: _service(name, said, problems) for name, said in (services.items() if services else ())}
    return Description(found, _names(node, "networks", problems), _names(node, "volumes", problems))


def _names(node: Node, what: str, problems: list[Problem]) -> tuple[str, ...]:
    part = node.get(what)
    for name, said in part.items() if part else ():
        _unknown(said, f"{what}/{name}", (), problems)
    return tuple(name for name, _ in part.items()) if part else ()


def _unknown(node: Node, path: str, known: tuple[str, ...], problems: list[Problem]) -> None:
    """A word that is passed over in silence could be the one that keeps a container in."""
    for key, where in node.keys.items():
        if key not in known and not key.startswith("x-"):
            what = f"{path}/{key}".lstrip("/")
            wrong = f"{what}: unknown to the way without Compose; take it out, or install `docker compose`"
            problems.append(source.problem(where, wrong))


def _service(name: str, node: Node, problems: list[Problem]) -> Service:
    path = f"services/{name}"
    _unknown(node, path, (*_STRUCTURE, *_OPTIONS), problems)
    said = node.plain()
    build = said.get("build")
    options: dict[str, Json] = {}
    for word, meant in _OPTIONS.items():
        if word in said:
            try:
                options |= meant(said[word])
            except (KeyError, TypeError, ValueError, AttributeError):
                wrong = f"{path}/{word}: not in the form that the way without Compose reads; see what stands beside it"
                problems.append(source.problem(node.keys[word], wrong))
    return Service(
        name,
        str(said.get("image", "")),
        Build(build["context"], {key: str(value) for key, value in build.get("args", {}).items()}) if build else None,
        tuple(map(_mount, said.get("volumes", ()))),
        tuple(said.get("networks", ())),
        tuple(said.get("depends_on", ())),
        int(seconds(said.get("stop_grace_period", "10s"))),
        options,
    )


def _mount(said: str) -> Mount:
    volume, path, *mode = said.split(":")
    return Mount(volume, path, *mode)


def _ports(said: Json) -> dict[str, Json]:
    found = {}
    for one in said:
        host, port, inside = one.rsplit(":", 2)
        found[f"{inside}/tcp"] = [host, int(port or 0)]
    return {"ports": found}


def _tmpfs(said: Json) -> dict[str, Json]:
    return {"tmpfs": dict(_halves(one) for one in said)}


def _halves(said: str) -> tuple[str, str]:
    path, _, options = said.partition(":")
    return path, options


def _health(said: Json) -> dict[str, Json]:
    times = {name: int(seconds(said[name])) * 10**9 for name in ("interval", "timeout", "start_period") if name in said}
    return {"healthcheck": {"test": said["test"], **times, "retries": said.get("retries", 3)}}


def _restart(said: Json) -> dict[str, Json]:
    return {"restart_policy": {"Name": said}}


def _same(word: str) -> Callable[[Json], dict[str, Json]]:
    return lambda said: {word: said}


def _environment(said: Json) -> dict[str, Json]:
    return {"environment": {key: str(value) for key, value in said.items()}}


_SAME = (
    "cap_drop",
    "command",
    "entrypoint",
    "hostname",
    "mem_limit",
    "memswap_limit",
    "pids_limit",
    "read_only",
    "security_opt",
    "user",
)
_OPTIONS: Mapping[str, Callable[[Json], dict[str, Json]]] = {
    **{word: _same(word) for word in _SAME},
    "environment": _environment,
    "healthcheck": _health,
    "ports": _ports,
    "restart": _restart,
    "tmpfs": _tmpfs,
    "ulimits": _same("ulimits"),
}
_STRUCTURE = ("image", "build", "volumes", "networks", "depends_on", "stop_grace_period")


def in_order(services: Mapping[str, Service], wanted: tuple[str, ...]) -> Iterator[Service]:
    """The wanted ones, each after those that it waits for."""
    done: set[str] = set()

    def visit(name: str) -> Iterator[Service]:
        if name in done:
            return
        done.add(name)
        for other in services[name].after:
            yield from visit(other)
        if name in wanted:
            yield services[name]

    for name in wanted:
        yield from visit(name)
