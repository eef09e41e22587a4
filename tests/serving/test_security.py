"""Hosts, origins, keys and certificates: who may use the server."""

import http.client
import importlib.util
import json
import signal
import ssl
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from dlrecipes.errors import UsageError
from dlrecipes.serving import security
from dlrecipes.serving.security import Access, allowed_hosts, notes, origins, protect, read_key

trustme = pytest.importorskip("trustme")
PREDICT = "/v1/models/half:predict"
KEY = "secret-key"


@pytest.fixture
def client():
    """Returns a client of an application that counts the requests that reach it."""

    def make(access, base="http://localhost:8501"):
        reached, refused = [], []

        async def answer(request):
            reached.append(request.url.path)
            return JSONResponse({})

        methods = ["GET", "POST", "OPTIONS", "HEAD"]
        app = Starlette(routes=[Route("/{path:path}", answer, methods=methods)])
        client = TestClient(protect(app, access, lambda *about: refused.append(about)), base)
        client.reached, client.refused = reached, refused
        return client

    return make


LOOPBACK = allowed_hosts("127.0.0.1", ())


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8501", "127.0.0.1:1", "[::1]:8501", "[::1]", "localhost.", None],
)
def test_a_loopback_server_is_reached_under_its_own_names(client, host):
    # A client without the header is not a browser.
    headers = {} if host is None else {"Host": host}
    assert client(Access(LOOPBACK)).post(PREDICT, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 403),
        ("evil.example:8501", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("xlocalhost", 403),
        ("0.0.0.0:8501", 403),
        ("[::2]:8501", 403),
        ("localhost@evil.example", 400),
        ("localhost, evil.example", 400),
        ("localhost:evil", 400),
        ("", 400),
    ],
)
def test_a_loopback_server_refuses_other_hosts(client, host, status):
    application = client(Access(LOOPBACK))
    response = application.post(PREDICT, headers={"Host": host})
    assert (response.status_code, application.reached) == (status, [])
    assert response.json()["error"]
    assert [error.http for _, _, error in application.refused] == [status]


def test_two_hosts_are_refused(client):
    headers = [("Host", "localhost"), ("Host", "evil.example")]
    assert client(Access(LOOPBACK)).get("/", headers=headers).status_code == 400


@pytest.mark.parametrize(
    ("given", "host", "status"),
    [
        (["api.example.com"], "api.example.com:443", 200),
        (["api.example.com"], "localhost", 200),
        (["api.example.com"], "other.example.com", 403),
        (["a.com,b.com"], "B.COM", 200),
        (["*.example.com"], "a.b.example.com", 200),
        (["*.example.com"], "example.com", 403),
        (["*.example.com"], "notexample.com", 403),
        (["*"], "anything", 200),
        (["::2"], "[::2]:80", 200),
        ([], "anything", 200),
    ],
)
def test_a_public_server_checks_the_hosts_that_are_given(client, given, host, status):
    access = Access(allowed_hosts("0.0.0.0", given))
    assert client(access).post(PREDICT, headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    "address",
    ["localhost", "LOCALHOST.", "127.0.0.1", "::1", "127.8.8.8", "127.1", "::ffff:127.0.0.1"],
)
def test_given_hosts_are_added_on_a_loopback_address(address):
    assert {"localhost", "::1", "x.com"} <= set(allowed_hosts(address, ["x.com"]))
    assert allowed_hosts(address, ()) is not None


@pytest.mark.parametrize(
    "value", ["http://a.com", "a.com:80", "a com", "", "*.", "*a.com", "a.*.com", "a.com/"]
)
def test_a_value_that_is_not_a_host_is_refused(value):
    with pytest.raises(UsageError, match=r"--allowed-hosts .*expected a host name"):
        allowed_hosts("127.0.0.1", [value])


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8501", 200),
        ("https://localhost:8501", 200),
        ("http://localhost:3000", 403),
        ("http://evil.example", 403),
        ("http://localhost.evil.example:8501", 403),
        ("file://", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_a_page_of_another_origin_cannot_send_a_simple_request(client, origin, status):
    application = client(Access(LOOPBACK))
    # Browsers send such a request without asking first.
    headers = {"Origin": origin, "Content-Type": "text/plain"}
    response = application.post(PREDICT, headers=headers)
    assert (response.status_code, len(application.reached)) == (status, int(status == 200))
    assert "access-control-allow-origin" not in response.headers


def test_a_page_behind_a_proxy_that_ends_tls_is_of_the_same_origin(client):
    headers = {"Host": "api.example.com", "Origin": "https://api.example.com"}
    assert client(Access()).post(PREDICT, headers=headers).status_code == 200


def test_an_allowed_origin_can_ask_first_and_read_the_answer(client):
    application = client(Access(LOOPBACK, origins(["https://App.example.com"]), KEY))
    page = "https://app.example.com"
    asked = {
        "Origin": page,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    preflight = application.options(PREDICT, headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == page
    assert "POST" in preflight.headers["access-control-allow-methods"]
    answer = application.post(PREDICT, headers={"Origin": page, "Authorization": f"Bearer {KEY}"})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, page)
    # The page can read why it was refused.
    refused = application.post(PREDICT, headers={"Origin": page})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, page)
    other = application.options(PREDICT, headers={**asked, "Origin": "https://evil.example"})
    assert other.status_code == 400
    assert "access-control-allow-origin" not in other.headers


def test_a_star_allows_every_origin(client):
    answer = client(Access((), origins(["*"]))).post(
        PREDICT, headers={"Host": "", "Origin": "null"}
    )
    assert answer.status_code == 400
    answer = client(Access(None, origins(["*"]))).post(PREDICT, headers={"Origin": "null"})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")


@pytest.mark.parametrize(
    "value",
    ["app.example.com", "https://a.com/", "https://a.com/x", "ftp://a.com", "null", "", "https://"],
)
def test_a_value_that_is_not_an_origin_is_refused(value):
    with pytest.raises(UsageError, match=r"--cors .*expected an origin"):
        origins([value])


@pytest.mark.parametrize(
    "sent",
    ["", KEY, f"Basic {KEY}", "Bearer", "Bearer wrong", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}"],
)
def test_a_request_without_the_key_is_refused(client, sent):
    application = client(Access(key=KEY))
    for path in (PREDICT, "/", "/monitoring/prometheus/metrics", "/v1/models/half"):
        response = application.get(path, headers={"Authorization": sent})
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
    assert application.reached == []


def test_a_request_with_the_key_is_answered(client):
    for kind in ("Bearer", "bearer", "BEARER"):
        headers = {"Authorization": f"{kind} {KEY}"}
        assert client(Access(key=KEY)).post(PREDICT, headers=headers).status_code == 200


def test_a_key_that_is_not_ascii_is_refused(client):
    headers = [(b"Authorization", "Bearer sécret".encode("latin-1"))]
    assert client(Access(key=KEY)).get("/", headers=headers).status_code == 401


def test_probes_need_neither_host_nor_key(client):
    for path in ("/healthz", "/readyz"):
        answer = client(Access(LOOPBACK, key=KEY)).get(path, headers={"Host": "10.0.0.7:8501"})
        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (b"\n", "the file is empty"),
        (b"two words", "without spaces"),
        (b" secret", "without spaces"),
        (b"one\ntwo\n", "without spaces"),
        ("schlüssel".encode(), "without spaces"),
        (b"\xef\xbb\xbfsecret", "without spaces"),
        (b"k" * 5000, "without spaces"),
        (None, "No such file"),
    ],
)
def test_a_file_without_a_key_is_refused(tmp_path, content, problem):
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=problem) as error:
        read_key(path)
    assert str(path) in error.value.message


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_key_is_the_line_of_its_file(tmp_path, end):
    (tmp_path / "key").write_text(f"s3cret+/={end}", newline="")
    assert read_key(tmp_path / "key") == "s3cret+/="


def test_a_public_address_without_protection_is_noted():
    assert notes("127.0.0.1", Access(), False) == []
    assert "--api-key-file" in notes("0.0.0.0", Access(), True)[0]
    assert "unencrypted" in notes("::", Access(key=KEY), False)[0]
    assert notes("192.0.2.1", Access(key=KEY), True) == []


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A folder with an authority, a certificate for localhost, and files that do not fit."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for name in ("server", "other"):
        certificate = authority.issue_cert("localhost", "127.0.0.1")
        certificate.private_key_pem.write_to_path(folder / f"{name}.key")
        for part in certificate.cert_chain_pems:
            part.write_to_path(folder / f"{name}.pem", append=True)
    (folder / "text").write_text("neither\n")
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key((folder / "server.key").read_bytes(), None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    )
    (folder / "encrypted.key").write_bytes(encrypted)
    return folder


@pytest.mark.parametrize(
    ("certificate", "key", "message"),
    [
        ("server.pem", None, "--certificate needs --key as well"),
        (None, "server.key", "--key needs --certificate as well"),
        ("none.pem", "server.key", "--certificate .*none.pem: No such file"),
        ("server.pem", "none.key", "--key .*none.key: No such file"),
        (".", "server.key", "--certificate .*: Is a directory"),
        ("server.pem", "other.key", "the key does not belong to the certificate"),
        ("text", "server.key", "--certificate .*text"),
        ("server.pem", "text", "--key .*text"),
        ("server.pem", "encrypted.key", "the key has a passphrase"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_refused(certificates, certificate, key, message):
    paths = [None if name is None else certificates / name for name in (certificate, key)]
    with pytest.raises(UsageError, match=message) as error:
        security.tls_context(*paths)
    assert "\n" not in error.value.message


def test_tls_needs_version_1_2(certificates):
    context = security.tls_context(certificates / "server.pem", certificates / "server.key")
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert security.tls_context(None, None) is None


def test_the_command_serves_over_tls_with_a_key(certificates, half, start_server, tmp_path):
    (tmp_path / "key").write_text(KEY)
    options = ["--certificate", certificates / "server.pem", "--key", certificates / "server.key"]
    with_grpc = importlib.util.find_spec("tensorflow_serving") is not None
    options += ["--api-key-file", tmp_path / "key", *(["--grpc-port", 0] if with_grpc else [])]
    server = start_server(half, *map(str, options))
    try:
        assert server.url.startswith("https://")
        context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
        client = http.client.HTTPSConnection("localhost", server.port, timeout=20, context=context)
        statuses = {}
        for sent in ({}, {"Authorization": f"Bearer {KEY}"}):
            client.request("POST", PREDICT, b'{"instances": [1.0]}', sent)
            response = client.getresponse()
            statuses[response.status] = json.load(response)
        assert statuses[200] == {"predictions": [2.5]}
        assert set(statuses) == {200, 401}
        if with_grpc:
            check_grpc(server.grpc_address(), (certificates / "ca.pem").read_bytes())
        client.close()
        server.stop(signal.SIGTERM)
    finally:
        server.kill()


def check_grpc(address, authority):
    import grpc
    from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "half"
    with grpc.secure_channel(address, grpc.ssl_channel_credentials(authority)) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            stub.GetModelStatus(request, timeout=20)
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
        answer = stub.GetModelStatus(
            request, timeout=20, metadata=[("authorization", f"Bearer {KEY}")]
        )
    assert answer.model_version_status[0].version == 1


def test_options_of_security_are_checked_before_models_are_loaded(dlrecipes, half, tmp_path):
    (tmp_path / "key").touch()
    for options, message in (
        (["--api-key-file", tmp_path / "key"], "the file is empty"),
        (["--certificate", Path("x.pem")], "--certificate needs --key"),
        (["--cors", "example.com"], "expected an origin"),
        (["--allowed-hosts", "http://x"], "expected a host name"),
    ):
        answer = dlrecipes("serve", "--models", half, *options)
        assert answer.code == 2
        assert message in answer.err
        assert len(answer.err.splitlines()) <= 2
