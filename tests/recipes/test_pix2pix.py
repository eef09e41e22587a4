"""The recipe from pairs to drawn images, on a small network."""

import json

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
    scores = module("scores")
    with pytest.MonkeyPatch.context() as patch:
        # How well the reader reads is tested by itself.
        patch.setattr(scores, "SEGMENTER_STEPS", 3)
        return runner.run(recipe(), run_folder.new_folder(folder / "runs", None), folder / "models")


@pytest.fixture(scope="module")
def version(result):
    return ModelVersion(result.version.folder)


def test_a_run_measures_draws_and_publishes(result):
    metrics = json.loads((result.folder / "metrics.json").read_text())
    names = {"l1", "psnr", "ssim", "fcn_pixel_accuracy", "fcn_class_accuracy", "fcn_class_iou"}
    assert names | {"real"} == set(metrics["test"])
    # Adversarial losses do not tell the best epoch: the last is kept.
    assert metrics["best_epoch"] == metrics["epochs"] == 2
    figures = {path.stem for path in (result.folder / "figures").glob("*.png")}
    assert {"sheet", "epochs", "patches", "learning_curves"} <= figures
    files = {path.name for path in result.version.folder.iterdir()}
    assert {"model.float16.tflite", "model.dynamic.tflite"} <= files
    assert sorted(path.name for path in (result.folder / "snapshots").iterdir()) == [
        "00001.npy",
        "00002.npy",
    ]


def test_files_arrays_and_litert_draw_one_image(version):
    maps, _ = generated_facades(2, seed=9, size=32)
    inputs = coloured(maps)
    arrays = version.function("images")(images=tf.constant(inputs))["images"].numpy()
    assert arrays.dtype == np.uint8
    files = tf.constant([tf.io.encode_png(x).numpy() for x in inputs])
    drawn = version.function()(image_bytes=files)["png_bytes"].numpy()
    for content, image in zip(drawn, arrays, strict=True):
        np.testing.assert_array_equal(tf.io.decode_png(content).numpy(), image)
    lite = LiteRTModel(version.file("model.tflite"))
    found = lite(images=inputs.astype("float32") / 255)["images"]
    np.testing.assert_allclose(255 * found, arrays, atol=0.6)


def test_images_of_other_sizes_and_kinds_are_taken(version):
    draw = version.function("images")
    for channels in (1, 2, 3, 4):
        images = np.full((1, 50, 70, channels), 200, "uint8")
        assert draw(images=tf.constant(images))["images"].shape == (1, 32, 32, 3)


def test_predictions_are_written_beside_one_another(version, tmp_path):
    maps, _ = generated_facades(1, seed=9, size=64)
    Image.fromarray(coloured(maps)[0]).save(tmp_path / "a map ü.png")
    options = module("config").PredictOptions(output_dir=str(tmp_path))
    task = recipe()
    (prediction,) = task.predict(version, [str(tmp_path / "a map ü.png")], options)
    place = tmp_path / "a map ü.translated.png"
    line = f"{tmp_path / 'a map ü.png'}: translated to {place}"
    assert task.present(prediction) == line
    assert Image.open(place).size == (32, 32)


@pytest.mark.parametrize(
    "inputs, output, error, message",
    [
        ([], ".", UsageError, "no image to translate"),
        (["none.png"], ".", UsageError, "none.png: there is no such file"),
        (["."], ".", UsageError, "expected a file, got a folder"),
        (["text.png"], ".", DataError, "text.png: this is not an image"),
        (["a/x.png", "b/x.jpg"], ".", UsageError, "several inputs are named x"),
        (["text.png"], "nowhere", UsageError, "--output-dir nowhere: there is no such folder"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(
    version, tmp_path, monkeypatch, inputs, output, error, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.png").write_text("text")
    options = module("config").PredictOptions(output_dir=output)
    with pytest.raises(error, match=message) as caught:
        recipe().predict(version, inputs, options)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("size, patches, most", [(32, 4, 3), (64, 8, 4)])
def test_a_discriminator_that_sees_nothing_is_refused(size, patches, most):
    task = recipe(size=size, discriminator_layers=patches)
    with pytest.raises(UsageError, match=f"--discriminator-layers {most} is the most"):
        task.build(task.load_data())


def test_either_side_is_read():
    splits = recipe().load_data()
    model = recipe(adversarial=False).build(splits)
    for direction, side in (("right_to_left", "right"), ("left_to_right", "left")):
        batches, _ = recipe(direction=direction).dataset(model, splits.test)
        inputs, targets = next(iter(batches))
        other = {"right": "left", "left": "right"}[side]
        for tensor, name in ((inputs, side), (targets, other)):
            wanted = getattr(splits.test, name)[: len(tensor)].astype("float32") / 127.5 - 1
            np.testing.assert_allclose(tensor.numpy(), wanted, atol=1e-6)


def test_jitter_moves_both_images_alike_and_by_its_seed_alone():
    images = np.random.default_rng(0).uniform(-1, 1, (6, 32, 32, 3)).astype("float32")
    pair = tf.concat([images, -images], axis=-1)
    jittered = module("data").jittered
    one, other = jittered(pair, 0.117, True, tf.constant([0, 5]))
    np.testing.assert_allclose(one.numpy(), -other.numpy(), atol=1e-6)
    again, _ = jittered(pair, 0.117, True, tf.constant([0, 5]))
    np.testing.assert_array_equal(one.numpy(), again.numpy())
    later, _ = jittered(pair, 0.117, True, tf.constant([0, 6]))
    assert (later.numpy() != one.numpy()).mean() > 0.5
    plain, _ = jittered(pair, 0.0, False, tf.constant([0, 5]))
    np.testing.assert_allclose(plain.numpy(), images, atol=1e-6)


def test_a_model_of_mixed_precision_draws_in_full():
    mixed = recipe(precision="mixed_bfloat16")
    splits = mixed.load_data()
    model = mixed.build(splits)
    inputs = splits.test.right[:2].astype("float32") / 127.5 - 1
    assert "bfloat16" in {layer.compute_dtype for layer in model.generator.layers}
    drawn = mixed.signatures(model, splits).litert.function(tf.constant(inputs / 2 + 0.5))
    assert drawn["images"].dtype == tf.float32
    # The same weights in a network of float32.
    plain = recipe().build(splits)
    plain.set_weights(model.get_weights())
    wanted = plain(inputs, training=False).numpy() / 2 + 0.5
    np.testing.assert_allclose(drawn["images"].numpy(), wanted, atol=1e-5)


@pytest.mark.parametrize("choice", ["auto", "download"])
def test_fid_without_weights_is_a_note(choice, monkeypatch, tmp_path, capsys):
    scores = module("scores")
    monkeypatch.setattr(scores, "weights_file", lambda: tmp_path / "none.h5")

    def refuse(images):
        raise DataError("Inception v3's weights cannot be had: URL fetch failure.")

    monkeypatch.setattr(scores, "inception_features", refuse)
    images = np.zeros((2, 8, 8, 3), "uint8")
    assert scores.fid(images, images, choice == "download") == {}
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Note: FID is left out. Inception v3's weights")


def test_fid_of_features_is_their_frechet_distance(monkeypatch, tmp_path):
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


def test_maps_are_told_from_photographs():
    maps, photographs = generated_facades(4, seed=1, size=64)
    scores = module("scores")
    assert scores.is_map(coloured(maps))
    assert not scores.is_map(photographs)
    # JPEG blurs a map's edges.
    blurred = [tf.io.decode_jpeg(tf.io.encode_jpeg(x, quality=75)).numpy() for x in coloured(maps)]
    assert scores.is_map(np.stack(blurred))


def test_likeness_is_best_of_equal_images():
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype="uint8")
    image_quality = module("scores").image_quality
    assert image_quality(images, images) == pytest.approx({"l1": 0, "psnr": 100, "ssim": 1})
    brighter = np.clip(images.astype(int) + 10, 0, 255).astype("uint8")
    found = image_quality(images, brighter)
    error = np.abs(images.astype(int) - brighter)
    assert found["l1"] == pytest.approx(error.mean() / 255, rel=1e-5)
    wanted = [10 * np.log10(255**2 / np.mean(one.astype(float) ** 2)) for one in error]
    assert found["psnr"] == pytest.approx(np.mean(wanted), rel=1e-4)


@pytest.mark.slow
def test_a_reader_that_learned_from_real_photographs_reads_others():
    maps, photographs = generated_facades(140, seed=1, size=64)
    scores = module("scores")
    reader = scores.SegmentationJudge.trained(photographs[:120], coloured(maps[:120]), seed=0)
    found = scores.read_scores(coloured(maps[120:]), reader.classes(photographs[120:]))
    # All wall and nothing else would be the share of the wall, a little above half.
    assert found["fcn_pixel_accuracy"] > 0.8
    assert found["fcn_class_iou"] > 0.45
