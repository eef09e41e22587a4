"""The autoencoder from images to predictions, on a tiny network: a shared run and its figures."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from autoencoder_case import (
    NAME,
    SIDE,
    config_of,
    module,
    pixels,
    png,
    random_images,
    recipe,
    run,
)
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from dlrecipes.data.digits import LabelledImages
from dlrecipes.errors import UsageError
from dlrecipes.export.lite_version import LiteVersion
from dlrecipes.export.litert import LiteRTModel
from dlrecipes.export.processing_check import compare_answers
from dlrecipes.export.version import ModelVersion, RejectedInput
from dlrecipes.recipe import Splits
from dlrecipes.recipe.unanswered import IncompletePredictions
from dlrecipes.serving.litert_servable import LiteServable


@pytest.fixture(scope="module")
def splits():
    return recipe().load_data()


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return run(recipe(leave_out="7"), tmp_path_factory.mktemp("autoencoder"))


@pytest.fixture(scope="module")
def version(result):
    return ModelVersion(result.version.folder)


@pytest.fixture(scope="module")
def model(version):
    return version.keras_model()


# The shared run.


def test_a_run_measures_the_error_of_usual_images_and_finds_the_class_left_out(result, model):
    measured = json.loads((result.folder / "metrics.json").read_text())["test"]
    splits = recipe(leave_out="7").load_data()
    assert "7" not in {splits.train.names[k] for k in splits.train.labels}
    restored = model(splits.test.images / np.float32(255), training=False).numpy()
    usual = splits.test.labels != 7
    errors = ((restored - splits.test.images / 255.0) ** 2).sum(axis=(1, 2, 3))
    assert measured["squared_error"] == pytest.approx(errors[usual].mean(), rel=1e-4)
    assert measured["anomaly_auc"] == pytest.approx(roc_auc_score(~usual, errors), abs=1e-6)
    pca = PCA(4).fit(pixels(splits.train))
    by_pca = pca.inverse_transform(pca.transform(pixels(splits.test)))
    by_pca = ((by_pca - pixels(splits.test)) ** 2).sum(axis=1)
    assert measured["pca"]["squared_error"] == pytest.approx(by_pca[usual].mean(), rel=1e-3)
    assert measured["pca"]["anomaly_auc"] == pytest.approx(roc_auc_score(~usual, by_pca), abs=1e-3)


def test_the_seconds_of_pre_training_are_kept(result):
    stages = json.loads((result.folder / "metrics.json").read_text())["stages"]
    assert list(stages).index("pretrain") < list(stages).index("train")


def test_all_figures_are_drawn(result):
    names = {path.stem for path in (result.folder / "figures").glob("*.png")}
    assert names == {
        *("learning_curves", "restored", "plane", "interpolations", "unusual"),
        *("error_by_code_size", "machines", "anomalies"),
    }


def test_the_card_and_the_readme_name_what_the_graphs_have(version, unknown_names):
    # A belief network alone has the others.
    others = {"classify", "label", "probabilities", "classes"}
    assert unknown_names(version.folder, NAME) == others


def test_restoring_is_decoding_what_was_encoded(version, model, splits):
    images = splits.test.images[:3]
    files = [png(image) for image in images]
    codes = version.call("encode", image_bytes=files)["code"]
    network = model.network.get_layer("inner")
    expected = network.get_layer("encoder")(pixels(splits.test)[:3])
    np.testing.assert_allclose(codes, expected, atol=1e-4)
    decoded = version.call("decode", code=codes)
    restored = version.call("restore", image_bytes=files)
    default = version.call(image_bytes=files)
    arrays = version.call("images", images=images)
    whole = np.round(255 * model(images / np.float32(255)).numpy())
    for outputs in (decoded["images"], arrays["restored"]):
        np.testing.assert_allclose(outputs, whole, atol=1)
    for contents in (decoded, restored, default):
        first = np.asarray(Image.open(io.BytesIO(contents["png_bytes"][0])))
        np.testing.assert_allclose(first, whole[0, ..., 0], atol=1)
    errors = ((model(images / np.float32(255)).numpy() - images / 255.0) ** 2).sum(axis=(1, 2, 3))
    for outputs in (arrays, restored, default):
        np.testing.assert_allclose(outputs["error"], errors, rtol=1e-4)


def test_litert_files_answer_what_the_savedmodel_answers(version, splits, monkeypatch):
    lite, files = LiteVersion(version.folder), [png(image) for image in splits.test.images[:3]]
    requests = {name: {"image_bytes": files} for name in ("serving_default", "restore", "encode")}
    requests["decode"] = {"code": version.call("encode", image_bytes=files)["code"]}
    expected = {name: version.call(name, **inputs) for name, inputs in requests.items()}
    monkeypatch.setattr(ModelVersion, "function", None)
    servable = LiteServable(NAME, 1, version.folder)
    assert set(servable.signatures) == set(requests)
    for name, inputs in requests.items():
        sent = {
            key: np.array(x, object if key == "image_bytes" else None) for key, x in inputs.items()
        }
        for outputs in (lite.call(name, **inputs), servable.signature(name).run(sent)):
            assert outputs.keys() == expected[name].keys()
            compare_answers(expected[name], outputs)


def test_codes_of_another_length_and_of_words_are_refused(version):
    lite = LiteVersion(version.folder)
    units = lite.steps()["decode"].specs["inputs"]["code"]["shape"][1]
    for width in (units - 1, 2 * units):
        message = rf"input code must have shape \(any, {units}\), not \(2, {width}\)"
        with pytest.raises(RejectedInput, match=message):
            lite.call("decode", code=np.zeros((2, width)))
    with pytest.raises(RejectedInput, match="could not convert string to float"):
        lite.call("decode", code=[["one"] * units])


@pytest.mark.parametrize("signature", ["decode", "encode", "restore"])
def test_a_request_without_examples_has_no_answers(version, signature):
    lite = LiteVersion(version.folder)
    units = lite.steps()["decode"].specs["inputs"]["code"]["shape"][1]
    nothing = {"code": np.zeros((0, units))} if signature == "decode" else {"image_bytes": []}
    outputs = lite.call(signature, **nothing)
    assert set(outputs) == set(lite.steps()[signature].specs["outputs"])
    assert all(len(x) == 0 for x in outputs.values())


def test_predictions_need_no_tensorflow(version, splits, tmp_path, monkeypatch):
    for row in range(3):
        (tmp_path / f"{row}.png").write_bytes(png(splits.test.images[row]))
    task, options = recipe(), module("config").PredictOptions(anomalies=True)
    expected = task.predict(version, [str(tmp_path)], options)
    monkeypatch.setattr(ModelVersion, "function", None)
    ranked = task.predict(LiteVersion(version.folder), [str(tmp_path)], options)
    assert [row["file"] for row in ranked] == [row["file"] for row in expected]
    errors = [row["error"] for row in ranked]
    assert errors == pytest.approx([row["error"] for row in expected], rel=1e-4)


def test_arrays_of_other_sizes_and_channels_are_resized(version, splits):
    image = splits.test.images[0]
    large = np.repeat(np.repeat(image, 4, axis=0), 4, axis=1)
    colour = np.repeat(large, 3, axis=2)
    codes = [version.call("images", images=array[None])["code"] for array in (image, large, colour)]
    np.testing.assert_allclose(codes[2], codes[1], atol=1e-3)
    np.testing.assert_allclose(codes[1], codes[0], atol=0.2 * np.abs(codes[0]).max())


def test_each_half_has_a_litert_file_of_its_own(version, splits):
    images = splits.test.images[:2] / np.float32(255)
    files = {name: version.folder / f"{name}.tflite" for name in ("model", "encoder", "decoder")}
    whole = LiteRTModel(files["model"])(images=images)
    code = LiteRTModel(files["encoder"])(images=images)["code"]
    restored = LiteRTModel(files["decoder"])(code=code)["restored"]
    np.testing.assert_allclose(code, whole["code"], atol=1e-5)
    np.testing.assert_allclose(restored, whole["restored"], atol=1e-5)
    sizes = {name: path.stat().st_size for name, path in files.items()}
    assert max(sizes["encoder"], sizes["decoder"]) < 0.8 * sizes["model"]


def test_images_are_restored_into_a_folder(version, splits, tmp_path):
    (tmp_path / "a.png").write_bytes(png(splits.test.images[0]))
    task, options = recipe(), module("config").PredictOptions
    out = tmp_path / "out"
    (prediction,) = task.predict(version, [str(tmp_path)], options(output_dir=str(out)))
    assert prediction["restored"] == str(out / "a.restored.png")
    assert Image.open(prediction["restored"]).size == (SIDE, SIDE)
    text = task.present(prediction)
    assert "validation images; restored to" in text
    assert "\n" not in text


def test_a_folder_is_ranked_by_error_and_nothing_is_written(version, splits, tmp_path):
    for name, image in (("usual", splits.train.images[0]), ("noise", random_images(1)[0])):
        (tmp_path / f"{name}.png").write_bytes(png(image))
    task, options = recipe(), module("config").PredictOptions(anomalies=True)
    before = set(tmp_path.iterdir())
    first, second = task.predict(version, [str(tmp_path)], options)
    assert (Path(first["file"]).name, Path(second["file"]).name) == ("noise.png", "usual.png")
    assert first["error"] > second["error"]
    assert "larger than for all validation images" in task.present(first)
    assert set(tmp_path.iterdir()) == before
    (tmp_path / "broken.png").write_text("text")
    with pytest.raises(IncompletePredictions, match="broken") as caught:
        task.predict(version, [str(tmp_path)], options)
    assert [x["file"] for x in caught.value.predictions[:2]] == [first["file"], second["file"]]


def test_options_of_predictions_that_contradict_each_other_are_refused(version, tmp_path):
    options = module("config").PredictOptions
    with pytest.raises(UsageError, match="--anomalies writes no images"):
        module("predict").prepare(version, ["x"], options(anomalies=True, output_dir="out"))
    with pytest.raises(UsageError, match="No images to restore"):
        module("predict").prepare(version, [], options())


def test_percentiles_of_validation_errors_are_published(version, model):
    lines = (version.folder / "assets.extra" / "errors.txt").read_text().split()
    validation = recipe(leave_out="7").load_data().validation
    restored = model(validation.images / np.float32(255)).numpy()
    errors = ((restored - validation.images / 255.0) ** 2).sum(axis=(1, 2, 3))
    expected = np.percentile(errors, [0, 50, 100])
    np.testing.assert_allclose([float(lines[k]) for k in (0, 50, 100)], expected, rtol=1e-3)


def test_other_data_are_resized_for_an_evaluation(model, splits):
    task = recipe()
    parts = (splits.train[:200], splits.validation, splits.test)
    large = [
        LabelledImages(part.images.repeat(2, 1).repeat(2, 2).repeat(3, 3), part.labels, part.names)
        for part in parts
    ]
    expected = task.evaluate(model, Splits(*parts), "test")["squared_error"]
    measured = recipe().evaluate(model, Splits(*large), "test")["squared_error"]
    assert measured == pytest.approx(expected, rel=0.4)


# Figures.


def untrained(splits, **settings):
    task = recipe(**settings)
    model = task.build(splits)
    described = module("scores").describe(model, splits.test.images)
    pca = task.pca(splits.train)
    return module("figures").Results(task.config, model, splits, pca, described)


@pytest.mark.parametrize("numbers", [2, 4])
def test_the_plane_of_pca_agrees_with_the_pixels(numbers, splits):
    figure = module("figures").plane(untrained(splits, network="pca", code_units=numbers))
    pixels, codes = (
        np.concatenate([points.get_offsets() for points in axis.collections])
        for axis in figure.axes
    )
    np.testing.assert_allclose(np.abs(codes), np.abs(pixels), atol=0.01 * np.abs(pixels).max())


def test_the_curve_of_errors_holds_a_run_that_is_worse_than_pca(splits):
    figure = module("figures").error_by_code_size(untrained(splits, code_units=1))
    (axis,) = figure.axes
    (star,) = [line for line in axis.lines if line.get_marker() == "*"]
    curve = axis.lines[0].get_ydata()
    assert curve.max() < star.get_ydata()[0] < axis.get_ylim()[1]


def test_measured_networks_are_compared_on_the_same_images():
    measured = module("figures")._measured
    names = set(measured(config_of(size=0)))
    assert "deep, pre-trained (default)" in names
    assert "deep, without the 7" not in names
    assert not measured(config_of(size=SIDE))
    assert not measured(config_of(size=0, leave_out="7"))


def test_a_title_above_few_images_is_not_cut():
    title = "Largest and smallest squared errors of test images, 1234.5 to 123.4"
    figure = module("figures")._image_rows([("image", random_images(1))], title)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    (text,) = figure.texts
    assert text.get_text().split() == title.split()
    extent, whole = text.get_window_extent(canvas.get_renderer()), figure.bbox
    assert whole.x0 <= extent.x0 < extent.x1 <= whole.x1
    assert whole.y0 <= extent.y0 < extent.y1 <= whole.y1
