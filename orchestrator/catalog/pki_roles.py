"""PKI's roles: which names and uses a certificate may have, and for how long."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.catalog.pki_authority import STRONG_KEY
from orchestrator.model import Field, Gives, Limit, Object, Part, Resource, Write
from orchestrator.shapes import DURATION, FLAG, LIST, NUMBER, SECONDS_TEXT, TEXT, Shape, choice, seconds

if TYPE_CHECKING:
    from orchestrator.documents import Json

_ROLE = "{backend}/roles/{name}"
_NO_SUCH = {"openbao": "OpenBao has no such setting; leave it out"}
_LONGEST = "2160h"

_ANY_NAME = Limit(
    "pki-any-name",
    lambda value: not value,
    "whoever may use the role could pose as any host; list allowed_domains, and allow_subdomains or the like",
)
_WILDCARD = Limit(
    "pki-wildcard",
    lambda value: not value,
    "one stolen key would pose as every host of its domain; have each host ask for a certificate of its own",
)
_SHORT = Limit(
    "pki-long-lived",
    lambda value: 0 < seconds(value) <= seconds(_LONGEST),
    f"a stolen key is good for as long as its certificate; write {_LONGEST} or less, and renew",
)

_FLAGS = {
    "allow_bare_domains": False,
    "allow_glob_domains": False,
    "allow_subdomains": False,
    "allowed_domains_template": False,
    "basic_constraints_valid_for_non_ca": False,
    "client_flag": True,
    "code_signing_flag": False,
    "email_protection_flag": False,
    "enforce_hostnames": True,
    "generate_lease": False,
    "no_store": False,
    "require_cn": True,
    "server_flag": True,
    "use_csr_common_name": True,
    "use_csr_sans": True,
    "use_pss": False,
}
_LISTS = (
    "allowed_domains",
    "allowed_other_sans",
    "allowed_serial_numbers",
    "allowed_uri_sans",
    "allowed_user_ids",
    "country",
    "ext_key_usage",
    "ext_key_usage_oids",
    "locality",
    "organization",
    "ou",
    "postal_code",
    "province",
    "street_address",
)
_USAGES = ["DigitalSignature", "KeyAgreement", "KeyEncipherment"]


def _plain(value: Json) -> list[str]:
    """The identifiers that are bare OIDs.

    >>> _plain(["1.2.3", '{"oid":"1.2.4"}'])
    ['1.2.3']
    """
    return [one for one in value or [] if isinstance(one, str) and one and not one.startswith("{")]


def _with_notice(value: Json) -> list[dict[str, Json]]:
    """The identifiers that say more than their OID, from the API's JSON texts or from maps.

    >>> _with_notice(["1.2.3", '{"oid":"1.2.4","cps":"https://example.org"}'])
    [{'oid': '1.2.4', 'cps': 'https://example.org', 'notice': None}]
    """
    maps = [json.loads(one) if isinstance(one, str) else one for one in value or [] if one not in _plain([one])]
    found = [{name: one.get(name) or None for name in ("oid", "cps", "notice")} for one in maps]
    return sorted(found, key=lambda one: str(one["oid"]))


_OIDS = replace(LIST, canon=_plain, render=_plain)
_IDENTIFIERS = Shape(
    None,
    {
        "type": "array",
        "items": {
            "type": "object",
            "additionalProperties": False,
            "required": ["oid"],
            "properties": {name: {"type": "string"} for name in ("oid", "cps", "notice")},
        },
    },
    "a list of maps with oid, cps and notice",
    _with_notice,
    _with_notice,
    [],
    lambda value: json.dumps([{name: text for name, text in one.items() if text} for one in _with_notice(value)]),
    {"oid": ("string", True), "cps": ("string", False), "notice": ("string", False)},
)

_RESOURCE = Resource(
    type="vault_pki_secret_backend_role",
    path=_ROLE,
    mount="backend",
    name="name",
    fields={
        **{name: Field(FLAG, default=default) for name, default in _FLAGS.items()},
        "allow_any_name": Field(FLAG, default=False, limit=_ANY_NAME),
        "allow_ip_sans": Field(FLAG, default=False, official=True),
        "allow_localhost": Field(FLAG, default=False, official=True),
        "allow_wildcard_certificates": Field(FLAG, default=False, official=True, limit=_WILDCARD),
        "allowed_uri_sans_template": Field(FLAG, default=False, computed=True),
        **{name: Field(LIST) for name in _LISTS},
        "policy_identifiers": Field(_OIDS),
        "policy_identifier": Field(_IDENTIFIERS, api="policy_identifiers"),
        "key_usage": Field(LIST, default=_USAGES, computed=True),
        "cn_validations": Field(LIST, default=["email", "hostname"], computed=True),
        "key_type": Field(choice("rsa", "ec", "ed25519", "any"), default="ec", official="rsa"),
        "key_bits": Field(
            NUMBER, default=2048, only={"key_type": "rsa"}, otherwise=256, official=2048, limit=STRONG_KEY
        ),
        # some servers note what 0 stands for, and only with RSA: 256
        "signature_bits": Field(NUMBER, default=256, only={"key_type": "rsa"}, otherwise=0, computed=True),
        "issuer_ref": Field(TEXT, default="default", computed=True),
        "ttl": Field(SECONDS_TEXT, default="24h", only={"not_after": None}, otherwise=0, computed=True, limit=_SHORT),
        "max_ttl": Field(
            SECONDS_TEXT, default=_LONGEST, only={"not_after": None}, otherwise=0, computed=True, limit=_SHORT
        ),
        "not_before_duration": Field(DURATION, default="30s", computed=True),
        "not_after": Field(TEXT),
        "no_store_metadata": Field(FLAG, absent=_NO_SUCH),
        "serial_number_source": Field(TEXT, default="json-csr", computed=True, absent=_NO_SUCH),
    },
    writes=(Write(_ROLE),),
)

REVOCATION = Gives(
    "certificate",
    list="{mount}/certs/",
    id="{mount}:{key}",
    end=Write("{mount}/revoke", data={"serial_number": "{key}"}),
    look=Write("{mount}/cert/{key}", method="GET"),
    flag="data.revocation_time",
    fits="orchestrator.incident.kinds.pki_roles:issued",
    then=Write("{mount}/crl/rotate", method="GET"),
    proof="orchestrator.incident.proofs.pki:listed",
    unkept={"no_store": True},
    lasts=("max_ttl", "ttl"),
    instead="name those that you have by --certificate file:PATH",
)

ROLES = Object(
    key="roles",
    list="{mount}/roles",
    gives=(REVOCATION,),
    shut={"issuer_ref": "strongroom-shut", "not_after": "1970-01-01T00:00:00Z", "ttl": 0},
    one_of=(("policy_identifiers", "policy_identifier"),),
    parts=(Part(_RESOURCE),),
)
