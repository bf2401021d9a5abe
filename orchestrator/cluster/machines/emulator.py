"""A program: AWS's KMS and S3 as moto emulates them, with keys that are on disk and so outlive it.

Run as `python emulator.py HOST PORT KEYS`; KEYS is a JSON file: [{"id", "alias", "region", "material"}].
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

ACCOUNT = "123456789012"


def restore(keys: Path) -> None:
    from moto.kms.models import kms_backends  # noqa: PLC0415 - it takes a second

    for one in json.loads(keys.read_text()):
        backend = kms_backends[ACCOUNT][one["region"]]
        key = backend.create_key(None, "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "unseals", None)
        del backend.keys[key.id]
        key.arn = key.arn.replace(key.id, one["id"])
        key.id, key.key_material = one["id"], base64.b64decode(one["material"])
        backend.keys[key.id] = key
        backend.create_alias(key.id, one["alias"])


def main(host: str, port: str, keys: str) -> None:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app  # noqa: PLC0415
    from werkzeug.serving import run_simple  # noqa: PLC0415

    restore(Path(keys))
    run_simple(host, int(port), DomainDispatcherApplication(create_backend_app), threaded=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
