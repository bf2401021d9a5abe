"""Who may come in, for how long, and by which doors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.cluster.doctor.model import BAD, OK, WARNING, Check, Result, unknown
from orchestrator.cluster.health.asking import Unknown
from orchestrator.policy import live
from orchestrator.shapes import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.cluster.doctor.model import Patient, Token

_DAY = 86400
_ANSWERED = 200
_USUAL = re.compile(
    r"auth/token/(lookup|renew|revoke)-self|sys/(capabilities-self|internal/ui/resultant-acl|renew|leases/(renew|lookup)"
    r"|tools/(hash(/\*)?|random(/\*)?)|wrapping/(wrap|lookup|unwrap)|control-group/request|workflows/.*)"
    r"|cubbyhole/\*|identity/(entity/(id|name)/.*|oidc/provider/\+/authorize)"
)
_PASSWORDS = {"userpass", "ldap", "radius", "okta"}
_TOLD = 5


def _roots(patient: Patient) -> Iterator[Result]:
    if isinstance(patient.tokens, Unknown):
        yield unknown(patient.tokens)
        return
    found = [one for one in patient.tokens if "root" in one.policies]
    for one in found[:_TOLD]:
        where = f" in namespace {one.namespace}" if one.namespace else ""
        evidence = f"accessor {one.accessor}{where}, {one.display_name}, {_lasts(one)}"
        fix = f"bao token revoke -accessor {one.accessor}; see `invoke runbook root-token-alive`"
        yield Result(BAD, evidence, fix)
    if len(found) > _TOLD:
        yield Result(BAD, f"and {len(found) - _TOLD} more", "see `invoke runbook root-token-alive`")
    if not found:
        yield Result(OK, f"none among {len(patient.tokens)} living tokens")


def _lasts(one: Token) -> str:
    return "never ends" if one.endless else f"ends in {duration(one.ttl)}"


def _endless(patient: Patient) -> Iterator[Result]:
    if isinstance(patient.tokens, Unknown):
        yield unknown(patient.tokens)
        return
    endless = [one for one in patient.tokens if one.endless and "root" not in one.policies]
    periodic = [one for one in patient.tokens if one.period]
    for one in endless[:_TOLD]:
        told = f"accessor {one.accessor}, {one.display_name} ({', '.join(one.policies)}) never ends"
        yield Result(WARNING, told, f"bao token revoke -accessor {one.accessor}, and give whoever needs it a login")
    if not endless:
        told = f"every token ends; {len(periodic)} of {len(patient.tokens)} may be renewed for ever (periodic)"
        yield Result(OK, told)


def _leases(patient: Patient) -> Iterator[Result]:
    """How long a token lives that nobody gave a ttl."""
    said = patient.answer("sys/auth/token/tune")
    if isinstance(said, Unknown):
        yield unknown(said)
        return
    usual = int(said.get("default_lease_ttl") or 0)
    fix = "declare `settings: {default_lease_ttl: 1h}` in the cluster's file, and a ttl for each role"
    told = f"a token lives for {duration(usual)} where its role says nothing"
    yield Result(WARNING if usual > _DAY else OK, told, fix if usual > _DAY else "")


def _default(patient: Patient) -> Iterator[Result]:
    """The policy `default` goes to everybody: what it opens beside a token's own affairs."""
    said = patient.answer("sys/policies/acl/default")
    if isinstance(said, Unknown):
        yield unknown(said)
        return
    policy = live.understood("default", str(said.get("policy") or ""))
    if isinstance(policy, live.Unreadable):
        yield unknown(f"the policy default cannot be read: {policy.why}")
        return
    more = [one.path for one in policy.rules if not _USUAL.fullmatch(one.path) and "deny" not in one.capabilities]
    if more:
        fix = "move it into a policy of its own: every token has `default`"
        yield Result(WARNING, f"it opens {', '.join(more[:_TOLD])} for everybody", fix)
    else:
        yield Result(OK, f"{len(policy.rules)} paths, all about the token's own affairs")


def _listed(patient: Patient) -> Iterator[Result]:
    if isinstance(patient.mounts, Unknown):
        yield unknown(patient.mounts)
        return
    shown = sorted(
        path for path, one in patient.mounts.items() if (one.get("config") or {}).get("listing_visibility") == "unauth"
    )
    if shown:
        fix = "set `listing_visibility: hidden`, unless people choose their login on the page"
        yield Result(WARNING, f"shown to anybody: {', '.join(shown)}", fix)
    else:
        yield Result(OK, "no mount is shown to whoever has no token")


def _second_factor(patient: Patient) -> Iterator[Result]:
    if isinstance(patient.mounts, Unknown):
        yield unknown(patient.mounts)
        return
    by_password = sorted(path for path, one in patient.mounts.items() if one["type"] in _PASSWORDS)
    said = patient.answer("identity/mfa/login-enforcement?list=true")
    if not by_password:
        yield Result(OK, "nobody logs in with a password")
    elif isinstance(said, Unknown):
        yield unknown(said)
    elif said.get("keys"):
        yield Result(OK, f"enforced for logins: {', '.join(map(str, said['keys']))}")
    else:
        fix = "declare a method and an enforcement under `identity_mfa:` in the environment"
        yield Result(WARNING, f"a password alone opens {', '.join(by_password)}", fix)


def _quotas(patient: Patient) -> Iterator[Result]:
    said = patient.answer("sys/quotas/rate-limit?list=true")
    if isinstance(said, Unknown):
        yield unknown(said)
    elif said.get("keys"):
        yield Result(OK, f"rate limits: {', '.join(map(str, said['keys']))}")
    else:
        fix = "declare `quotas: {rate_limits: {everything: {rate: 1000}}}` in the environment of the root namespace"
        yield Result(WARNING, "no rate limit: one client can take all of it", fix)


def _door(path: str, what: str, fix: str, verdict: str = BAD) -> Callable[[Patient], Iterator[Result]]:
    """Knock at every node without a token; only 200 is an open door."""

    def check(patient: Patient) -> Iterator[Result]:
        for one in patient.facts.nodes:
            said = patient.ask(one.seen.node, path)
            if not said.status:
                yield unknown(said.why, one.name)
            elif said.status == _ANSWERED:
                yield Result(verdict, f"{path} answers to anybody: {what}", fix, one.name)
            else:
                yield Result(OK, f"{path} is refused: {said.status} {said.words}", about=one.name)

    return check


_STANDBYS = (
    "let only a load balancer reach the nodes, and have it send to the leader alone (health 200): standbys of OpenBao "
    "that forward what they are asked (disable_standby_reads) do so past the listener's own refusal"
)


def _settings(patient: Patient) -> Iterator[Result]:
    """What the leader's configuration opens that production has no use for."""
    said = patient.config
    if isinstance(said, Unknown):
        yield unknown(said)
        return
    fixes = {
        "raw_storage_endpoint": "anybody with sudo reads the storage itself; take raw_storage_endpoint out",
        "introspection_endpoint": "it shows the server's inside; take introspection_endpoint out",
        "unsafe_allow_api_audit_creation": "whoever has a token can add and end audit devices; take it out",
    }
    opened = {name: fix for name, fix in fixes.items() if said.get(name) is True}
    for name, fix in opened.items():
        yield Result(BAD, f"{name} is on", fix)
    if not opened:
        yield Result(OK, "raw storage and introspection are off")


def _logging(patient: Patient) -> Iterator[Result]:
    said = patient.answer("sys/loggers")
    if isinstance(said, Unknown):
        yield unknown(said)
        return
    loud = sorted({str(level) for level in said.values() if level in {"trace", "debug"}})
    if loud:
        fix = "declare `settings: {log_level: info}`, install the nodes anew, or end it now: bao delete sys/loggers"
        yield Result(WARNING, f"the leader logs at {', '.join(loud)}, which tells of requests", fix)
    else:
        yield Result(OK, "no logger of the leader is at debug or trace")


def _cors(patient: Patient) -> Iterator[Result]:
    said = patient.answer("sys/config/cors")
    if isinstance(said, Unknown):
        yield unknown(said)
        return
    origins = [str(one) for one in said.get("allowed_origins") or ()]
    if said.get("enabled") and "*" in origins:
        yield Result(
            BAD, "any page may speak to it from a browser", "name the origins in sys/config/cors, or turn it off"
        )
    else:
        yield Result(OK, f"pages of {', '.join(origins)}" if said.get("enabled") else "no other page may speak to it")


CHECKS = (
    Check("root-tokens", "Is no root token alive?", _roots),
    Check("endless-tokens", "Does every token end?", _endless),
    Check("lease-ttl", "Do tokens end soon where nobody says when?", _leases),
    Check("default-policy", "Does the policy that all have open nothing?", _default),
    Check("listed-mounts", "Are mounts hidden from whoever has no token?", _listed),
    Check("second-factor", "Do passwords need a second factor?", _second_factor),
    Check("rate-limits", "Can one client not take all?", _quotas),
    Check(
        "generate-root",
        "Can nobody begin a root token without a login?",
        _door("sys/generate-root/attempt", "he can begin one, and end what others began", _STANDBYS, WARNING),
    ),
    Check(
        "rekey",
        "Can nobody begin new keys without a login?",
        _door("sys/rekey/init", "he can begin it, and end what others began", _STANDBYS, WARNING),
    ),
    Check(
        "metrics",
        "Are metrics for those with a token?",
        _door(
            "sys/metrics?format=prometheus",
            "it tells of mounts, namespaces and load",
            "take `unauthenticated_metrics` out of `telemetry:`, and give the scraper a token",
            WARNING,
        ),
    ),
    Check(
        "profiler",
        "Is the profiler shut?",
        _door("sys/pprof/cmdline", "memory can be read by it", "take unauthenticated_pprof_access out of the listener"),
    ),
    Check(
        "in-flight",
        "Are running requests for those with a token?",
        _door("sys/in-flight-req", "it tells who asks what", "take unauthenticated_in_flight_requests_access out"),
    ),
    Check("raw-storage", "Are the doors to the server's inside shut?", _settings),
    Check("log-level", "Does the log tell nothing of requests?", _logging),
    Check("cors", "May no foreign page speak to it?", _cors),
)
