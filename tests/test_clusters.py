"""A cluster's file says every mistake at once with its place, and warns of what is laxer than it should be."""

from __future__ import annotations

import random
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.commands.check import validate
from orchestrator.config import clusters
from orchestrator.errors import ConfigInvalid
from tests.support import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = Path(__file__).parent / "examples/clusters"
NAMES = sorted(path.stem for path in CASES.glob("*.yaml"))
FILE = "vault-config/clusters/case.yaml"


@pytest.fixture(name="write")
def fixture_write(tmp_path: Path) -> Callable[[str], Path]:
    """A project with one cluster, the environments that its file may name, and the keys of holders."""
    for folder in ("clusters", "environments"):
        (tmp_path / "vault-config" / folder).mkdir(parents=True)
    for name, cluster in (("access", "case"), ("theirs", "other")):
        text = f"environment: {name}\ncluster: {cluster}\n"
        (tmp_path / f"vault-config/environments/{name}.yaml").write_text(text)
    shutil.copytree(CASES / "keys", tmp_path / "keys")
    (tmp_path / "keys/private.asc").write_text("-----BEGIN PGP PRIVATE KEY BLOCK-----\n")

    def write(text: str) -> Path:
        (tmp_path / FILE).write_text(text)
        return tmp_path

    return write


def told(root: Path) -> str:
    """The mistakes of the file, or else its warnings."""
    try:
        return "".join(f"{one}\n" for one in clusters.named(root, "case", None).warnings)
    except ConfigInvalid as error:
        return f"{error}\n"


@pytest.mark.parametrize("name", NAMES)
def test_everything_there_is_to_say_is_said_with_its_place(name: str, write: Callable[[str], Path]) -> None:
    expected = (CASES / f"{name}.txt").read_text()

    assert expected == told(write((CASES / f"{name}.yaml").read_text()))


def test_validate_reads_clusters_that_no_environment_names(write: Callable[[str], Path]) -> None:
    root = write((CASES / "accepted.yaml").read_text())
    (root / "vault-config/environments/theirs.yaml").unlink()
    (root / "vault-config/clusters/other.yaml").write_text(
        "cluster: other\nserver: {product: vault, version: '1.19'}\n"
    )
    valid = validate(root, [])
    (root / "vault-config/clusters/other.yaml").write_text(
        "cluster: another\nserver: {product: vault, version: '1.19'}\n"
    )
    with pytest.raises(ConfigInvalid) as caught:
        validate(root, [])

    assert (valid.counted, valid.clusters) == ({"access": 0}, {"case": 1, "other": 0})
    assert str(caught.value) == ("vault-config/clusters/other.yaml:1:10: cluster: must be the file's name; write other")


@pytest.mark.parametrize("name", ["prod", "mine"])
def test_a_cluster_on_the_page_is_right(write: Callable[[str], Path], name: str) -> None:
    page = (REPOSITORY / "docs/clusters.md").read_text()
    (text,) = [one for one in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if f"cluster: {name}\n" in one]
    root = write(text.replace(f"cluster: {name}\n", "cluster: case\n").replace("apply: mine-access", "apply: access"))

    assert told(root) == ""


def test_the_page_names_every_rule() -> None:
    page = (REPOSITORY / "docs/clusters.md").read_text()
    (table,) = re.findall(r"\| rule \|.*?\n\n", page, re.DOTALL)
    broken = "".join(path.read_text() for path in CASES.glob("*.txt"))

    rules = set(re.findall(r"# strongroom: allow ([a-z-]+) because \.\.\.", broken))
    assert set(re.findall(r"`([a-z-]+)`", table)) == rules


def test_a_damaged_file_is_refused_or_read_and_never_a_crash(write: Callable[[str], Path]) -> None:
    dice = random.Random(17)  # noqa: S311 - the same damage every time
    texts = [(CASES / f"{name}.yaml").read_text() for name in NAMES]
    for _ in range(400):
        text = dice.choice(texts)
        at = dice.randrange(len(text))
        put = dice.choice(["", "{", "}", "[]", "5", ": ", "null", "'", "${X}", "\n", "nodes: ", "true"])
        root = write(text[:at] + put + text[at + dice.randrange(12) :])

        assert isinstance(told(root), str)
