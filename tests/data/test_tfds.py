"""Datasets of TFDS that are not there, or cannot be downloaded, are one line with what to do."""

from types import SimpleNamespace

import pytest
import requests
import tensorflow_datasets

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
