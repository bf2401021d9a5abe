"""A cluster as files: each node once, no secret, the same bytes each time, and nothing of others overwritten."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING, Any

import pytest
import yaml  # noqa: TID251 - what is rendered is read as anybody would

from orchestrator.cluster.render.tree import rendered
from orchestrator.commands import cluster_render as commands
from orchestrator.errors import Refused, StrongroomError
from tests.cluster.rendering import BASE, CANARY, NAME, SECRETS, TRANSIT, VAULT, declared, write

if TYPE_CHECKING:
    from pathlib import Path


def files(root: Path, **more: Any) -> dict[str, str]:  # noqa: ANN401 - the same
    return rendered(declared(root, **more))


def read(text: str) -> Any:  # noqa: ANN401 - a document
    return yaml.safe_load(text)


def test_every_node_is_rendered_once(tmp_path: Path) -> None:
    found = files(tmp_path)

    names = sorted(path for path in found if path.startswith("nodes/"))
    wanted = ("docker-compose.yml", "openbao.service", "server.hcl")
    assert names == [f"nodes/vault-{number}/{name}" for number in (1, 2, 3) for name in wanted]
    for number in (1, 2, 3):
        text = found[f"nodes/vault-{number}/server.hcl"]
        assert f'node_id                = "vault-{number}"' in text
        assert f'address         = "10.0.{number}.11:8200"' in text
        assert f'cluster_address = "10.0.{number}.11:8201"' in text
        others = sorted(set("123") - {str(number)})
        assert [line.split("//")[1] for line in text.splitlines() if "leader_api_addr" in line] == [
            f'10.0.{other}.11:8200"' for other in others
        ]


def test_rendering_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    assert files(tmp_path) == files(tmp_path)


@pytest.mark.parametrize("product", [{}, VAULT], ids=["openbao", "vault"])
@pytest.mark.parametrize(
    "seal",
    [
        BASE["seal"],
        TRANSIT,
    ],
    ids=["awskms", "transit"],
)
def test_no_file_holds_a_secret_or_says_where_one_is(
    tmp_path: Path, product: dict[str, Any], seal: dict[str, Any]
) -> None:
    found = files(tmp_path, **product, seal=seal)

    assert [path for path, text in found.items() if CANARY in text or "env:UNSEAL" in text] == []


def test_the_example_names_what_the_seal_reads(tmp_path: Path) -> None:
    lines = files(tmp_path)["seal.env.example"].splitlines()[3:]

    assert lines == [
        "AWS_ACCESS_KEY_ID=",
        "AWS_SECRET_ACCESS_KEY=",
        "# AWS_SESSION_TOKEN=  # only where the machine has no identity of its own",
    ]


def test_a_cluster_whose_holders_unseal_it_needs_no_secret(tmp_path: Path) -> None:
    found = files(tmp_path, seal={"shamir": {}})

    assert "seal.env.example" not in found
    assert "EnvironmentFile" not in found["nodes/vault-1/openbao.service"]
    assert "env_file" not in found["nodes/vault-1/docker-compose.yml"]


def test_ports_are_those_that_are_declared(tmp_path: Path) -> None:
    nodes = {
        "a": {"address": "[2001:db8::1]:8300"},
        "b": {"address": "b.example.org"},
        "c": {"address": "10.0.0.3:9000"},
    }
    found = files(tmp_path, nodes=nodes)

    text = found["nodes/a/server.hcl"]
    assert 'api_addr              = "https://[2001:db8::1]:8300"' in text
    assert 'cluster_address = "[2001:db8::1]:8301"' in text
    targets = [one["targets"] for one in read(found["prometheus/scrape.yaml"])["scrape_configs"][0]["static_configs"]]
    assert targets == [["[2001:db8::1]:8300"], ["b.example.org:8200"], ["10.0.0.3:9000"]]
    machines = [one["targets"] for one in read(found["prometheus/scrape.yaml"])["scrape_configs"][2]["static_configs"]]
    assert machines == [["[2001:db8::1]:9100"], ["b.example.org:9100"], ["10.0.0.3:9100"]]


@pytest.mark.parametrize(
    ("bind", "address"), [("127.0.0.1", "127.0.0.1:8200"), ("::", "[::]:8200"), ("[::1]", "[::1]:8200")]
)
def test_a_listener_binds_where_it_is_told(tmp_path: Path, bind: str, address: str) -> None:
    listener = {**BASE["listener"], "bind": bind}

    text = files(tmp_path, listener=listener)["nodes/vault-1/server.hcl"]
    assert f'address         = "{address}"' in text
    assert 'api_addr              = "https://10.0.1.11:8200"' in text


def test_memory_is_kept_out_of_swap_as_each_server_can(tmp_path: Path) -> None:
    openbao = files(tmp_path)["nodes/vault-1/openbao.service"]
    mapped = files(tmp_path, **VAULT)
    locked = files(tmp_path, **VAULT, settings={"disable_mlock": False})

    assert "disable_mlock" not in files(tmp_path)["nodes/vault-1/server.hcl"]
    assert "disable_mlock = true" in mapped["nodes/vault-1/server.hcl"]
    assert "disable_mlock = false" in locked["nodes/vault-1/server.hcl"]
    for unit in (openbao, mapped["nodes/vault-1/vault.service"]):
        assert {"MemorySwapMax=0", "CapabilityBoundingSet=", "LimitMEMLOCK=0", "LimitCORE=0"} <= set(unit.splitlines())
    unit = locked["nodes/vault-1/vault.service"]
    assert {"CapabilityBoundingSet=CAP_IPC_LOCK", "LimitMEMLOCK=infinity", "LimitCORE=0"} <= set(unit.splitlines())
    service = read(locked["nodes/vault-1/docker-compose.yml"])["services"]["vault-1"]
    assert service["cap_add"] == ["IPC_LOCK"]


def test_a_unit_may_write_only_where_the_server_does(tmp_path: Path) -> None:
    unit = files(tmp_path)["nodes/vault-1/openbao.service"]

    assert "ReadWritePaths=/opt/openbao/data /var/log/openbao" in unit.splitlines()


def test_a_seal_without_declared_secrets_starts_without_their_file(tmp_path: Path) -> None:
    seal = {"awskms": {"region": "eu-central-1", "kms_key_id": "alias/unseal"}}
    found = files(tmp_path, seal=seal)

    assert "EnvironmentFile=-/etc/openbao/seal.env" in found["nodes/vault-1/openbao.service"]
    assert "EnvironmentFile=/etc/openbao/seal.env" in files(tmp_path)["nodes/vault-1/openbao.service"]
    assert "extraSecretEnvironmentVars: []" in found["helm/values.yaml"]


def test_pods_find_each_other_by_the_headless_service(tmp_path: Path) -> None:
    found = files(tmp_path)

    configurations = read(found["kubernetes/configmap.yaml"])["data"]
    assert list(configurations) == ["prod-0.hcl", "prod-1.hcl", "prod-2.hcl"]
    assert 'api_addr              = "https://prod-1.prod-internal:8200"' in configurations["prod-1.hcl"]
    assert '"/openbao/audit/audit.log"' in configurations["prod-1.hcl"]
    assert read(found["kubernetes/service-headless.yaml"])["metadata"]["name"] == "prod-internal"
    shared = read(found["helm/values.yaml"])["server"]["ha"]["raft"]["config"]
    assert shared.count("retry_join") == 3
    assert "node_id" not in shared
    assert "\napi_addr" not in shared


def test_no_probe_ends_a_pod_whose_seal_is_being_left(tmp_path: Path) -> None:
    moving = files(tmp_path, seal={"shamir": {}}, migrate_from=BASE["seal"])
    (container,) = read(moving["kubernetes/statefulset.yaml"])["spec"]["template"]["spec"]["containers"]

    assert "livenessProbe" not in container
    assert read(moving["helm/values.yaml"])["server"]["livenessProbe"]["enabled"] is False
    (container,) = read(files(tmp_path)["kubernetes/statefulset.yaml"])["spec"]["template"]["spec"]["containers"]
    assert container["livenessProbe"]["httpGet"]["path"].endswith("sealedcode=200&uninitcode=200")


def test_the_files_of_a_seal_come_from_a_secret(tmp_path: Path) -> None:
    seal = {"static": {"current_key_id": "k1", "current_key": "file:///etc/openbao/seal/k1.key"}}
    found = files(tmp_path, seal=seal)

    spec = read(found["kubernetes/statefulset.yaml"])["spec"]["template"]["spec"]
    assert {"mountPath": "/openbao/seal", "name": "seal", "readOnly": True} in spec["containers"][0]["volumeMounts"]
    (volume,) = [one for one in spec["volumes"] if one["name"] == "seal"]
    assert volume["secret"]["secretName"] == "prod-seal-files"
    assert '"file:///openbao/seal/k1.key"' in found["kubernetes/configmap.yaml"]
    service = read(found["nodes/vault-1/docker-compose.yml"])["services"]["vault-1"]
    assert "/etc/openbao/seal/k1.key" in [one["target"] for one in service["volumes"]]


def test_a_seal_may_name_the_variable_of_its_key(tmp_path: Path) -> None:
    seal = {"static": {"current_key_id": "k1", "current_key": "env://UNSEAL_WITH"}}
    found = files(tmp_path, seal=seal)

    assert found["seal.env.example"].splitlines()[3:] == ["UNSEAL_WITH="]
    assert "prod-seal-files" not in found["kubernetes/statefulset.yaml"]
    assert '"env://UNSEAL_WITH"' in found["nodes/vault-1/server.hcl"]


def test_the_plugin_of_a_seal_is_where_the_server_looks(tmp_path: Path) -> None:
    found = files(
        tmp_path,
        server={"product": "openbao", "version": "2.7.2"},
        plugins={"awskms": {"command": "awskms-plugin", "sha256sum": "0" * 64}},
        settings={"plugin_directory": "/opt/openbao/plugins"},
    )

    assert 'plugin "kms" "awskms" {' in found["nodes/vault-1/server.hcl"]
    service = read(found["nodes/vault-1/docker-compose.yml"])["services"]["vault-1"]
    assert "/opt/openbao/plugins" in [one["target"] for one in service["volumes"]]


def test_a_network_policy_lets_out_what_the_seal_needs(tmp_path: Path) -> None:
    seal = {"transit": {"address": "https://unseal.example.org:8443", "key_name": "u", "mount_path": "t/"}}

    def ports(of: str) -> list[int]:
        rules = read(of)["spec"]["egress"]
        return [port["port"] for rule in rules if "to" not in rule for port in rule["ports"]]

    assert ports(files(tmp_path, seal=seal)["kubernetes/networkpolicy.yaml"]) == [53, 53, 443, 6443, 8443]
    assert ports(files(tmp_path)["kubernetes/networkpolicy.yaml"]) == [53, 53, 443, 6443]
    kmip = {"endpoint": "hsm.example.org:5696", "kms_key_id": "1", "client_cert": "c.crt", "client_key": "c.key"}
    assert 5696 in ports(files(tmp_path, seal={"kmip": kmip})["kubernetes/networkpolicy.yaml"])


def test_out_writes_each_file_and_a_second_time_none(tmp_path: Path) -> None:
    write(tmp_path)
    out = tmp_path / "out"
    first = commands.render(tmp_path, NAME, SECRETS, "", out)
    second = commands.render(tmp_path, NAME, SECRETS, "", out)

    there = {str(path.relative_to(out)): path.read_text() for path in out.rglob("*") if path.is_file()}
    assert there == first.files
    assert set(first.changed) == set(first.files)
    assert second.changed == ()
    assert stat.S_IMODE((out / "helm/values.yaml").stat().st_mode) & 0o111 == 0


def test_what_is_no_longer_rendered_is_told_and_left(tmp_path: Path) -> None:
    write(tmp_path)
    out = tmp_path / "out"
    commands.render(tmp_path, NAME, SECRETS, "", out)
    (out / "notes.txt").write_text("of somebody")
    write(tmp_path, nodes={"vault-1": BASE["nodes"]["vault-1"]})

    found = commands.render(tmp_path, NAME, SECRETS, "", out)
    assert found.left == tuple(
        f"nodes/vault-{number}/{name}"
        for number in (2, 3)
        for name in ("docker-compose.yml", "openbao.service", "server.hcl")
    )
    assert (out / "nodes/vault-3/server.hcl").exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _: "ui = true\n", "it was not rendered by us"),
        (lambda text: text + 'log_level = "trace"\n', "somebody changed it since it was rendered"),
        (lambda text: text.replace("-c prod", "-c test", 1), "it belongs to cluster test"),
    ],
    ids=["foreign", "changed", "of another cluster"],
)
def test_what_somebody_else_wrote_is_not_overwritten(tmp_path: Path, change: Any, reason: str) -> None:  # noqa: ANN401
    write(tmp_path)
    out = tmp_path / "out"
    commands.render(tmp_path, NAME, SECRETS, "", out)
    path = out / "nodes/vault-2/server.hcl"
    path.write_text(change(path.read_text()))
    before = path.read_text()
    write(tmp_path, telemetry={"prometheus_retention": "48h"})

    with pytest.raises(Refused) as caught:
        commands.render(tmp_path, NAME, SECRETS, "", out)
    assert str(caught.value) == (
        "nothing is written, as that would overwrite what is not ours to overwrite; "
        f"move these away, or name another folder:\n{path}: {reason}"
    )
    assert path.read_text() == before
    assert '"24h"' in (out / "nodes/vault-1/server.hcl").read_text()


def test_only_names_a_file_or_a_folder(tmp_path: Path) -> None:
    write(tmp_path)

    assert list(commands.render(tmp_path, NAME, SECRETS, "helm/values.yaml").files) == ["helm/values.yaml"]
    assert list(commands.render(tmp_path, NAME, SECRETS, "prometheus/").files) == [
        "prometheus/blackbox.yaml",
        "prometheus/rules.yaml",
        "prometheus/scrape.yaml",
    ]
    with pytest.raises(StrongroomError) as caught:
        commands.render(tmp_path, NAME, SECRETS, "helm/valus.yaml")
    assert str(caught.value).startswith("--only helm/valus.yaml: no such file is rendered; ")


def test_a_key_that_is_made_here_is_not_rendered_for_machines_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "vault-config" / "clusters"
    folder.mkdir(parents=True)
    said = {"run": "local", "nodes": {"n1": None}, "seal": {"static": {"current_key_id": "k1"}}}
    said |= {"cluster": NAME, "server": {"product": "openbao", "version": "2.7.2"}, "listener": {"tls": {}}}
    (folder / f"{NAME}.yaml").write_text(json.dumps(said))

    with pytest.raises(Refused) as caught:
        commands.render(tmp_path, NAME, {})
    assert str(caught.value) == (
        f"cluster {NAME}: a cluster that runs here makes its own current_key, but what is rendered is for machines "
        "elsewhere; write it under static in its file"
    )


def test_a_cluster_without_nodes_renders_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "vault-config" / "clusters"
    folder.mkdir(parents=True)
    (folder / f"{NAME}.yaml").write_text(json.dumps({"cluster": NAME, "server": BASE["server"]}))

    with pytest.raises(Refused) as caught:
        commands.render(tmp_path, NAME, SECRETS)
    assert str(caught.value) == "cluster prod declares no `nodes:`; there is nothing to render"
