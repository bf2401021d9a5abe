"""Audit devices: enough of them, working, and holding no secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.cluster.doctor.model import BAD, OK, WARNING, Check, Result, unknown
from orchestrator.cluster.health.asking import Unknown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.cluster.doctor.model import Patient
    from orchestrator.cluster.health.facts import Device

ENOUGH = 2
_DECLARE = "declare another one under `audit:`, such as `syslog: {facility: AUTH}`, and install every node anew"
_UNHASHED = "audit_non_hmac_request_keys", "audit_non_hmac_response_keys"


def _devices(patient: Patient) -> tuple[Device, ...] | Unknown:
    inside = patient.facts.inside
    return inside if isinstance(inside, Unknown) else inside.devices


def _count(patient: Patient) -> Iterator[Result]:
    found = _devices(patient)
    if isinstance(found, Unknown):
        yield unknown(found)
        return
    told = f"{len(found)}: {', '.join(f'{one.name} ({one.type})' for one in found) or 'none'}"
    if len(found) >= ENOUGH:
        yield Result(OK, told)
    else:
        yield Result(WARNING if found else BAD, told, _DECLARE)


def _work(patient: Patient) -> Iterator[Result]:
    found = _devices(patient)
    if isinstance(found, Unknown):
        yield unknown(found)
        return
    for one in found:
        if one.works is None:
            yield unknown(f"{one.name}: {one.said}")
        elif one.works:
            yield Result(OK, f"{one.name}: {one.said}")
        else:
            yield Result(BAD, f"{one.name}: {one.said}", "see `invoke runbook audit-devices-down`")


def _sorts(patient: Patient) -> Iterator[Result]:
    """Two files fail together: by one full disk."""
    found = _devices(patient)
    if isinstance(found, Unknown):
        yield unknown(found)
    elif len(found) >= ENOUGH and len({one.type for one in found}) == 1:
        yield Result(WARNING, f"all are of the type {found[0].type}: what stops one stops all", _DECLARE)
    else:
        yield Result(OK, f"types: {', '.join(sorted({one.type for one in found})) or 'none'}")


def _raw(patient: Patient) -> Iterator[Result]:
    found = _devices(patient)
    if isinstance(found, Unknown):
        yield unknown(found)
        return
    raw = [one.name for one in found if one.options.get("log_raw") == "true"]
    clear = [one.name for one in found if one.options.get("hmac_accessor") == "false"]
    if raw:
        fix = "take `log_raw` out and give the device a new name; treat what was logged as leaked"
        yield Result(BAD, f"{', '.join(raw)} writes every secret as it is (log_raw)", fix)
    if clear:
        fix = "take `hmac_accessor: false` out, unless whoever reads the log needs accessors to revoke by"
        yield Result(WARNING, f"{', '.join(clear)} writes accessors as they are", fix)
    if not raw and not clear:
        yield Result(OK, "secrets and accessors are hashed")


def _unhashed(patient: Patient) -> Iterator[Result]:
    """Mounts that ask for some of their values to be logged in the open."""
    if isinstance(patient.mounts, Unknown):
        yield unknown(patient.mounts)
        return
    open_ = {
        path: [key for name in _UNHASHED for key in (one.get("config") or {}).get(name) or ()]
        for path, one in patient.mounts.items()
    }
    told = "; ".join(f"{path}: {', '.join(keys)}" for path, keys in sorted(open_.items()) if keys)
    if told:
        yield Result(
            WARNING, f"logged in the open: {told}", "take them out of the mount's settings, if they are secret"
        )
    else:
        yield Result(OK, "no mount has its values logged in the open")


CHECKS = (
    Check("audit-devices", "Are there two audit devices at least?", _count),
    Check("audit-work", "Does every audit device work?", _work),
    Check("audit-sorts", "Would one failure leave an audit device?", _sorts),
    Check("audit-raw", "Does the audit log hold no secret?", _raw),
    Check("audit-mounts", "Does no mount have values logged in the open?", _unhashed),
)
