"""The program that Terraform runs for a secret which it must not hold: one request, to the server that it works on."""

from __future__ import annotations

import json
import os
import sys

REQUEST = "STRONGROOM_REQUEST"
PROGRAM = "STRONGROOM_CARRY"


def main() -> None:
    """Send the request; its secrets are in the environment that Terraform itself has."""
    from orchestrator.terraform.provider.api import ApiError  # noqa: PLC0415 - the names above are asked for more often
    from orchestrator.terraform.provider.engine import connect  # noqa: PLC0415 - as above

    request = json.loads(os.environ[REQUEST])
    secrets = {key: os.environ[f"TF_VAR_{name}"] for key, name in request["secrets"].items()}
    try:
        connect({}, os.environ).call("POST", request["path"], {**request["data"], **secrets}, again=True)
    except ApiError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
