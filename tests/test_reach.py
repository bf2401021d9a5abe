"""Who reaches a path: our answer is the server's, and what we cannot know is named."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.live.server import Denied
from orchestrator.live.wire import open_server
from orchestrator.policy.live import Unreadable, understood
from orchestrator.policy.parse import Policy
from orchestrator.policy.reach import EVERYTHING, Reach, Rights, api_paths, capabilities, inside, reaching

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.live.server import Server
    from orchestrator.local.stack import Stack

PATH = "apps/data/payments/db"
NOW = datetime(2026, 5, 1, tzinfo=UTC)
SEGMENTS = ("a", "ab", "b", "+", "+b", "")
ENTITY: dict[str, Any] = {
    "id": "4d1c2f3a-0000-4000-8000-000000000001",
    "name": "ada",
    "metadata": {"team": "payments", "both": "payments/db", "any": "*"},
    "aliases": [{"mount_accessor": "auth_jwt_1", "id": "al-1", "name": "ada@example.org", "metadata": {"env": "db"}}],
    "groups": [{"id": "gr-1", "name": "clerks", "metadata": {"floor": "3"}}],
}


def hcl(*rules: tuple[str, str]) -> str:
    """A policy's text from pairs of a path and its capabilities, written with spaces between."""
    return "\n".join(
        f"path {json.dumps(path)} {{ capabilities = {json.dumps(words.split())} }}" for path, words in rules
    )


def policy(*rules: tuple[str, str]) -> Policy:
    found = understood("test", hcl(*rules))

    assert isinstance(found, Policy)
    return found


def sure(path: str, *rules: tuple[str, str]) -> set[str]:
    """What one policy of these rules surely grants at a path."""
    return set(capabilities({"test": policy(*rules)}, path).sure)


def test_an_exact_path_beats_every_pattern() -> None:
    assert sure(PATH, (PATH, "read"), ("apps/data/payments/*", "update"), ("apps/+/payments/db", "list")) == {"read"}


def test_the_longest_prefix_decides_alone() -> None:
    assert sure(PATH, ("*", "sudo"), ("apps/*", "read list"), ("apps/data/pay*", "update")) == {"update"}


def test_the_pattern_whose_first_wildcard_stands_later_decides() -> None:
    assert sure(PATH, ("apps/data/+/db", "read"), ("apps/+/payments/db", "update")) == {"read"}
    assert sure(PATH, ("apps/data/p*", "read"), ("apps/data/+/db", "update")) == {"read"}


def test_a_pattern_without_a_star_at_the_end_beats_one_with_it() -> None:
    assert sure("apps/x", ("apps/+", "read"), ("apps/*", "update")) == {"read"}
    assert sure(PATH, ("apps/+/payments/db", "read"), ("apps/+/payments/d*", "update")) == {"read"}


def test_the_pattern_with_fewer_plus_signs_decides() -> None:
    assert sure(PATH, ("apps/+/payments/db", "read"), ("apps/+/+/db", "update")) == {"read"}


def test_the_longer_pattern_decides_between_otherwise_equal_ones() -> None:
    assert sure(PATH, ("apps/+/payments/d*", "read"), ("apps/+/payments/*", "update")) == {"read"}


def test_a_plus_sign_is_one_whole_segment() -> None:
    assert sure(PATH, ("apps/+/db", "read"), ("apps/da+/payments/db", "read"), ("+", "read")) == set()
    assert sure("apps//db", ("apps/+/db", "read")) == {"read"}


def test_equal_patterns_of_several_policies_are_joined() -> None:
    held = {"one": policy((PATH, "read")), "two": policy((PATH, "update"))}

    assert capabilities(held, PATH) == Rights(frozenset({"read", "update"}))


def test_a_deny_at_an_equal_pattern_wins_whatever_the_order() -> None:
    held = {"one": policy(("apps/*", "deny")), "two": policy(("apps/*", "read"))}

    assert capabilities(held, PATH) == capabilities(dict(reversed(held.items())), PATH) == Rights()


def test_a_deny_at_a_less_specific_pattern_takes_nothing() -> None:
    assert sure(PATH, ("apps/*", "deny"), ("apps/data/*", "read")) == {"read"}


def test_a_closer_pattern_of_another_policy_takes_rights_away() -> None:
    held = {"one": policy(("apps/*", "read")), "two": policy(("apps/data/payments/*", "list"))}

    assert set(reaching(held, PATH)) == {"one"}
    assert Reach(held, PATH).of(held) == Rights()


def test_root_may_do_everything() -> None:
    assert capabilities({"root": Policy(())}, PATH) == Rights(EVERYTHING)
    assert Reach({}, PATH, ("read", "list")).of(("root",)) == Rights(frozenset({"read", "list"}))


def test_a_list_asks_at_the_path_with_a_slash_behind_it() -> None:
    held = {
        "with": policy(("apps/metadata/payments/", "list")),
        "without": policy(("apps/metadata/payments", "list")),
        "below": policy(("apps/metadata/payments/*", "list")),
        "segment": policy(("apps/metadata/+", "list")),
        "other": policy(("apps/metadata/payments/db", "list")),
    }

    found = reaching(held, "apps/metadata/payments", ("list",))

    assert list(found) == ["below", "segment", "with", "without"]
    assert reaching(held, "apps/metadata/payments/", ("list",)) == found


def test_a_list_on_which_servers_differ_is_a_perhaps() -> None:
    held = {"app": policy(("+", "list"), ("a/+", "read"))}
    doubt = "OpenBao and Vault heed different patterns of these policies where a list is asked for"

    assert Reach(held, "a", ("list",)).of(held) == Rights(perhaps=frozenset({"list"}), doubts=(doubt,))
    assert capabilities(held, "a/").sure == {"read"}


def test_rights_of_several_sorts_are_each_asked_where_they_are_needed() -> None:
    held = {"app": policy(("apps/metadata/payments/*", "list"), ("apps/metadata/payments", "read"))}

    assert Reach(held, "apps/metadata/payments", ("read", "list")).of(held).sure == {"read"}
    assert Reach(held, "apps/metadata/payments", ("list",)).of(held).sure == set()


def test_a_policy_that_no_longer_lives_grants_nothing() -> None:
    assert Reach({}, PATH).of(("gone",)) == Rights()


@pytest.mark.parametrize(
    "path",
    [
        "apps/data/{{identity.entity.metadata.team}}/db",
        "apps/data/payments/{{ identity.entity.aliases.auth_jwt_1.metadata.env }}",
        "apps/data/{{identity.entity.metadata.team}}/*",
        "apps/+/{{identity.entity.metadata.team}}/db",
    ],
)
def test_a_template_is_filled_for_the_entity_that_is_given(path: str) -> None:
    held = {"app": policy((path, "read"))}
    doubt = f'policy app, path "{path}": what its template stands for is not known'

    assert capabilities(held, PATH, ENTITY) == Rights(frozenset({"read"}))
    assert capabilities(held, PATH, {**ENTITY, "metadata": {"team": "other"}, "aliases": []}) == Rights()
    assert capabilities(held, PATH, {}) == Rights()
    assert capabilities(held, PATH) == Rights(perhaps=frozenset({"read"}), doubts=(doubt,))


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("x/4d1c2f3a-0000-4000-8000-000000000001", "x/{{identity.entity.id}}"),
        ("x/ada", "x/{{identity.entity.name}}"),
        ("x/ada@example.org", "x/{{identity.entity.aliases.auth_jwt_1.name}}"),
        ("x/gr-1", "x/{{identity.groups.names.clerks.id}}"),
        ("x/clerks", "x/{{identity.groups.ids.gr-1.name}}"),
        ("x/3", "x/{{identity.groups.names.clerks.metadata.floor}}"),
    ],
)
def test_every_directive_is_known(path: str, template: str) -> None:
    held = {"app": policy((template, "read"))}

    assert capabilities(held, path, ENTITY).sure == {"read"}
    assert capabilities(held, path).perhaps == {"read"}


def test_groups_that_nobody_named_leave_a_doubt() -> None:
    entity = {key: value for key, value in ENTITY.items() if key != "groups"}
    held = {"app": policy(("x/{{identity.groups.names.clerks.id}}", "read"))}

    assert capabilities(held, "x/gr-1", entity).perhaps == {"read"}


@pytest.mark.parametrize("key", ["both", "any"])
def test_a_value_on_which_servers_differ_leaves_a_doubt(key: str) -> None:
    held = {"app": policy((f"apps/data/{{{{identity.entity.metadata.{key}}}}}", "read"))}

    assert capabilities(held, PATH, ENTITY).perhaps == {"read"}


def test_a_template_that_can_never_cover_the_path_is_no_doubt() -> None:
    held = {"app": policy(("apps/data/{{identity.entity.id}}", "read"), ("other/{{identity.entity.name}}/*", "read"))}

    assert capabilities(held, PATH) == Rights()


def test_a_doubt_that_may_deny_makes_the_rest_a_perhaps() -> None:
    held = {"app": policy(("apps/*", "read"), ("apps/data/{{identity.entity.metadata.team}}/*", "deny"))}

    assert capabilities(held, PATH).sure == set()
    assert capabilities(held, PATH).perhaps == {"read"}


def test_a_doubt_that_grants_the_same_leaves_it_sure() -> None:
    held = {"app": policy(("apps/*", "read"), ("apps/data/{{identity.entity.metadata.team}}/*", "read list"))}

    assert capabilities(held, PATH).sure == {"read"}
    assert capabilities(held, PATH).perhaps == {"list"}


def test_an_expired_rule_grants_nothing_and_without_a_clock_perhaps() -> None:
    text = f'path "{PATH}" {{\n  capabilities = ["read"]\n  expiration = "%s"\n}}'
    past, coming = (understood("app", text % (NOW + timedelta(days=days)).isoformat()) for days in (-1, 1))
    doubt = f'policy app, path "{PATH}": whether it has expired (2026-04-30T00:00:00+00:00) is not known'

    assert capabilities({"app": past}, PATH, now=NOW) == Rights()
    assert capabilities({"app": coming}, PATH, now=NOW) == Rights(frozenset({"read"}))
    assert capabilities({"app": past}, PATH) == Rights(perhaps=frozenset({"read"}), doubts=(doubt,))


def test_a_policy_that_nobody_can_read_perhaps_reaches_everything_and_takes_everything() -> None:
    held = {"app": policy((PATH, "read")), "odd": understood("odd", 'path "a" "b" { capabilities = ["read"] }')}
    doubt = "policy odd cannot be read: odd:1:1: 'path' is no stanza for a path"

    assert Reach(held, PATH).of(("app",)) == Rights(frozenset({"read"}))
    assert Reach(held, PATH).of(held) == Rights(perhaps=frozenset({"read"}), doubts=(doubt,))
    assert reaching(held, "any/other", ("read",)) == {"odd": Rights(perhaps=frozenset({"read"}), doubts=(doubt,))}


def test_the_policy_of_a_namespace_opens_paths_inside_it() -> None:
    held = {"app": inside(policy(("apps/data/*", "read")), "team-a/")}

    assert capabilities(held, f"team-a/{PATH}").sure == {"read"}
    assert capabilities(held, PATH).sure == set()


MOUNTS: Mapping[str, Any] = {
    "apps/": {"type": "kv", "options": {"version": "2"}},
    "apps-old/": {"type": "kv", "options": {"version": "1"}},
    "database/": {"type": "database", "options": None},
}
FIVE = tuple(f"apps/{part}/payments/db" for part in ("data", "metadata", "delete", "destroy", "undelete"))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("apps/payments/db", FIVE),
        ("/v1/apps/payments/db", FIVE),
        ("apps/data/payments/db", FIVE),
        ("apps/metadata/payments/db", FIVE),
        ("apps/data", tuple(one.replace("payments/db", "data") for one in FIVE)),
        ("apps-old/payments/db", ("apps-old/payments/db",)),
        ("database/creds/app", ("database/creds/app",)),
        ("nowhere/x", ("nowhere/x",)),
    ],
)
def test_a_secret_is_known_by_all_its_api_paths(path: str, expected: tuple[str, ...]) -> None:
    assert api_paths(path, MOUNTS) == expected


def rules() -> st.SearchStrategy[str]:
    """A pattern of few words, so that many of them meet."""
    body = st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=4).map("/".join)
    ends = st.sampled_from(("", "", "*", "/*", "/"))
    return st.tuples(body, ends).map("".join).filter(lambda path: path.strip("/") and "+*" not in path)


WORDS = st.sampled_from(("read", "list", "update", "create read", "delete sudo", "patch", "scan", "deny"))
POLICIES = st.lists(st.lists(st.tuples(rules(), WORDS), min_size=1, max_size=4), min_size=1, max_size=3)
PATHS = st.lists(
    st.lists(st.sampled_from(("a", "ab", "b", "+b", "abc", "")), min_size=1, max_size=5)
    .map("/".join)
    .filter(lambda path: path.strip("/")),
    min_size=20,
    max_size=20,
    unique=True,
)


@pytest.fixture(scope="module", name="root")
def fixture_root(stack: Stack) -> Server:
    return open_server(stack.address, "", stack.token)


def token_with(root: Server, texts: Mapping[str, str]) -> str:
    """A short token with exactly these policies, which it writes first."""
    for name, text in texts.items():
        root.write(f"sys/policies/acl/{name}", {"policy": text})
    made = root.write("auth/token/create", {"policies": list(texts), "no_default_policy": True, "ttl": "5m"})
    return str(made["client_token"])


def told(root: Server, token: str, paths: list[str]) -> dict[str, set[str]]:
    """What the server says that a token may do at each path."""
    answer = root.write("sys/capabilities", {"token": token, "paths": paths})
    return {path: set(answer[path]) - {"deny"} for path in paths}


def thought(texts: Mapping[str, str], paths: list[str], entity: Mapping[str, Any] | None = None) -> dict[str, set[str]]:
    """What we say, being sure."""
    held = {name: understood(name, text) for name, text in texts.items()}
    answers = {path: capabilities(held, path, entity) for path in paths}

    assert [one.doubts for one in answers.values() if one.doubts] == []
    return {path: set(one.sure) for path, one in answers.items()}


@pytest.mark.server
@settings(max_examples=60, deadline=None)
@given(drawn=POLICIES, paths=PATHS)
def test_whatever_the_policies_we_say_what_the_server_says(
    root: Server, drawn: list[list[tuple[str, str]]], paths: list[str]
) -> None:
    texts = {f"reach-{number}": hcl(*one) for number, one in enumerate(drawn)}

    assert told(root, token_with(root, texts), paths) == thought(texts, paths)


LAX = {
    "a path twice": hcl((PATH, "read"), (PATH, "update")),
    "deny beside others": hcl((PATH, "read deny")),
    "comments alone": "# nothing yet",
    "no capabilities": f'path "{PATH}" {{ }}',
    "an empty list": f'path "{PATH}" {{ capabilities = [] }}',
    "an old word beside": f'path "{PATH}" {{\n  capabilities = ["patch"]\n  policy = "read"\n}}',
    "json": json.dumps({"name": "x", "path": {PATH: {"capabilities": ["read"]}}}),
    "json lists": json.dumps({"path": [{PATH: {"capabilities": ["read"]}}, {PATH: {"capabilities": ["list"]}}]}),
    "a json key twice": f'{{"path": {{"{PATH}": {{"capabilities": ["read"]}}, "{PATH}": {{"policy": "write"}}}}}}',
}


@pytest.mark.server
@pytest.mark.parametrize("text", LAX.values(), ids=LAX)
def test_what_a_server_accepts_though_our_files_may_not_say_it_is_understood(root: Server, text: str) -> None:
    texts = {"reach-lax": text}

    assert told(root, token_with(root, texts), [PATH]) == thought(texts, [PATH])


UNCLEAR = {
    "a setting twice": (
        f'path "{PATH}" {{\n  capabilities = ["read"]\n  capabilities = ["patch"]\n}}',
        "odd:1:1: a setting stands twice",
    ),
    "a new setting": (f'path "{PATH}" {{ when = "noon" }}', "odd:1:32: unknown setting 'when'"),
    "a new word": (f'path "{PATH}" {{ policy = "own" }}', "odd:1:32: policy is one of deny, read, write, sudo"),
    "no words": (f'path "{PATH}" {{ capabilities = 7 }}', "odd:1:32: capabilities are no list of words"),
    "no hcl": ("<html>", "odd:1:1: unexpected '<'"),
    "no json": ("{", "odd:1:1: begins like JSON and is none"),
    "json of another shape": ('{"path": ["a"]}', "odd:1:1: `path` holds no map of paths"),
    "another stanza": ('{"rule": {}}', "odd:1:1: 'rule' is no stanza for a path"),
    "json without an end": ('{"path":' * 99_999, "odd: nested too deep to be read"),
}


@pytest.mark.parametrize(("text", "why"), UNCLEAR.values(), ids=UNCLEAR)
def test_what_nobody_can_understand_is_said_with_its_place(text: str, why: str) -> None:
    assert understood("odd", text) == Unreadable(why)


@pytest.mark.server
def test_templates_are_filled_as_the_server_fills_them(root: Server) -> None:
    unique = f"reach-{uuid4().hex[:8]}"
    root.write(f"sys/auth/{unique}", {"type": "userpass"})
    accessor = (root.read("sys/auth") or {})[f"{unique}/"]["accessor"]
    made = root.write("identity/entity", {"name": unique, "metadata": {"team": "payments"}, "policies": [unique]})
    root.write("identity/entity-alias", {"name": "ada", "canonical_id": made["id"], "mount_accessor": accessor})
    group = root.write("identity/group", {"name": unique, "member_entity_ids": [made["id"]]})
    templates = {
        "id/{{identity.entity.id}}": f"id/{made['id']}",
        "name/{{ identity.entity.name }}": f"name/{unique}",
        "team/{{identity.entity.metadata.team}}/*": "team/payments/db",
        f"alias/{{{{identity.entity.aliases.{accessor}.name}}}}": "alias/ada",
        f"group/{{{{identity.groups.names.{unique}.id}}}}": f"group/{group['id']}",
        f"groups/{{{{identity.groups.ids.{group['id']}.name}}}}": f"groups/{unique}",
        "none/{{identity.entity.metadata.none}}": "none/",
        "other/{{identity.entity.aliases.other.name}}": "other/ada",
        "nonsense/{{nonsense}}": "nonsense/x",
    }
    text = hcl(*((path, "read") for path in templates))
    root.write(f"sys/policies/acl/{unique}", {"policy": text})
    root.write(f"auth/{unique}/users/ada", {"password": "canary-4b1d"})
    token = str(root.write(f"auth/{unique}/login/ada", {"password": "canary-4b1d"})["client_token"])
    entity = dict(root.read(f"identity/entity/id/{made['id']}") or {})
    entity["groups"] = [root.read(f"identity/group/id/{one}") for one in entity["group_ids"]]
    paths = list(templates.values())

    assert told(root, token, paths) == thought({unique: text}, paths, entity)
    assert sum(map(bool, told(root, token, paths).values())) == 6


@pytest.mark.server
def test_real_requests_are_allowed_where_we_say_so(root: Server) -> None:
    unique = f"reach-{uuid4().hex[:8]}"
    root.write(f"sys/mounts/{unique}", {"type": "kv", "options": {"version": "2"}})
    root.write(f"{unique}/data/payments/db", {"data": {"password": "canary-77ab"}})
    texts = {
        f"{unique}-{number}": hcl((f"{unique}/{path}", words))
        for number, (path, words) in enumerate(
            (path, words)
            for path in ("metadata/payments", "metadata/payments/", "metadata/payments/*", "metadata/+", "+/payments")
            for words in ("list", "read", "scan", "list scan")
        )
    }
    held = {name: understood(name, text) for name, text in texts.items()}
    found, expected = {}, {}
    for name, text in texts.items():
        as_it = root.as_token(token_with(root, {name: text}))
        for method, capability in (("LIST", "list"), ("SCAN", "scan")):
            found[name, method] = _allowed(as_it, method, f"{unique}/metadata/payments")
            reach = Reach(held, f"{unique}/metadata/payments", (capability,))
            expected[name, method] = bool(reach.of((name,)).sure)

    assert found == expected
    assert len(set(found.values())) == 2


def _allowed(server: Server, method: str, path: str) -> bool:
    try:
        server.request(method, path)
    except Denied:
        return False
    return True


@pytest.mark.server
def test_mounts_tell_which_paths_a_secret_has(root: Server) -> None:
    unique = f"reach-{uuid4().hex[:8]}"
    root.write(f"sys/mounts/{unique}", {"type": "kv", "options": {"version": "2"}})
    paths = api_paths(f"{unique}/payments/db", root.read("sys/mounts") or {})
    root.write(paths[0], {"data": {"password": "canary-77ab"}})

    assert (root.read(paths[0]) or {})["data"] == {"password": "canary-77ab"}
    assert (root.read(paths[1]) or {})["current_version"] == 1


def test_fifty_thousand_tokens_are_decided_by_their_distinct_sets() -> None:
    held = {f"app-{number}": policy((f"apps/data/app-{number}/*", "read")) for number in range(300)}
    reach = Reach({**held, "all": policy(("apps/*", "read"))}, "apps/data/app-7/db")
    sets = [frozenset({f"app-{number % 300}", f"app-{number % 7}"}) for number in range(50_000)]

    found = [reach.of(names) for names in sets]

    assert sum(1 for one in found if one.granted) == sum(1 for names in sets if "app-7" in names)
    assert len({id(one) for one in found}) == len(set(sets))
