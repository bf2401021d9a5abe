"""The reference is made from the catalogue, says all that it knows, and is fresh."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from orchestrator import reference
from orchestrator.catalog import AUTH, CATALOG
from orchestrator.config import described, source
from orchestrator.config.schema import sections
from orchestrator.model import Field, Limit
from orchestrator.shapes import TEXT
from tests.support import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.model import Kind

USERPASS = AUTH["userpass"]


def test_what_is_made_from_the_catalogue_is_fresh() -> None:
    folders = [REPOSITORY / reference.FOLDER, REPOSITORY / reference.SCHEMAS]
    committed = {str(path.relative_to(REPOSITORY)): path.read_text() for one in folders for path in one.iterdir()}

    assert reference.files() == committed


def test_the_page_of_a_kind_that_is_gone_goes_too(tmp_path: Path) -> None:
    gone = tmp_path / reference.FOLDER / "auth-gone.md"
    gone.parent.mkdir(parents=True)
    gone.touch()

    reference.write(tmp_path)

    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")} == set(reference.files())


@pytest.mark.parametrize("kind", CATALOG.values(), ids=lambda kind: kind.name)
def test_a_page_names_every_setting_and_every_reason(kind: Kind) -> None:
    page = reference.page(kind)
    fields = {**(kind.mount.settings if kind.mount else {})}
    for one in kind.objects if kind.name in sections() or kind.mount else ():
        fields |= one.settings

    assert [name for name in fields if f"| `{name}` |" not in page] == []
    assert [why for one in fields.values() for why in one.absent.values() if why not in page] == []


@pytest.mark.parametrize(
    "kind", [*sections().values(), *(one for one in CATALOG.values() if one.mount)], ids=lambda kind: kind.name
)
def test_the_example_on_a_page_is_yaml_that_says_the_same(kind: Kind, tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", reference.page(kind), re.DOTALL)
    (tmp_path / "example.yaml").write_text(block)
    node = source.read(tmp_path / "example.yaml", "example.yaml", [])

    example = {kind.name: kind.example}
    assert node is not None
    assert node.plain() == (example if kind.family == "system" else {kind.family: example})


def test_a_page_tells_on_which_servers_the_example_runs() -> None:
    older = replace(USERPASS, absent={"openbao>=2.7": "OpenBao 2.7 dropped it; register a plugin"})
    nowhere = replace(USERPASS, absent={"openbao": "OpenBao has none; run it on HashiCorp Vault"})

    assert "- Tests: the suite runs the example on OpenBao 2.6.2 and 2.7.2\n" in reference.page(USERPASS)
    assert (
        "- Servers: all but OpenBao 2.7 and newer\n"
        "- Not on OpenBao 2.7 and newer: OpenBao 2.7 dropped it; register a plugin\n"
        "- Tests: the suite runs the example on OpenBao 2.6.2\n"
    ) in reference.page(older)
    assert (
        "- Tests: held to the official provider's schema, not run, as no server of the suite has it\n"
    ) in reference.page(nowhere)


def test_a_limit_is_told_with_its_reason() -> None:
    field = Field(TEXT, limit=Limit("short", bool, "a long one outlives its purpose"))

    assert [*described.remarks(USERPASS, field)] == ["Held to the rule short: a long one outlives its purpose"]
