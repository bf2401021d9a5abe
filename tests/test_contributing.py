"""CONTRIBUTING says how to add a kind: a copy of this repository in which somebody did just that."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from orchestrator.catalog import RESOURCES, SECRETS
from tests.support import REPOSITORY
from tests.test_official_schema import OFFICIAL

if TYPE_CHECKING:
    from pathlib import Path

NAME = "gcpkms"
TYPE = "vault_gcpkms_secret_backend_key"
BESIDE = shutil.ignore_patterns("__pycache__", ".*")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file as it stands in CONTRIBUTING, its import, and its name in its family."""
    root = tmp_path_factory.mktemp("contributed") / "repository"
    shutil.copytree(REPOSITORY, root, ignore=BESIDE)
    (block,) = re.findall(r"```python\n(.*?)```", (root / "CONTRIBUTING.md").read_text(), re.DOTALL)
    (root / f"orchestrator/catalog/{NAME}.py").write_text(textwrap.dedent(block))
    catalogue = root / "orchestrator/catalog/__init__.py"
    imported = f"from orchestrator.catalog.{NAME} import {NAME.upper()}\nfrom orchestrator.catalog.github"
    text = catalogue.read_text().replace("from orchestrator.catalog.github", imported, 1)
    catalogue.write_text(
        re.sub(r"(SECRETS = \{\s*kind\.name: kind\s+for kind in \()", rf"\1\n        {NAME.upper()},", text)
    )
    return root


def run(root: Path, *words: str) -> str:
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "STRONGROOM_PROVIDER_SCHEMA": str(OFFICIAL)}
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=root, env=environ, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_worked_example_is_no_kind_of_ours() -> None:
    assert NAME not in SECRETS
    assert TYPE not in RESOURCES


def test_the_worked_example_is_what_the_tests_ask_for(copy: Path) -> None:
    run(copy, "invoke", "docs")
    names = ("official_schema", "catalog", "config", "reference", "properties")
    which = f"{NAME} and not behind_our_back and not nobody_declared"  # these two start a server, which lacks it
    told = run(copy, "pytest", "-q", "-p", "no:cacheprovider", "-k", which, *(f"tests/test_{one}.py" for one in names))

    assert re.search(r"^\d+ passed", told, re.MULTILINE)
    run(copy, "ruff", "check", "--no-cache", "orchestrator/catalog")
    run(copy, "ruff", "format", "--no-cache", "--check", f"orchestrator/catalog/{NAME}.py")


def test_the_worked_example_renders_and_has_a_page(copy: Path) -> None:
    run(copy, "invoke", "docs")
    page = (copy / f"docs/reference/secrets-{NAME}.md").read_text()
    schema = json.loads((copy / "vault-config/schema/environment.json").read_text())
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (copy / "vault-config/environments/shop.yaml").write_text(f"environment: shop\ncluster: shop\n{example}")
    (copy / "vault-config/clusters/shop.yaml").write_text("{cluster: shop, server: {product: vault, version: 1.21.0}}")
    rendered = json.loads(run(copy, "invoke", "render", "-e", "shop"))

    assert rendered["locals"][TYPE]["gcpkms/orders"]["rotation_period"] == "720h"
    assert set(rendered["resource"]) >= {"vault_mount", TYPE}
    assert "not run, as no server of the suite has it" in page
    assert "rotation_period" in json.dumps(schema["$defs"][f"secrets.{NAME}"])
