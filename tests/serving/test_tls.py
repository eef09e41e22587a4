"""TLS connections whose handshake does not end do not shut out others."""

import asyncio
import http.client
import json
import socket
import ssl
import threading
import time

import pytest

from dlrecipes.serving import tls
from dlrecipes.serving.server import Settings, _listen, create_server
from dlrecipes.serving.store import ModelStore

trustme = pytest.importorskip("trustme")
LIMIT = 5


@pytest.fixture
def live(half, tmp_path, monkeypatch):
    """Port, client's settings and state of a server with TLS and room for few connections."""
    monkeypatch.setattr(tls, "HANDSHAKE_SECONDS", 1)
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(files[0])
    certificate.private_key_pem.write_to_path(files[1])
    store = ModelStore(half)
    store.refresh()
    server = create_server(Settings(half, log=False, certificate=files), store)
    server.config.connections.limit = LIMIT
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with _listen("127.0.0.1", 0) as listening:
        run = server.serve(sockets=[listening])
        thread = threading.Thread(target=asyncio.run, args=(run,))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield listening.getsockname()[1], context, server.config.connections
        server.begin_to_stop()
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


def predict(port, context):
    client = http.client.HTTPSConnection("localhost", port, timeout=20, context=context)
    client.request("POST", "/v1/models/half:predict", b'{"instances": [1.0]}')
    answer = json.load(client.getresponse())
    client.close()
    return answer


def test_handshakes_that_do_not_end_are_bounded_in_number_and_time(live):
    port, context, shared = live
    silent = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(4 * LIMIT)]
    # One sends what is not TLS.
    silent[-1].sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert predict(port, context) == {"predictions": [2.5]}
    # Those beyond the limit are closed at once, the others after their time.
    for client in silent:
        try:
            while client.recv(100):
                pass
        except ConnectionError:
            pass
        client.close()
    assert not shared.handshakes
    assert predict(port, context) == {"predictions": [2.5]}
