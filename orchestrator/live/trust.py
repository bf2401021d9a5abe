"""Which authorities the other end's certificate is checked against."""

from __future__ import annotations

import ssl
from pathlib import Path

from requests.utils import DEFAULT_CA_BUNDLE_PATH


def system_store() -> bool | str:
    """The CAs that the machine trusts, as Terraform's providers do; those that come with requests where it has none."""
    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.capath or True


def context(verify: bool | str) -> ssl.SSLContext:  # noqa: FBT001 - as requests has it: no, yes, or by this file
    """What `verify` asks for, as requests would do it."""
    if verify is False:
        lax = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        lax.check_hostname, lax.verify_mode = False, ssl.CERT_NONE
        return lax
    store = system_store() if verify is True else verify
    path = Path(store if isinstance(store, str) else DEFAULT_CA_BUNDLE_PATH)
    if path.is_dir():
        return ssl.create_default_context(capath=path)
    return ssl.create_default_context(cafile=path)
