"""A server without TensorFlow answers what a server of the SavedModel answers."""

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from dlrecipes.export import reference_outputs
from dlrecipes.serving.litert_servable import DType, LiteServable, Shape
from dlrecipes.serving.status import RequestError

SENTENCES = np.array([b"leave Beijing on November 2nd", b"", b"to Rome"], object)


@pytest.fixture
def folder(published_slots):
    return published_slots / "slot_filling" / "1"


def test_shapes_and_types_are_those_of_numpy():
    assert Shape((None, 3)).is_compatible_with((7, 3))
    assert not Shape((None, 3)).is_compatible_with((7, 4))
    assert not Shape((None,)).is_compatible_with((7, 3))
    assert Shape((None, 3)).rank == 2
    assert DType("string").as_numpy_dtype is object
    assert DType("int32").as_numpy_dtype is np.int32


def test_outputs_and_metadata_are_those_of_the_savedmodel(folder):
    from dlrecipes.serving.servable import Servable

    own, other = (kind("slot_filling", 1, folder) for kind in (LiteServable, Servable))
    assert list(own.signatures) == ["serving_default"]
    signature, expected = own.signature(), other.signature()
    assert signature.by_example == expected.by_example
    assert set(signature.outputs) == set(expected.outputs)
    outputs = signature.run({"sentences": SENTENCES})
    for name, values in expected.run({"sentences": SENTENCES}).items():
        if values.dtype == object:
            np.testing.assert_array_equal(outputs[name], values)
        else:
            np.testing.assert_allclose(outputs[name], values, atol=1e-4)
    described, savedmodel = (
        servable.metadata()["signature_def"]["signature_def"]["serving_default"]
        for servable in (own, other)
    )
    for side in ("inputs", "outputs"):
        assert described[side].keys() == savedmodel[side].keys()
        for name, info in described[side].items():
            for key in ("dtype", "tensor_shape"):
                assert info[key] == savedmodel[side][name][key], name


def test_wrong_requests_are_refused(folder):
    servable = LiteServable("slot_filling", 1, folder)
    with pytest.raises(RequestError, match='Serving signature name: "x" not found'):
        servable.signature("x")
    with pytest.raises(
        RequestError, match=r"input sentences must have shape \(any\), not \(1, 1\)"
    ):
        servable.signature().run({"sentences": SENTENCES[:1, None]})


def test_a_version_that_litert_cannot_answer_is_not_loaded(folder):
    (folder / "assets.extra" / "processing.json").unlink()
    with pytest.raises(ValueError, match="LiteRT cannot answer for it"):
        LiteServable("slot_filling", 1, folder)


def test_a_server_answers_without_tensorflow(published_slots, folder):
    examples = json.loads((folder / "assets.extra" / "examples.json").read_text())
    stored = reference_outputs.inputs(examples["signatures"]["serving_default"][0])
    stored_sentence = stored["sentences"][0].decode()
    code = (
        "import sys\n"
        "sys.modules['tensorflow'] = sys.modules['keras'] = None\n"
        "from dlrecipes.cli.main import main\n"
        "main(sys.argv[1:])\n"
    )
    options = ["--runtime", "litert", "--models", str(published_slots), "--port", "0", "--no-log"]
    server = subprocess.Popen(
        [sys.executable, "-c", code, "serve", *options], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        url = re.search(r"http://\S+", server.stdout.readline())
        assert url is not None
        body = json.dumps({"instances": [text.decode() for text in SENTENCES]}).encode()
        with urllib.request.urlopen(f"{url[0]}/slot_filling:predict", body, timeout=60) as answer:
            rows = json.load(answer)["predictions"]
        assert [row["tokens"][0] for row in rows] == ["leave", "", "to"]
        with urllib.request.urlopen(url[0].removesuffix("/v1/models"), timeout=60) as answer:
            # An apostrophe would end the shell's quotation.
            typed = json.dumps(stored_sentence).replace("'", "\\u0027")
            assert typed in answer.read().decode()
        status = Path(f"/proc/{server.pid}/status").read_text()
        assert int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) < 200_000
    finally:
        server.terminate()
        server.wait(30)
