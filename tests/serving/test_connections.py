"""Connections that stall, stay idle, pile up, or are open when the server stops."""

import asyncio
import contextlib
import json
import resource
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

from dlrecipes.serving import protocol, shutdown
from dlrecipes.serving.limits import SMALL, Admission, Limits
from dlrecipes.serving.protocol import Connections
from dlrecipes.serving.server import Settings, _listen, create_server
from dlrecipes.serving.status import RequestError
from dlrecipes.serving.store import ModelStore

PREDICT = b"POST /v1/models/half:predict HTTP/1.1\r\nHost: localhost\r\n"
BODY = b'{"instances": [1.0]}'
SIZED = PREDICT + f"Content-Length: {len(BODY)}\r\n\r\n".encode()
ANSWER = b'{"predictions":[2.5]}'


class LiveServer:
    """A server in a thread, for tests that set what the command has no options for."""

    def __init__(self, settings):
        store = ModelStore(settings.models)
        store.refresh()
        self.listening = _listen("127.0.0.1", 0)
        self.port = self.listening.getsockname()[1]
        self.server = create_server(settings, store)
        run = self.server.serve(sockets=[self.listening])
        self.thread = threading.Thread(target=asyncio.run, args=(run,))
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    @property
    def shared(self):
        return self.server.config.connections

    def connect(self, sent=b""):
        client = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        client.sendall(sent)
        return client

    def begin_to_stop(self):
        self.server.begin_to_stop()
        self.server.should_exit = True

    def stop(self):
        self.begin_to_stop()
        self.thread.join(30)
        assert not self.thread.is_alive()


@pytest.fixture
def live(half):
    """Starts servers with the model `half`, and stops them."""
    servers = []

    def start(limits=None, **settings):
        settings = Settings(half, log=False, limits=limits or Limits(), **settings)
        servers.append(LiveServer(settings))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def receive(client):
    """Returns the head and the body of one response."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = client.recv(65536)
        assert part, received
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split()[0])
    while len(body) < length:
        body += client.recv(65536)
    return head.lower(), body


def is_closed(client):
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


def test_bodies_that_do_not_come_do_not_shut_out_small_requests(server):
    with contextlib.ExitStack() as stack:
        for _ in range(1010):
            client = socket.create_connection(("127.0.0.1", server.port), timeout=30)
            stack.enter_context(client)
            client.sendall(PREDICT + b"Content-Length: 100\r\n\r\n")
        assert [server.ask("/v1/models/half:predict", {"instances": [1.0]}) for _ in range(50)] == [
            (200, {"predictions": [2.5]})
        ] * 50
        # The bodies of these clients arrive a little later than their heads.
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
            client.sendall(SIZED)
            time.sleep(0.2)
            client.sendall(BODY)
            assert receive(client)[1] == ANSWER


@pytest.mark.parametrize("pause", [None, 0.1])
def test_a_slow_body_gets_408_and_is_closed(live, pause):
    server = live(Limits(body_seconds=1.0, idle_seconds=0.3))
    with server.connect(SIZED) as client:
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            for byte in BODY[:-1] if pause else b"":
                client.sendall(bytes([byte]))
                time.sleep(pause)
        head, body = receive(client)
        assert head.startswith(b"http/1.1 408 ")
        assert b"connection: close" in head
        assert b"did not arrive in time" in body
        assert is_closed(client)
        # Without data the idle limit ends it; with data now and then the total limit does.
        assert (1.0 if pause else 0.3) <= time.monotonic() - began < 5.0


def test_one_body_too_many_ends_the_one_that_has_waited_longest():
    async def run():
        admission = Admission(requests=1, size=10**6, bodies=2)
        outcomes = {}

        async def arrive(name):
            with admission.body(Limits()) as arrival:
                try:
                    await arrival.wait(asyncio.sleep(0.01))
                    await arrival.wait(asyncio.sleep(60 if name != "last" else 0.01))
                    outcomes[name] = "arrived"
                except RequestError as error:
                    outcomes[name] = error.http

        tasks = []
        for name in ("first", "second", "last"):
            tasks.append(asyncio.create_task(arrive(name)))
            await asyncio.sleep(0.05)
        assert outcomes == {"first": 408, "last": "arrived"}
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert not admission.arriving

    asyncio.run(run())


def test_stalled_bodies_give_their_bytes_to_others(monkeypatch):
    monkeypatch.setattr("dlrecipes.serving.limits.STALLED", 0.05)

    async def run():
        admission, limits = Admission(requests=9, size=1000), Limits()
        with (
            admission.body(limits) as stalled,
            admission.body(limits) as active,
            admission.body(limits) as small,
        ):
            stalled.reserve(SMALL + 900)
            with pytest.raises(RequestError, match="hold 900 bytes"):
                active.reserve(SMALL + 200)
            # Bodies of ordinary size do not count against the total.
            small.reserve(SMALL)
            await asyncio.sleep(0.1)
            active.reserve(1)
            assert (stalled.error.http, admission.held) == (408, 201)
        assert admission.held == 0

    asyncio.run(run())


def test_one_pile_of_connections_does_not_shut_out_others(live):
    server = live()
    server.shared.limit = 20
    with contextlib.ExitStack() as stack:
        pile = [stack.enter_context(server.connect(b"GET /v1")) for _ in range(60)]
        for _ in range(3):
            with server.connect(SIZED + BODY) as client:
                assert receive(client)[1] == ANSWER
        assert is_closed(pile[0])
        assert len(server.server.server_state.connections) <= 20


def test_the_number_of_connections_fits_the_limit_on_open_files():
    script = (
        "import resource; from dlrecipes.serving.protocol import Connections, connection_limit;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (150, 300));"
        "print(Connections().limit, resource.getrlimit(resource.RLIMIT_NOFILE)[0]);"
        "print(connection_limit(2))"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    # 100 of the 300 files that the system allows are kept for models. Two ports share the others.
    assert output.stdout.split() == ["200", "300", "100"], output.stderr
    assert Connections().limit <= resource.getrlimit(resource.RLIMIT_NOFILE)[1]


@pytest.mark.parametrize("answered", [True, False])
def test_an_idle_connection_stays_open_for_the_keep_alive_time(live, answered):
    server = live(keep_alive=1.0)
    with server.connect() as client:
        for _ in range(2):
            client.sendall(SIZED + BODY if answered else b"GET /v1 HTTP/1.1\r\n\r\n")
            head, _ = receive(client)
            assert b"connection: close" not in head
            time.sleep(0.3)
        began = time.monotonic()
        assert is_closed(client)
        assert 0.5 < time.monotonic() - began < 5.0


def test_a_connection_that_is_closed_at_once_says_so(live):
    with live(keep_alive=0.0).connect(SIZED + BODY) as client:
        received = b""
        while data := client.recv(1000):
            received += data
    assert b"\r\nconnection: close\r\n" in received
    assert received.endswith(ANSWER)


def test_the_default_keep_alive_outlasts_the_pools_of_proxies():
    # The pools of nginx, AWS load balancers and Envoy close idle connections after 60 s or later.
    assert Settings(None).keep_alive == 75.0


def test_the_rest_of_a_refused_body_is_not_read_forever(live, monkeypatch):
    monkeypatch.setattr(protocol, "LINGER", 0.5)
    server = live(Limits(body=1000))
    with server.connect(PREDICT + b"Content-Length: 5000\r\n\r\n") as client:
        assert receive(client)[0].startswith(b"http/1.1 413 ")
        with contextlib.suppress(ConnectionError):
            for _ in range(40):
                client.sendall(b"y")
                time.sleep(0.05)
        assert is_closed(client)
    with server.connect(PREDICT + b"Content-Length: 5000\r\n\r\n") as client:
        assert receive(client)[0].startswith(b"http/1.1 413 ")
        # A client that sends it all can use the connection again.
        client.sendall(b"y" * 5000 + SIZED + BODY)
        assert receive(client)[1] == ANSWER
        time.sleep(0.8)
        client.sendall(SIZED + BODY)
        assert receive(client)[1] == ANSWER


def test_a_client_that_reads_nothing_loses_its_connection(live, monkeypatch):
    monkeypatch.setattr(protocol, "UNREAD_SECONDS", 0.3)
    server = live()
    # The response has the text twice, which is more than the kernel keeps for the client.
    inputs = {"a": [[1, 1]], "text": ["y" * 8_000_000]}
    body = json.dumps({"signature_name": "two", "inputs": inputs}).encode()
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with client:
        client.connect(("127.0.0.1", server.port))
        client.sendall(PREDICT + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        end = time.monotonic() + 20
        while not server.server.server_state.connections:
            assert time.monotonic() < end
            time.sleep(0.01)
        while server.server.server_state.connections:
            assert time.monotonic() < end
            time.sleep(0.05)


def test_a_stopping_server_answers_the_connections_that_it_has_accepted(live):
    server = live()
    idle, late = server.connect(SIZED + BODY), server.connect()
    with idle, late:
        receive(idle)
        server.begin_to_stop()
        # A request on a kept connection is answered, and the connection ends.
        idle.sendall(SIZED + BODY)
        head, body = receive(idle)
        assert (b"connection: close" in head, body) == (True, ANSWER)
        time.sleep(shutdown.HANDSHAKE + 0.5)
        late.sendall(SIZED)
        time.sleep(0.3)
        late.sendall(BODY)
        head, body = receive(late)
        assert (b"connection: close" in head, body) == (True, ANSWER)
        server.thread.join(10)
        assert not server.thread.is_alive()


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels have no such filter")
def test_a_socket_that_refuses_new_connections_keeps_those_in_its_queue():
    with _listen("127.0.0.1", 0) as listening:
        address = listening.getsockname()
        with socket.create_connection(address) as early:
            shutdown.refuse_new_connections(listening)
            late = socket.socket()
            late.settimeout(0.3)
            with late, pytest.raises(TimeoutError):
                late.connect(address)
            accepted, _ = listening.accept()
            with accepted:
                early.sendall(b"sent")
                assert accepted.recv(4) == b"sent"


def test_no_accepted_connection_is_reset_when_the_server_stops(live):
    server = live()
    outcomes = []
    running = threading.Event()

    def send_requests():
        while True:
            try:
                client = server.connect()
            except OSError:
                return
            with client:
                try:
                    client.sendall(
                        SIZED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + BODY
                    )
                    outcomes.append(receive(client)[1])
                except OSError as error:
                    outcomes.append(repr(error))
            if len(outcomes) > 200:
                running.set()

    clients = [threading.Thread(target=send_requests) for _ in range(32)]
    for client in clients:
        client.start()
    assert running.wait(30)
    server.stop()
    for client in clients:
        client.join(30)
    assert set(outcomes) == {ANSWER}


def test_a_reset_connection_does_not_disturb_others(live):
    server = live()
    for sent in (b"", SIZED, SIZED + BODY):
        client = server.connect(sent)
        # Closes the connection with a reset in place of an ordinary end.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    with server.connect(SIZED + BODY) as client:
        assert receive(client)[1] == ANSWER
