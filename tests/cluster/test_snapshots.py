"""Snapshots of one node: what counts as one, what is kept, what comes back, and what is refused."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import boto3
import pytest
from moto.server import ThreadedMotoServer

from orchestrator.cluster import nodes
from orchestrator.cluster.machines import local
from orchestrator.cluster.snapshots import archive, contents
from orchestrator.cluster.snapshots import drill as drills
from orchestrator.cluster.snapshots.archive import Broken
from orchestrator.cluster.snapshots.find import Found
from orchestrator.cluster.snapshots.ground import now
from orchestrator.commands import snapshots as commands
from orchestrator.errors import Refused, StrongroomError
from orchestrator.local import process
from tests.cluster.house import NAME, declared, standing
from tests.cluster.saving import dies, drill, kept, listed, quiet, restore, snapshots, take, tampered

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.cluster.snapshots.manifest import Manifest
    from tests.cluster.house import House

pytestmark = pytest.mark.server
ADVICE = (
    "Restore it where its own key is: on nodes that declare the seal of that time, with that key still there. "
    "It cannot be forced: the nodes would not open what they got. To move to another seal, restore first, and then "
    "`invoke cluster.migrate-seal`"
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    root = tmp_path_factory.mktemp("saved")
    with standing(root, declared(size=1, snapshots=snapshots(root))) as house:
        with house.session() as session:
            session.server.write("sys/mounts/kv", {"type": "kv"})
            session.server.write("kv/before", {"value": "canary-4711"})
        yield house


@pytest.fixture(autouse=True)
def _nothing_kept(house: House) -> None:
    shutil.rmtree(kept(house), ignore_errors=True)


def _changed(house: House, one: Manifest, **more: object) -> Manifest:
    """Another snapshot of the same bytes, as another manifest tells of it."""
    other = replace(one, **more)  # type: ignore[arg-type]
    shutil.copy(kept(house) / one.name, kept(house) / other.name)
    (kept(house) / f"{other.name}.json").write_text(json.dumps(asdict(other)))
    return other


def test_a_snapshot_is_private_and_says_what_it_is(house: House) -> None:
    one = take(house)
    file, beside = kept(house) / one.name, kept(house) / f"{one.name}.json"

    assert sorted(path.name for path in kept(house).iterdir()) == [one.name, beside.name]
    assert {path.stat().st_mode & 0o777 for path in (file, beside)} == {0o600}
    assert (one.cluster, one.seal, one.key_id, one.version) == (NAME, "static", "k1", "2.7.2")
    assert one.name == f"{NAME}-{one.when:%Y%m%dT%H%M%SZ}-{one.index}.snap"
    assert one.by == "approle (default, strongroom)"
    assert one.size == file.stat().st_size
    assert one.holds["mounts"] == ("cubbyhole/ (cubbyhole)", "identity/ (identity)", "kv/ (kv)", "sys/ (system)")
    assert one.holds["keys"] == ("kv/: 1",)
    assert "canary-4711" not in beside.read_text()


def test_one_that_is_young_enough_is_not_taken_again(house: House) -> None:
    one = take(house)
    again = commands.snapshot(house.root, NAME, house.environ, quiet, if_due=True)
    old = (now() - dt.timedelta(hours=6)).isoformat()
    (kept(house) / f"{one.name}.json").write_text(json.dumps({**asdict(one), "taken": old}))
    due = commands.snapshot(house.root, NAME, house.environ, quiet, if_due=True)

    assert (again.manifest, again.newest) == (None, one)
    assert due.manifest is not None


def test_the_newest_are_kept_and_nothing_that_is_not_ours_is_deleted(house: House) -> None:
    first = take(house)
    _changed(house, first, name=f"{NAME}-20200101T000000Z-1.snap", taken="2020-01-01T00:00:00+00:00")
    stranger = _changed(house, first, name=f"{NAME}-20200101T000000Z-2.snap", cluster_id="another")
    (kept(house) / "notes.txt").write_text("somebody's")
    (kept(house) / f"{NAME}-20190101T000000Z-3.snap").write_text("without a manifest")
    house.write(declared(size=1, snapshots=snapshots(house.root, keep=1)))
    try:
        taken = commands.snapshot(house.root, NAME, house.environ, quiet)
    finally:
        house.write(declared(size=1, snapshots=snapshots(house.root)))

    assert taken.manifest is not None
    assert sorted(taken.dropped) == sorted({f"{NAME}-20200101T000000Z-1.snap", first.name} - {taken.manifest.name})
    assert {one.name for one in kept(house).iterdir() if one.suffix != ".json"} == {
        taken.manifest.name,
        stranger.name,
        "notes.txt",
        f"{NAME}-20190101T000000Z-3.snap",
    }


def test_the_last_whole_one_outlives_younger_ones_that_are_not(house: House) -> None:
    one = take(house)
    broken = _changed(house, one, name=f"{NAME}-20990101T000000Z-9.snap", taken="2099-01-01T00:00:00+00:00")
    (kept(house) / broken.name).write_bytes(b"short")
    rows = listed(house).rows

    assert [(row.manifest.name, row.wrong) for row in rows] == [
        (broken.name, f"it has 5 bytes of {one.size}"),
        (one.name, ""),
    ]


@pytest.mark.parametrize(
    ("cut", "why"),
    [(-1, "it ends too early"), (1000, "it ends too early"), (0, "it ends too early")],
    ids=["last-byte", "middle", "empty"],
)
def test_what_was_cut_short_is_refused(cut: int, why: str, house: House, tmp_path: Path) -> None:
    one = take(house)
    file = tmp_path / "short.snap"
    file.write_bytes((kept(house) / one.name).read_bytes()[:cut])

    with pytest.raises(Broken) as caught:
        restore(house, str(file))
    assert str(caught.value) == f"{file} is no whole snapshot: {why}"


def test_what_was_changed_is_refused(house: House, tmp_path: Path) -> None:
    one = take(house)
    file = tampered(kept(house) / one.name, tmp_path / "changed.snap")
    with pytest.raises(Broken) as caught:
        restore(house, str(file))
    shutil.copy(file, kept(house) / one.name)
    with pytest.raises(Broken) as other:
        restore(house, one.name)

    was = "was changed: the sum of state.bin is not the one that the server wrote beside it"
    assert str(caught.value) == f"{file} {was}"
    assert str(other.value) == f"{kept(house) / one.name} {was}"


def test_a_restore_brings_back_what_was_there(house: House) -> None:
    one = take(house)
    with house.session() as session:
        session.server.write("kv/after", {"value": "1"})
        session.server.write("sys/mounts/younger", {"type": "kv"})
    restored = restore(house)
    with house.session() as session:
        there, mounts = session.server.list("kv/"), session.server.read("sys/mounts") or {}

    assert restored.differences == ()
    assert (restored.code, there, "younger/" in mounts) == (0, ("before",), False)
    assert restored.before is not None
    assert restored.before.holds["keys"] == ("kv/: 2", "younger/: 0")
    assert [(row.manifest.name, row.manifest.why) for row in listed(house, check=True).rows] == [
        (restored.before.name, "before a restore"),
        (one.name, ""),
    ]


def test_a_restore_is_agreed_to_by_its_digest(house: House) -> None:
    take(house)
    with pytest.raises(Refused, match=r"^--yes nonsense is not what would be done now: that is [0-9a-f]{12}"):
        restore(house, yes="nonsense")

    assert all(row.manifest.why == "" for row in listed(house).rows)


def test_another_key_is_refused_before_anything_is_changed(house: House, tmp_path: Path) -> None:
    one = take(house)
    file, name = kept(house) / one.name, one.name
    called = {"static": {"current_key_id": "k2", "current_key": "file:///local"}}
    with standing(tmp_path, declared(size=1, snapshots=snapshots(tmp_path))) as other:
        index = listed(other).rows
        with pytest.raises(Refused) as same_name:
            restore(other, str(file))
        other.write(declared(size=1, seal=called, snapshots=snapshots(tmp_path)))
        with pytest.raises(Refused) as other_name:
            restore(other, str(file))
        serves = nodes.wait_for_leader(other.cluster).active

    assert str(same_name.value) == (
        f"{name} is whole, but sealed with another key than that of these nodes, though its name may be the same: the "
        f"server could not open its sums, and has changed nothing. {ADVICE}"
    )
    assert str(other_name.value) == (
        f"{name} is sealed by static with the key k1, and these nodes have k2: they cannot open it. {ADVICE}"
    )
    assert (index, serves) == ((), True)


def test_the_least_rights_suffice(house: House) -> None:
    with house.session() as session:
        server = session.server
        rules = 'path "sys/storage/raft/snapshot" { capabilities = ["read", "update"] }'
        server.write("sys/policies/acl/saver", {"policy": rules})
        token = str(server.write("auth/token/create-orphan", {"policies": ["saver"]})["client_token"])
        server.write("kv/younger", {"value": "1"})
    environ = {**house.environ, "VAULT_TOKEN": token}
    one = take(house, environ)
    with house.session() as session:
        session.server.delete("kv/younger")
    restored = commands.restored(
        house.root, NAME, environ, quiet, one.name, empty=False, to="", yes="", show=quiet, ask=quiet
    )
    with house.session() as session:
        there = session.server.list("kv/")
        session.server.delete("kv/younger")

    assert one.holds == dict.fromkeys(contents.WORDS)
    assert (restored.differences, there) == ((), ("before", "younger"))


@pytest.mark.parametrize("step", ["piece", ".snap.json"])
def test_a_killed_snapshot_leaves_nothing_that_counts_for_more_than_it_is(step: str, house: House) -> None:
    dies(house, "snapshot", step)
    left = listed(house, check=True).rows
    one = take(house)
    rows = listed(house, check=True).rows

    assert [row.wrong for row in left] == ([] if step == "piece" else [""])
    assert rows[0].manifest == one
    assert not [path.name for path in kept(house).iterdir() if path.name.endswith(".part")]


def test_a_full_disk_is_told_and_leaves_nothing(house: House, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(full)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        with pytest.raises(StrongroomError) as caught:
            commands.snapshot(house.root, NAME, house.environ, quiet, to=f"file://{full}")
        left = list(full.iterdir())
    finally:
        subprocess.run(["/bin/umount", str(full)], check=True)

    assert str(caught.value) == f"{full} cannot be written: No space left on device; no snapshot was taken"
    assert left == []


def test_a_failed_upload_leaves_the_file_and_the_next_run_sends_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "local")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    to, home = "s3://saved/house", local.folder(house.root, NAME) / "snapshots"
    bucket = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    bucket.start()
    try:
        host, port = bucket.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:{port}")
        with pytest.raises(StrongroomError) as caught:
            commands.snapshot(house.root, NAME, house.environ, quiet, to=to)
        (left,) = home.glob("*.snap")
        boto3.client("s3").create_bucket(Bucket="saved")
        taken = commands.snapshot(house.root, NAME, house.environ, quiet, to=to)
        rows = commands.listed(house.root, NAME, house.environ, quiet, to=to, check=True).rows
    finally:
        bucket.stop()

    assert f"the snapshot itself is whole and lies at {left}: the next run uploads it" in str(caught.value)
    assert taken.sent == (left.name,)
    assert taken.manifest is not None
    assert {(row.manifest.name, row.wrong) for row in rows} == {(left.name, ""), (taken.manifest.name, "")}
    assert not list(home.glob("*.snap*"))


def _living(house: House) -> list[int]:
    """The processes of a throw-away cluster."""
    return [
        pid for path in local.folder(house.root, f"{NAME}.drill").glob("nodes/*") for pid in process.inhabitants(path)
    ]


def test_a_drill_tells_what_is_missing_and_leaves_nothing_though_one_was_killed(house: House) -> None:
    one = take(house)
    holds = {**one.holds, "mounts": [*(one.holds["mounts"] or ()), "lost/ (kv)"]}
    (kept(house) / f"{one.name}.json").write_text(json.dumps({**asdict(one), "holds": holds}))
    dies(house, "drill", "root-token")
    left = _living(house)
    failed = drill(house)

    assert len(left) == 1
    assert (failed.wrong, failed.passed) == (("secrets engines: missing: lost/ (kv)",), False)
    assert listed(house).drilled == failed
    assert not local.folder(house.root, f"{NAME}.drill").exists()
    assert nodes.wait_for_leader(house.cluster).active


@pytest.mark.parametrize("step", ["root-token", "sys/init"])
def test_empty_nodes_are_filled_though_it_was_killed_on_the_way(step: str, house: House) -> None:
    take(house)
    with house.control() as control:
        (node,) = control.cluster.nodes
        control.stop(node)
        control.wipe(node)
        control.start(node)
    nodes.wait(house.cluster, "it answers", lambda seen: seen[0].answers, 30.0)
    dies(house, "restore", step)
    restored = restore(house)
    with house.session() as session:
        value = session.server.read("kv/before")

    assert restored.differences == ()
    assert value == {"value": "canary-4711"}


def test_engines_that_act_on_other_systems_are_known_by_the_catalogue(house: House) -> None:
    with house.session() as session:
        session.server.write("sys/mounts/orders", {"type": "database"})
        session.server.write("sys/mounts/ca", {"type": "pki"})
    one = take(house)
    with house.session() as session:
        for mount in ("orders", "ca"):
            session.server.delete(f"sys/mounts/{mount}")
    file = kept(house) / one.name

    assert drills.outward(Found(file, archive.read(file), one.sha256, one)) == ("orders/ (database)",)


def test_it_is_told_when_there_is_no_snapshot_that_is_young_enough(house: House) -> None:
    none = commands.unsaved(house.root, house.declared, house.environ)
    one = take(house)
    young = commands.unsaved(house.root, house.declared, house.environ)
    old = (now() - dt.timedelta(hours=7)).isoformat()
    (kept(house) / f"{one.name}.json").write_text(json.dumps({**asdict(one), "taken": old}))
    late, shown = commands.unsaved(house.root, house.declared, house.environ), listed(house)

    how = f"take one first: invoke cluster.snapshot -c {NAME}"
    assert none == f"cluster {NAME} has no whole snapshot, and declares one every 6h; {how}"
    assert young == ""
    assert late == f"the newest whole snapshot of cluster {NAME} is 7h old, and it declares one every 6h; {how}"
    assert shown.code == 1


def test_two_looks_tell_what_moved() -> None:
    before: contents.Holds = {**dict.fromkeys(contents.WORDS, ("a", "b")), "auth": None}
    after: contents.Holds = {**dict.fromkeys(contents.WORDS, ("b", "c")), "auth": None}
    loose = contents.moved(before, after)
    seen: contents.Holds = {**dict.fromkeys(contents.WORDS, ("b",)), "keys": ("d",), "policies": None}

    assert loose == {**dict.fromkeys(contents.WORDS, ("a", "c")), "auth": ()}
    assert [str(one) for one in contents.compare(before, loose, seen)] == [
        "policies: the token may not look, so nothing is known",
        "uppermost keys of KV engines: missing: b; not there before: d",
    ]
