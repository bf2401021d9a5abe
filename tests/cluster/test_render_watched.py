"""Three real nodes, as Prometheus sees them by what is rendered for it."""

from __future__ import annotations

import json
import re
import ssl
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

import pytest

from orchestrator.cluster.render.tree import rendered
from orchestrator.local import process
from tests.cluster.house import STATIC, House, declared, standing
from tests.cluster.rendering import running, until
from tests.support import needs

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.server, pytest.mark.long]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Three nodes whose metrics anybody may read."""
    telemetry = {"prometheus_retention": "24h", "unauthenticated_metrics": True}
    said = declared("2.7.2", STATIC, telemetry=telemetry)
    with standing(tmp_path_factory.mktemp("watched"), said) as house:
        yield house


NOT_AT_ONCE = {"vault_token_count"}  # counted every ten minutes


def test_the_alerts_ask_for_metrics_that_there_are(watched: House) -> None:
    rules = rendered(watched.declared)["prometheus/rules.yaml"]
    asked = set(re.findall(r"\bvault_\w+", rules))
    cluster = watched.cluster

    def missing() -> bool:
        texts = (
            _text(f"{cluster.url(node)}/v1/sys/metrics?format=prometheus", cluster.ca_cert) for node in cluster.nodes
        )
        there = {name for text in texts for name in re.findall(r"^vault_\w+", text, re.MULTILINE)}
        return asked - there <= NOT_AT_ONCE

    assert asked > NOT_AT_ONCE
    until("every metric is there", missing)


def _text(url: str, ca: str = "") -> str:
    handlers = [HTTPSHandler(context=ssl.create_default_context(cafile=ca))] if ca else []
    with build_opener(ProxyHandler({}), *handlers).open(url, timeout=10) as reply:
        found = reply.read()
    return bytes(found).decode()


def _ready(port: int) -> bool:
    with suppress(OSError):
        return "Ready" in _text(f"http://127.0.0.1:{port}/-/ready")
    return False


def _query(port: int, expression: str) -> list[dict[str, Any]]:
    found = json.loads(_text(f"http://127.0.0.1:{port}/api/v1/query?query={quote(expression)}"))
    return list(found["data"]["result"])


def _states(port: int) -> dict[str, str]:
    """What the blackbox exporter made of each node's health."""
    return {one["metric"]["node"]: one["value"][1] for one in _query(port, "probe_http_status_code")}


def test_prometheus_sees_each_node_by_what_is_rendered(watched: House, tmp_path: Path) -> None:
    prometheus, blackbox = needs("prometheus"), needs("prometheus-blackbox-exporter")
    cluster = watched.cluster
    here, there = process.free_ports(2)
    found = rendered(cluster)
    (tmp_path / f"{cluster.name}-ca.crt").write_text(Path(cluster.ca_cert).read_text())
    for path in ("scrape", "blackbox", "rules"):
        text = found[f"prometheus/{path}.yaml"].replace("/etc/prometheus/", f"{tmp_path}/")
        text = text.replace("127.0.0.1:9115", f"127.0.0.1:{there}")
        faster = (
            "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [rules.yaml]\n"
            if path == "scrape"
            else ""
        )
        (tmp_path / f"{path}.yaml").write_text(faster + text)
    asks = (blackbox, f"--config.file={tmp_path}/blackbox.yaml", f"--web.listen-address=127.0.0.1:{there}")
    keeps = (prometheus, f"--config.file={tmp_path}/scrape.yaml", f"--web.listen-address=127.0.0.1:{here}")

    with running(tmp_path, *asks), running(tmp_path, *keeps, f"--storage.tsdb.path={tmp_path}/tsdb"):
        until("Prometheus is ready", lambda: _ready(here))
        until("every node is seen", lambda: sorted(_states(here).values()) == ["200", "429", "429"])
        until("every node has metrics", lambda: len(_query(here, "vault_core_unsealed == 1")) == 3)
        leads = [one["metric"]["node"] for one in _query(here, "vault_core_active == 1")]
        (leader,) = [node for node, state in _states(here).items() if state == "200"]
        standby = next(node for node in cluster.nodes if node.name != leader)
        with watched.control() as control:
            control.stop(standby)
        until("it is silent", lambda: _states(here)[standby.name] == "0")
        until("the alert waits", lambda: _query(here, f'ALERTS{{alertname="ClusterNodeSilent",node="{standby.name}"}}'))
        with watched.control() as control:
            control.start(standby)

    assert leads == [leader]
