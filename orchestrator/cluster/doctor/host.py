"""The machine below a node: its account, its memory, its files."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from orchestrator.cluster.doctor.model import BAD, NOT_OF_THIS_MACHINE, OK, WARNING, Check, Result, unknown
from orchestrator.cluster.health.asking import Unknown
from orchestrator.cluster.health.inside import file_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orchestrator.cluster.doctor.model import Patient
    from orchestrator.cluster.doctor.process import Process
    from orchestrator.declared import Node

_OTHERS = 0o077
_NEARLY = 0.05  # of the disk
_ROTATE = 1 << 30  # bytes of an audit log after which somebody should have put it aside


def _of_process(look: Callable[[Process], Result]) -> Callable[[Patient], Iterator[Result]]:
    """The same question to the process of each node."""

    def check(patient: Patient) -> Iterator[Result]:
        for name, process in patient.processes.items():
            if isinstance(process, Unknown):
                yield unknown(process, name)
            else:
                found = look(process)
                yield Result(found.verdict, found.evidence, found.fix, name)

    return check


def _account(process: Process) -> Result:
    if process.uid:
        return Result(OK, f"runs as account {process.uid}")
    fix = "start it as an account of its own; nodes of `run: local` run as whoever calls `invoke cluster.up`"
    return Result(BAD, "runs as root", fix)


def _cores(process: Process) -> Result:
    if process.core_limit == "0":
        return Result(OK, "leaves no core dump: its limit is 0")
    fix = "LimitCORE=0 in its systemd unit, or `ulimit -c 0` before it starts"
    return Result(BAD, f"may write its memory to disk when it crashes: core limit {process.core_limit}", fix)


def _swap(process: Process) -> Result:
    if process.swapped:
        return Result(BAD, f"{process.swapped} KiB of its memory are on disk now", "turn swap off: swapoff -a")
    if not process.swap_there:
        return Result(OK, "the machine has no swap")
    if process.locked:
        return Result(OK, f"{process.locked} KiB are locked in memory")
    if not process.swap_allowed:
        return Result(OK, "its control group may not swap")
    fix = "MemorySwapMax=0 in its systemd unit, or turn swap off: swapoff -a"
    return Result(WARNING, "the machine has swap, and its memory is not locked", fix)


def _files(patient: Patient) -> Iterator[Result]:
    """Nobody but the server's account may read what a node keeps."""
    for node in patient.cluster.nodes:
        here = patient.folder(node)
        if here is None:
            yield unknown(NOT_OF_THIS_MACHINE, node.name)
            continue
        paths = [path for path in _kept(patient, node, here) if path.exists()]
        open_ = [path for path in paths if stat.S_IMODE(path.stat().st_mode) & _OTHERS]
        for path in open_:
            mode = stat.S_IMODE(path.stat().st_mode)
            yield Result(BAD, f"{path} has mode {mode:04o}", f"chmod go= {path}", node.name)
        if not open_:
            told = ", ".join(path.name for path in paths)
            yield Result(OK, f"for their owner alone: {told}", about=node.name)


def _kept(patient: Patient, node: Node, here: Path) -> Iterator[Path]:
    del node
    yield from (here / name for name in ("server.hcl", patient.cluster.raft.path, "log"))
    if tls := patient.cluster.listener.tls:
        yield here / tls.key
    for device in patient.cluster.audit:
        if path := file_of(here, device.options):
            yield path
    for name in ("current_key", "previous_key"):
        said = str(patient.cluster.seal.settings.get(name, ""))
        if said.startswith("file://"):
            yield here / said.removeprefix("file://")


def _own_program(patient: Patient) -> Iterator[Result]:
    """Whether the server's account could replace the program that it runs."""
    for name, process in patient.processes.items():
        if isinstance(process, Unknown):
            yield unknown(process, name)
            continue
        if not process.program.exists():
            yield Result(WARNING, f"{process.program} is gone from the disk", "restart it with what is installed", name)
            continue
        found = process.program.stat()
        writable = found.st_mode & 0o022 or (found.st_uid == process.uid and found.st_mode & 0o200)
        if not writable:
            yield Result(OK, f"may not write {process.program}", about=name)
        else:
            fix = "have the program belong to root, with mode 0755, and the server run as another account"
            yield Result(WARNING, f"could overwrite its own program {process.program}", fix, name)


def _disk(patient: Patient) -> Iterator[Result]:
    for one in patient.facts.nodes:
        if isinstance(one.room, Unknown):
            yield unknown(one.room, one.name)
            continue
        share = one.room.free / max(one.room.size, 1)
        told = f"{one.room.free // (1 << 20)} MiB of {one.room.size // (1 << 20)} are free"
        if share < _NEARLY:
            yield Result(BAD, told, "make room, or give it a larger disk, before it is full", one.name)
        else:
            yield Result(OK, told, about=one.name)


def _rotation(patient: Patient) -> Iterator[Result]:
    for node in patient.cluster.nodes:
        here = patient.folder(node)
        if here is None:
            yield unknown(NOT_OF_THIS_MACHINE, node.name)
            continue
        found = [path for device in patient.cluster.audit if (path := file_of(here, device.options))]
        sizes = {path.name: path.stat().st_size for path in found if path.exists()}
        large = [name for name, size in sizes.items() if size > _ROTATE]
        told = ", ".join(f"{name}: {size // 1024} KiB" for name, size in sizes.items()) or "no files"
        fix = "rotate it daily: move it aside, then send the server SIGHUP, which opens it anew"
        yield Result(WARNING if large else OK, told, fix if large else "", node.name)


def _clocks(patient: Patient) -> Iterator[Result]:
    found = {one.name: one.skew for one in patient.facts.nodes}
    for name, skew in found.items():
        if isinstance(skew, Unknown):
            yield unknown(skew, name)
    known = [skew for skew in found.values() if not isinstance(skew, Unknown)]
    if known:
        apart = max(known) - min(known)
        late = apart >= 2 or max(map(abs, known)) >= 2  # noqa: PLR2004 - they tell whole seconds
        fix = "have chrony or ntpd run on every node: certificates and tokens end by the clock"
        yield Result(WARNING if late else OK, f"{apart:.0f} s apart", fix if late else "")


CHECKS = (
    Check("account", "Does no node run as root?", _of_process(_account)),
    Check("core-dumps", "Is memory never written to disk by a crash?", _of_process(_cores)),
    Check("swap", "Is memory never written to disk by the system?", _of_process(_swap)),
    Check("file-modes", "May nobody else read what the nodes keep?", _files),
    Check("own-program", "Can no node overwrite its own program?", _own_program),
    Check("disk", "Is there room for what comes?", _disk),
    Check("audit-rotation", "Are audit logs put aside before they fill the disk?", _rotation),
    Check("clocks", "Do the clocks agree?", _clocks),
)
