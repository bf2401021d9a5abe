"""TLS: nothing in plain text, no old version, certificates that hold."""

from __future__ import annotations

import http.client
import ssl
import warnings
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from orchestrator.cluster.doctor.model import BAD, OK, SECONDS, WARNING, Check, Result, unknown
from orchestrator.cluster.health import handshake
from orchestrator.cluster.health.asking import Unknown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.cluster.doctor.model import Patient
    from orchestrator.cluster.health.facts import NodeFacts

SOON, LATER = 14, 45  # days
_HSTS = "Strict-Transport-Security"
_DECLARE = "declare `listener: {tls: {certificate: …, key: …, ca: …}}`, and render and install it"


def _plain(patient: Patient) -> Iterator[Result]:
    """Speak HTTP without TLS to every node."""
    for one in patient.facts.nodes:
        parts = urlsplit(one.seen.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=SECONDS)
        try:
            connection.request("GET", "/v1/sys/health")
            answered = b"initialized" in connection.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            yield _broken(one, error)
            continue
        finally:
            connection.close()
        if answered:
            yield Result(BAD, "answers in plain text", _DECLARE, one.name)
        else:
            yield Result(OK, "refuses plain text", about=one.name)


def _broken(one: NodeFacts, error: Exception) -> Result:
    if one.seen.answers:
        return Result(OK, f"breaks off what comes in plain text ({type(error).__name__})", about=one.name)
    return unknown(one.seen.why, one.name)


def _old(patient: Patient) -> Iterator[Result]:
    """Shake hands as an old client would; what is refused is refused by the node itself."""
    for one in patient.facts.nodes:
        if isinstance(one.certificate, Unknown):
            yield unknown(one.certificate, one.name)
        elif one.certificate is None:
            yield Result(BAD, "speaks no TLS at all", _DECLARE, one.name)
        else:
            yield _oldest(patient, one)


def _oldest(patient: Patient, one: NodeFacts) -> Result:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that they are old is the question
        try:
            taken = [
                word
                for word, version in (("TLS 1.0", ssl.TLSVersion.TLSv1), ("TLS 1.1", ssl.TLSVersion.TLSv1_1))
                if handshake.takes(one.seen.url, version, SECONDS)
            ]
            twelve = handshake.takes(one.seen.url, ssl.TLSVersion.TLSv1_2, SECONDS)
        except (OSError, ValueError) as error:
            return unknown(f"this machine cannot try it: {error}", one.name)
    tls = patient.cluster.listener.tls
    if taken:
        fix = "declare `listener: {tls: {min_version: tls13}}`, and render and install it"
        return Result(BAD, f"takes {' and '.join(taken)}", fix, one.name)
    if twelve and tls and tls.min_version == "tls13":
        return Result(BAD, "takes TLS 1.2 though tls13 is declared", "install its configuration anew", one.name)
    return Result(OK, f"refuses TLS 1.0 and 1.1{'' if twelve else ' and 1.2'}", about=one.name)


def _certificates(patient: Patient) -> Iterator[Result]:
    for one in patient.facts.nodes:
        shown = one.certificate
        if isinstance(shown, Unknown):
            yield unknown(shown, one.name)
        elif shown is not None:
            days = f"{shown.days:.0f} days left, issued by {shown.issuer}"
            fix = "put a new certificate in place and send the server SIGHUP; automate it"
            verdict = BAD if shown.days < SOON else WARNING if shown.days < LATER else OK
            yield Result(verdict, days, "" if verdict == OK else fix, one.name)


def _names(patient: Patient) -> Iterator[Result]:
    """Whether the declared CA vouches for this very host."""
    for one in patient.facts.nodes:
        shown = one.certificate
        if shown is None:
            continue
        if isinstance(shown, Unknown):
            yield unknown(shown, one.name)
        elif shown.trusted and shown.days > 0:
            fix = f"issue it for {one.seen.node.host}, by the CA that `listener: {{tls: {{ca: …}}}}` names"
            yield Result(BAD, f"{shown.trusted}; it is for {', '.join(shown.names) or 'nobody'}", fix, one.name)
        else:
            yield Result(OK, f"for {', '.join(shown.names)}", about=one.name)


def _always(patient: Patient) -> Iterator[Result]:
    """The header by which browsers never come in plain text again."""
    leader = next(iter(patient.facts.leaders), None)
    if leader is None or not leader.seen.url.startswith("https:"):
        yield unknown("no node leads" if leader is None else "there is no TLS")
        return
    said = patient.header(leader.seen.node, _HSTS)
    if isinstance(said, Unknown):
        yield unknown(said, leader.name)
    elif said:
        yield Result(OK, f"{_HSTS}: {said}", about=leader.name)
    else:
        fix = f'have the listener send it: custom_response_headers {{ default = {{ {_HSTS} = ["max-age=31536000"] }} }}'
        yield Result(WARNING, f"no header {_HSTS}", fix, leader.name)


def _between(patient: Patient) -> Iterator[Result]:
    said = patient.config
    if isinstance(said, Unknown):
        yield unknown(said)
        return
    address = str(said.get("cluster_addr", ""))
    if address.startswith("https://"):
        yield Result(OK, f"nodes speak to each other by {address}, with certificates that the leader makes")
    else:
        yield Result(BAD, f"cluster_addr is {address}", "render the nodes anew: cluster_addr must be https://")


CHECKS = (
    Check("plain-text", "Does any node answer without TLS?", _plain),
    Check("tls-version", "Are TLS 1.0 and 1.1 refused?", _old),
    Check("certificate-end", "Do the certificates hold for some weeks?", _certificates),
    Check("certificate-name", "Are the certificates for these hosts, and by the declared CA?", _names),
    Check("strict-transport", "Are browsers told to come by TLS only?", _always),
    Check("cluster-address", "Do the nodes speak TLS to each other?", _between),
)
