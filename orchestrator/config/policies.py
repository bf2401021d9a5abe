"""The policies: one HCL file each, named as the file is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.catalog.system import POLICIES
from orchestrator.config import source
from orchestrator.declared import Declaration, Where
from orchestrator.errors import ConfigInvalid
from orchestrator.policy.parse import parse

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.errors import Problem

FOLDER = "policies"
_FILE = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?\.hcl")


def read(root: Path, environment: str, problems: list[Problem]) -> list[Declaration]:
    """Those of every environment, and those in the folder that is named as this one."""
    folders = (root / FOLDER, root / FOLDER / environment)
    paths = {path.name: path for folder in folders for path in sorted(folder.glob("*.[hH][cC][lL]"))}
    found = [_policy(root, path, problems) for path in paths.values()]
    return [one for one in found if one]


def _policy(root: Path, path: Path, problems: list[Problem]) -> Declaration | None:
    file = str(path.relative_to(root))
    where = Where(file, 1, 1)
    if not _FILE.fullmatch(path.name) or path.stem == "root":
        wanted = "lower-case letters, digits and - before .hcl (and not root)"
        problems.append(source.problem(where, f"the file's name is the policy's; write {wanted}"))
        return None
    try:
        text = source.text(path, file)
        parse(text, file)
    except source.Unreadable as error:
        problems.append(error.problem)
        return None
    except ConfigInvalid as error:
        problems.extend(error.problems)
        text = ""
    return Declaration(POLICIES, POLICIES.objects[0], "", path.stem, {"policy": text}, where)
