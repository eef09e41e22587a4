"""Default predictions read the files that the inputs name."""

import io
from base64 import b64decode
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from dlrecipes.data.image_files import read_image
from dlrecipes.errors import DataError, UsageError
from dlrecipes.export.version import RejectedInput, TensorInfo
from dlrecipes.recipe.prediction import predict_by_signature
from dlrecipes.recipe.unanswered import IncompletePredictions


@pytest.fixture
def version():
    return SimpleNamespace(
        inputs=lambda: {"image_bytes": TensorInfo("string", (None,))},
        call=lambda image_bytes: {"content": image_bytes},
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_png_and_jpeg_files_are_sent_as_they_are(version, tmp_path, kind):
    Image.new("RGB", (3, 2), "red").save(tmp_path / "a.img", kind)
    (prediction,) = predict_by_signature(version, [str(tmp_path / "a.img")])
    assert b64decode(prediction["content"]) == (tmp_path / "a.img").read_bytes()


@pytest.mark.parametrize("kind", ["TIFF", "PPM", "AVIF", "GIF"])
def test_images_of_other_formats_are_sent_as_png(version, tmp_path, kind):
    Image.new("RGB", (3, 2), "red").save(tmp_path / "a.img", kind)
    (prediction,) = predict_by_signature(version, [str(tmp_path / "a.img")])
    sent = Image.open(io.BytesIO(b64decode(prediction["content"])))
    assert sent.format == "PNG"
    np.testing.assert_array_equal(sent.convert("RGB"), read_image(tmp_path / "a.img"))


def test_a_file_that_is_not_an_image_is_refused(version, tmp_path):
    (tmp_path / "a.png").write_bytes(b"text")
    with pytest.raises(DataError, match=r"a\.png: this is not an image"):
        predict_by_signature(version, [str(tmp_path / "a.png")])


def test_images_of_a_folder_are_predicted_and_unreadable_ones_are_named(version, tmp_path):
    for name in ("1.png", "3.png"):
        Image.new("RGB", (3, 2), "red").save(tmp_path / name)
    (tmp_path / "2.png").write_bytes(b"\x89PNG text")
    files = [str(tmp_path / f"{number}.png") for number in (1, 2, 3)]

    def call(image_bytes):
        if image_bytes[0].endswith(b"text"):
            raise RejectedInput("this is not an image")
        return {"length": [len(image_bytes[0])]}

    version.call = call
    with pytest.raises(IncompletePredictions, match=r"2\.png: this is not an image") as caught:
        predict_by_signature(version, [str(tmp_path)])
    first, bad, last = caught.value.predictions
    assert first == last == {"length": (tmp_path / "1.png").stat().st_size}
    assert bad["file"] == files[1]
    with pytest.raises(UsageError, match=r"none\.png: there is no such file"):
        predict_by_signature(version, [str(tmp_path / "none.png")])


class FakeVersion:
    """A version whose only signature returns its inputs."""

    def __init__(self, **inputs):
        self._inputs = {name: TensorInfo(*spec) for name, spec in inputs.items()}

    def inputs(self):
        return self._inputs

    def call(self, **arrays):
        return arrays


@pytest.mark.parametrize(
    ("spec", "value", "expected"),
    [
        (("string", (None,)), "the cat", ["the cat"]),
        (("string", (None, 1)), "the cat", [["the cat"]]),
        (("string", (None, 2)), '["the", "cat"]', [["the", "cat"]]),
        (("string", (None, None)), ["the", "cat"], [["the", "cat"]]),
        (("float32", (None, 1)), "5", [[5.0]]),
        (("float32", (None, 2, 1)), "[5, 6]", [[[5.0], [6.0]]]),
    ],
)
def test_an_input_has_the_shape_of_the_signature(spec, value, expected):
    (prediction,) = predict_by_signature(FakeVersion(x=spec), [value])
    assert prediction == {"x": expected[0]}


@pytest.mark.parametrize(
    ("value", "message"),
    [("[1, 2]", "x is not an array of string"), ('["a"]', r"x has shape \(1,")],
)
def test_texts_of_another_shape_are_refused(value, message):
    with pytest.raises(UsageError, match=message):
        predict_by_signature(FakeVersion(x=("string", (None, 2))), [value])
