"""Whatever is typed, nothing changes on the server nor on disk until somebody said yes to exactly that."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.incident.scene import NAME
from tests.support import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.incident.scene import Scene

pytestmark = pytest.mark.server
LINES = 120
RUN = """\
import contextlib, io, json, os, sys

lines = json.load(sys.stdin)
os.close(0)
os.open(os.devnull, os.O_RDONLY)
sys.stdin = open(0)
from invoke import Collection, Program
import tasks

found = []
for line in lines:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            Program().run(["invoke", *line])
            code = 0
        except SystemExit as end:
            code = end.code
    found.append([code, said.getvalue()])
json.dump(found, sys.stdout)
"""
TARGETS = {
    "role": ("auth/approle/payments", "auth/approle/orders", "auth/approle/none", "auth/approle/", "database/x", "*"),
    "mount": ("auth/approle", "auth/token", "apps", "sys", "auth", ".."),
    "policy": ("payments", "Payments", "default", "root", "none"),
    "path": ("apps/payments", "apps/+", "/"),
    "lease-prefix": ("auth", "auth/approle", "apps/", "/", "sys/leases"),
    "entity": ("none", "../x"),
    "group": ("none",),
    "kv": ("apps/payments", "apps/payments@1", "apps/payments@x", "apps/none"),
    "everything": (NAME, "prod", "yes"),
    "accessor": ("none", "a b", "ä"),
    "secret-id-accessor": ("none",),
    "client-address": ("127.0.0.1", "0.0.0.0/0", "x"),
    "account": ("v-token-x",),
    "certificate": ("01:02", "file:/dev/null"),
    "ssh-key": ("file:/dev/null", "SHA256:x"),
    "transit-key": ("transit/x@1",),
    "token": ("-", "prompt", "file:/dev/null", "yes"),
    "finding": ("/dev/null", "none"),
}
SAID = {
    "yes": ("000000000000", "yes", "true", "*", "-"),
    "close": ("hard", "soft", "none", "gently"),
    "namespace": ("all", "none", "/"),
    "between": ("2026-01-31T22:00Z/2026-02-01T04:00Z", "now"),
    "max-rate": ("5", "-1", "nan", "x"),
    "approve": ("-", "prompt", "yes"),
    "sign": ("transit/none", "file:/dev/null"),
    "format": ("json", "text", "xml"),
    "audit-log": ("/dev/null", "none"),
    "krl": ("/dev/null", "none"),
}
FLAGS = ("dry-run", "reissue", "yes", "unfinished", "force", "y")
OTHERS = (
    ["incident.resume", "INC-7"],
    ["incident.undo-close", "INC-7", "--yes", "--unfinished"],
    ["incident.report", "INC-7"],
    ["runbook", "leaked-approle-secret-id", "--incident", "INC-9", "-e", NAME, "--set", "role=auth/approle/payments"],
)


def typed(chance: random.Random, digest: str) -> list[str]:
    """A command line as nobody should type it; the digest is the right one of something else."""
    if chance.random() < 0.1:
        return list(chance.choice(OTHERS))
    words = [["--incident", chance.choice(("INC-7", "INC-8"))]] if chance.random() < 0.9 else []
    words += [["-e", NAME]] if chance.random() < 0.9 else []
    for pool, most in ((TARGETS, 3), (SAID, 4)):
        for flag in chance.sample(sorted(pool), chance.randint(0, most)):
            values = (*pool[flag], digest) if flag == "yes" else pool[flag]
            words.append([f"--{flag}", chance.choice(values)])
    words += [[f"--{chance.choice(FLAGS)}"]] if chance.random() < 0.3 else []
    chance.shuffle(words)
    return ["revoke", *(word for pair in words for word in pair)]


def state(scene: Scene) -> dict[str, Any]:
    """All that a revocation could change."""
    server, top = scene.server, scene.server.in_namespace("")
    roles = server.list("auth/approle/role")
    paths = ["sys/policies/acl/payments", "sys/policies/acl/default", "apps/metadata/payments"]
    return {
        "tokens": sorted(server.list("auth/token/accessors")),
        "leases": sorted(server.list("sys/leases/lookup/auth/approle/login")),
        "SecretIDs": {one: sorted(server.list(f"auth/approle/role/{one}/secret-id")) for one in roles},
        "settings": {path: server.read(path) for path in (*(f"auth/approle/role/{one}" for one in roles), *paths)},
        "entities": (server.read("identity/entity/id", query="list=true") or {}).get("key_info"),
        "quotas": top.list("sys/quotas/rate-limit"),
        "ours": top.read("auth/token/lookup-self"),
        "files": [
            str(one) for one in scene.root.glob("incidents/**/*") if "INC-9" not in str(one)
        ],  # the runbook's are its own
    }


def run(scene: Scene, lines: list[list[str]]) -> list[tuple[int, str]]:
    """The exit code of each line, and what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input=json.dumps(lines),
        cwd=scene.root,
        env={**scene.environ, "PYTHONPATH": f"{REPOSITORY}:{scene.root}", "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        start_new_session=True,
    )
    assert done.returncode == 0, done.stderr
    return [(code, said) for code, said in json.loads(done.stdout)]


@pytest.mark.parametrize("seed", [2, 4])
def test_no_line_has_an_effect_without_a_yes_to_what_it_does(scene: Scene, seed: int, tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / "tasks.py", tmp_path / "tasks.py")
    (tmp_path / "runbooks").symlink_to(REPOSITORY / "runbooks")
    scene.server.write("sys/policies/acl/payments", {"policy": 'path "apps/*" { capabilities = ["read"] }'})
    scene.server.write("sys/mounts/apps", {"type": "kv", "options": {"version": "2"}})
    scene.server.write("apps/data/payments", {"data": {"a": "b"}})
    scene.approle("payments", "orders", "third", token_policies=["payments"])
    tokens = [scene.login(role)["client_token"] for role in ("payments", "orders", "third")]
    digest = scene.look(("role", "auth/approle/third")).digest
    before = state(scene)
    chance = random.Random(seed)  # noqa: S311 - the same lines each time
    lines = [typed(chance, digest) for _ in range(LINES)]

    answers = run(scene, lines)

    assert state(scene) == before
    assert [scene.lives(token) for token in tokens] == [True, True, True]
    wrong = [(line, said) for line, (_, said) in zip(lines, answers, strict=True) if "Strongroom's own" in said]
    assert wrong == []
    assert {code for code, _ in answers} <= {0, 1, 2, 3, 4, 5}
    assert [
        " ".join(line) for line, (code, _) in zip(lines, answers, strict=True) if not code and "--dry-run" not in line
    ] == []

    ((code, said),) = run(
        scene, [["revoke", "--incident", "INC-7", "-e", NAME, "--role", "auth/approle/third", "--yes", digest]]
    )

    assert (code, scene.lives(tokens[2])) == (0, False), said
    assert state(scene) != before
