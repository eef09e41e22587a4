"""The recipe from images to who is who, on a small network; what takes minutes is marked slow."""

import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dlrecipes import runner
from dlrecipes.cli.run import summary
from dlrecipes.errors import DataError, UsageError
from dlrecipes.export.litert import LiteRTModel
from dlrecipes.export.version import ModelVersion
from dlrecipes.recipe import registry
from dlrecipes.runner import run_folder

SMALL = {
    "people": 92,
    "size": 32,
    "width": 0.25,
    "epochs": 3,
    "min_steps_per_epoch": 1,
    "dropout": 0,
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
    return runner.run(task, run_folder.new_folder(folder / "runs", None), folder / "models")


@pytest.fixture(scope="module")
def version(result):
    return ModelVersion(result.version.folder)


@pytest.fixture(scope="module")
def test_part():
    return recipe().load_data().test


@pytest.fixture
def people(tmp_path, test_part):
    """A folder of four of the test's people, and further images of them and of a fifth."""
    for label in range(5):
        own = test_part.images[test_part.labels == label].squeeze()
        for number, image in enumerate(own[:5]):
            folder = tmp_path / "known" / f"p{label}" if label < 4 and number < 3 else tmp_path
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / f"{label}-{number}.png")
    return tmp_path


def ask(version, inputs, **told):
    options = module("config").PredictOptions(**told)
    task = recipe()
    return [task.present(x) for x in task.predict(version, list(map(str, inputs)), options)]


def test_a_run_measures_draws_and_publishes(result):
    metrics = json.loads((result.folder / "metrics.json").read_text())["test"]
    names = {"eer", "auc", "rank1", "verification_accuracy"}
    for found in (metrics, metrics["pixels"], metrics["eigenfaces"]):
        assert names <= set(found)
        assert all(0 <= found[name] <= 1 for name in names)
    figures = {path.stem for path in (result.folder / "figures").glob("*.png")}
    assert {"roc", "distances", "matrix", "neighbours", "map"} <= figures
    card = (result.version.folder / "README.md").read_text()
    assert "eigenfaces auc" in card
    assert {"model.float16.tflite", "model.int8.tflite"} <= {
        path.name for path in result.version.folder.iterdir()
    }


def test_what_to_type_next_compares_two_images(result):
    lines = summary(registry.find("facenet"), result).splitlines()
    (line,) = [line for line in lines if line.startswith("  dlrecipes predict")]
    typed = '  dlrecipes predict facenet "one.jpg" "other.jpg" --models-dir '
    assert line.startswith(typed)


def test_even_a_little_training_beats_pixels(result):
    test = json.loads((result.folder / "metrics.json").read_text())["test"]
    assert test["auc"] > test["pixels"]["auc"] + 0.02


def test_embeddings_have_length_one_and_do_not_mind_a_mirror(version, test_part):
    embed = version.function("images")
    images = test_part.images[:6]
    found = embed(images=tf.constant(images))["embedding"].numpy()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    mirrored = embed(images=tf.constant(images[:, :, ::-1]))["embedding"].numpy()
    np.testing.assert_allclose(mirrored, found, atol=1e-4)


def test_files_arrays_and_litert_give_one_embedding(version, test_part):
    images = test_part.images[:4]
    files = tf.constant([tf.io.encode_png(x).numpy() for x in images])
    from_files = version.function()(image_bytes=files)["embedding"].numpy()
    arrays = version.function("images")(images=tf.constant(images.repeat(3, axis=3)))
    np.testing.assert_allclose(arrays["embedding"].numpy(), from_files, atol=1e-4)
    lite = LiteRTModel(version.file("model.tflite"))
    found = lite(images=images.astype("float32") / 255)["embedding"]
    np.testing.assert_allclose(found, from_files, atol=1e-4)


def test_training_images_are_varied_by_step_alone():
    # A warped face and one with glasses are nobody's of the data: what is mirrored and hidden
    # is looked at without.
    for settings in ({"warp": 1.0, "glasses": 0.5, "random_erasing": 0.5}, {"warp": 2.0}):
        assert_varied_by_step_alone(recipe(**settings))
    task = recipe(random_erasing=0.5)
    examples, batches = task.load_data().train, assert_varied_by_step_alone(task)
    # Mirrored or not, and hidden in part or not: all four occur.
    plain = {row.tobytes() for row in examples.images.astype("float32") / np.float32(255)}
    shown = [image for batch in batches for image in batch]
    kept = [image.tobytes() in plain for image in shown]
    turned = [image[:, ::-1].tobytes() in plain for image in shown]
    assert any(kept)
    assert any(turned)
    assert not all(a or b for a, b in zip(kept, turned, strict=True))


def assert_varied_by_step_alone(task):
    """Checks that an epoch is the same after others and at once; returns batches of two."""
    splits = task.load_data()
    model = task.build(splits)
    first, steps = task.dataset(model, splits.train, 0)
    later, _ = task.dataset(model, splits.train, 1)
    batches = [images.numpy() for images, _ in first.take(2 * steps)]
    again = [images.numpy() for images, _ in later.take(steps)]
    for ours, theirs in zip(batches[steps:], again, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    return batches


def test_a_batch_warps_the_images_of_each_person_alike_and_draws_glasses():
    examples = recipe().load_data().train
    # One image of each person, as often as it is shown: alike before and after.
    firsts = np.unique(examples.labels, return_index=True)[1]
    alone = dataclasses.replace(examples, images=examples.images[firsts][examples.labels])
    still = {"flip": False, "random_erasing": 0}
    for settings, alike in (({"warp": 2.0}, True), ({"glasses": 0.5}, False)):
        task = recipe(**still, **settings)
        images, labels = next(iter(task.dataset(None, alone, 0)[0]))
        images, labels = images.numpy(), labels.numpy()
        before = alone.images[firsts][labels].astype("float32") / 255
        assert np.abs(images - before).max() > 0.1
        same = [np.ptp(images[labels == one], axis=0).max() == 0 for one in set(labels.tolist())]
        assert all(same) if alike else not all(same)


def test_a_warp_bends_all_images_of_a_person_alike():
    deviation, people, each = 2.0, 300, 2
    rows, columns = np.mgrid[:24, :32].astype("float32")
    # What each pixel holds is where it is read.
    image = np.stack([rows, columns, rows + columns], axis=-1)
    images = tf.tile(image[None], [people * each, 1, 1, 1])
    warp = module("augmentation").warp
    found = warp(images, each, deviation, tf.constant([1, 2])).numpy()
    again = warp(images, each, deviation, tf.constant([1, 2])).numpy()
    np.testing.assert_array_equal(found, again)
    own = found.reshape(people, each, *found.shape[1:])
    np.testing.assert_array_equal(own[:, 0], own[:, 1])
    assert not np.allclose(own[0, 0], own[1, 0])
    np.testing.assert_allclose(found[..., 0] + found[..., 1], found[..., 2], atol=1e-3)
    # Nothing is read from outside, and far from the edges points move as far as they should:
    # between four points of the grid, each a draw of its own, a bicubic mean moves less.
    assert found[..., 0].min() >= 0
    assert found[..., 0].max() <= 23
    moved = (own[:, 0] - image)[:, 10:14, 14:18, :2]
    assert 0.5 * deviation < moved.std() < 1.1 * deviation
    assert abs(moved.mean()) < 4 * deviation / np.sqrt(2 * people)
    # Smooth: what two points of the grid, six rows apart, move unlike is shared by those rows.
    assert np.abs(np.diff(moved, axis=1)).std() < np.sqrt(2) * deviation / 6


def test_glasses_are_worn_by_a_share_where_the_eyes_are():
    images = np.full([300, 50, 40, 1], 0.5, "float32")
    found = (
        module("augmentation").wear_glasses(tf.constant(images), 0.4, tf.constant([1, 2])).numpy()
    )
    assert found.min() >= 0
    assert found.max() <= 1
    # One of 255 levels is the least that can be seen. Frames as grey as the face are not.
    drawn = np.abs(found - images)[..., 0] > 1 / 255
    worn = drawn.any(axis=(1, 2))
    assert abs(worn.mean() - 0.4) < 4 * np.sqrt(0.4 * 0.6 / 300) + 0.01
    # The lowest and the highest middle, a lens' half height, three rims, and the steepest slant.
    for edge in (0, 15), (43, 50):
        assert drawn[:, slice(*edge)].mean() < 0.01
    # Two rims, a bridge and temples: never half of the image.
    assert drawn[worn].mean() < 0.3
    columns = drawn[worn][:, 15:43].any(axis=1).mean(axis=0)
    assert columns[10] > 0.8
    assert columns[30] > 0.8


def test_a_local_view_does_not_mind_light_from_one_side():
    images = tf.constant(recipe().load_data().test.images[:8], tf.float32) / 255
    lit = images * tf.linspace(0.4, 1.0, images.shape[2])[:, None]
    model = module("networks").build(
        recipe(normalization="local_contrast").config, module("data").Size(32, 1.0, 1)
    )
    change = {}
    for name in ("light", "local_light"):
        layer = keras.Model(model.input, model.get_layer(name).output)
        before, after = layer(images).numpy(), layer(lit).numpy()
        change[name] = np.square(after - before).mean() / np.square(before).mean()
    assert change["local_light"] < change["light"] / 3


def test_both_views_are_seen_in_turn():
    task = recipe(ensemble_size=3, normalization="both", embedding_units=6)
    model = task.build(task.load_data())
    seen = {
        member.name: any(one.name == "local_light" for one in member.layers)
        for member in model._flatten_layers()
        if member.name.startswith("member_") and hasattr(member, "layers")
    }
    assert seen == {"member_1": False, "member_2": True, "member_3": False}
    with pytest.raises(UsageError, match="--normalization both --ensemble-size 1"):
        module("networks").build(
            recipe(normalization="both").config, module("data").Size(32, 1.0, 1)
        )


def test_hidden_parts_are_rectangles_of_one_grey():
    images = tf.zeros([200, 20, 30, 3]) - 1.0
    found = module("augmentation").random_erasing(images, 0.4, tf.constant([1, 2])).numpy()
    hidden = (found >= 0).all(axis=-1)
    share = hidden.any(axis=(1, 2)).mean()
    # Within four standard deviations of 200 draws.
    assert abs(share - 0.4) < 4 * np.sqrt(0.4 * 0.6 / 200)
    for mask, image in zip(hidden, found, strict=True):
        rows, columns = mask.any(axis=1), mask.any(axis=0)
        np.testing.assert_array_equal(mask, rows[:, None] & columns[None])
        assert rows.sum() <= 11
        assert columns.sum() <= 16
        assert len(np.unique(image[mask])) <= 1


def test_two_images_are_compared(version, people):
    (line,) = ask(version, [people / "0-3.png", people / "0-4.png"], threshold=4)
    assert f"{people / '0-3.png'} and {people / '0-4.png'}: one person (distance " in line
    lines = ask(version, [people / f"{n}-3.png" for n in range(3)], threshold=1e-9)
    assert len(lines) == 3
    assert all(": two people (distance " in line for line in lines)


def test_who_it_is_is_found_in_a_gallery_and_strangers_are_unknown(version, people, tmp_path):
    known, same = people / "known", people / "known" / "p2" / "2-1.png"
    index = tmp_path / "index.npz"
    lines = ask(version, [same], gallery=str(known), enrol=str(index), threshold=4)
    assert lines[0] == f"{index}: enrolled 12 images of 4 people"
    assert lines[1].startswith(f"{same}: p2 (distance 0.000, threshold 4.000; next p")
    assert ask(version, [same], gallery=str(index), threshold=4) == lines[1:]
    (line,) = ask(version, [people / "4-3.png"], gallery=str(index), threshold=1e-9)
    assert line.startswith(f"{people / '4-3.png'}: unknown (nearest is p")


def test_a_gallery_of_an_older_model_is_refused(version, people, tmp_path, monkeypatch):
    index = tmp_path / "index.npz"
    ask(version, [], gallery=str(people / "known"), enrol=str(index))
    other = tmp_path / "older"
    shutil.copytree(version.folder, other)
    path = other / "variables" / "variables.index"
    path.write_bytes(path.read_bytes() + b"\0")
    # Files that were changed by hand do not load: only whose they are is read of them.
    of_other = module("predict").fingerprint(ModelVersion(other))
    monkeypatch.setattr(module("predict"), "fingerprint", lambda version: of_other)
    with pytest.raises(DataError, match="belongs to another model"):
        ask(version, [people / "0-3.png"], gallery=str(index))


@pytest.mark.parametrize(
    "inputs, told, error, message",
    [
        (["0-3.png"], {}, UsageError, "cannot be compared"),
        ([], {"gallery": "known"}, UsageError, "no image to identify"),
        (["0-3.png"], {"enrol": "x.npz"}, UsageError, "--enrol needs a gallery"),
        (["0-3.png"], {"gallery": "nowhere"}, DataError, "no such folder or file"),
        (["0-3.png"], {"gallery": "known/p1"}, DataError, "no folder of images in it"),
        (["none.png", "0-3.png"], {}, UsageError, "none.png: there is no such file"),
        (["known", "0-3.png"], {}, UsageError, "expected a file, got a folder"),
        (["text.png", "0-3.png"], {}, DataError, "text.png: this is not an image"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    version, people, monkeypatch, inputs, told, error, message
):
    monkeypatch.chdir(people)
    (people / "text.png").write_text("text")
    with pytest.raises(error, match=message) as caught:
        ask(version, inputs, **told)
    assert "\n" not in caught.value.message


def test_a_person_without_images_is_told(version, people):
    (people / "known" / "empty").mkdir()
    with pytest.raises(DataError, match="empty: the person has no images"):
        ask(version, [people / "0-3.png"], gallery=str(people / "known"))


def test_a_batch_must_show_two_people():
    task = recipe(batch_size=7)
    with pytest.raises(UsageError, match="a batch must show two people"):
        task.dataset(None, task.load_data().train, 0)


def test_members_stand_side_by_side():
    task = recipe(ensemble_size=2, embedding_units=8)
    splits = task.load_data()
    model = task.build(splits)
    images = tf.constant(splits.test.images[:6], tf.float32) / 255
    embeddings = model(images).numpy()
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    members = [
        layer
        for layer in model._flatten_layers()
        if layer.name in ("member_1", "member_2") and hasattr(layer, "layers")
    ]
    members.sort(key=lambda layer: layer.name)
    assert len(members) == 2
    for number, member in enumerate(members):
        found = member(images).numpy()
        own = slice(4 * number, 4 * number + 4)
        assert not np.delete(found, np.r_[own], axis=1).any()
        # Each has half of the squared length, and so half a say in every distance.
        np.testing.assert_allclose(embeddings[:, own], found[:, own] / np.sqrt(2), atol=1e-5)
    with pytest.raises(UsageError, match="--embedding-units 9"):
        recipe(ensemble_size=3, embedding_units=8).build(splits)


def test_a_network_that_cannot_read_the_images_is_a_message():
    with pytest.raises(UsageError, match="--network inception_resnet --size 32: "):
        module("networks").build(recipe(network="inception_resnet").config, module("data").Size(32))
