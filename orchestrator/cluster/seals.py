"""What can open the barrier: one entry a seal; its settings are the server's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from orchestrator.model import Limit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.documents import Json

_PLUGIN = MappingProxyType({"openbao>=2.7": "a plugin of this name, as OpenBao 2.7 has no KMS seals of its own"})
_OPENBAO = MappingProxyType({"openbao": "OpenBao knows no such setting; leave it out"})
_VAULT = MappingProxyType({"vault>=0": "HashiCorp Vault knows no such setting; leave it out"})
_A_NAME = r"^[\w-]{1,63}$"
_A_FILE = r"^(?![\s\S]*PRIVATE KEY)[^{\s]"


@dataclass(frozen=True)
class Secret:
    """A setting that never stands in a file: the server reads it from this variable."""

    variable: str
    elsewhere: Mapping[str, str] = field(default_factory=dict)  # by product: another name of the variable

    def of(self, product: str) -> str:
        return self.elsewhere.get(product, self.variable)


@dataclass(frozen=True)
class Setting:
    """One setting as people write it; what it may look like, and which servers lack it."""

    expected: str = "a text"
    pattern: str = ""
    type: str = "string"
    choices: tuple[str, ...] = ()
    absent: Mapping[str, str] = field(default_factory=dict)  # by condition: why the server lacks it
    file: bool = False  # a path of a file
    brought: bool = False  # a cluster that we start has its own
    limit: Limit | None = None

    @property
    def schema(self) -> dict[str, Json]:
        more: dict[str, Json] = {"pattern": self.pattern} if self.pattern else {}
        if self.choices:
            return {"enum": list(self.choices), "description": f"one of {', '.join(self.choices)}"}
        return {"type": self.type, "description": self.expected, **more}


@dataclass(frozen=True)
class Agreement:
    """Settings that each tell the same thing, such as a region: by setting, the pattern that finds it."""

    what: str
    told: Mapping[str, str]


@dataclass(frozen=True)
class Service:
    """Whoever holds the key: how it is asked, a word of `health/key_service.py`; where, or which setting says where."""

    asked: str
    address: str = ""
    setting: str = ""


@dataclass(frozen=True)
class SealKind:
    """A seal: its settings, which of them are needed, and where it exists."""

    name: str
    settings: Mapping[str, Setting] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)  # by condition: why the server lacks it
    plugin: Mapping[str, str] = field(default_factory=dict)  # by condition: the server has it only as a program
    together: tuple[tuple[str, ...], ...] = ()  # all of them or none
    one_of: tuple[tuple[str, ...], ...] = ()  # at least one of them
    differ: tuple[tuple[str, str], ...] = ()
    agree: tuple[Agreement, ...] = ()
    service: Service | None = None  # nobody whom a program elsewhere could ask
    auto: bool = True  # unseals by itself: its keys are recovery keys
    cloud: bool = False  # may take its credentials from the machine that it runs on
    offline: bool = False  # needs nobody on the network
    key_ids: tuple[str, ...] = ()  # settings with the name by which a snapshot calls the key that sealed it
    previous: Mapping[str, str] = field(default_factory=dict)  # settings of the key before: what it was called then
    remark: str = ""  # for the reference
    outside_limit: Limit | None = None  # what is not safe on machines that are not this one
    made: tuple[str, ...] = ()  # required too, but a cluster that we start makes it itself

    @property
    def files(self) -> tuple[str, ...]:
        """The settings that are paths of files."""
        return tuple(name for name, one in self.settings.items() if one.file)


TEXT = Setting()
FLAG = Setting("true or false", type="boolean")
FILE = Setting("the path of a file on the node", _A_FILE, file=True)
URL = Setting("an address such as https://host:8200", r"^https?://[^/?#@\s]+/?$")
_NEVER_SENT_OPEN = Limit("seal-without-tls", lambda value: not str(value).startswith("http:"), "the key's way is open")
_CHECKED = Limit("seal-unverified", lambda value: value is not True, "anybody on the way can be that server")
_READ_BY_ALL = Limit(
    "static-seal", lambda _: False, "whoever reads that file opens the barrier; a KMS or an HSM keeps it"
)

SHAMIR = SealKind("shamir", auto=False, remark="No stanza: its holders unseal each node by hand.")
AWS = SealKind(
    "awskms",
    {
        "region": Setting("a region such as eu-central-1", r"^[a-z]{2,}(-[a-z]+)+-[0-9]+$"),
        "kms_key_id": Setting(
            "alias/NAME, the id of a key, or an ARN of either",
            r"^(alias/[\w/-]+|arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/[\w/-]+|(mrk-)?[0-9a-f][0-9a-f-]{30,35})$",
        ),
        "endpoint": Setting("an address such as https://host", r"^https?://[^\s?#@]+$", brought=True),
    },
    ("region", "kms_key_id"),
    {
        "access_key": Secret("AWS_ACCESS_KEY_ID"),
        "secret_key": Secret("AWS_SECRET_ACCESS_KEY"),
        "session_token": Secret("AWS_SESSION_TOKEN"),
    },
    plugin=_PLUGIN,
    together=(("access_key", "secret_key"),),
    agree=(
        Agreement(
            "region",
            {
                "region": r"^(.+)$",
                "kms_key_id": r"^arn:[a-z-]+:kms:([a-z0-9-]+):",
                "endpoint": r"[./]kms(?:-fips)?\.([a-z0-9-]+)\.(?:vpce\.)?amazonaws\.com",
            },
        ),
    ),
    service=Service("aws-kms", "https://kms.{region}.amazonaws.com", "endpoint"),
    cloud=True,
    remark="Without `access_key` and `secret_key` the nodes use the role of their machine, as they should.",
)
AZURE = SealKind(
    "azurekeyvault",
    {
        "tenant_id": TEXT,
        "client_id": TEXT,
        "environment": TEXT,
        "vault_name": Setting(
            "the vault's name alone, without https:// and its domain", r"^[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]$"
        ),
        "key_name": Setting("the key's name alone", r"^[A-Za-z0-9-]{1,127}$"),
        "resource": Setting("a domain such as managedhsm.azure.net", r"^[a-z0-9.-]+$"),
    },
    ("vault_name", "key_name"),
    {"client_secret": Secret("AZURE_CLIENT_SECRET")},
    plugin=_PLUGIN,
    service=Service("http", "https://{vault_name}.vault.azure.net"),
    cloud=True,
    remark="Without `client_secret` the nodes use the managed identity of their machine, as they should.",
)
GCP = SealKind(
    "gcpckms",
    {
        "credentials": Setting("the path of a JSON file on the node, not its text", _A_FILE, file=True),
        "project": Setting("the project's id alone", r"^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$"),
        "region": Setting("a location alone, such as global or europe-west3", r"^[a-z]+(-[a-z0-9]+)*$"),
        "key_ring": Setting("the key ring's name alone, not projects/…", _A_NAME),
        "crypto_key": Setting("the key's name alone, not projects/…", _A_NAME),
    },
    ("project", "region", "key_ring", "crypto_key"),
    plugin=_PLUGIN,
    service=Service("http", "https://cloudkms.googleapis.com"),
    cloud=True,
    remark="Without `credentials` the nodes use the service account of their machine, as they should.",
)
OCI = SealKind(
    "ocikms",
    {
        "key_id": Setting("an id that begins with ocid1.key.", r"^ocid1\.key\.\S+$"),
        "crypto_endpoint": Setting("an address such as https://…-crypto.kms.REGION.oraclecloud.com", r"^https://\S+$"),
        "management_endpoint": Setting(
            "an address such as https://…-management.kms.REGION.oraclecloud.com", r"^https://\S+$"
        ),
        "auth_type_api_key": FLAG,
    },
    ("key_id", "crypto_endpoint", "management_endpoint"),
    plugin=_PLUGIN,
    differ=(("crypto_endpoint", "management_endpoint"),),
    agree=(
        Agreement(
            "region",
            dict.fromkeys(("crypto_endpoint", "management_endpoint"), r"\.kms\.([a-z0-9-]+)\.(?:oci\.)?oraclecloud\."),
        ),
        Agreement(
            "vault",
            {
                "crypto_endpoint": r"^https://([^./]+)-crypto\.",
                "management_endpoint": r"^https://([^./]+)-management\.",
            },
        ),
    ),
    service=Service("http", setting="crypto_endpoint"),
    cloud=True,
    remark="The nodes use the principal of their instance, or with `auth_type_api_key` the API key in `~/.oci/config`.",
)
TRANSIT = SealKind(
    "transit",
    {
        "address": Setting(URL.expected, URL.pattern, limit=_NEVER_SENT_OPEN),
        "key_name": Setting("the key's name alone", r"^[\w.-]+$"),
        "mount_path": Setting("a path such as transit/", r"^[^/\s][^\s]*$"),
        "namespace": TEXT,
        "disable_renewal": FLAG,
        "key_id_prefix": TEXT,
        "tls_ca_cert": FILE,
        "tls_client_cert": FILE,
        "tls_client_key": FILE,
        "tls_server_name": TEXT,
        "tls_skip_verify": Setting("true or false", type="boolean", limit=_CHECKED),
    },
    ("key_name",),
    {"token": Secret("VAULT_TOKEN")},
    together=(("tls_client_cert", "tls_client_key"),),
    service=Service("transit", setting="address"),
    made=("address", "mount_path"),
    remark="An orphaned, periodic token that may `update` encrypt/KEY and decrypt/KEY, and nothing else.",
)
_KEY_FILE = Setting("file:// and a path, or env:// and a variable", r"^(file|env)://.+$", file=True)
STATIC = SealKind(
    "static",
    {
        "current_key_id": TEXT,
        "current_key": _KEY_FILE,
        "previous_key_id": TEXT,
        "previous_key": _KEY_FILE,
    },
    ("current_key_id",),
    absent={"vault>=0": "HashiCorp Vault has no static seal", "openbao<2.4": "OpenBao has it since 2.4"},
    together=(("previous_key_id", "previous_key"),),
    differ=(("current_key_id", "previous_key_id"), ("current_key", "previous_key")),
    service=Service("file", setting="current_key"),
    made=("current_key",),
    offline=True,
    key_ids=("current_key_id", "previous_key_id"),
    previous={"previous_key_id": "current_key_id", "previous_key": "current_key"},
    remark="32 bytes in a file of each node, seen from there.",
    outside_limit=_READ_BY_ALL,
)
PKCS11 = SealKind(
    "pkcs11",
    {
        "lib": Setting("the path of a library on the node", r"^/.+$"),
        "slot": Setting('a number in quotes, such as "2305843009213693953"', r"^[0-9]+$"),
        "token_label": TEXT,
        "key_label": TEXT,
        "key_id": Setting('a hexadecimal number in quotes, such as "0x3333"', r"^(0x)?[0-9A-Fa-f]+$"),
        "default_key_label": TEXT,
        "mechanism": Setting('a name, or a number in quotes such as "0x1087"', r"^(0x[0-9A-Fa-f]+|[0-9]+|[A-Z0-9_]+)$"),
        "rsa_oaep_hash": Setting(choices=("sha1", "sha224", "sha256", "sha384", "sha512")),
        "disable_software_encryption": Setting("true or false", type="boolean", absent=_VAULT),
        "rsa_encrypt_local": Setting("true or false", type="boolean", absent=_OPENBAO),
        "hmac_key_label": Setting(absent=_OPENBAO),
        "hmac_key_id": Setting(absent=_OPENBAO),
        "hmac_mechanism": Setting(absent=_OPENBAO),
        "generate_key": Setting("true or false", type="boolean", absent=_OPENBAO),
        "force_rw_session": Setting("true or false", type="boolean", absent=_OPENBAO),
    },
    ("lib", "key_label"),
    {"pin": Secret("BAO_HSM_PIN", {"vault": "VAULT_HSM_PIN"})},
    absent={"vault": "HashiCorp Vault has it only in its Enterprise edition"},
    plugin=_PLUGIN,
    one_of=(("slot", "token_label"),),
    remark="OpenBao 2.6 needs a build with PKCS#11 in it; the key has to be there before the cluster begins.",
)
KMIP = SealKind(
    "kmip",
    {
        "endpoint": Setting("HOST:PORT", r"^[^/\s]+:[0-9]+$"),
        "kms_key_id": TEXT,
        "client_cert": FILE,
        "client_key": FILE,
        "ca_cert": FILE,
        "server_name": TEXT,
        "timeout": Setting("a whole number of seconds", type="integer"),
        "encrypt_alg": Setting(choices=("AES_GCM", "RSA_OAEP_SHA256", "RSA_OAEP_SHA384", "RSA_OAEP_SHA512")),
        "tls12_ciphers": TEXT,
    },
    ("endpoint", "kms_key_id", "client_cert", "client_key"),
    absent={"vault>=0": "HashiCorp Vault has no kmip seal"},
    service=Service("tcp", setting="endpoint"),
    remark="The key has to be there, and active, before the cluster begins.",
)
SEALS: Mapping[str, SealKind] = {one.name: one for one in (SHAMIR, AWS, AZURE, GCP, OCI, TRANSIT, STATIC, PKCS11, KMIP)}
