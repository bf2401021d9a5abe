"""The only user of the container engine's API: what Compose is not asked for, and all of it where there is none."""

from __future__ import annotations

import io
import tarfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import docker  # noqa: TID251 - the one place
from docker.context import ContextAPI  # noqa: TID251
from docker.errors import APIError, BuildError, DockerException, NotFound  # noqa: TID251
from docker.types import Ulimit  # noqa: TID251
from requests.exceptions import RequestException

from orchestrator.cluster.machines.compose.rootfs import USER
from orchestrator.errors import StrongroomError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from orchestrator.cluster.machines.compose.description import Mount, Service
    from orchestrator.documents import Json

PROJECT, SERVICE, VOLUME, NETWORK = (
    f"com.docker.compose.{word}" for word in ("project", "service", "volume", "network")
)
RECIPE, DIGEST = "strongroom.recipe", "strongroom.description"
_PATIENCE = 300  # seconds: a build is one request
_PAUSE = 0.1
_TRIES = 5  # a service that fails as often will not come by itself


@dataclass(frozen=True)
class Engine:
    """The engine at an address, as one project sees it."""

    host: str
    project: str
    client: Json = field(repr=False)

    def container(self, service: str) -> Json:
        """The container of a service, running or not; None where there is none."""
        labels = [f"{PROJECT}={self.project}", f"{SERVICE}={service}"]
        found = self.client.containers.list(all=True, filters={"label": labels})
        return found[0] if found else None

    def running(self, service: str) -> bool:
        found = self.container(service)
        return found is not None and found.status in {"running", "restarting"}

    def names(self) -> list[str]:
        """The services that have a container."""
        found = self.client.containers.list(all=True, filters={"label": f"{PROJECT}={self.project}"})
        return sorted(str(one.labels.get(SERVICE, one.name)) for one in found)

    def recipe(self, image: str) -> str:
        """What an image says that it was made from; empty for one that is not there."""
        try:
            return str(self.client.images.get(image).labels.get(RECIPE, ""))
        except NotFound:
            return ""

    def build(self, service: Service, root: Path) -> None:
        if service.build is None:
            raise StrongroomError(
                f"docker-compose.yml: {service.name} has no `build`; nothing says how to make its image"
            )
        context = str(root / service.build.context)
        try:
            self.client.images.build(
                path=context, tag=service.image, buildargs=dict(service.build.args), rm=True, forcerm=True
            )
        except BuildError as error:
            raise StrongroomError(f"the image {service.image} cannot be built from {context}: {error}") from error

    def prune(self) -> None:
        """Drop what builds of ours left without a name."""
        self.client.images.prune(filters={"dangling": True, "label": [RECIPE]})

    def volume(self, name: str) -> str:
        """A volume of the project, made when absent; its full name."""
        full = f"{self.project}_{name}"
        self.client.volumes.create(full, labels={PROJECT: self.project, VOLUME: name})
        return full

    def fill(self, mount: Mount, image: str, files: Mapping[str, bytes]) -> None:
        """Put files into a volume, whoever uses it: each for the container's user alone."""
        volumes = {self.volume(mount.volume): {"bind": mount.path, "mode": "rw"}}
        labels = {PROJECT: self.project, SERVICE: f"fill-{mount.volume}"}
        helper = self.client.containers.create(image, volumes=volumes, labels=labels, network_mode="none")
        try:
            helper.put_archive(mount.path, _tar(files))
        finally:
            helper.remove(force=True, v=False)

    def network(self, name: str) -> str:
        full = f"{self.project}_{name}"
        if not self.client.networks.list(names=[f"^{full}$"]):
            self.client.networks.create(full, driver="bridge", labels={PROJECT: self.project, NETWORK: name})
        return full

    def create(self, service: Service) -> Json:
        """A container of this service, in the engine's words."""
        options = dict(service.options)
        limits = options.pop("ulimits", {})
        network = self.network(service.networks[0])
        return self.client.containers.create(
            service.image,
            name=f"{self.project}-{service.name}-1",
            labels={
                PROJECT: self.project,
                SERVICE: service.name,
                DIGEST: service.digest,
                "com.docker.compose.container-number": "1",
                "com.docker.compose.oneoff": "False",
            },
            volumes={self.volume(one.volume): {"bind": one.path, "mode": one.mode} for one in service.mounts},
            network=network,
            networking_config={network: self.client.api.create_endpoint_config(aliases=[service.name])},
            ulimits=[Ulimit(name=name, soft=value, hard=value) for name, value in limits.items()],
            **{**options, "ports": {inside: tuple(there) for inside, there in options.get("ports", {}).items()}},
        )

    def is_as_described(self, service: Service) -> bool:
        """Whether the container there is one that `create` would make now."""
        found = self.container(service.name)
        if found is None or found.labels.get(DIGEST) != service.digest:
            return False
        return bool(found.attrs["Image"] == self.client.images.get(service.image).id)

    def wait_healthy(self, service: str, within: float) -> None:
        deadline = time.monotonic() + within
        while (state := self.health(service)) != "healthy":
            if time.monotonic() > deadline or self._restarts(service) > _TRIES:
                raise StrongroomError(
                    f"{service} does not become healthy but is {state}: {self.ended(service)}; "
                    f"it says last:\n{self.log(service)}"
                )
            time.sleep(_PAUSE)

    def _restarts(self, service: str) -> int:
        found = self.container(service)
        return 0 if found is None else int(found.attrs.get("RestartCount", 0))

    def health(self, service: str) -> str:
        """Healthy, unhealthy, starting, or the state of a container that has no such word."""
        found = self.container(service)
        if found is None:
            return "absent"
        state = found.attrs["State"]
        return (
            str(state.get("Health", {}).get("Status") or state["Status"]) if state["Running"] else str(state["Status"])
        )

    def stop(self, service: str, grace: int) -> None:
        if (found := self.container(service)) is not None:
            found.stop(timeout=grace)

    def log(self, service: str, lines: int = 12) -> str:
        found = self.container(service)
        return "" if found is None else str(found.logs(tail=lines).decode(errors="replace")).rstrip()

    def ended(self, service: str) -> str:
        """How its last run ended, for a message; empty for one that runs and was never started anew."""
        found = self.container(service)
        if found is None:
            return "it has no container"
        state = found.attrs["State"]
        killed = ", killed for want of memory" if state.get("OOMKilled") else ""
        again = self._restarts(service)
        return (
            f"it ended with {state['ExitCode']}{killed}, {again} times restarted"
            if again or not state["Running"]
            else ""
        )

    def remove_volume(self, service: str, volume: str) -> None:
        """Drop a volume and the stopped container that holds it; both are made anew at the next start."""
        if (found := self.container(service)) is not None:
            found.remove(v=False)
        try:
            self.client.volumes.get(f"{self.project}_{volume}").remove()
        except NotFound:
            return

    def remove_all(self, *, volumes: bool) -> None:
        """Drop every container and network that bears the project's name, and the volumes if so wished."""
        label = {"label": f"{PROJECT}={self.project}"}
        for found in self.client.containers.list(all=True, filters=label):
            found.remove(v=False, force=True)
        for found in self.client.networks.list(filters=label):
            found.remove()
        for found in self.client.volumes.list(filters=label) if volumes else ():
            found.remove()


def connect(environ: Mapping[str, str], project: str) -> Engine:
    """The engine that DOCKER_HOST or docker's own context names, if it answers."""
    host = address(environ)
    try:
        client = docker.DockerClient(base_url=host, version="auto", timeout=_PATIENCE)
    except (DockerException, OSError) as error:
        raise Unreachable(
            f"no container engine answers at {host}: {_why(error)}; "
            "start one (`dockerd`), or name another in DOCKER_HOST"
        ) from error
    return Engine(host, project, client)


def address(environ: Mapping[str, str]) -> str:
    return environ.get("DOCKER_HOST") or str(ContextAPI.get_current_context().Host)


@contextmanager
def answering() -> Iterator[None]:
    """What the engine refuses is an error of ours, in its words."""
    try:
        yield
    except APIError as error:
        raise StrongroomError(f"the container engine refuses: {error.explanation or error}") from error
    except (DockerException, RequestException) as error:
        raise StrongroomError(f"the container engine fails: {_why(error)}") from error


def _why(error: Exception) -> str:
    """The innermost cause, which the client wraps several times."""
    while (inner := error.__cause__ or error.__context__) is not None and isinstance(inner, Exception):
        error = inner
    return str(error)


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), 0o600, int(time.time())
            entry.uid = entry.gid = USER
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
