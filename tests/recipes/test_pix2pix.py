"""pix2pix from pairs to translated images, with small networks."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dlrecipes import runner
from dlrecipes.data.generated.facades import coloured, generated_facades
from dlrecipes.errors import DataError, UsageError
from dlrecipes.export.litert import LiteRTModel
from dlrecipes.export.version import ModelVersion
from dlrecipes.recipe import registry
from dlrecipes.runner import run_folder
from dlrecipes.training import Pix2Pix

SMALL = {
    "size": 32,
    "examples": 16,
    "min_steps_per_epoch": 1,
    "filters": 4,
    "epochs": 2,
    "discriminator_layers": 1,
    "fid": "off",
}


def recipe(**settings):
    source = registry.find("pix2pix")
    return source.recipe()(source.config().parse({**SMALL, **settings}), source.name)


def module(name):
    return registry.find("pix2pix")._module(name)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pix2pix")
    with pytest.MonkeyPatch.context() as patch:
        # The judge has tests of its own.
        patch.setattr(module("recipe"), "JUDGE_STEPS", 3)
        return runner.run(recipe(), run_folder.new_folder(folder / "runs", None), folder / "models")


@pytest.fixture(scope="module")
def version(result):
    return ModelVersion(result.version.folder)


def test_a_run_evaluates_draws_and_publishes(result):
    metrics = json.loads((result.folder / "metrics.json").read_text())
    names = {"l1", "psnr", "ssim", "fcn_pixel_accuracy", "fcn_class_accuracy", "fcn_class_iou"}
    assert names | {"real"} == set(metrics["test"])
    # The last epoch is kept.
    assert metrics["best_epoch"] == metrics["epochs"] == 2
    figures = {path.stem for path in (result.folder / "figures").glob("*.png")}
    assert {"sheet", "epochs", "patches", "learning_curves"} <= figures
    files = {path.name for path in result.version.folder.iterdir()}
    assert {"model.float16.tflite", "model.dynamic.tflite"} <= files
    assert sorted(path.name for path in (result.folder / "snapshots").iterdir()) == [
        "00001.npy",
        "00002.npy",
    ]


def test_files_arrays_and_litert_give_the_same_images(version):
    maps, _ = generated_facades(2, seed=9, size=32)
    inputs = coloured(maps)
    arrays = version.function("images")(images=tf.constant(inputs))["images"].numpy()
    assert arrays.dtype == np.uint8
    files = tf.constant([tf.io.encode_png(x).numpy() for x in inputs])
    translated = version.function()(image_bytes=files)["png_bytes"].numpy()
    for content, image in zip(translated, arrays, strict=True):
        np.testing.assert_array_equal(tf.io.decode_png(content).numpy(), image)
    lite = LiteRTModel(version.file("model.tflite"))
    images = lite(images=inputs.astype("float32") / 255)["images"]
    np.testing.assert_allclose(255 * images, arrays, atol=0.6)


def test_images_of_any_size_and_channels_are_translated(version):
    translate = version.function("images")
    for channels in (1, 2, 3, 4):
        images = np.full((1, 50, 70, channels), 200, "uint8")
        assert translate(images=tf.constant(images))["images"].shape == (1, 32, 32, 3)


def test_predictions_are_written_to_a_folder(version, tmp_path):
    maps, _ = generated_facades(1, seed=9, size=64)
    Image.fromarray(coloured(maps)[0]).save(tmp_path / "a map ü.png")
    options = module("config").PredictOptions(output_dir=str(tmp_path))
    task = recipe()
    (prediction,) = task.predict(version, [str(tmp_path / "a map ü.png")], options)
    place = tmp_path / "a map ü.translated.png"
    line = f"{tmp_path / 'a map ü.png'}: translated to {place}"
    assert task.present(prediction) == line
    assert Image.open(place).size == (32, 32)


def test_translations_of_equal_names_do_not_replace_one_another(version, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    maps, _ = generated_facades(2, seed=9, size=64)
    for folder, image in zip(("a", "b"), coloured(maps), strict=True):
        (tmp_path / folder).mkdir()
        Image.fromarray(image).save(tmp_path / folder / "x.png")
    (tmp_path / "x.translated.png").write_text("mine")
    options = module("config").PredictOptions()
    predictions = recipe().predict(version, ["a", "b/*.png"], options)
    paths = [prediction["translated"] for prediction in predictions]
    assert paths == ["x.translated-2.png", "x.translated-3.png"]
    assert Path(paths[0]).read_bytes() != Path(paths[1]).read_bytes()
    assert (tmp_path / "x.translated.png").read_text() == "mine"


def test_a_run_keeps_an_input_that_can_be_translated(result, version, tmp_path):
    ((path,),) = result.examples
    assert path.parent == result.folder / "examples"
    options = module("config").PredictOptions(output_dir=str(tmp_path))
    (prediction,) = recipe().predict(version, [str(path)], options)
    assert Path(prediction["translated"]).is_file()


@pytest.mark.parametrize(
    "inputs, output, error, message",
    [
        ([], ".", UsageError, "No images to translate"),
        (["none.png"], ".", UsageError, "none.png: there is no such file"),
        (["empty"], ".", DataError, "empty: the folder has no images"),
        (["text.png"], ".", DataError, "text.png: this is not an image"),
        (["text.png"], "nowhere", UsageError, "--output-dir nowhere: there is no such folder"),
    ],
)
def test_invalid_inputs_give_a_one_line_error(
    version, tmp_path, monkeypatch, inputs, output, error, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.png").write_text("text")
    (tmp_path / "empty").mkdir()
    options = module("config").PredictOptions(output_dir=output)
    with pytest.raises(error, match=message) as caught:
        recipe().predict(version, inputs, options)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("size, layers, most", [(32, 4, 3), (64, 8, 4)])
def test_a_discriminator_with_too_many_layers_is_rejected(size, layers, most):
    task = recipe(size=size, discriminator_layers=layers)
    with pytest.raises(UsageError, match=f"--discriminator-layers {most} is the maximum"):
        task.build(task.load_data())


@pytest.mark.parametrize("size, levels, most", [(32, 6, 5), (64, 8, 6)])
def test_a_generator_with_too_many_levels_is_rejected(size, levels, most):
    with pytest.raises(UsageError, match=f"--levels {most} is the maximum"):
        recipe(size=size, levels=levels).build(None)


def test_either_side_can_be_the_input():
    splits = recipe().load_data()
    model = recipe(adversarial=False).build(splits)
    for direction, side in (("right_to_left", "right"), ("left_to_right", "left")):
        batches, _ = recipe(direction=direction).dataset(model, splits.test)
        inputs, targets = next(iter(batches))
        other = {"right": "left", "left": "right"}[side]
        for tensor, name in ((inputs, side), (targets, other)):
            expected = getattr(splits.test, name)[: len(tensor)].astype("float32") / 127.5 - 1
            np.testing.assert_allclose(tensor.numpy(), expected, atol=1e-6)


def test_training_pairs_are_jittered_by_step_alone():
    splits = recipe().load_data()
    model = recipe().build(splits)
    first, steps = recipe().dataset(model, splits.train, 0)
    later, _ = recipe().dataset(model, splits.train, 1)
    pairs = zip(list(first.take(2 * steps))[steps:], later.take(steps), strict=True)
    for batch, again in pairs:
        for side, same_side in zip(batch, again, strict=True):
            assert side.shape[1:] == (32, 32, 3)
            np.testing.assert_array_equal(side.numpy(), same_side.numpy())


@pytest.mark.parametrize("name, is_exact", [("builtin", True), ("facades", False)])
def test_only_pairs_of_the_user_are_enlarged(name, is_exact):
    splits = recipe().load_data()
    batches, steps = recipe(data=name).dataset(recipe().build(splits), splits.train, 0)
    inputs = np.concatenate([inputs.numpy() for inputs, _ in batches.take(steps)])
    # Interpolation mixes the colours of neighbouring parts.
    assert (set(np.unique(np.round(127.5 * (inputs + 1), 3))) <= set(range(256))) == is_exact


def test_a_mixed_precision_model_translates_in_float32(monkeypatch):
    # On any CPU.
    monkeypatch.setattr("dlrecipes.training._engine.precision._is_slow", lambda: False)
    mixed = recipe(precision="mixed_bfloat16")
    splits = mixed.load_data()
    model = mixed.build(splits)
    inputs = splits.test.right[:2].astype("float32") / 127.5 - 1
    assert "bfloat16" in {layer.compute_dtype for layer in model.generator.layers}
    outputs = mixed.signatures(model, splits).litert.function(tf.constant(inputs / 2 + 0.5))
    assert outputs["images"].dtype == tf.float32
    # A float32 network with the same weights.
    plain = recipe(precision="float32").build(splits)
    plain.set_weights(model.get_weights())
    expected = plain(inputs, training=False).numpy() / 2 + 0.5
    np.testing.assert_allclose(outputs["images"].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("choice", ["auto", "download"])
def test_missing_inception_weights_give_a_note(choice, monkeypatch, tmp_path, capsys):
    scores = module("scores")
    monkeypatch.setattr(scores, "weights_file", lambda: tmp_path / "none.h5")

    def refuse(images):
        raise DataError("Inception v3's weights cannot be downloaded: URL fetch failure.")

    monkeypatch.setattr(scores, "inception_features", refuse)
    images = np.zeros((2, 8, 8, 3), "uint8")
    assert scores.fid(images, images, choice == "download") == {}
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Note: FID is not measured. Inception v3's weights")


def test_fid_is_the_frechet_distance_of_inceptions_features(monkeypatch, tmp_path):
    scores = module("scores")
    weights = tmp_path / "weights.h5"
    weights.touch()
    monkeypatch.setattr(scores, "weights_file", lambda: weights)
    monkeypatch.setattr(
        scores, "inception_features", lambda images: images.reshape(len(images), -1)[:, :1] * 1.0
    )
    truth = np.array([0, 2], "uint8")[:, None, None, None]
    # Means 3 apart, equal variances.
    assert scores.fid(truth, truth + 3, False) == {"fid": pytest.approx(9.0, abs=1e-3)}


def test_l1_alone_has_no_discriminator():
    splits = recipe().load_data()
    assert isinstance(recipe().build(splits), Pix2Pix)
    assert not isinstance(recipe(adversarial=False).build(splits), Pix2Pix)


def test_the_card_and_the_readme_name_what_the_graphs_have(result, unknown_names):
    assert unknown_names(result.version.folder, "pix2pix") == set()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pairs": "stacked"}, "--pairs: it is for --data"),
        ({"examples": 100, "data": "facades"}, "--examples: it is for the built-in data"),
        (
            {"adversarial": False, "l1_weight": 10, "objective": "hinge"},
            "--l1-weight: .*--objective",
        ),
        ({"data_dir": "cache"}, "--data-dir: pix2pix reads no TFDS datasets"),
        ({"size": 32, "discriminator_layers": 5}, "no patches are left"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_before_data_is_read(settings, message):
    config = registry.find("pix2pix").config()
    with pytest.raises(UsageError, match=message) as caught:
        config.parse(settings).check_effect(settings, "pix2pix")
    assert "\n" not in str(caught.value)


def test_settings_that_fit_together_are_accepted():
    settings = {"data": "facades", "pairs": "stacked", "adversarial": False}
    registry.find("pix2pix").config().parse(settings).check_effect(settings, "pix2pix")
