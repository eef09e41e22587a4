"""Datasets of TFDS that are not there, or cannot be downloaded, are one line with what to do."""

import http.server
import socket
import threading
import time
from types import SimpleNamespace

import pytest
import requests
import tensorflow_datasets
from tensorflow_datasets.core.download import downloader

from dlrecipes.data import tfds
from dlrecipes.data.tfds import prepared
from dlrecipes.errors import DataError


def failure(monkeypatch, tmp_path, error):
    """The error of a dataset whose download fails."""

    def download_and_prepare():
        raise error

    builder = SimpleNamespace(
        data_dir=f"{tmp_path}/voc/2007/5.0.0", download_and_prepare=download_and_prepare
    )
    monkeypatch.setattr(tensorflow_datasets, "builder", lambda name, data_dir: builder)
    with pytest.raises(DataError) as caught, prepared("voc", tmp_path):
        pass
    return caught.value


def test_without_a_network_the_server_and_the_place_of_the_data_are_named(monkeypatch, tmp_path):
    request = requests.Request("GET", "https://example.org/voc.tar").prepare()
    error = requests.ConnectionError("Max retries exceeded", request=request)
    failed = failure(monkeypatch, tmp_path, error)
    assert failed.message == (
        "tfds:voc: the dataset is not prepared, and example.org cannot be reached."
    )
    assert failed.hint.endswith(f"into {tmp_path}/voc/2007/5.0.0 (--data-dir).")


def test_other_failures_are_one_line(monkeypatch, tmp_path):
    failed = failure(monkeypatch, tmp_path, OSError("No space left.\nMore"))
    assert failed.message == "tfds:voc: the dataset cannot be loaded: No space left."


def test_an_unknown_name_gets_the_nearest(tmp_path):
    with (
        pytest.raises(DataError, match=r"no such dataset\. Did you mean 'mnist'\?"),
        prepared("mnits", tmp_path),
    ):
        pass


def downloading(monkeypatch, *urls):
    """A dataset that downloads files, and then is prepared."""
    contents = []

    def download_and_prepare():
        for url in urls:
            with downloader._open_url(url, verify=True) as (_, chunks):
                contents.append(b"".join(chunks))

    builder = SimpleNamespace(data_dir="x", download_and_prepare=download_and_prepare)
    monkeypatch.setattr(tensorflow_datasets, "builder", lambda name, data_dir: builder)
    return contents


@pytest.fixture
def silent_server():
    """The address of a server that accepts connections, but does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("kind", ["refused", "blocked"])
def test_a_server_that_cannot_be_reached_is_not_asked_again(monkeypatch, tmp_path, kind):
    monkeypatch.setattr(tfds, "CONNECT_SECONDS", 0.5)
    if kind == "blocked":  # A firewall drops the packets, or a name server does not answer.
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(3))
        url = "http://example.org/voc.tar"
    else:
        with socket.create_server(("127.0.0.1", 0)) as server:
            url = f"http://127.0.0.1:{server.getsockname()[1]}/voc.tar"
    downloading(monkeypatch, url, url)
    began = time.monotonic()
    reached = r"and (127\.0\.0\.1|example\.org) cannot be reached"
    with pytest.raises(DataError, match=reached), prepared("voc", tmp_path):
        pass
    # Ten attempts would take minutes.
    assert time.monotonic() - began < 2


def test_each_server_is_checked_once_and_files_are_downloaded(monkeypatch, tmp_path):
    methods = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            methods.append(self.command)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"content" if self.command == "GET" else b"")

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/voc.tar"
        contents = downloading(monkeypatch, url, url)
        with prepared("voc", tmp_path):
            pass
        server.shutdown()
    assert contents == [b"content"] * 2
    assert methods == ["HEAD", "GET", "GET"]


def test_a_slow_server_can_be_reached(monkeypatch, silent_server):
    monkeypatch.setattr(tfds, "CONNECT_SECONDS", 1.0)
    assert tfds._connection_error(silent_server) is None


def test_no_server_is_asked_for_a_prepared_dataset(monkeypatch, tmp_path):
    monkeypatch.setattr(tfds, "_connection_error", lambda url: pytest.fail("a server is asked"))
    downloading(monkeypatch)
    with prepared("voc", tmp_path) as builder:
        assert builder.data_dir == "x"
