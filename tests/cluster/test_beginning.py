"""A cluster begins once: whoever was killed goes on, the keys reach their holders, the root token is nowhere."""

from __future__ import annotations

import base64
import json
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from orchestrator.cluster import keys, nodes, show
from orchestrator.commands import cluster_init
from orchestrator.errors import Refused
from orchestrator.live import probe
from orchestrator.local import files
from tests.cluster.house import NAME, SHAMIR, STATIC, declared, standing, written
from tests.support import REPOSITORY, needs, no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.documents import Json
    from tests.cluster.house import House

pytestmark = pytest.mark.server

STEPS = (
    "unfinished",
    "sys/init",
    "recovery-1.key",
    "recovery-3.key",
    "root-token",
    "apply",
    "role-id",
    "auth/token/revoke-self",
)
PLACE = f".strongroom/clusters/{NAME}/keys"


@pytest.fixture(name="house")
def fixture_house(tmp_path: Path) -> Iterator[House]:
    """A cluster of one node that is not up yet."""
    house = written(tmp_path, declared("2.7.2", STATIC, size=1))
    try:
        yield house
    finally:
        house.down()


def killed(house: House, step: str) -> str:
    """What a run printed that killed itself at a step."""
    command = [sys.executable, "-m", "tests.cluster.killed", str(house.root), step]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=120)

    assert (step, done.returncode) == (step, -signal.SIGKILL), done.stderr
    return done.stdout + done.stderr


def test_whoever_is_killed_at_any_step_goes_on(house: House) -> None:
    place = house.root / PLACE
    printed, tokens = "", set()
    for step in STEPS:
        printed += killed(house, step)
        tokens.add(keys.token(place))
    raised = house.up()
    with house.session() as session:
        who = session.who
    again = house.up()
    shares = keys.bare(place, "recovery")
    dead = [
        probe.ask(raised.seen[0].url, "auth/token/lookup-self", ca=house.cluster.ca_cert, token=one).status
        for one in tokens
    ]

    assert who == "approle (default, strongroom)"
    assert (raised.begun is None, again.begun is None) == (False, True)
    assert sorted(path.name for path in place.iterdir()) == ["recovery-1.key", "recovery-2.key", "recovery-3.key"]
    assert (len(set(shares)), len(tokens), set(dead)) == (3, 2, {403})
    assert leaks(house, [*shares, *filter(None, tokens)], printed) == []


def leaks(house: House, secrets: list[str], printed: str) -> list[str]:
    """Where one of these stands that must not stand anywhere but in the files of the keys."""
    forms = [form.encode() for one in secrets for form in (one, forms_of(one)) if form]
    folder = house.root / PLACE
    inside = (
        path
        for path in house.root.rglob("*")
        if path.is_file() and not path.is_symlink() and folder not in path.parents
    )
    found = [str(path) for path in inside if any(form in path.read_bytes() for form in forms)]
    return found + (["printed"] if any(form in printed.encode() for form in forms) else [])


def forms_of(share: str) -> str:
    """A share is also written in hexadecimal."""
    try:
        return base64.b64decode(share, validate=True).hex()
    except ValueError:
        return ""


def test_a_storage_that_the_server_spoilt_is_made_anew(house: House) -> None:
    """A server that cannot encrypt the shares has initialised by then, and answers nothing any more."""
    with house.control() as control:
        control.prepare()
        (node,) = control.cluster.nodes
        control.install(node)
        control.start(node)
        cluster = control.cluster
    (seen,) = nodes.wait(cluster, "it answers", lambda all_: all_[0].answers, 20)
    files.write(files.private_folder(house.root / PLACE) / keys.UNFINISHED, "")
    body: dict[str, Json] = {
        "recovery_shares": 1,
        "recovery_threshold": 1,
        "recovery_pgp_keys": [signing_key(house.root)],
    }
    refused = probe.ask(seen.url, "sys/init", ca=cluster.ca_cert, method="PUT", body=body, seconds=30)
    after = probe.ask(seen.url, "sys/init", ca=cluster.ca_cert)
    raised = house.up()

    assert (refused.ok, after.document) == (False, {"initialized": True})
    assert raised.begun is not None
    assert [one.word for one in raised.seen] == ["leader"]


def gpg(home: Path, *words: str, said: bytes = b"") -> bytes:
    command = [
        needs("gpg"),
        "--homedir",
        str(home),
        "--batch",
        "--quiet",
        "--pinentry-mode",
        "loopback",
        "--passphrase",
        "",
    ]
    return subprocess.run([*command, *words], input=said, capture_output=True, check=True, timeout=60).stdout


def home(root: Path) -> Path:
    return files.private_folder(root / "gnupg")


def signing_key(root: Path) -> str:
    gpg(home(root), "--quick-generate-key", "signs@example.org", "ed25519", "sign", "never")
    content = base64.b64encode(gpg(home(root), "--export", "signs@example.org")).decode()
    gpg(home(root), "--version")
    return content


@pytest.fixture(name="gnupg")
def fixture_gnupg(tmp_path: Path) -> Iterator[Path]:
    folder = files.private_folder(tmp_path / "gnupg")
    yield folder
    subprocess.run([needs("gpgconf"), "--homedir", str(folder), "--kill", "all"], check=False, capture_output=True)


def test_holders_open_a_cluster_with_shares_that_only_they_can_read(gnupg: Path, tmp_path: Path) -> None:
    for name, algorithm in (("ada", "future-default"), ("bob", "rsa2048"), ("cyd", "future-default")):
        gpg(gnupg, "--quick-generate-key", f"{name}@example.org", algorithm, "default", "never")
        if algorithm == "rsa2048":
            (line, *_) = re.findall(rb"^fpr:+(\w+):", gpg(gnupg, "--with-colons", "--list-keys", name), re.MULTILINE)
            gpg(gnupg, "--quick-add-key", line.decode(), "rsa2048", "encr", "never")
        (tmp_path / f"{name}.asc").write_bytes(gpg(gnupg, "--export", "--armor", f"{name}@example.org"))
    holders: Json = {name: f"{name}.asc" for name in ("ada", "bob", "cyd")}
    init: Json = {"apply": "access", "role": "strongroom", "threshold": 2, "holders": holders}
    house = written(tmp_path, declared("2.7.2", SHAMIR, size=1, init=init))
    place = house.root / PLACE
    try:
        with pytest.raises(Refused) as caught:
            house.up()
        files_then = sorted(path.name for path in place.iterdir())
        shares = [base64.b64decode((place / f"unseal-{name}.pgp").read_text()) for name in ("ada", "bob", "cyd")]
        opened = [gpg(gnupg, "--decrypt", said=share).decode() for share in shares]
        url, ca = house.cluster.url(house.cluster.nodes[0]), house.cluster.ca_cert
        for share in opened[1:]:
            said = probe.ask(url, "sys/unseal", ca=ca, method="PUT", body={"key": share})
        raised = house.up()
        with house.session() as session:
            who = session.who
        house.down()
        with pytest.raises(Refused) as sealed:
            house.up()
    finally:
        house.down()

    assert str(sealed.value) == (
        "n1: sealed, and only the holders have the keys: unseal with `invoke cluster.unseal -c house`"
    )
    told = "n1: sealed, and only the holders have the keys: unseal with `invoke cluster.unseal -c house` and run "
    told += f"`invoke cluster.up -c house` again, which goes on; till then the root token lies in {place}"
    assert str(caught.value) == told
    assert files_then == ["root-token", "unseal-ada.pgp", "unseal-bob.pgp", "unseal-cyd.pgp"]
    assert said.document["sealed"] is False
    assert (raised.begun is None, who) == (False, "approle (default, strongroom)")
    assert sorted(path.name for path in place.iterdir()) == files_then[1:]
    assert leaks(house, opened, "") == []


def test_bare_shares_open_a_cluster_that_was_down(tmp_path: Path) -> None:
    with standing(tmp_path, declared("2.7.2", SHAMIR, size=1)) as house:
        house.down()
        raised = house.up()

    assert raised.begun is None
    assert [one.word for one in raised.seen] in (["leader"], ["standby"])  # it elects itself a moment later


def test_a_cluster_that_we_do_not_start_begins_too(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    with house.control() as control:
        control.prepare()
        (node,) = control.cluster.nodes
        control.install(node)
        control.start(node)
        cluster = control.cluster
    nodes.wait(cluster, "it answers", lambda all_: all_[0].answers, 20)
    far = elsewhere(house, cluster.nodes[0].host_port)
    begun = cluster_init.init(house.root, "far", house.environ, print, no_progress)
    show.show_begun(begun, keys=False)
    printed = capsys.readouterr().out
    show.show_begun(begun, keys=True)
    printed_too = capsys.readouterr().out
    shares = keys.bare(house.root / "keys", "recovery")
    with pytest.raises(Refused) as again:
        cluster_init.init(house.root, "far", house.environ, print, no_progress)
    (house.root / "keys" / keys.UNFINISHED).touch()
    (house.root / "keys/recovery-1.key").unlink()
    with pytest.raises(Refused) as unfinished:
        cluster_init.init(house.root, "far", house.environ, print, no_progress)
    (seen,) = nodes.look(cluster)

    assert far["cluster"] == begun.cluster
    assert [share in printed for share in shares] == [False] * 3
    assert [share in printed_too for share in shares] == [True] * 3
    assert str(again.value) == (
        "nothing is done, as the cluster is initialised already: n1. "
        "Look at it with `invoke cluster.status`, or name other nodes"
    )
    assert str(unfinished.value) == (
        "an earlier init of far ended before it saved the keys. If nobody else has initialised it since, its storage "
        "holds nothing and cannot be opened (n1: leader): stop the nodes, delete /opt/openbao/data on each, start "
        f"them, and run this again. Else delete {house.root / 'keys/unfinished'}"
    )
    assert seen.word == "leader"


def elsewhere(house: House, address: str) -> dict[str, Json]:
    """The same cluster, declared as one that somebody else starts."""
    said = declared("2.7.2", STATIC, size=1)
    for key in ("run", "audit"):
        del said[key]
    ca = f".strongroom/clusters/{NAME}/ca/ca.crt"
    login = {"role_id": "file:login/role-id", "secret_id": "file:login/secret-id"}
    said |= {
        "cluster": "far",
        "nodes": {"n1": {"address": address}},
        "listener": {"tls": {"certificate": "node.crt", "key": "node.key", "ca": ca}},
        "init": {"apply": "far-access", "role": "strongroom", "shares": 3, "threshold": 2, "keys": "keys"},
        "login": {"approle": login},
    }
    (house.root / "vault-config/clusters/far.yaml").write_text(json.dumps(said))
    access = json.loads((house.root / "vault-config/environments/access.yaml").read_text())
    access |= {"environment": "far-access", "cluster": "far"}
    (house.root / "vault-config/environments/far-access.yaml").write_text(json.dumps(access))
    policies = house.root / "policies/far-access"
    policies.mkdir()
    (policies / "strongroom.hcl").write_text((house.root / "policies/access/strongroom.hcl").read_text())
    return said
