"""A Terraform provider's process: what it must answer, and the server that lets Terraform ask.

How it starts and ends is go-plugin's: https://github.com/hashicorp/go-plugin/blob/main/docs/internals.md
"""

from __future__ import annotations

import base64
import os
import select
import signal
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import grpc

from orchestrator.terraform.provider.answers import handlers

if TYPE_CHECKING:
    from orchestrator.terraform.provider.contract import Provider

_COOKIE: Final = ("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2")
_WORKERS: Final = 64
_UNLIMITED: Final = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
_LONGEST_FOLDER: Final = 60
"""A socket's path has 104 bytes on macOS, 108 on Linux."""
_FAREWELL_SECONDS: Final = 1


def serve(provider: Provider) -> None:
    """Answers Terraform until it says Shutdown or dies; the process ends here."""
    if os.environ.get(_COOKIE[0]) != _COOKIE[1]:
        sys.exit("This is a Terraform provider; Strongroom starts it")
    done = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches us too; when to stop is Terraform's to say
    signal.signal(signal.SIGTERM, lambda *_: done.set())
    threading.Thread(target=_await_orphaned, args=(done,), daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="sr-", dir=_folder(), ignore_cleanup_errors=True) as folder:
        _answer(provider, f"{folder}/provider", done)
    os._exit(0)  # 20 ms sooner than by unwinding Python, and not held up by a request still at work


def _answer(provider: Provider, socket: str, done: threading.Event) -> None:
    server = grpc.server(ThreadPoolExecutor(_WORKERS), handlers(provider, done), options=_UNLIMITED)
    certificate = _listen(server, f"unix:{socket}")
    server.start()
    sys.stdout.write(f"1|6|unix|{socket}|grpc|{certificate}\n")
    sys.stdout.flush()
    done.wait()
    server.stop(_FAREWELL_SECONDS).wait(2 * _FAREWELL_SECONDS)


def _folder() -> str:
    folder = os.environ.get("PLUGIN_UNIX_SOCKET_DIR") or tempfile.gettempdir()
    return folder if len(os.fsencode(folder)) <= _LONGEST_FOLDER else "/tmp"  # noqa: S108 - ours inside it is 0700


def _await_orphaned(done: threading.Event) -> None:
    """Terraform holds the other end of our standard output: when it dies, however it dies, that end closes."""
    parent, output = os.getppid(), select.poll()
    output.register(sys.stdout.fileno(), 0)
    while os.getppid() == parent and not output.poll(1000):
        pass
    done.set()


def _listen(server: grpc.Server, address: str) -> str:
    """Who may speak to us is said by the 0700 folder of the socket; answers the certificate Terraform asked for.

    Terraform's own certificate is on P-521, which grpcio's BoringSSL cannot check (grpc/grpc#41089), so none is asked.
    """
    if not os.environ.get("PLUGIN_CLIENT_CERT"):
        server.add_insecure_port(address)
        return ""
    key, chain, announced = _certificate()
    server.add_secure_port(address, grpc.ssl_server_credentials([(key, chain)]))
    return announced


def _certificate() -> tuple[bytes, bytes, str]:
    """A key and its certificate for this process only, and the certificate as the handshake announces it."""
    from cryptography import x509  # noqa: PLC0415 - 30 ms, seldom needed
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key, now, host = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC), "localhost"
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, host)])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(minutes=1)).not_valid_after(now + timedelta(days=7))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    encoding = serialization.Encoding
    announced = base64.b64encode(certificate.public_bytes(encoding.DER)).decode().rstrip("=")
    plain = key.private_bytes(encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return plain, certificate.public_bytes(encoding.PEM), announced
