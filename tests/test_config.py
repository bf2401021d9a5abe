"""The promises of the configuration: right files load, wrong ones say everything at once, and no secret is repeated."""

from __future__ import annotations

import json
import random
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator

from orchestrator.catalog import AUTH, CATALOG, FAMILIES, SECRETS
from orchestrator.config import source
from orchestrator.config.checks import lacks
from orchestrator.config.load import environments, load, schemas
from orchestrator.config.schema import sections
from orchestrator.config.words import A_LITERAL
from orchestrator.declared import Cluster, Login, TerraformSettings
from orchestrator.errors import ConfigInvalid
from orchestrator.instances import instances
from orchestrator.policy.parse import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.declared import Environment
    from orchestrator.documents import Json
    from orchestrator.model import Field, Kind

ROOT = Path(__file__).parents[1]
VALID = ROOT / "tests/examples/valid"
INVALID = ROOT / "tests/examples/invalid"
FILE = "vault-config/environments/case.yaml"
CANARY = "canary-7f3a"
ENVIRON = {"HOST": "db", "TEAM": "payments", "TTL": "20m", "HOME": "/home/strongroom"}
MOUNTED = [*AUTH.values(), *SECRETS.values()]


def cases(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".txt" and path.name != "tree")


def laid_out(root: Path, case: Path) -> Path:
    """The shared tree with one case in it: a folder laid over it, or a file that becomes the environment `case`."""
    shutil.copytree(VALID / "tree", root, dirs_exist_ok=True)
    (root / FILE).parent.mkdir(exist_ok=True)
    if case.is_dir():
        shutil.copytree(case, root, dirs_exist_ok=True)
    else:
        shutil.copy(case, root / FILE)
    return root


@pytest.fixture(name="write")
def fixture_write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    laid_out(tmp_path, VALID / "smallest.yaml")

    def write(text: str | bytes) -> Path:
        (tmp_path / FILE).write_bytes(text.encode() if isinstance(text, str) else text)
        return tmp_path

    return write


def environment(**sections: Json) -> str:
    return json.dumps({"environment": "case", "cluster": "local"} | sections)


def refused(root: Path, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigInvalid) as caught:
        load(root, "case", environ)
    return str(caught.value)


def valid(root: Path, case: str, environ: dict[str, str] | None = None) -> Environment:
    return load(laid_out(root, VALID / case), "case", environ)


def specs(found: Environment) -> dict[str, Json]:
    return {one.title: one.spec for one in found.declarations}


@pytest.mark.parametrize("case", cases(INVALID))
def test_every_mistake_is_named_with_its_place(case: str, tmp_path: Path) -> None:
    path = INVALID / case
    expected = path / "expected.txt" if path.is_dir() else path.with_suffix(".txt")

    assert expected.read_text() == refused(laid_out(tmp_path, path), ENVIRON) + "\n"


def test_no_expected_message_repeats_a_secret() -> None:
    assert [path for path in INVALID.rglob("*.txt") if "canary" in path.read_text()] == []


@pytest.mark.parametrize("environ", [None, ENVIRON], ids=["anywhere", "with the environment"])
@pytest.mark.parametrize("case", cases(VALID))
def test_valid_examples_load(case: str, environ: dict[str, str] | None, tmp_path: Path) -> None:
    assert valid(tmp_path, case, environ).name == "case"


def test_five_mistakes_in_three_files_are_reported_at_once(tmp_path: Path) -> None:
    places = [line.rsplit(": ")[0] for line in refused(laid_out(tmp_path, INVALID / "five-mistakes")).splitlines()]

    assert len(places) == 5


def test_dev_loads_on_a_machine_without_the_stack() -> None:
    found = load(ROOT, "dev", None)

    assert "${LOCAL_POSTGRES}" in specs(found)["secrets/database/postgresql/orders"]["connection_url"]
    assert found.cluster == Cluster(
        "local", "openbao", "2.7.2", embedded=True, terraform=TerraformSettings("auto", {"pg": {}})
    )


def test_dev_is_filled_in_from_the_environment() -> None:
    found = load(ROOT, "dev", {"LOCAL_POSTGRES": "127.0.0.1:5432"})

    url = "postgresql://{{username}}:{{password}}@127.0.0.1:5432/orders?sslmode=disable"
    assert url == specs(found)["secrets/database/postgresql/orders"]["connection_url"]
    assert (found.owner, found.namespace) == ("platform-team", "")


def test_a_base_is_no_environment() -> None:
    assert "base" not in environments(ROOT)
    assert "dev" in environments(ROOT)


def test_mount_objects_and_their_places_are_declared(write: Callable[[str], Path]) -> None:
    root = write(
        "environment: case\n"
        "cluster: local\n"
        "auth:\n"
        "  ci:\n"
        "    type: jwt\n"
        "    description: jobs\n"
        "    config: {bound_issuer: https://ci.example.org}\n"
        "    roles:\n"
        "      deploy: {user_claim: sub}\n"
        "secrets:\n"
        "  apps: {type: kv-v2, settings: }\n"
    )
    found = {(one.title, one.mount, one.name, str(one.where)): one.spec for one in load(root, "case", {}).declarations}

    policy = (root / "policies/payments-read.hcl").read_text()
    assert found == {
        ("policies/payments-read", "", "payments-read", "policies/payments-read.hcl:1:1"): {"policy": policy},
        ("auth/ci", "ci", "", f"{FILE}:4:3"): {
            "description": "jobs",
            "config": {"bound_issuer": "https://ci.example.org"},
        },
        ("auth/ci/roles/deploy", "ci", "deploy", f"{FILE}:9:7"): {"user_claim": "sub"},
        ("secrets/apps", "apps", "", f"{FILE}:11:3"): {},
        ("secrets/apps/settings", "apps", "", f"{FILE}:11:23"): {},
    }


def test_extends_merges_maps_replaces_lists_and_removes_by_null(tmp_path: Path) -> None:
    found = valid(tmp_path, "extends")
    approle = {title: spec for title, spec in specs(found).items() if title.startswith("auth/")}

    assert found.owner == "platform"
    assert approle == {
        "auth/approle": {"description": "machines"},
        "auth/approle/roles/payments": {"token_policies": ["default"], "token_max_ttl": "1h", "token_ttl": "5m"},
    }


def test_yaml_is_read_by_version_1_2(tmp_path: Path) -> None:
    found = valid(tmp_path, "yaml-1.2.yaml")

    assert found.owner == "no"
    assert specs(found)["auth/approle"] == {"description": "on"}
    assert specs(found)["auth/approle/roles/yes"]["token_num_uses"] == 5
    assert specs(found)["namespaces/team-a"]["custom_metadata"] == {
        "since": "2026-11-21",
        "time": "20:30",
        "count": 5,
        "on": True,
    }


def test_two_dollars_keep_a_placeholder_as_it_is(tmp_path: Path) -> None:
    found = specs(valid(tmp_path, "names.yaml", ENVIRON))

    assert found["secrets/team-a/db/postgresql/bills"]["connection_url"] == "${x}"
    assert found["secrets/team-a/db/postgresql/bills"]["password"] == "file:/home/strongroom/password"


def test_a_cluster_that_is_not_embedded_is_careful_by_default(tmp_path: Path) -> None:
    found = valid(tmp_path, "vault-enterprise.yaml")
    login = Login("kubernetes", "kubernetes", {
        "jwt": "file:/var/run/secrets/kubernetes.io/serviceaccount/token",
        "role": "strongroom",
    })  # fmt: skip

    assert found.namespace == "team/a"
    assert found.cluster == Cluster(
        name="enterprise",
        server="vault",
        version="1.21.0+ent",
        edition="enterprise",
        ca_cert="tls/ca.pem",
        login=login,
        terraform=TerraformSettings("official", {"pg": {"schema_name": "vault"}}),
    )


@pytest.mark.parametrize(
    ("condition", "server", "version", "edition", "lacking"),
    [
        ("openbao", "openbao", "2.7.2", "community", True),
        ("openbao", "vault", "1.19.0", "community", False),
        ("vault", "vault", "1.19.0", "community", True),
        ("vault", "vault", "1.19.0+ent", "enterprise", False),
        ("openbao>=2.7", "openbao", "2.7.0", "community", True),
        ("openbao>=2.7", "openbao", "2.6.2", "community", False),
        ("openbao<2.7", "openbao", "2.6.2", "community", True),
        ("openbao<2.7", "openbao", "2.10.0", "community", False),
        ("vault<1.20", "vault", "1.19.0+ent", "enterprise", True),
    ],
)
def test_what_a_server_lacks(condition: str, server: str, version: str, edition: str, *, lacking: bool) -> None:
    cluster = Cluster("x", server, version, edition)

    assert bool(lacks({condition: "why"}, cluster)) == lacking


def on(kind: Kind, **sections: Json) -> str:
    """An environment on a cluster whose server has the kind."""
    lacking = lacks(kind.absent, Cluster("local", "openbao", "2.7.2"))
    return environment(**sections, cluster="enterprise" if lacking else "local")


def example(kind: Kind) -> str:
    """The kind's example alone, on a server that has it; of one beside the mounts, with all those and the logins."""
    openbao = Cluster("local", "openbao", "2.7.2")
    several = list(sections().values()) if kind.family == "system" else [kind]
    lacking = any(lacks({**it.absent, **one.absent}, openbao) for it in several for one in it.objects)
    cluster = {"cluster": "enterprise" if lacking else "local"}
    if kind.family == "system":
        mounts = {one.name: one.example for one in AUTH.values()}
        return environment(**cluster, **{one.name: one.example for one in several}, auth=mounts)
    return environment(**cluster, **{kind.family: {"mount/of": kind.example}})


@pytest.mark.parametrize("kind", [*MOUNTED, *sections().values()], ids=lambda kind: kind.id)
def test_every_example_is_valid(kind: Kind, write: Callable[[str], Path]) -> None:
    found = load(write(example(kind)), "case", None)

    assert kind.name in {one.kind.name for one in found.declarations}


@pytest.mark.parametrize("kind", [*MOUNTED, *sections().values()], ids=lambda kind: kind.name)
def test_what_the_catalogue_chooses_is_what_it_calls_safe(kind: Kind, write: Callable[[str], Path]) -> None:
    told = [
        f"{one.declaration.title}/{attribute.yaml}: {limit.reason}"
        for one in instances(load(write(example(kind)), "case", None))
        for attribute, value in one.settings()
        if (limit := attribute.field.limit) and not limit.holds(value)
    ]

    assert told == []


@pytest.mark.parametrize(
    ("kind", "setting", "value"),
    [
        ("auth/oidc", "allowed_redirect_uris", ["https://a.example.org/cb", "https://*.example.org/cb"]),
        ("auth/kubernetes", "bound_service_account_names", ["*"]),
        ("system/tokens", "token_explicit_max_ttl", "0s"),
        ("system/tokens", "orphan", True),
        ("auth/kerberos", "tls_min_version", "tls11"),
    ],
)
def test_what_is_not_safe_goes_beyond_a_limit(kind: str, setting: str, value: Json) -> None:
    limits = [one.fields[setting].limit for one in CATALOG[kind].objects if setting in one.fields]

    assert [one and one.holds(value) for one in limits] == [False]


def test_a_batch_token_takes_no_end_of_its_own(write: Callable[[str], Path]) -> None:
    roles = {"batch": {"token_type": "batch", "orphan": True}, "service": {"token_type": "service"}, "silent": {}}
    found = instances(load(write(environment(tokens={"roles": roles})), "case", None))
    ends = {
        one.declaration.name: value
        for one in found
        for attribute, value in one.settings()
        if attribute.yaml == "token_explicit_max_ttl"
    }

    assert ends == {"service": 86400, "silent": 86400}


def test_the_yaml_of_the_documentation_is_valid(write: Callable[[str], Path]) -> None:
    blocks = re.findall(r"^ *```yaml\n(.*?)```", (ROOT / "docs/pki.md").read_text(), re.DOTALL | re.MULTILINE)
    chain, by_hand, *settings = blocks
    head = "environment: case\ncluster: local\n"
    mount = "secrets:\n  pki:\n    type: pki\n    roles: {web: {}}\n"
    root = write(f"{head}{mount}    {by_hand.strip()}\n{''.join(settings)}")
    (root / "ca").mkdir()
    (root / "ca/issuing.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    objects = {one.object.key for one in load(root, "case", None).declarations if one.object}

    assert {"intermediate", "issuers", "default_issuer", "cluster", "acme"} <= objects
    assert load(write(head + chain), "case", None).declarations


def levels(kind: Kind) -> Iterator[tuple[str, ...]]:
    """The way to every map of settings that a kind has."""
    yield ()
    for name in kind.mount.settings if kind.mount else ():
        if "." in name:
            yield tuple(name.split(".")[:-1])
    yield from ((one.key,) if one.single else (one.key, "any") for one in kind.objects if not one.seed)


def put(document: Json, path: tuple[str, ...], value: Json) -> None:
    for part in path[:-1]:
        document = document.setdefault(part, {})
    document[path[-1]] = value


@pytest.mark.parametrize("kind", MOUNTED, ids=lambda kind: kind.id)
def test_an_unknown_setting_is_refused_at_every_level(kind: Kind, write: Callable[[str], Path]) -> None:
    ways = set(levels(kind))
    mount = json.loads(json.dumps(kind.example))
    for way in ways:
        put(mount, (*way, "zzz"), 1)
    lines = refused(write(environment(**{kind.family: {"m": mount}}))).splitlines()

    named = {line.split(": ")[1] for line in lines if "unknown setting 'zzz'" in line}
    assert named == {"/".join((kind.family, "m", *way)) for way in ways}


@pytest.mark.parametrize("kind", sections().values(), ids=lambda kind: kind.name)
def test_an_unknown_setting_of_a_system_kind_is_refused(kind: Kind, write: Callable[[str], Path]) -> None:
    ways = {
        (kind.name, *(() if kind.is_one else (one.key,)), *(() if one.single else ("any",))) for one in kind.objects
    }
    document: dict[str, Json] = {}
    for way in ways:
        put(document, (*way, "zzz"), 1)
    message = refused(write(environment(**document)))

    assert [way for way in ways if f"{'/'.join(way)}: unknown setting 'zzz'" not in message] == []


def secret_fields() -> list[tuple[str, str, tuple[str, ...]]]:
    """Every secret setting of the catalogue: its family, its kind, and the way to it."""
    found = []
    for kind in MOUNTED:
        fields: dict[tuple[str, ...], dict[str, Field]] = {(): kind.mount.settings if kind.mount else {}}
        fields |= {(one.key,) if one.single else (one.key, "any"): one.settings for one in kind.objects}
        found += [
            (kind.family, kind.name, (*way, *name.split(".")))
            for way, of in fields.items()
            for name in of
            if of[name].secret
        ]
    return found


@pytest.mark.parametrize(
    "literal", [CANARY, [CANARY], {CANARY: CANARY}, f"env:A\n{CANARY}", f"${{{CANARY}", f"kv:{CANARY}"]
)
@pytest.mark.parametrize(("family", "kind", "way"), secret_fields())
def test_a_literal_secret_is_refused_and_never_repeated(
    family: str, kind: str, way: tuple[str, ...], literal: Json, write: Callable[[str], Path]
) -> None:
    mount = json.loads(json.dumps(FAMILIES[family][kind].example))
    put(mount, way, literal)
    message = refused(write(on(FAMILIES[family][kind], **{family: {"m": mount}})), ENVIRON)

    assert f"{'/'.join((family, 'm', *way))}: {A_LITERAL}" in message
    assert CANARY not in message


def test_the_catalogue_has_secrets_to_test() -> None:
    assert secret_fields()


def test_garbage_is_refused_and_never_a_crash(write: Callable[[bytes], Path]) -> None:
    dice = random.Random(7)  # noqa: S311 - the same garbage every time
    words = [
        b"a",
        b": ",
        b"- ",
        b"\n",
        b"  ",
        b"[",
        b"]",
        b"{",
        b"}",
        b"&a ",
        b"*a",
        b"!",
        b'"',
        b"'",
        b"|",
        b"\t",
        b"? ",
    ]
    for number in range(500):
        made = dice.randbytes(dice.randrange(60)) if number % 2 else b"".join(dice.choices(words, k=dice.randrange(40)))

        assert refused(write(made))


def test_a_damaged_environment_is_refused_or_read_and_never_a_crash(write: Callable[[bytes], Path]) -> None:
    dice = random.Random(11)  # noqa: S311 - the same damage every time
    whole = (VALID / "names.yaml").read_bytes()
    for _ in range(150):
        begin = dice.randrange(len(whole))
        damaged = (
            whole[:begin] + dice.choice([b"", b": ", b"\n", b"[", b"null", b" *"]) + whole[begin + dice.randrange(30) :]
        )
        with suppress(ConfigInvalid):
            load(write(damaged), "case", None)


def test_a_damaged_policy_is_refused_or_read_and_never_a_crash() -> None:
    dice = random.Random(13)  # noqa: S311 - the same damage every time
    whole = (VALID / "policies/policies/everything-there-is.hcl").read_text()
    for _ in range(500):
        begin = dice.randrange(len(whole))
        damaged = (
            whole[:begin]
            + dice.choice(["", "{", "}", '"', "[", "<<EOF\n", "= ", "5"])
            + whole[begin + dice.randrange(20) :]
        )
        with suppress(ConfigInvalid):
            parse(damaged, "x.hcl")


def test_a_policy_is_its_rules() -> None:
    rules = parse((VALID / "policies/policies/default.hcl").read_text(), "default.hcl").rules

    assert [(rule.path, rule.capabilities, str(rule.where)) for rule in rules] == [
        ("auth/token/lookup-self", ("read",), "default.hcl:2:1"),
        ("cubbyhole/*", ("create", "read", "update", "delete", "list"), "default.hcl:3:1"),
        ("sys/x", ("deny",), "default.hcl:3:43"),
    ]


def test_a_rule_keeps_what_it_says_beside_its_capabilities() -> None:
    (rule,) = parse((VALID / "policies/policies/everything-there-is.hcl").read_text(), "x.hcl").rules

    assert rule.settings == {
        "comment": "the owner's\n  values\n",
        "required_parameters": ["ttl"],
        "allowed_parameters": {"*": [], "ttl": ["1h", 5, True]},
        "denied_parameters": {"policy\n": []},
        "min_wrapping_ttl": 1.5,
        "max_wrapping_ttl": "90s",
        "pagination_limit": 100,
        "expiration": "2030-01-01T00:00:00Z",
        "mfa_methods": ["totp"],
        "control_group": {"factor/ops": {"identity": {"group_names": ["managers"], "approvals": 1}}},
    }


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("environment.json", "vault-config/environments/dev.yaml"),
        ("environment.json", "vault-config/environments/base.yaml"),
        ("environment.json", "tests/examples/valid/extends/vault-config/environments/case.yaml"),
        ("environment.json", "tests/examples/valid/nothing-means-empty.yaml"),
        ("cluster.json", "vault-config/clusters/local.yaml"),
        ("cluster.json", "tests/examples/valid/tree/vault-config/clusters/vault.yaml"),
        ("cluster.json", "tests/examples/valid/tree/vault-config/clusters/enterprise.yaml"),
    ],
)
def test_editors_find_no_fault_with_a_right_file(schema: str, file: str) -> None:
    problems: list[object] = []
    node = source.read(ROOT / file, file, [])
    if node:
        problems += Draft202012Validator(json.loads(schemas()[schema])).iter_errors(node.plain())

    assert (node is not None, problems) == (True, [])


def test_editors_see_a_mistake_of_a_kind() -> None:
    document = {"auth": {"approle": {"type": "approle", "rolse": {}}}}
    found = [*Draft202012Validator(json.loads(schemas()["environment.json"])).iter_errors(document)]

    assert [error.message for error in found] == ["Additional properties are not allowed ('rolse' was unexpected)"]


def test_editors_tell_the_default_and_what_a_person_should_know() -> None:
    role = json.loads(schemas()["environment.json"])["$defs"]["secrets.pki"]["properties"]["roles"]
    setting = role["additionalProperties"]["properties"]["key_type"]

    assert setting["default"] == "ec"
    assert setting["examples"] == ["ec"]
    assert setting["description"] == "one of rsa, ec, ed25519, any. Default: ec. The provider's own default is rsa"


LAX = """\
environment: case
cluster: local
auth:
  approle:
    type: approle
    roles:
      batch:
        secret_id_num_uses: 0{}
        token_ttl: 20m
"""
SAYS_NOTHING = "says nothing to us; write # strongroom: allow RULE because REASON"
PLACE = "vault-config/environments/case.yaml:8"
WARNING = (
    f"{PLACE}:29: warning: auth/approle/roles/batch/secret_id_num_uses: 0: "
    "a SecretID that somebody reads after its use serves again; "
    "to accept it write on this line: # strongroom: allow secret-id-reuse because ..."
)


def warnings(root: Path, environ: dict[str, str] | None = None) -> list[str]:
    return [str(one) for one in load(root, "case", environ).warnings]


def test_a_value_that_is_laxer_than_it_should_be_is_warned_of_with_its_place(write: Callable[[str], Path]) -> None:
    assert warnings(write(LAX.format(""))) == [WARNING]


@pytest.mark.parametrize(
    "remark",
    [
        "# strongroom: allow secret-id-reuse because the job runs for weeks",
        "#strongroom: allow  secret-id-reuse  because x",
        "# for the batch # strongroom: allow secret-id-reuse because x # and more",
    ],
)
def test_a_comment_on_its_line_accepts_it(write: Callable[[str], Path], remark: str) -> None:
    assert warnings(write(LAX.format(f"  {remark}"))) == []


@pytest.mark.parametrize(
    ("remark", "message"),
    [
        (
            "# strongroom: allow secret-id-reuse",
            f":32: `# strongroom: allow secret-id-reuse` {SAYS_NOTHING}",
        ),
        (
            "# strongroom: alow secret-id-reuse because x",
            f":32: `# strongroom: alow secret-id-reuse because x` {SAYS_NOTHING}",
        ),
        (
            "# strongroom: allow secret-id-reuse, long-lived-token because x",
            ":32: nothing on this line breaks the rule long-lived-token; take the comment out",
        ),
    ],
)
def test_a_comment_that_accepts_nothing_is_a_mistake(write: Callable[[str], Path], remark: str, message: str) -> None:
    assert refused(write(LAX.format(f"  {remark}"))) == f"{PLACE}{message}"


def test_a_comment_on_another_line_is_a_mistake(write: Callable[[str], Path]) -> None:
    text = LAX.format("") + "        # strongroom: allow secret-id-reuse because x\n"

    assert "case.yaml:10:9: nothing on this line breaks the rule secret-id-reuse" in refused(write(text))


def test_several_rules_of_one_line_are_accepted_at_once(write: Callable[[str], Path]) -> None:
    role = "{token_ttl: 30d, secret_id_ttl: 0}  # strongroom: allow long-lived-token, secret-id-long-lived because x"
    head = LAX.partition("      batch:")[0]

    assert warnings(write(f"{head}      batch: {role}\n")) == []


def test_what_looks_like_a_comment_inside_a_text_is_none(write: Callable[[str], Path]) -> None:
    head = "environment: case\ncluster: local\nsecrets:\n  apps:\n    type: kv-v2\n"
    texts = "    description: 'a # strongroom: b'\n", "    description: |\n      a\n      # strongroom: b\n"

    assert [warnings(write(head + text)) for text in texts] == [[], []]


def test_a_comment_in_a_base_accepts_what_the_base_says(write: Callable[[str], Path]) -> None:
    """It stays right in an environment that says something else."""
    base = LAX.format("  # strongroom: allow secret-id-reuse because x").partition("auth:")[2]
    head = "environment: case\ncluster: local\nextends: base.yaml\n"
    over = "auth: {approle: {roles: {batch: {secret_id_num_uses: %s}}}}\n"
    root = write(head)
    (root / "vault-config/environments/base.yaml").write_text(f"auth:{base}")
    same, safer, laxer = (warnings(write(head + text)) for text in ("", over % 1, over % 7))

    assert (same, safer) == ([], [])
    assert [text.split(": ")[0] for text in laxer] == ["vault-config/environments/case.yaml:4:54"]


def test_a_placeholder_is_judged_by_what_it_stands_for(write: Callable[[str], Path]) -> None:
    text = LAX.format("").replace("token_ttl: 20m", "token_ttl: ${TTL}%s")
    accepted = text % "  # strongroom: allow long-lived-token because x"

    assert warnings(write(text % ""), {"TTL": "30d"})[1].split(": ")[2:4] == [
        "auth/approle/roles/batch/token_ttl",
        "'30d'",
    ]
    assert len(warnings(write(text % ""))) == 1
    assert len(warnings(write(accepted))) == 1
    assert len(warnings(write(accepted), {"TTL": "30d"})) == 1
