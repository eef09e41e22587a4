"""FaceNet from images to predictions, with a small network."""

import dataclasses
import json
import shlex
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dlrecipes import runner
from dlrecipes.cli.run import summary
from dlrecipes.data.faces import Size
from dlrecipes.errors import DataError, UsageError
from dlrecipes.export.litert import LiteRTModel
from dlrecipes.export.litert_metadata import read_metadata
from dlrecipes.export.version import ModelVersion
from dlrecipes.recipe import registry
from dlrecipes.recipe.unanswered import IncompletePredictions
from dlrecipes.runner import run_folder

SMALL = {
    "people": 140,
    "size": 32,
    "width": 0.25,
    "epochs": 3,
    "min_steps_per_epoch": 1,
    "batch_size": 32,
}


def recipe(**settings):
    source = registry.find("facenet")
    return source.recipe()(source.config().parse({**SMALL, **settings}), source.name)


def module(name):
    return registry.find("facenet")._module(name)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("facenet")
    task = recipe(normalization="local_contrast", warp=1.0, glasses=0.2)
    with pytest.MonkeyPatch.context() as patch:
        # Of 120 images, the map takes as long as the training.
        patch.setattr(module("figures"), "MAP_IMAGES", 20)
        return runner.run(task, run_folder.new_folder(folder / "runs", None), folder / "models")


@pytest.fixture(scope="module")
def version(result):
    return ModelVersion(result.version.folder)


@pytest.fixture(scope="module")
def test_part():
    return recipe().load_data().test


@pytest.fixture
def people(tmp_path, test_part):
    """A folder of four test people, next to further images of them and of a fifth person."""
    for label in range(5):
        images = test_part.images[test_part.labels == label].squeeze()
        for number, image in enumerate(images[:5]):
            folder = tmp_path / "known" / f"p{label}" if label < 4 and number < 3 else tmp_path
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / f"{label}-{number}.png")
    return tmp_path


def ask(version, inputs, **settings):
    options = module("config").PredictOptions(**settings)
    task = recipe()
    return [task.present(x) for x in task.predict(version, list(map(str, inputs)), options)]


def members_of(model):
    """Returns the networks of an ensemble, in the order of their numbers."""
    members = [
        layer
        for layer in model._flatten_layers()
        if layer.name.startswith("member_") and hasattr(layer, "layers")
    ]
    return sorted(members, key=lambda member: member.name)


def test_litert_files_have_the_metadata_of_an_image_embedder(version):
    for path in version.folder.glob("*.tflite"):
        metadata = read_metadata(path)
        (image,), (embedding,) = metadata["inputs"], metadata["outputs"]
        assert (image["color_space"], image["mean"], image["std"]) == ("RGB", [0], [255])
        assert (image["width"], image["height"]) == (32, 32)
        assert "labels" not in embedding


def test_a_run_evaluates_draws_and_publishes(result):
    metrics = json.loads((result.folder / "metrics.json").read_text())["test"]
    names = {"eer", "auc", "rank1", "verification_accuracy"}
    for scores in (metrics, metrics["pixels"], metrics["eigenfaces"]):
        assert names <= set(scores)
        assert all(0 <= scores[name] <= 1 for name in names)
    figures = {path.stem for path in (result.folder / "figures").glob("*.png")}
    assert {"roc", "distances", "matrix", "neighbours", "map"} <= figures
    card = (result.version.folder / "README.md").read_text()
    assert "eigenfaces auc" in card
    assert "trained on drawn faces" in card
    assert {"model.float16.tflite", "model.int8.tflite"} <= {
        path.name for path in result.version.folder.iterdir()
    }


def test_the_closing_message_suggests_comparing_two_images(result):
    lines = summary(registry.find("facenet"), result).splitlines()
    suggested = [shlex.split(line) for line in lines if line.startswith("  dlrecipes predict")]
    assert len(suggested) == 2
    for words in suggested:
        assert words[:3] == ["dlrecipes", "predict", "facenet"]
        assert words[5] == "--models-dir"
        assert all(Path(path).is_file() for path in words[3:5])


def test_three_epochs_suffice_to_beat_pixels(result):
    test = json.loads((result.folder / "metrics.json").read_text())["test"]
    assert test["auc"] > test["pixels"]["auc"] + 0.02


def test_embeddings_are_unit_vectors_and_equal_for_mirror_images(version, test_part):
    embed = version.function("images")
    images = test_part.images[:6]
    embeddings = embed(images=tf.constant(images))["embedding"].numpy()
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    mirrored = embed(images=tf.constant(images[:, :, ::-1]))["embedding"].numpy()
    np.testing.assert_allclose(mirrored, embeddings, atol=1e-4)


def test_files_arrays_and_litert_give_the_same_embeddings(version, test_part):
    images = test_part.images[:4]
    files = tf.constant([tf.io.encode_png(x).numpy() for x in images])
    from_files = version.function()(image_bytes=files)["embedding"].numpy()
    arrays = version.function("images")(images=tf.constant(images.repeat(3, axis=3)))
    np.testing.assert_allclose(arrays["embedding"].numpy(), from_files, atol=1e-4)
    lite = LiteRTModel(version.file("model.tflite"))
    embeddings = lite(images=images.astype("float32") / 255)["embedding"]
    np.testing.assert_allclose(embeddings, from_files, atol=1e-4)


def test_augmentation_depends_on_the_step_alone():
    for settings in ({"warp": 1.0, "glasses": 0.5, "random_erasing": 0.5}, {"warp": 2.0}):
        assert_reproducible(recipe(**settings))
    # Flips and erased parts can be recognized without warps and glasses.
    task = recipe(random_erasing=0.5)
    examples, batches = task.load_data().train, assert_reproducible(task)
    originals = {row.tobytes() for row in examples.images.astype("float32") / np.float32(255)}
    images = [image for batch in batches for image in batch]
    unchanged = [image.tobytes() in originals for image in images]
    mirrored = [image[:, ::-1].tobytes() in originals for image in images]
    assert any(unchanged)
    assert any(mirrored)
    assert not all(a or b for a, b in zip(unchanged, mirrored, strict=True))


def assert_reproducible(task):
    """Checks that the second epoch is the same in a stream that begins with it.

    Returns the batches of two epochs.
    """
    splits = task.load_data()
    model = task.build(splits)
    first, steps = task.dataset(model, splits.train, 0)
    later, _ = task.dataset(model, splits.train, 1)
    batches = [images.numpy() for images, _ in first.take(2 * steps)]
    again = [images.numpy() for images, _ in later.take(steps)]
    for ours, theirs in zip(batches[steps:], again, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    return batches


def test_a_persons_images_in_a_batch_share_a_warp_but_not_glasses():
    examples = recipe().load_data().train
    # All images of a person are equal; after a warp they must still be.
    firsts = np.unique(examples.labels, return_index=True)[1]
    equal = dataclasses.replace(examples, images=examples.images[firsts][examples.labels])
    for settings, stay_equal in (({"warp": 2.0}, True), ({"glasses": 0.5}, False)):
        task = recipe(flip=False, random_erasing=0, **settings)
        images, labels = next(iter(task.dataset(None, equal, 0)[0]))
        images, labels = images.numpy(), labels.numpy()
        before = equal.images[firsts][labels].astype("float32") / 255
        assert np.abs(images - before).max() > 0.1
        same = [np.ptp(images[labels == k], axis=0).max() == 0 for k in set(labels.tolist())]
        assert all(same) if stay_equal else not all(same)


def test_local_contrast_reduces_the_effect_of_light_from_one_side():
    images = tf.constant(recipe().load_data().test.images[:8], tf.float32) / 255
    lit = images * tf.linspace(0.4, 1.0, images.shape[2])[:, None]
    model = module("networks").build(
        recipe(normalization="local_contrast").config, Size(32, 1.0, 1)
    )
    change = {}
    for name in ("light", "local_light"):
        layer = keras.Model(model.input, model.get_layer(name).output)
        before, after = layer(images).numpy(), layer(lit).numpy()
        change[name] = np.square(after - before).mean() / np.square(before).mean()
    assert change["local_light"] < change["light"] / 3


def test_members_alternate_between_both_normalizations():
    task = recipe(ensemble_size=3, normalization="both", embedding_units=6)
    model = task.build(task.load_data())
    is_local = {
        member.name: any(layer.name == "local_light" for layer in member.layers)
        for member in members_of(model)
    }
    assert is_local == {"member_1": False, "member_2": True, "member_3": False}
    with pytest.raises(UsageError, match="--normalization both --ensemble-size 1"):
        module("networks").build(recipe(normalization="both").config, Size(32, 1.0, 1))


def test_a_mixed_precision_model_embeds_in_float32(monkeypatch, test_part):
    # On any CPU.
    monkeypatch.setattr("dlrecipes.training._engine.precision._is_slow", lambda: False)
    mixed = recipe(precision="mixed_bfloat16", ensemble_size=2)
    splits = mixed.load_data()
    model = mixed.build(splits)
    policies = {layer.name: layer.compute_dtype for layer in model._flatten_layers()}
    assert "bfloat16" in policies.values()
    # The triplets are compared in float32.
    assert {policies["mean"], policies["embedding"]} == {"float32"}
    images = tf.constant(test_part.images[:4], tf.float32) / 255
    embeddings = module("networks").embed(model, images, mirror=True)
    # A float32 network with the same weights.
    plain = recipe(precision="float32", ensemble_size=2).build(splits)
    plain.set_weights(model.get_weights())
    expected = module("networks").embed(plain, images, mirror=True)
    np.testing.assert_allclose(embeddings, expected, atol=1e-5)
    assert {layer.name: layer.compute_dtype for layer in model._flatten_layers()} == policies


def test_images_are_compared_pairwise(version, people):
    (line,) = ask(version, [people / "0-3.png", people / "0-4.png"], threshold=4)
    assert f"{people / '0-3.png'} and {people / '0-4.png'}: same person (distance " in line
    lines = ask(version, [people / f"{n}-3.png" for n in range(3)], threshold=1e-9)
    assert len(lines) == 3
    assert all(": different people (distance " in line for line in lines)


def test_known_people_are_identified_in_a_gallery_and_others_are_unknown(version, people, tmp_path):
    known, same = people / "known", people / "known" / "p2" / "2-1.png"
    index = tmp_path / "index.npz"
    lines = ask(version, [same], gallery=str(known), enrol=str(index), threshold=4)
    assert lines[0] == f"{index}: enrolled 12 images of 4 people"
    assert lines[1].startswith(f"{same}: p2 (distance 0.000, threshold 4.000; next p")
    assert ask(version, [same], gallery=str(index), threshold=4) == lines[1:]
    (line,) = ask(version, [people / "4-3.png"], gallery=str(index), threshold=1e-9)
    assert line.startswith(f"{people / '4-3.png'}: unknown (nearest is p")


def test_a_gallery_of_another_model_is_rejected(version, people, tmp_path, monkeypatch):
    index = tmp_path / "index.npz"
    ask(version, [], gallery=str(people / "known"), enrol=str(index))
    other = tmp_path / "older"
    shutil.copytree(version.folder, other)
    path = other / "variables" / "variables.index"
    path.write_bytes(path.read_bytes() + b"\0")
    # A model with a changed file does not load, so only its fingerprint is used.
    fingerprint = module("predict").fingerprint(ModelVersion(other))
    monkeypatch.setattr(module("predict"), "fingerprint", lambda version: fingerprint)
    with pytest.raises(DataError, match="belongs to another model"):
        ask(version, [people / "0-3.png"], gallery=str(index))


@pytest.mark.parametrize(
    "inputs, settings, error, message",
    [
        (["0-3.png"], {}, UsageError, "cannot be compared"),
        ([], {"gallery": "known"}, UsageError, "No image to identify"),
        (["0-3.png"], {"enrol": "x.npz"}, UsageError, "--enrol needs a gallery"),
        (["0-3.png"], {"gallery": "nowhere"}, DataError, "no such folder or file"),
        (["0-3.png"], {"gallery": "known/p1"}, DataError, "expected a folder of images per class"),
        (["none.png", "0-3.png"], {}, UsageError, "none.png: there is no such file"),
        (["known/*.xyz", "0-3.png"], {}, UsageError, "no file matches this pattern"),
        (["text.png", "0-3.png"], {}, DataError, "text.png: this is not an image"),
    ],
)
def test_unusable_inputs_give_a_one_line_error(
    version, people, monkeypatch, inputs, settings, error, message
):
    monkeypatch.chdir(people)
    (people / "text.png").write_text("text")
    with pytest.raises(error, match=message) as caught:
        ask(version, inputs, **settings)
    assert "\n" not in caught.value.message


def test_a_person_whose_images_cannot_be_read_is_reported(version, people):
    (people / "known" / "odd").mkdir()
    (people / "known" / "odd" / "1.psd").touch()
    with pytest.raises(DataError, match="odd: the class has no images that can be read"):
        ask(version, [people / "0-3.png"], gallery=str(people / "known"))


def test_a_folder_is_compared_in_pairs(version, people):
    lines = ask(version, [people / "known" / "p0"])
    # Three images are three pairs.
    assert len(lines) == 3
    (people / "known" / "p0" / "3.png").write_text("text")
    with pytest.raises(IncompletePredictions, match=r"3\.png: this is not an image") as caught:
        ask(version, [people / "known" / "p0"])
    assert len(caught.value.predictions) == 3 + 1


def test_a_run_keeps_pairs_of_faces_that_can_be_compared(result, version):
    same, different = result.examples
    for pair in (same, different):
        assert all(path.parent == result.folder / "examples" for path in pair)
        assert len(ask(version, pair)) == 1
    # The number of the image follows the name of the person.
    one, two = (path.stem.rpartition("-")[0] for path in same)
    assert one == two
    assert different[0] == same[0]
    assert different[1].stem.rpartition("-")[0] != one


def test_a_batch_must_show_two_people():
    task = recipe(batch_size=7)
    with pytest.raises(UsageError, match="a batch must show two people"):
        task.build(task.load_data())


def test_members_embeddings_are_concatenated():
    task = recipe(ensemble_size=2, embedding_units=8)
    splits = task.load_data()
    model = task.build(splits)
    images = tf.constant(splits.test.images[:6], tf.float32) / 255
    embeddings = model(images).numpy()
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    members = members_of(model)
    assert len(members) == 2
    for number, member in enumerate(members):
        embedding = member(images).numpy()
        own = slice(4 * number, 4 * number + 4)
        assert not np.delete(embedding, np.r_[own], axis=1).any()
        # Each has half of the squared length, and thus half of the weight in every distance.
        np.testing.assert_allclose(embeddings[:, own], embedding[:, own] / np.sqrt(2), atol=1e-5)
    with pytest.raises(UsageError, match="--embedding-units 9"):
        recipe(ensemble_size=3, embedding_units=8).build(splits)


def begun(version, units):
    """Returns an ensemble of two that begins with a published network, that, and the record."""
    settings = {"ensemble_size": 2, "normalization": "both", "embedding_units": units}
    task = recipe(precision="float32", **settings)
    model, source = task.build(task.load_data()), version.keras_model(compile=False)
    return model, source.network, task.initialize(model, source)


def test_all_members_begin_with_a_single_published_network(version, test_part, capsys):
    model, network, transfer = begun(version, units=256)
    assert transfer.taken == transfer.total
    assert str(transfer).endswith("the 2 members begin with the same network")
    assert not capsys.readouterr().err
    images = tf.constant(test_part.images[:4], tf.float32) / 255
    # The second member sees local contrast, as the published network does.
    embedding = members_of(model)[1](images).numpy()
    np.testing.assert_allclose(embedding[:, 128:], network(images).numpy(), atol=1e-5)
    # The first one sees other images with the same weights.
    for ours, theirs in zip(members_of(model)[0].weights, network.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_members_with_fewer_embedding_units_get_a_new_last_layer(version, capsys):
    _, _, transfer = begun(version, units=128)
    assert transfer.new == ("projection",)
    # Its kernel and its bias, in each member.
    assert transfer.total - transfer.taken == 4
    error = capsys.readouterr().err
    assert "--embedding-units 128: the published network has 128 units per member." in error
    assert "--embedding-units 256." in error


def test_images_too_small_for_the_network_give_a_message():
    with pytest.raises(UsageError, match="--network inception_resnet --size 32: "):
        module("networks").build(recipe(network="inception_resnet").config, Size(32))


def test_the_card_and_the_readme_name_what_the_graphs_have(result, unknown_names):
    assert unknown_names(result.version.folder, "facenet") == set()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"people": 100, "data": "lfw"}, "--people: it is for the built-in data"),
        ({"crop": 0.5}, "--crop: the built-in faces fill their images"),
        (
            {"pooling": "average", "network": "inception_resnet"},
            "--pooling: it is for --network small",
        ),
        ({"normalization": "both"}, "each normalization needs a member"),
        ({"ensemble_size": 3}, "cannot be divided equally .* 129"),
        ({"batch_size": 7}, "a batch must show two people"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_before_data_is_read(settings, message):
    config = registry.find("facenet").config()
    with pytest.raises(UsageError, match=message) as caught:
        config.parse(settings).check_effect(settings, "facenet")
    assert "\n" not in str(caught.value)


def test_settings_that_fit_together_are_accepted():
    settings = {"data": "tfds:lfw", "data_dir": "cache", "crop": 0.5}
    registry.find("facenet").config().parse(settings).check_effect(settings, "facenet")
