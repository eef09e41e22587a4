"""Predictions of image classification: files in, classes and heat maps out."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from dlrecipes.data.image_files import read_image_bytes
from dlrecipes.errors import DataError, UsageError
from dlrecipes.recipe import registry
from dlrecipes.recipe.unanswered import IncompletePredictions

CLASSES = [b"dark", b"grey", b"light"]


class Version:
    """Stands for a version: the classes are three levels of grey; a heat map has one colour."""

    read_image = staticmethod(read_image_bytes)

    def __init__(self, colour="red"):
        self.colour = colour

    def call(self, signature="serving_default", /, **inputs):
        images = [np.asarray(Image.open(io.BytesIO(file))) for file in inputs["image_bytes"]]
        if signature == "explain":
            maps = [Image.new("RGB", image.shape[1::-1], self.colour) for image in images]
            return {"explanation_bytes": [encoded(image) for image in maps]}
        levels = np.array([image.mean() / 255 for image in images])
        scores = np.exp(-np.abs(levels[:, None] - [0, 0.4, 1]))
        probabilities = scores / scores.sum(axis=1, keepdims=True)
        label = np.array(CLASSES)[probabilities.argmax(axis=1)]
        classes = np.tile(CLASSES, (len(images), 1))
        return {"label": label, "probabilities": probabilities, "classes": classes}


def encoded(image):
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Two folders with images of the same names; the working directory."""
    monkeypatch.chdir(tmp_path)
    for name, level in (("a/x.png", 0), ("b/x.png", 255), ("a/y.bmp", 100)):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (6, 4), level).save(path)
    return tmp_path


def module(name):
    return registry.find("image_classification")._module(name)


def predict(inputs, **options):
    return module("predict").predict(Version(), inputs, module("config").PredictOptions(**options))


def test_each_image_has_its_most_likely_classes_in_order(photos):
    predictions = predict(["a", "b/x.png"], top=2)
    assert [prediction["file"] for prediction in predictions] == ["a/x.png", "a/y.bmp", "b/x.png"]
    assert [prediction["label"] for prediction in predictions] == ["dark", "grey", "light"]
    assert [list(prediction["probabilities"]) for prediction in predictions] == [
        ["dark", "grey"],
        # 100/255 is 0.39, and 0.39 from black is less than 0.61 from white.
        ["grey", "dark"],
        ["light", "grey"],
    ]
    assert json.loads(json.dumps(predictions)) == predictions
    line = module("predict").present(predictions[0])
    assert line.startswith("a/x.png: dark ")
    assert line.count("%") == 2


def test_heat_maps_of_equal_names_do_not_replace_one_another(photos):
    first, second = predict(["a/x.png", "b/x.png"], explain="maps")
    assert (first["explanation"], second["explanation"]) == (
        "maps/x.explained.png",
        "maps/x.explained-2.png",
    )
    for prediction in (first, second):
        assert Image.open(prediction["explanation"]).size == (6, 4)
        assert prediction["explanation"] in module("predict").present(prediction)


def test_a_heat_map_does_not_replace_a_file_of_the_user(photos):
    (photos / "maps").mkdir()
    (photos / "maps" / "x.explained.png").write_text("mine")
    (prediction,) = predict(["a/x.png"], explain="maps")
    assert prediction["explanation"] == "maps/x.explained-2.png"
    assert (photos / "maps" / "x.explained.png").read_text() == "mine"


@pytest.mark.parametrize(("colour", "is_noted"), [("red", False), ("grey", True)])
def test_a_heat_map_without_colour_is_noted(photos, colour, is_noted):
    predict, options = module("predict"), module("config").PredictOptions(explain="maps")
    (prediction,) = predict.predict(Version(colour), ["a/x.png"], options)
    note = "no part of the image raises the score of dark"
    assert prediction.get("note") == (note if is_noted else None)
    assert predict.present(prediction).endswith(f"maps/x.explained.png ({note})") == is_noted


@pytest.mark.parametrize(
    ("explain", "message"),
    [
        ("nowhere/maps", "--explain nowhere/maps: there is no folder nowhere."),
        ("a/x.png", "--explain a/x.png: expected a folder, got a file."),
    ],
)
def test_a_folder_that_cannot_be_made_is_reported_before_anything_is_read(photos, explain, message):
    with pytest.raises(UsageError) as caught:
        predict(["a/x.png"], explain=explain)
    assert caught.value.message == message


def test_an_unreadable_image_among_others_is_named_and_has_no_heat_map(photos):
    (photos / "a" / "z.png").write_text("text")
    with pytest.raises(IncompletePredictions, match=r"a/z\.png: this is not an image") as caught:
        predict(["a"], explain="maps")
    x, y, z = caught.value.predictions
    assert (x["label"], y["label"]) == ("dark", "grey")
    assert set(z) == {"file", "error"}
    assert len(list((photos / "maps").iterdir())) == 2
    with pytest.raises(DataError, match="this is not an image"):
        predict(["a/z.png"])


def test_no_images_are_reported(photos):
    with pytest.raises(UsageError, match="No images to classify"):
        predict([])


RECIPES = (
    *("dcgan", "digit_recognition", "facenet", "image_classification", "pix2pix"),
    *("poem_generation", "slot_filling"),
)


def test_predictions_of_all_recipes_are_prepared_without_tensorflow():
    code = (
        "import sys\nfrom dlrecipes.recipe import registry\n"
        f"for name in {RECIPES}:\n    registry.find(name)._module('predict').prepare\n"
        "print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (process.stdout.strip(), process.returncode) == ("[]", 0), process.stderr
