"""What is rendered, as the programs take it that it is for: systemd, Kubernetes' schemas, promtool, the servers."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
import yaml  # noqa: TID251 - what is rendered is read as anybody would

from orchestrator.cluster.render.tree import rendered
from tests.cluster.rendering import VAULT, declared
from tests.support import needs

if TYPE_CHECKING:
    from pathlib import Path

PRODUCTS = pytest.mark.parametrize("product", [{}, VAULT], ids=["openbao", "vault"])
KUBERNETES = ("1.30", "1.37")
MOST_EXPOSED = 20  # of 100, as systemd counts
NODES = ("vault-1", "vault-2", "vault-3")


def laid_out(root: Path, **more: Any) -> dict[str, str]:  # noqa: ANN401 - any part of a cluster's file
    """The files, and in the folder too."""
    found = rendered(declared(root, **more))
    for path, text in found.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return found


def ran(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


LOCKED = {**VAULT, "settings": {"disable_mlock": False}}


@pytest.mark.parametrize("product", [{}, VAULT, LOCKED], ids=["openbao", "vault", "locked"])
def test_systemd_takes_the_unit_and_calls_it_safe(tmp_path: Path, product: dict[str, Any]) -> None:
    systemd = needs("systemd-analyze")
    found = laid_out(tmp_path, **product)
    (name,) = [path for path in found if path.startswith("nodes/vault-1/") and path.endswith(".service")]
    unit = tmp_path / name
    lines = found[name].splitlines()
    (start,) = [line for line in lines if line.startswith("ExecStart=")]
    unit.write_text(found[name].replace(start, "ExecStart=/bin/true"))  # the server is not installed here

    said = ran(systemd, "verify", unit)
    assert [line for line in said.splitlines() if unit.name in line] == []
    ran(systemd, "security", "--offline=true", f"--threshold={MOST_EXPOSED}", unit)


def test_systemd_takes_the_units_of_snapshots(tmp_path: Path) -> None:
    systemd = needs("systemd-analyze")
    found = laid_out(tmp_path)
    service, timer = (f"snapshots/strongroom-snapshot-prod.{ending}" for ending in ("service", "timer"))
    (start,) = [line for line in found[service].splitlines() if line.startswith("ExecStart=")]
    (tmp_path / service).write_text(found[service].replace(start, "ExecStart=/bin/true"))

    said = ran(systemd, "verify", tmp_path / service, tmp_path / timer)
    assert [line for line in said.splitlines() if "strongroom" in line] == []
    assert "OnUnitActiveSec=21600s" in found[timer].splitlines()


def test_compose_takes_the_service(tmp_path: Path) -> None:
    compose = needs("docker-compose")
    for product in ({}, VAULT):
        found = laid_out(tmp_path, **product, seal={"shamir": {}})
        ran(compose, "-f", tmp_path / "nodes/vault-1/docker-compose.yml", "config", "--quiet")
    assert "env_file" not in found["nodes/vault-1/docker-compose.yml"]


@PRODUCTS
@pytest.mark.parametrize("version", KUBERNETES)
def test_manifests_are_what_kubernetes_knows(tmp_path: Path, product: dict[str, Any], version: str) -> None:
    found = rendered(declared(tmp_path, **product))
    documents = [yaml.safe_load(text) for path, text in found.items() if path.startswith("kubernetes/")]

    for document in documents:
        kubernetes_validate.validate(document, version, strict=True)
    assert sorted(document["kind"] for document in documents) == [
        "ConfigMap",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Role",
        "RoleBinding",
        "Service",
        "Service",
        "Service",
        "ServiceAccount",
        "StatefulSet",
    ]


def test_the_schemas_notice_a_field_that_kubernetes_lacks(tmp_path: Path) -> None:
    document = yaml.safe_load(rendered(declared(tmp_path))["kubernetes/statefulset.yaml"])
    document["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, KUBERNETES[0], strict=True)


def test_prometheus_takes_its_files(tmp_path: Path) -> None:
    promtool, blackbox = needs("promtool"), needs("prometheus-blackbox-exporter")
    laid_out(tmp_path)

    ran(promtool, "check", "config", "--syntax-only", tmp_path / "prometheus/scrape.yaml")
    assert "19 rules found" in ran(promtool, "check", "rules", tmp_path / "prometheus/rules.yaml")
    ran(blackbox, "--config.check", f"--config.file={tmp_path / 'prometheus/blackbox.yaml'}")


Series = dict[str, str]
PROBE = '{{job="prod-health",node="{node}",instance="{node}"}}'
DISK = '{{job="prod-machines",node="{node}",mountpoint="/opt"}}'
LED = 'job="prod",instance="vault-1"'
SNAPSHOT = 'node_textfile_mtime_seconds{file="/var/lib/prometheus/node-exporter/strongroom-prod.prom"}'


def everywhere(name: str, labels: str, *values: str) -> Series:
    return {name + labels.format(node=node): value for node, value in zip(NODES, values, strict=True)}


HEALTHY: Series = {  # what each series is at every minute
    **everywhere("probe_http_status_code", PROBE, "200", "429", "429"),
    **everywhere("probe_success", PROBE, "1", "1", "1"),
    **everywhere("probe_ssl_earliest_cert_expiry", PROBE, *["99999999"] * 3),
    **everywhere("vault_core_active", '{{job="prod",instance="{node}"}}', "1", "0", "0"),
    f"vault_audit_log_request_failure{{{LED}}}": "0",
    f"vault_audit_log_response_failure{{{LED}}}": "0",
    f'vault_raft_leader_lastContact{{{LED},quantile="0.99"}}': "60",
    f"vault_autopilot_healthy{{{LED}}}": "1",
    f"vault_autopilot_failure_tolerance{{{LED}}}": "1",
    f"vault_expire_num_leases{{{LED}}}": "5000",
    f"vault_expire_num_irrevocable_leases{{{LED}}}": "0",
    f"vault_token_count{{{LED}}}": "5000",
    **everywhere("node_filesystem_avail_bytes", DISK, "80", "80", "80"),
    **everywhere("node_filesystem_size_bytes", DISK, "100", "100", "100"),
    SNAPSHOT: "0+{step}",  # always a new one: the clock of these tests begins at 0
}


def probe(what: str, number: int) -> str:
    return f"probe_{what}" + PROBE.format(node=NODES[number - 1])


def led(name: str, more: str = "") -> str:
    return f"vault_{name}{{{LED}{more}}}"


def without(prefix: str) -> Series:
    return dict.fromkeys((one for one in HEALTHY if one.startswith(prefix)), "")


CHANGES = {  # two changes of the leader: the first leads, the second, the first, the second, the first
    probe("http_status_code", 1): "200x20 429x10 200x10 429x10 200x30",
    probe("http_status_code", 2): "429x20 200x10 429x10 200x10 429x30",
}
GROWN, FEW = "2000x12 9000x144", "20x12 900x144"
A_DAY_LATER = 1530
FIRES: dict[str, tuple[Series, int, str]] = {
    "all is well": ({}, 60, ""),
    "a node is silent": ({probe("http_status_code", 2): "0x60"}, 60, "ClusterNodeSilent"),
    "a node is sealed": ({probe("http_status_code", 2): "503x60"}, 60, "ClusterNodeSealed"),
    "a node fails": (
        {probe("http_status_code", 2): "500x60", probe("success", 2): "0x60"},
        60,
        "ClusterNodeFails",
    ),
    "nobody leads": ({probe("http_status_code", 1): "429x60"}, 60, "ClusterWithoutLeader"),
    "two lead": ({probe("http_status_code", 2): "200x60"}, 60, "ClusterWithTwoLeaders"),
    "the leader changes": (CHANGES, 62, "ClusterLeaderFlaps"),
    "a certificate ends": ({probe("ssl_earliest_cert_expiry", 3): "1000000x120"}, 90, "ClusterCertificateEnds"),
    "requests are not audited": ({led("audit_log_request_failure"): "0x55 1+1x10"}, 60, "ClusterAuditFails"),
    "answers are not audited": ({led("audit_log_response_failure"): "0x55 1+1x10"}, 60, "ClusterAuditFails"),
    "followers are slow": ({led("raft_leader_lastContact", ',quantile="0.99"'): "900x60"}, 60, "ClusterRaftSlow"),
    "autopilot complains": ({led("autopilot_healthy"): "0x60"}, 60, "ClusterUnhealthy"),
    "one node is lost": ({led("autopilot_failure_tolerance"): "0x60"}, 60, "ClusterMayLoseNoNode"),
    "leases grow": ({led("expire_num_leases"): GROWN}, A_DAY_LATER, "ClusterLeasesGrow"),
    "tokens grow": ({led("token_count"): GROWN}, A_DAY_LATER, "ClusterTokensGrow"),
    "few leases grow": ({led("expire_num_leases"): FEW}, A_DAY_LATER, ""),
    "a lease stays": ({led("expire_num_irrevocable_leases"): "1x60"}, 60, "ClusterLeasesIrrevocable"),
    "a disk fills": ({"node_filesystem_avail_bytes" + DISK.format(node="vault-2"): "9x60"}, 60, "ClusterDiskFills"),
    "snapshots end": ({SNAPSHOT: "0x80"}, 750, "ClusterSnapshotOld"),
    "no snapshot was taken": ({SNAPSHOT: ""}, 60, "ClusterSnapshotOld"),
    "nobody probes": (without("probe_"), 60, "ClusterHealthUnseen"),
    "no metrics come": (without("vault_"), 60, "ClusterMetricsUnseen"),
    "nobody sees the machines": (without("node_filesystem"), 60, "ClusterMachinesUnseen"),
}


@pytest.mark.parametrize("case", FIRES)
def test_an_alert_fires_when_it_should_and_alone(tmp_path: Path, case: str) -> None:
    changed, minutes, alert = FIRES[case]
    (tmp_path / "rules.yaml").write_text(rendered(declared(tmp_path))["prometheus/rules.yaml"])
    step = 10 if minutes > 120 else 1  # minutes between two values
    healthy = {name: f"{value.format(step=60 * step)}x{minutes // step}" for name, value in HEALTHY.items()}
    series = {**healthy, **changed}
    check = {
        "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": f"{minutes}m",
        "exp_samples": [{"labels": f'{{alertname="{alert}"}}', "value": 1}] if alert else [],
    }
    unit = {
        "interval": f"{step}m",
        "input_series": [{"series": name, "values": values} for name, values in series.items() if values],
        "promql_expr_test": [check],
    }
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": f"{step}m", "tests": [unit]}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(document))

    ran(needs("promtool"), "test", "rules", tmp_path / "tests.yaml")


def test_every_alert_is_tried(tmp_path: Path) -> None:
    groups = yaml.safe_load(rendered(declared(tmp_path))["prometheus/rules.yaml"])["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"]}

    assert alerts == {alert for *_, alert in FIRES.values() if alert}
