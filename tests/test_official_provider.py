"""The official provider beside ours: each plans the other's state without a change, where it can be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.catalog import RESOURCES
from orchestrator.commands.plan import Asked, apply, plan
from orchestrator.context import opened
from orchestrator.terraform import run
from orchestrator.terraform import workspace as folders
from orchestrator.terraform.provider.schema import resource_schema
from orchestrator.terraform.run import ProviderUnavailable
from tests.support import everything, no_progress, no_question, project
from tests.test_official_schema import as_declared, declared

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.local.stack import Stack

pytestmark = pytest.mark.server

NAME = "both"


def test_what_one_provider_wrote_the_other_plans_without_changes(stack: Stack, tmp_path: Path) -> None:
    document = everything("both", stack, without=frozenset({"passthrough"}))
    environ = project(tmp_path, stack, NAME, document)
    apply(tmp_path, NAME, environ, no_progress, no_question, Asked(verify=False))
    project(tmp_path, stack, NAME, document, provider="official")
    try:
        report = plan(tmp_path, NAME, environ, no_progress, None)
    except ProviderUnavailable:
        pytest.skip("the official provider cannot be had here: no registry, no mirror, no cache")

    assert report.provider == "official"
    assert report.changes == ()


@pytest.mark.parametrize("provider", ["offline", "official"])
def test_terraform_sees_the_schema_that_the_catalogue_says(stack: Stack, tmp_path: Path, provider: str) -> None:
    environ = project(tmp_path, stack, NAME, {}, provider=provider)
    with opened(tmp_path, NAME, environ) as context, folders.locked(context):
        folders.write(context, ())
        try:
            workspace, _ = folders.ready(context)
        except ProviderUnavailable:
            pytest.skip("the official provider cannot be had here: no registry, no mirror, no cache")
        (found,) = run.providers_schema(workspace)["provider_schemas"].values()

    for name, resource in RESOURCES.items():
        ours, theirs = resource_schema(resource), found["resource_schemas"][name]

        assert theirs["version"] == ours.version
        assert as_declared(theirs["block"]) == declared(ours.block)


def test_auto_takes_the_offline_provider_where_the_official_one_cannot_be_had(stack: Stack, tmp_path: Path) -> None:
    environ = project(tmp_path, stack, NAME, {}, provider="auto")
    report = plan(tmp_path, NAME, environ, no_progress, None)
    if report.provider == "official":
        pytest.skip("the official provider can be had here")

    assert report.provider == "offline"


def test_a_cluster_that_wants_the_official_provider_refuses_without_it(stack: Stack, tmp_path: Path) -> None:
    environ = project(tmp_path, stack, NAME, {}, provider="official")
    try:
        report = plan(tmp_path, NAME, environ, no_progress, None)
    except ProviderUnavailable as error:
        assert "The provider hashicorp/vault cannot be had; reach Terraform's registry, name a mirror" in str(error)  # noqa: PT017 - which of two is right depends on the network
    else:
        assert report.provider == "official"
