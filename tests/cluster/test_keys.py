"""Keys that are rotated, and root tokens that are made for one purpose: killed anywhere, nothing is lost or left."""

from __future__ import annotations

import base64
import multiprocessing
import os
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from orchestrator.cluster import keys, lead, migrate, nodes, rotate, shares
from orchestrator.cluster import root as roots
from orchestrator.cluster.machines import choose
from orchestrator.commands import cluster_keys
from orchestrator.errors import Refused, StrongroomError
from orchestrator.live import probe
from orchestrator.local import files
from tests.cluster.house import NAME, SHAMIR, STATIC, House, declared, standing
from tests.support import needs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orchestrator.cluster.root import Root
    from orchestrator.documents import Json

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One node whose keys are recovery keys."""
    with standing(tmp_path_factory.mktemp("keys"), declared("2.7.2", STATIC, size=1)) as found:
        yield found


def asked(house: House, told: list[str] | None = None, ways: tuple[str, ...] = ()) -> cluster_keys.Asked:
    told = [] if told is None else told

    def agree(question: str) -> None:
        raise Refused(question)

    return cluster_keys.Asked(house.root, NAME, house.environ, told.append, agree, ways)


def place(house: House) -> Path:
    return keys.folder(house.root, house.declared)


def lying(house: House) -> dict[str, str]:
    return {path.name: path.read_text().strip() for path in place(house).iterdir()}


@contextmanager
def door(house: House) -> Iterator[Callable[..., probe.Said]]:
    """Asks the leader, as a login of ours."""
    with lead.session(house.root, house.declared, house.environ) as led:
        leader = nodes.wait_for_leader(led.cluster)

        def ask(path: str, body: dict[str, Json] | None = None, method: str = "GET") -> probe.Said:
            return probe.ask(leader.url, path, ca=led.cluster.ca_cert, token=led.token, method=method, body=body)

        yield ask


def open_door(house: House, path: str, body: dict[str, Json] | None = None, method: str = "GET") -> probe.Said:
    with door(house) as ask:
        return ask(path, body, method)


def counts(house: House, found: list[str]) -> bool:
    """Whether these shares are those that count, by a rotation that is called off."""
    path, wanted = "sys/rotate/recovery", {"secret_shares": 3, "secret_threshold": 2, "require_verification": True}
    with door(house) as ask:
        nonce = ask(f"{path}/init", wanted, "POST").data["nonce"]
        said = [ask(f"{path}/update", {"key": share, "nonce": nonce}, "POST") for share in found[:2]]
        ask(f"{path}/init", method="DELETE")
    return bool(said[-1].ok and said[-1].data.get("complete"))


@contextmanager
def keyring(root: Path) -> Iterator[Callable[[bytes], str]]:
    """The keys of ada and bob in files, and what decrypts for them."""
    home = files.private_folder(root / "gnupg")
    command = [needs("gpg"), "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback"]

    def gpg(*words: str, said: bytes = b"") -> bytes:
        ran = subprocess.run([*command, "--passphrase", "", *words], input=said, capture_output=True, check=True)
        return ran.stdout

    try:
        for name in ("ada", "bob"):
            gpg("--quick-generate-key", f"{name}@example.org", "future-default", "default", "never")
            (root / f"{name}.asc").write_bytes(gpg("--export", "--armor", f"{name}@example.org"))
        yield lambda share: gpg("--decrypt", said=share).decode()
    finally:
        subprocess.run([needs("gpgconf"), "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)


def dies(work: Callable[[], object]) -> bool:
    """Whether a child that does this is killed."""
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(60)
    return child.exitcode == -signal.SIGKILL


def kill(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_barrier_key_gets_a_new_term(house: House) -> None:
    done = cluster_keys.rotate_keys(asked(house), "barrier")

    assert done.after == done.before + 1


def test_new_shares_count_and_old_ones_do_not(house: House) -> None:
    before = sorted(share for name, share in lying(house).items() if name.endswith(".key"))
    done = cluster_keys.rotate_keys(asked(house), "recovery")
    after = [path.read_text().strip() for path in done.shares]

    assert [path.name for path in done.shares] == ["recovery-1.key", "recovery-2.key", "recovery-3.key"]
    assert {path.stat().st_mode & 0o777 for path in place(house).iterdir()} == {0o600}
    assert sorted(path.read_text().strip() for path in done.kept)[-3:] != []
    assert set(before) <= {path.read_text().strip() for path in done.kept}
    assert not set(before) & set(after)
    assert counts(house, after)
    assert not counts(house, before)


def ended_after(patched: pytest.MonkeyPatch, moment: str) -> None:
    """Be killed right after this function of a rotation, or this file was written."""
    module, name = (keys, moment) if hasattr(keys, moment) else (rotate, moment)
    whole = not hasattr(module, name)
    real: Callable[..., object] = files.write if whole else getattr(module, name)

    def after(*arguments: object) -> object:
        answer = real(*arguments)
        if not whole or getattr(arguments[0], "name", "") == moment:
            kill()
        return answer

    patched.setattr(files if whole else module, "write" if whole else name, after)


def rotates(house: House) -> list[str]:
    """The shares that a rotation gives that nobody has to agree to."""
    done = cluster_keys.rotate_keys(asked(house), "recovery")
    assert not [name for name in lying(house) if name.endswith(".new")]
    return [path.read_text().strip() for path in done.shares]


@pytest.mark.parametrize(
    "moment",
    ["_begin", "_hand", "recovery-2.key.new", "_save", "_prove", "_proven", "free"],
    ids=lambda name: name.strip("_"),
)
def test_a_rotation_killed_at_any_moment_leaves_shares_that_count(
    moment: str, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        ended_after(patched, moment)
        died = dies(lambda: cluster_keys.rotate_keys(asked(house), "recovery"))
    current = rotates(house)

    assert died
    assert len(current) == 3
    assert counts(house, current)


def test_whoever_is_killed_as_shares_are_tried_does_not_leave_those_of_the_trial(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    died = []
    for name, moment in (("_proven", rotate), ("cancel", rotate.Desk)):
        with monkeypatch.context() as patched:
            patched.setattr(moment, name, kill)
            died.append(dies(lambda: cluster_keys.rotate_keys(asked(house), "recovery")))
    proven = sorted(share for name, share in lying(house).items() if name.endswith(".new"))
    current = rotates(house)

    assert died == [True, True]
    assert sorted(current) == proven
    assert counts(house, current)


def test_one_rotation_at_a_time_and_none_while_a_seal_is_left(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "PATIENCE", 0.0)
    with house.control(), pytest.raises(StrongroomError) as busy:
        cluster_keys.rotate_keys(asked(house), "recovery")
    (place(house) / "recovery-1.key.new").write_text("of a rotation")
    house.write(declared("2.7.2", SHAMIR, size=1, migrate_from=STATIC))
    with pytest.raises(Refused) as rotating:
        migrate.planned(cluster_keys.moving(asked(house)))
    house.write(declared("2.7.2", STATIC, size=1))
    (place(house) / "recovery-1.key.new").unlink()

    assert f"another command has held cluster {NAME}" in str(busy.value)
    assert str(rotating.value) == (
        f"{place(house)} holds recovery-1.key.new: a rotation of the keys did not come to its end. "
        f"End it first: invoke cluster.rotate-keys -c {NAME} --what recovery"
    )


def test_a_rotation_of_somebody_else_is_not_called_off_unasked(house: House) -> None:
    body: dict[str, Json] = {"secret_shares": 3, "secret_threshold": 2, "require_verification": True}
    nonce = open_door(house, "sys/rotate/recovery/init", body, "POST").data["nonce"]
    with pytest.raises(Refused) as caught:
        cluster_keys.rotate_keys(asked(house), "recovery")
    still = open_door(house, "sys/rotate/recovery/init").data["nonce"]
    open_door(house, "sys/rotate/recovery/init", method="DELETE")

    assert str(caught.value) == (
        f"somebody has begun a rotation (nonce {nonce}, 0 of 2 shares given), and not from here. Call it off?"
    )
    assert still == nonce


def test_wrong_shares_rotate_nothing_and_are_not_told(house: House, tmp_path: Path) -> None:
    wrong = ["ab" * 33, "cd" * 33]
    (tmp_path / "wrong").write_text("\n".join(wrong))
    with pytest.raises(StrongroomError) as caught:
        cluster_keys.rotate_keys(asked(house, ways=(f"file:{tmp_path / 'wrong'}",)), "recovery")
    status = open_door(house, "sys/rotate/recovery/init").data

    assert "do not fit" in str(caught.value)
    assert not [share for share in wrong if share in str(caught.value)]
    assert status["started"] is False


def test_what_the_seal_has_not_is_refused(house: House) -> None:
    with pytest.raises(Refused) as caught:
        cluster_keys.rotate_keys(asked(house), "unseal")

    assert str(caught.value) == (
        f"cluster {NAME} is sealed by static: it has recovery keys and no unseal keys; say --what recovery"
    )


def test_a_root_token_is_used_and_dead_afterwards(house: House) -> None:
    told: list[str] = []
    used: list[tuple[int, str]] = []

    def use(found: Root) -> None:
        said = probe.ask(found.url, "auth/token/lookup-self", ca=found.ca_cert, token=found.token)
        used.append((said.status, found.token))
        assert found.file.read_text() == found.token
        assert found.file.stat().st_mode & 0o777 == 0o600

    done = cluster_keys.generate_root(asked(house, told), use, unlock=False)
    status, token = used[0]
    after = probe.ask(
        house.cluster.url(house.cluster.nodes[0]), "auth/token/lookup-self", ca=house.cluster.ca_cert, token=token
    )

    assert status == 200
    assert after.status == 403
    assert done.dead.startswith("403 ")
    assert not [line for line in told if token in line]
    assert [path for path in house.root.rglob("*") if path.is_file() and _holds(path, token)] == []


def _holds(path: Path, text: str) -> bool:
    return "servers" not in path.parts and text.encode() in path.read_bytes()


def made_until(house: House, moment: str, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether a run is killed right after this function."""
    real = getattr(roots, moment)

    def after(*arguments: object) -> object:
        answer = real(*arguments)
        kill()
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(roots, moment, after)
        return dies(lambda: cluster_keys.generate_root(asked(house), lambda _: None, unlock=False))


@pytest.mark.parametrize("moment", ["_clear", "_kept", "_sweep"], ids=lambda name: name.strip("_"))
def test_a_root_token_whose_maker_was_killed_is_ended_by_the_next_run(
    moment: str, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    died = made_until(house, moment, monkeypatch)
    alive_before = _root_tokens(house)
    done = cluster_keys.generate_root(asked(house), lambda _: None, unlock=False)

    assert died
    assert len(alive_before) == len(done.cleaned) == (0 if moment == "_clear" else 1)
    assert _root_tokens(house) == []
    assert not (house.root / f".strongroom/clusters/{NAME}/generate-root.json").exists()


def test_root_tokens_that_were_lost_end_when_people_agree_and_nobody_elses_does(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    died = [made_until(house, moment, monkeypatch) for moment in ("_made", "_kept", "_made")]
    lost = _root_tokens(house)
    theirs, told, questions = _made_by_hand(house), list[str](), list[str]()
    cluster_keys.generate_root(asked(house, told), lambda _: None, unlock=False)
    left = _root_tokens(house)
    agreeing = cluster_keys.Asked(house.root, NAME, house.environ, told.append, questions.append)
    done = cluster_keys.generate_root(agreeing, lambda _: None, unlock=False)
    (colleague,) = _root_tokens(house)
    ours = open_door(house, "auth/token/revoke-accessor", {"accessor": colleague}, "POST")

    assert died == [True] * 3
    assert len(lost) == 2
    assert set(left) == {*lost, theirs}
    assert [line for line in told if "is left alone: An earlier run was killed as its root token was made." in line]
    assert len(questions) == len(done.cleaned) == 2
    assert (colleague, ours.ok) == (theirs, True)


def _made_by_hand(house: House) -> str:
    """The accessor of a root token that a colleague makes."""
    begun = open_door(house, "sys/generate-root-token/attempt", {}, "PUT").data
    for share in shares.lying(place(house), "recovery")[:2]:
        body: dict[str, Json] = {"key": share.value, "nonce": begun["nonce"]}
        said = open_door(house, "sys/generate-root-token/update", body, "PUT").data
    token = roots._decoded(str(said["encoded_token"]), str(begun["otp"]))  # noqa: SLF001 - as anybody decodes it
    (node,) = house.cluster.nodes
    looked = probe.ask(house.cluster.url(node), "auth/token/lookup-self", ca=house.cluster.ca_cert, token=token)
    return str(looked.data["accessor"])


def test_no_run_ends_the_root_token_that_another_holds(house: House) -> None:
    refused = []

    def other(found: Root) -> None:
        with pytest.raises(StrongroomError) as caught:
            cluster_keys.end_root(asked(house))
        said = probe.ask(found.url, "auth/token/lookup-self", ca=found.ca_cert, token=found.token)
        refused.append((str(caught.value), said.status))

    cluster_keys.generate_root(asked(house), other, unlock=False)
    ((words, status),) = refused

    assert f"another command has made or held a root token of {NAME}" in words
    assert status == 200


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_a_root_token_ends_with_the_terminal_of_its_maker(how: signal.Signals, house: House) -> None:
    def use(_: Root) -> None:
        os.kill(os.getpid(), how)

    with pytest.raises(KeyboardInterrupt):
        cluster_keys.generate_root(asked(house), use, unlock=False)

    assert _root_tokens(house) == []


def _root_tokens(house: House) -> list[str]:
    """The accessors of living root tokens."""
    with door(house) as ask:
        found = ask("auth/token/accessors", method="LIST").data["keys"]
        looked = {one: ask("auth/token/lookup-accessor", {"accessor": one}, "POST").data for one in found}
    return [one for one, said in looked.items() if said.get("policies") == ["root"]]


def test_an_attempt_of_somebody_else_is_shown_and_left(house: House) -> None:
    nonce = open_door(house, "sys/generate-root-token/attempt", {}, "PUT").data["nonce"]
    with pytest.raises(Refused) as caught:
        cluster_keys.generate_root(asked(house), lambda _: None, unlock=False)
    open_door(house, "sys/generate-root-token/attempt", method="DELETE")

    assert str(caught.value).startswith("somebody makes a root token (nonce ")
    assert "0 of 2 shares given), and not from here. Call it off?" in str(caught.value)
    assert nonce


def test_without_a_login_a_node_is_unlocked_for_the_time_being(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roots, "_LOGIN", 0.5)
    with standing(tmp_path, declared("2.7.2", SHAMIR, size=1)) as house:
        (tmp_path / f".strongroom/clusters/{NAME}/login/secret-id").write_text("lost")
        with pytest.raises(Refused) as caught:
            cluster_keys.generate_root(asked(house), lambda _: None, unlock=False)
        done = cluster_keys.generate_root(asked(house), lambda _: None, unlock=True)
        node = house.cluster.nodes[0]
        locked = probe.ask(house.cluster.url(node), "sys/generate-root/attempt", ca=house.cluster.ca_cert)
        with house.control() as control:
            config = (control.at(node) / "server.hcl").read_text()
        lying_shares = shares.lying(place(house), "unseal")

    assert str(caught.value) == (
        f"cluster {NAME}: no login may give shares, and no node takes them without one. Set "
        "`disable_unauthed_generate_root_endpoints = false` in the listener of n1 and restart it, or let this do it "
        "and undo it: --unlock"
    )
    assert done.way == "n1, without a login"
    assert done.dead.startswith("403 ")
    assert locked.status == 405
    assert "generate_root" not in config
    assert len(lying_shares) == 3


def test_holders_prove_new_shares_before_the_old_ones_end(house: House, tmp_path: Path) -> None:
    """The last one: from here on nobody but the holders has shares."""
    with keyring(house.root) as decrypt:
        old = [share.value for share in shares.lying(place(house), "recovery")]
        holders: Json = {"ada": "ada.asc", "bob": "bob.asc"}
        init: Json = {"apply": "access", "role": "strongroom", "threshold": 2, "holders": holders}
        house.write(declared("2.7.2", STATIC, size=1, init=init))
        waiting = cluster_keys.rotate_keys(asked(house), "recovery")
        new = [decrypt(base64.b64decode(path.read_text())) for path in waiting.shares]
        (tmp_path / "wrong").write_text("\n".join(old))
        with pytest.raises(StrongroomError):
            cluster_keys.rotate_keys(asked(house, ways=(f"file:{tmp_path / 'wrong'}",)), "recovery")
        (tmp_path / "proof").write_text("\n".join(new))
        done = cluster_keys.rotate_keys(asked(house, ways=(f"file:{tmp_path / 'proof'}",)), "recovery")
        new_count, old_count = counts(house, new), counts(house, old)

    assert waiting.waits.startswith("the old shares count until the holders have proven the new ones")
    assert [path.name for path in waiting.shares] == ["recovery-ada.pgp.new", "recovery-bob.pgp.new"]
    assert [path.name for path in done.shares] == ["recovery-ada.pgp", "recovery-bob.pgp"]
    assert not list(place(house).glob("*.key"))
    assert {path.read_text().strip() for path in done.kept} >= set(old)
    assert (new_count, old_count) == (True, False)
