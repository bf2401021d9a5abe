"""A root file system for an image without a base: programs of this machine with the libraries that they load."""

from __future__ import annotations

import compileall
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.local import process

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

USER = 10001  # who runs in a container: nobody of any host
_ELF = b"\x7fELF"
_LOADED = re.compile(r"(?P<path>/\S+) \(0x[0-9a-f]+\)$")
_WANTED = re.compile(r"(?P<name>[A-Za-z0-9._-]+)\s*(?:\[(?P<extras>[^]]*)\])?[^;]*(?:;(?P<marker>.*))?")
_LEFT_OUT = ("test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "site-packages")
_PREFIX = "usr/local"


def accounts(root: Path) -> None:
    """The two files by which programs know who they are, and a folder for what is temporary."""
    (root / "etc").mkdir(parents=True, exist_ok=True)
    for name, rest in (("passwd", f"{USER}:strongroom:/:/sbin/nologin"), ("group", "")):
        lines = ("root:x:0:" + ("0:root:/:/sbin/nologin" if rest else ""), f"strongroom:x:{USER}:{rest}")
        (root / "etc" / name).write_text("\n".join(lines) + "\n")
    (root / "tmp").mkdir(exist_ok=True)


def program(root: Path, source: Path, place: str) -> None:
    """One executable at its place, and what it loads."""
    target = root / place
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755)
    libraries(root, [source])


def libraries(root: Path, programs: Iterable[Path]) -> None:
    """What programs load, where the loader of this machine looks for it."""
    for path in _loaded([one for one in programs if _is_elf(one)]):
        base = Path(sys.base_prefix)
        own = base != Path("/usr") and path.is_relative_to(base)
        target = root / (_PREFIX / path.relative_to(base) if own else path.relative_to("/"))
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            target.chmod(0o755)


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_ELF)) == _ELF


def _loaded(programs: list[Path]) -> list[Path]:
    if not programs:
        return []
    try:
        done = subprocess.run(
            [shutil.which("ldd") or "ldd", *map(str, programs)],
            env=process.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise StrongroomError(f"an image of this machine's programs needs `ldd` of a Linux: {error}") from error
    found = {Path(line["path"]) for text in done.stdout.splitlines() if (line := _LOADED.search(text))}
    packages = Path(sysconfig.get_path("platlib"))
    return sorted(path for path in found if not path.is_relative_to(packages))


def python(root: Path) -> None:
    """Our own Python, without what only its developers need."""
    place = root / _PREFIX
    interpreter = Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    program(root, interpreter, f"{_PREFIX}/bin/python3")
    standard = Path(sysconfig.get_path("stdlib", vars={"base": sys.base_prefix, "installed_base": sys.base_prefix}))
    target = place / "lib" / standard.name
    ignore = shutil.ignore_patterns(*_LEFT_OUT, "config-*", "__pycache__", "_tkinter*")
    shutil.copytree(standard, target, ignore=ignore, dirs_exist_ok=True)
    libraries(root, (standard / "lib-dynload").glob("*.so"))


def packages(root: Path, wanted: Iterable[str]) -> None:
    """Installed packages with all that they require, in /packages."""
    objects = []
    for distribution in _closure(wanted):
        for file in distribution.files or ():
            source = Path(str(file.locate()))
            if ".." in file.parts or "__pycache__" in file.parts or source.suffix == ".a" or not source.is_file():
                continue
            target = root / "packages" / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
            if ".so" in source.suffixes or "bin" in file.parts:
                objects.append(source)
    libraries(root, objects)


def _closure(wanted: Iterable[str]) -> list[metadata.Distribution]:
    found: dict[str, metadata.Distribution] = {}
    asked: set[str] = set()
    waiting = list(wanted)
    while waiting:
        if (text := waiting.pop()) in asked:
            continue
        asked.add(text)
        one = _WANTED.match(text)
        if one is None:
            raise AssertionError(text)
        distribution = metadata.distribution(one["name"])
        found[str(distribution.metadata["Name"])] = distribution
        waiting += _required(distribution, {extra.strip() for extra in (one["extras"] or "").split(",")})
    return [found[name] for name in sorted(found)]


def _required(distribution: metadata.Distribution, extras: set[str]) -> Iterator[str]:
    """What it requires here: a package for another platform or version is not installed."""
    for text in distribution.requires or ():
        one = _WANTED.match(text)
        if one is None:
            continue
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", one["marker"] or "")
        if extra and extra[1] not in extras:
            continue
        try:
            metadata.distribution(one["name"])
        except metadata.PackageNotFoundError:
            continue
        yield f"{one['name']}[{one['extras']}]" if one["extras"] else one["name"]


def compiled(root: Path) -> None:
    """Byte code beside each module, as the file system will be read-only; it names no folder of this machine."""
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(
        root, quiet=2, workers=0, stripdir=str(root), prependdir="/", invalidation_mode=unchecked, maxlevels=40
    )
