"""What tests of incidents share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.incident.scene import Scene

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.local.stack import Stack


@pytest.fixture
def scene(stack: Stack, tmp_path: Path, namespaces: None) -> Scene:  # noqa: ARG001 - it skips where there are none
    return Scene.on(stack, tmp_path)
