"""Many requests at once: every ask is answered exactly once, whatever happens to the server meanwhile."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import json
import os
import secrets
import signal
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import StrongroomError, Unreachable
from orchestrator.live import bulk
from orchestrator.live.bulk import Ask, Line, Reply, send
from orchestrator.live.http1 import Malformed, Parser
from orchestrator.local import process, servers
from orchestrator.local import stack as local
from tests.support import beside, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.local.stack import Stack
    from orchestrator.terraform.provider.api import Api

server = pytest.mark.server
CANARY = "canary-5d20ab"
HASH = "sys/tools/hash/sha2-256"


@dataclass(frozen=True)
class Own:
    """An embedded stack that tests may stop, and what it is asked."""

    root: Path
    line: Line

    @property
    def folder(self) -> Path:
        return self.root / ".strongroom/stack/vault"

    @property
    def pid(self) -> int:
        found = process.alive(self.folder)
        assert found is not None
        return found


@pytest.fixture(scope="module")
def own_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("own")
    yield root
    local.down(root)


@pytest.fixture
def own(own_root: Path) -> Own:
    """It may have another port than before: while it was down, somebody may have taken that."""
    running = local.up(own_root)
    return Own(own_root, Line(running.address, running.token))


@pytest.fixture
def plain(stack: Stack) -> Line:
    return Line(stack.address, stack.token)


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """A development server that speaks TLS with a certificate of its own authority."""
    folder, port = tmp_path_factory.mktemp("tls"), free_port()
    flags = ["-dev-tls", f"-dev-tls-cert-dir={folder}", f"-dev-root-token-id={CANARY}", "-dev-no-store-token"]
    flags.append(f"-dev-listen-address=127.0.0.1:{port}")
    program = str(servers.find(folder, "openbao").program)
    with beside(folder, [program, "server", *flags], lambda pid, _: process.listens(pid, port)):
        yield Line(f"https://127.0.0.1:{port}", CANARY, str(folder / "vault-ca.pem"))


@pytest.fixture(params=["plain", "encrypted"])
def wire(request: pytest.FixtureRequest) -> Line:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Line)
    return found


@pytest.fixture
def name() -> str:
    return f"bulk-{secrets.token_hex(4)}"


def rules(number: int) -> str:
    return f'path "number/{number}" {{ capabilities = ["read"] }}'


def digest(number: int) -> Ask:
    """A question that has one answer, by which it is known."""
    return Ask("POST", HASH, {"input": base64.b64encode(str(number).encode()).decode(), "number": number})


def answered(ask: Ask, reply: Reply) -> int:
    """The number of a digest that is answered rightly."""
    assert reply.status == 200, dict(reply.content)
    assert ask.body is not None
    number = ask.body["number"]
    assert reply.content["data"]["sum"] == hashlib.sha256(str(number).encode()).hexdigest()
    return int(number)


def refusal(line: Line, *asks: Ask) -> str:
    """Why there is no answer; neither the token nor a body stands in the error or behind it."""
    with pytest.raises(Unreachable) as error:
        list(send(line, asks or [digest(0)]))
    seen: BaseException | None = error.value
    while seen is not None:
        assert CANARY not in repr(seen)
        assert line.token not in repr(seen)
        seen = seen.__cause__ or seen.__context__
    return str(error.value)


# On a server that is well


@server
def test_every_answer_belongs_to_its_ask(wire: Line, name: str) -> None:
    paths = {f"sys/policies/acl/{name}-{number}": rules(number) for number in range(500)}
    written = list(send(wire, [Ask("PUT", path, {"policy": text}) for path, text in paths.items()]))
    read = list(send(wire, (Ask("GET", path) for path in paths)))
    listed = dict(send(wire, [Ask("LIST", "sys/policies/acl")]))[Ask("LIST", "sys/policies/acl")]
    deleted = list(send(wire, (Ask("DELETE", path) for path in paths)))

    assert {ask.path: reply for ask, reply in written} == dict.fromkeys(paths, Reply(204, {}))
    assert {ask.path: reply.content["data"]["policy"] for ask, reply in read} == paths
    assert [len(written), len(read), len(deleted)] == [500, 500, 500]
    assert {f"sys/policies/acl/{one}" for one in listed.content["data"]["keys"]} >= set(paths)
    assert {reply.status for _, reply in deleted} == {204}


@server
def test_what_is_absent_is_a_404_with_its_content(plain: Line, name: str) -> None:
    ask = Ask("GET", f"sys/policies/acl/{name}")

    assert list(send(plain, [ask])) == [(ask, Reply(404, {"errors": []}))]


@server
def test_what_is_refused_is_an_answer_too(plain: Line) -> None:
    ask = Ask("POST", "auth/token/lookup-accessor", {"accessor": "nope"})
    nobody = replace(plain, token="")

    assert [(reply.status, reply.content["errors"]) for _, reply in send(plain, [ask])] == [
        (400, ["1 error occurred:\n\t* invalid accessor\n\n"])
    ]
    assert [reply.status for _, reply in send(nobody, [ask])] == [403]


@server
def test_names_that_need_quoting_arrive_as_they_are(plain: Line, api: Api, name: str) -> None:
    api.call("POST", f"sys/mounts/{name}", {"type": "kv"})
    odd = ["a b", "c%2Fd", "é/ü", "q?list=true", "x#y"]
    asks = [Ask("POST", f"{name}/{one}", {"value": one}) for one in odd]

    assert {reply.status for _, reply in send(plain, asks)} == {204}
    read = send(plain, [Ask("GET", ask.path) for ask in asks])
    assert {ask.path: reply.content["data"]["value"] for ask, reply in read} == {f"{name}/{one}": one for one in odd}


@server
@pytest.mark.usefixtures("namespaces")
def test_each_ask_goes_to_its_namespace(plain: Line, api: Api, name: str) -> None:
    places = [f"{name}-{number}" for number in range(4)]
    for place in places:
        api.call("POST", f"sys/namespaces/{place}", {})
    asks = [Ask("PUT", f"sys/policies/acl/{name}", {"policy": rules(n)}, place) for n, place in enumerate(places)]

    assert {reply.status for _, reply in send(plain, asks)} == {204}
    read = send(plain, [Ask("GET", f"sys/policies/acl/{name}", None, place) for place in (*places, "")])
    assert {ask.namespace: reply.content.get("data", {}).get("policy") for ask, reply in read} == {
        **{place: rules(number) for number, place in enumerate(places)},
        "": None,
    }


@server
def test_answers_in_chunks_are_read_whole(plain: Line) -> None:
    whole, short = Ask("GET", "sys/mounts"), Ask("GET", "sys/health")
    found = list(send(plain, [whole, short] * 50))
    connection = HTTPConnection(urlsplit(plain.address).netloc)
    connection.request("GET", "/v1/sys/mounts", headers={"X-Vault-Token": plain.token})
    reply = connection.getresponse()
    data = json.load(reply)["data"]
    connection.close()

    assert reply.headers["Transfer-Encoding"] == "chunked"
    assert Counter(ask for ask, _ in found) == {whole: 50, short: 50}
    assert all(reply.content["data"] == data for ask, reply in found if ask == whole)
    assert all(reply.content["initialized"] is True for ask, reply in found if ask == short)


@server
def test_asks_are_taken_no_sooner_than_they_can_be_sent(plain: Line) -> None:
    numbers = itertools.count()
    answers = send(plain, map(digest, numbers))
    for done in range(1, 2000):
        answered(*next(answers))
        if done in {1, 1999}:
            assert next(numbers) <= done + bulk.TAKEN + 2
    answers.close()


@server
def test_who_stops_early_leaves_no_thread_and_no_open_file(wire: Line) -> None:
    before, threads = open_files(), threading.active_count()
    answers = send(wire, map(digest, itertools.count()))
    for _ in range(100):
        next(answers)
    during = open_files()
    answers.close()

    assert len(during - before) >= 2
    assert (open_files(), threading.active_count()) == (before, threads)


@server
def test_an_error_of_the_asks_ends_the_run_and_leaves_nothing_open(plain: Line) -> None:
    def asks() -> Iterator[Ask]:
        yield from map(digest, range(300))
        raise LookupError("no more")

    before = open_files()
    with pytest.raises(LookupError, match="no more"):
        list(send(plain, asks()))

    assert open_files() == before


def open_files() -> set[str]:
    """What this process has open, with the socket's or file's number."""
    return {str(one.readlink()) for one in Path("/proc/self/fd").iterdir() if one.is_symlink()}


@server
def test_the_rate_is_kept_over_all_connections(plain: Line) -> None:
    began = time.monotonic()
    numbers = {answered(*one) for one in send(replace(plain, rate=100), map(digest, range(30)))}

    assert time.monotonic() - began >= 0.29
    assert numbers == set(range(30))


@server
def test_nothing_asked_is_nothing_answered(plain: Line) -> None:
    before = open_files()

    assert list(send(plain, [])) == []
    assert open_files() == before


# On a server that is not


@contextlib.contextmanager
def unless_moved(own: Own) -> Iterator[None]:
    """While the server is down, any program of this machine may be given its port: then it comes back elsewhere."""
    try:
        yield
    except Unreachable:
        if local.up(own.root).address == own.line.address:
            raise
        pytest.skip("another program took the server's port while it was down")


@server
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_in_the_middle_loses_and_doubles_no_answer(own: Own, how: signal.Signals) -> None:
    back = threading.Event()

    def restart() -> None:
        os.kill(own.pid, how)
        process.until(lambda: process.alive(own.folder) is None or None, 30)
        local.up(own.root)
        back.set()

    def asks() -> Iterator[Ask]:
        for number in itertools.count():
            yield digest(number) if number % 2 else Ask("GET", f"sys/policies/acl/none-{number}")
            if back.is_set() and number > 5000:
                return

    thread = threading.Thread(target=restart)
    seen: Counter[int] = Counter()
    with unless_moved(own):
        for count, (ask, reply) in enumerate(send(own.line, asks())):
            if ask.method == "POST":
                seen[answered(ask, reply)] += 1
            else:
                assert (reply.status, dict(reply.content)) == (404, {"errors": []})
                seen[int(ask.path.rpartition("-")[2])] += 1
            if count == 1000:
                thread.start()
    thread.join()

    assert set(seen.values()) == {1}
    assert sorted(seen) == list(range(len(seen)))


@server
def test_a_server_that_pauses_is_waited_for(own: Own) -> None:
    answers = send(own.line, map(digest, range(2000)))
    numbers = [answered(*next(answers))]
    os.kill(own.pid, signal.SIGSTOP)
    resume = threading.Timer(0.5, os.kill, (own.pid, signal.SIGCONT))
    resume.start()
    numbers += [answered(*one) for one in answers]
    resume.join()

    assert sorted(numbers) == list(range(2000))


@server
def test_a_server_that_says_nothing_is_given_up_after_the_patience(own: Own) -> None:
    before = open_files()
    with stopped(own.pid):
        said = refusal(replace(own.line, patience=0.3))

    assert said == f"{own.line.address} does not answer in time; see whether it runs, and whether a firewall is between"
    assert open_files() == before


def _states(pid: int) -> list[bool]:
    """Whether each thread of a process is stopped."""
    stats = [one.read_text() for one in Path(f"/proc/{pid}/task").glob("*/stat")]
    return [stat.rpartition(") ")[2][0] == "T" for stat in stats]


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        assert process.until(lambda: all(_states(pid)) or None, 5.0)  # a thread on another core may still answer
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@server
def test_an_interrupt_ends_it_at_once(own: Own) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before, kept = open_files(), signal.signal(signal.SIGALRM, interrupt)
    try:
        with stopped(own.pid):
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(KeyboardInterrupt):
                list(send(own.line, map(digest, range(100))))
    finally:
        signal.signal(signal.SIGALRM, kept)

    assert open_files() == before


@server
def test_a_sealed_server_is_told_at_once(own: Own, name: str) -> None:
    [(_, reply)] = send(own.line, [Ask("PUT", "sys/seal")])
    assert reply.status == 204
    asks = [Ask("GET", f"sys/policies/acl/{name}"), digest(1)]
    began = time.monotonic()
    found = [(reply.status, reply.content["errors"]) for _, reply in send(own.line, asks)]
    taken = time.monotonic() - began
    local.up(own.root)

    assert found == [(503, ["Vault is sealed"])] * 2
    assert taken < own.line.patience / 2


def test_a_port_without_a_server_is_unreachable() -> None:
    address = f"http://127.0.0.1:{free_port()}"

    assert refusal(Line(address, CANARY, patience=0.2)) == (
        f"{address} does not take connections; start the server, or set VAULT_ADDR to where it runs"
    )


def test_a_host_that_does_not_exist_is_told_at_once() -> None:
    assert refusal(Line("http://nowhere.invalid:8200", CANARY)) == (
        "http://nowhere.invalid:8200: no such host; check the address"
    )


@server
def test_another_server_is_told(stack: Stack, plain: Line) -> None:
    ui, database = replace(plain, address=f"{plain.address}/ui"), f"http://{stack.postgres}"

    assert refusal(ui) == f"{ui.address} answers, but not as Vault or OpenBao; check the address"
    assert refusal(Line(database, CANARY, patience=0.2)).startswith(f"{database} cannot be reached (Connection")


@server
def test_tls_is_verified_by_the_given_authority_alone(encrypted: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(encrypted.verify))

    assert refusal(replace(encrypted, verify=True)) == (
        f"{encrypted.address}: its TLS certificate is not trusted (unable to get local issuer certificate); "
        "set VAULT_CACERT to the CA's file"
    )
    assert [answered(*one) for one in send(replace(encrypted, verify=False), [digest(7)])] == [7]


@server
def test_plain_text_and_tls_are_not_mistaken(plain: Line, encrypted: Line) -> None:
    bare = replace(encrypted, address=encrypted.address.replace("https:", "http:"))
    wrapped = replace(plain, address=plain.address.replace("http:", "https:"))
    told = refusal(wrapped)

    assert refusal(bare) == f"{bare.address} speaks TLS; write https://"
    assert told.startswith(f"{wrapped.address}: TLS fails (")
    assert told.endswith("); check whether it is http:// or https://")


@server
def test_a_rate_limit_is_waited_for(plain: Line, api: Api, name: str) -> None:
    api.call("POST", f"sys/mounts/{name}", {"type": "kv"})
    api.call("POST", f"sys/quotas/rate-limit/{name}", {"path": f"{name}/", "rate": 20, "interval": "1s"})
    asks = [Ask("POST", f"{name}/{number}", {"value": number}) for number in range(50)]
    try:
        written = [ask.path for ask, reply in send(plain, asks) if reply.status == 204]
    finally:
        api.call("DELETE", f"sys/quotas/rate-limit/{name}", None)

    assert sorted(written) == sorted(ask.path for ask in asks)


@server
def test_a_rate_limit_that_stays_is_an_answer_after_the_patience(plain: Line, api: Api, name: str) -> None:
    api.call("POST", f"sys/mounts/{name}", {"type": "kv"})
    api.call("POST", f"sys/quotas/rate-limit/{name}", {"path": f"{name}/", "rate": 1, "interval": "10m"})
    asks = [Ask("GET", f"{name}/{number}") for number in range(20)]
    try:
        found = Counter(reply.status for _, reply in send(replace(plain, patience=0.3), asks))
    finally:
        api.call("DELETE", f"sys/quotas/rate-limit/{name}", None)

    assert found == {404: 1, 429: 19}


@server
@pytest.mark.usefixtures("namespaces")
def test_a_locked_namespace_is_an_answer_at_once(plain: Line, api: Api, name: str) -> None:
    api.call("POST", f"sys/namespaces/{name}", {})
    key = api.call("POST", f"sys/namespaces/api-lock/lock/{name}", {})["unlock_key"]
    began = time.monotonic()
    try:
        [(_, reply)] = send(plain, [Ask("GET", "sys/mounts", None, name)])
    finally:
        api.call("POST", f"sys/namespaces/api-lock/unlock/{name}", {"unlock_key": key})

    assert reply.status == 503
    assert "locked" in reply.content["errors"][0]
    assert time.monotonic() - began < plain.patience / 2


class Proxy(BaseHTTPRequestHandler):
    """What stands before a server does what no server does when asked to: by the first word of the path."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        _, _, sort, rest = self.path.split("/", 3)
        getattr(self, sort)(rest)

    def do_POST(self) -> None:
        self.do_GET()

    def closing(self, rest: str) -> None:
        """Every fifth answer is the last of its connection."""
        self.close_connection = rest.endswith(("0", "5"))
        self.answer(200, {"rest": rest}, {"Connection": "close"} if self.close_connection else {})

    def cutting(self, rest: str) -> None:
        """Of every fifth connection only half an answer comes, the first time it is asked."""
        if rest.endswith("0") and rest not in self.server.seen:  # type: ignore[attr-defined]
            self.server.seen[rest] += 1  # type: ignore[attr-defined]
            self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{"rest":')
            self.close_connection = True
        else:
            self.answer(200, {"rest": rest}, {})

    def busy(self, rest: str) -> None:
        """The first time there is no time."""
        self.server.seen[rest] += 1  # type: ignore[attr-defined]
        first = self.server.seen[rest] == 1  # type: ignore[attr-defined]
        self.answer(503 if first else 200, {"rest": rest}, {"Retry-After": "1"} if first else {})

    def broken(self, rest: str) -> None:
        self.server.seen[rest] += 1  # type: ignore[attr-defined]
        self.answer(500, {"errors": ["it is broken"]}, {})

    def elsewhere(self, rest: str) -> None:
        self.server.seen[str(self.headers["X-Vault-Token"])] += 1  # type: ignore[attr-defined]
        self.answer(307, {}, {"Location": f"http://127.0.0.2:{self.headers['Host'].rpartition(':')[2]}/{rest}"})

    def old(self, rest: str) -> None:
        """As before HTTP/1.1: a body that ends with its connection."""
        self.close_connection = True
        self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps({"rest": rest}).encode())

    def answer(self, status: int, content: dict[str, Any], headers: dict[str, str]) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


class Listener(ThreadingHTTPServer):
    """Where the proxy listens, and what it saw."""

    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("0.0.0.0", 0), Proxy)  # noqa: S104 - it has two addresses on the loopback
        self.seen: Counter[str] = Counter()
        self.line = Line(f"http://127.0.0.1:{self.server_port}", CANARY)

    def handle_error(self, *_: object) -> None:
        """Whoever was redirected hangs up."""


@pytest.fixture
def proxy() -> Iterator[Listener]:
    listener = Listener()
    threading.Thread(target=listener.serve_forever).start()
    yield listener
    listener.shutdown()
    listener.server_close()


@pytest.mark.parametrize("sort", ["closing", "cutting", "old"])
def test_what_a_closed_connection_left_is_asked_again_on_another(proxy: Listener, sort: str) -> None:
    asks = [Ask("GET", f"{sort}/{number}") for number in range(100)]
    found = [(ask.path, reply.content["rest"]) for ask, reply in send(proxy.line, asks)]

    assert sorted(found) == sorted((ask.path, ask.path.partition("/")[2]) for ask in asks)


def test_a_busy_server_is_asked_again_when_it_says(proxy: Listener) -> None:
    began = time.monotonic()
    found = [(ask.path, reply) for ask, reply in send(proxy.line, [Ask("GET", f"busy/{n}") for n in range(40)])]

    assert sorted(found) == sorted((f"busy/{n}", Reply(200, {"rest": str(n)})) for n in range(40))
    assert set(proxy.seen.values()) == {2}
    assert time.monotonic() - began >= 1


def test_an_error_is_asked_again_when_it_was_only_a_read(proxy: Listener) -> None:
    line = replace(proxy.line, patience=0.3)
    reply = Reply(500, {"errors": ["it is broken"]})
    read, write = Ask("GET", "broken/read"), Ask("POST", "broken/write", {})

    assert sorted(send(line, [read, write])) == [(read, reply), (write, reply)]
    assert proxy.seen["read"] > 1
    assert proxy.seen["write"] == 1


def test_a_redirect_is_told_and_not_followed(proxy: Listener) -> None:
    told = refusal(proxy.line, Ask("GET", "elsewhere/mounts"))

    assert told == f"{proxy.line.address} redirects to http://127.0.0.2:{proxy.server_port}/mounts; use that address"
    assert proxy.seen == {CANARY: 1}


@server
def test_a_redirect_on_the_same_server_is_an_answer(plain: Line) -> None:
    ask = Ask("GET", "sys//mounts")

    assert list(send(plain, [ask])) == [(ask, Reply(307, {}))]


# What nobody may see


def test_neither_a_token_nor_a_body_shows() -> None:
    ask = Ask("POST", "auth/token/lookup", {"token": CANARY}, "team")
    shown = repr((Line("http://127.0.0.1", CANARY), ask, Reply(200, {"token": CANARY})))

    assert shown == (
        "(Line(address='http://127.0.0.1', verify=True, patience=60.0, rate=0), "
        "Ask(POST auth/token/lookup in team), Reply(200))"
    )


@server
@pytest.mark.parametrize("where", ["X-Vault-Token", "X-Vault-Namespace"])
def test_a_header_is_no_way_to_smuggle_another(plain: Line, where: str) -> None:
    smuggled = f"{CANARY}\r\nX-Evil: yes"
    token, namespace = (smuggled, "") if where == "X-Vault-Token" else ("", smuggled)
    with pytest.raises(StrongroomError) as error:
        list(send(replace(plain, token=token), [Ask("GET", "x", None, namespace)]))

    assert str(error.value) == f"what {where} should carry holds a line break or the like; correct it"


# The bytes


@dataclass(frozen=True)
class Sent:
    """A reply as a server may write it."""

    status: int
    body: bytes
    pieces: tuple[int, ...]  # the sizes of its chunks, none for a body with a length

    def written(self) -> bytes:
        if self.status in {204, 304}:
            return b"HTTP/1.1 %d Nothing\r\nX-A: b:c\r\n\r\n" % self.status
        head = b"HTTP/1.1 %d Some Words\r\nCONTENT-type:application/json \r\n" % self.status
        if not self.pieces:
            return head + b"content-Length: %d\r\n\r\n%b" % (len(self.body), self.body)
        chunks, rest = b"", self.body
        for size in self.pieces:
            piece, rest = rest[:size], rest[size:]
            chunks += b"%x;a=b\r\n%b\r\n" % (len(piece), piece) if piece else b""
        chunks += b"%X\r\n%b\r\n" % (len(rest), rest) if rest else b""
        return (
            b"HTTP/1.1 100 Continue\r\n\r\n"
            + head
            + b"Transfer-Encoding: Chunked\r\n\r\n"
            + chunks
            + b"0\r\nA: b\r\n\r\n"
        )

    def expected(self) -> tuple[int, bytes]:
        return self.status, b"" if self.status in {204, 304} else self.body


BODIES = st.binary(max_size=60) | st.sampled_from([b"\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"0\r\n\r\n"])
SENT = st.builds(Sent, st.sampled_from([200, 204, 304, 404, 503]), BODIES, st.lists(st.integers(1, 9)).map(tuple))


@given(st.lists(SENT, max_size=5), st.data())
def test_replies_are_the_same_wherever_their_bytes_are_cut(sent: list[Sent], data: st.DataObject) -> None:
    whole = b"".join(one.written() for one in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    parser = Parser()
    found = [one for begin, end in itertools.pairwise([0, *cuts, len(whole)]) for one in parser.feed(whole[begin:end])]

    assert [(one.status, one.body) for one in found] == [one.expected() for one in sent]
    assert parser.end() == []
    assert not parser.over


@given(SENT, st.data())
def test_a_reply_that_is_cut_off_is_none(sent: Sent, data: st.DataObject) -> None:
    whole = sent.written()
    parser = Parser()

    assert parser.feed(whole[: data.draw(st.integers(0, len(whole) - 1))]) == []
    assert parser.end() == []


def test_a_body_without_a_length_ends_with_its_connection() -> None:
    parser = Parser()

    assert parser.feed(b"HTTP/1.0 200 OK\r\nA: b\r\n\r\nsome") == []
    assert parser.feed(b" words") == []
    [(status, headers, body, last)] = parser.end()
    assert (status, headers, body, last) == (200, {"a": "b"}, b"some words", True)


def test_nothing_is_read_behind_the_last_reply() -> None:
    parser = Parser()
    reply = b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 1\r\n\r\nx"

    assert [one.body for one in parser.feed(reply + reply)] == [b"x"]
    assert parser.over


@pytest.mark.parametrize(
    "stream",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000,
    ],
)
def test_what_is_no_reply_is_refused(stream: bytes) -> None:
    with pytest.raises(Malformed):
        Parser().feed(stream)
