"""Images and settings of the autoencoder: what is read, noted and refused."""

import gzip
import itertools
import shlex
import struct

import numpy as np
import pytest
from PIL import Image

from dlrecipes.errors import DataError, UsageError
from dlrecipes.recipe import registry
from dlrecipes.recipe.published import model_name

NAME = "autoencoder"
SIDE = 12


def recipe(**settings):
    source = registry.find(NAME)
    return source.recipe()(source.config().parse({"size": SIDE, "seed": 3, **settings}), NAME)


def images_in(folder, sizes, mode="L", seed=0):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for number, size in enumerate(sizes):
        shape = (*size, 3) if mode == "RGB" else size
        pixels = rng.integers(0, 256, shape, "uint8")
        Image.fromarray(pixels).save(folder / f"{number}.png")


def load(folder, **settings):
    return recipe(data=str(folder), **{"size": 0, "code_units": 2, **settings}).load_data()


def test_images_of_mixed_sizes_are_resized_to_one_with_a_note(tmp_path):
    images_in(tmp_path / "photos", [(20, 30), (24, 24), (10, 16)] * 5)
    splits = load(tmp_path / "photos")
    assert splits.train.images.shape[1:] == (30, 30, 1)
    notes = " ".join(splits.notes)
    assert "from 16x10 to 30x20 pixels, are resized to 30x30 (--size)" in notes
    assert "No image is in colour" in notes
    assert load(tmp_path / "photos", size=16).train.images.shape[1:] == (16, 16, 1)


def test_images_in_colour_stay_so_unless_grey_is_asked_for(tmp_path):
    images_in(tmp_path / "photos", [(16, 16)] * 15, "RGB")
    assert load(tmp_path / "photos").train.images.shape[1:] == (16, 16, 3)
    assert load(tmp_path / "photos", colour=False).train.images.shape[1:] == (16, 16, 1)


def test_class_folders_with_a_single_image_are_read(tmp_path):
    for name in ("a", "b"):
        images_in(tmp_path / "photos" / name, [(16, 16)] * (1 if name == "b" else 20))
    splits = load(tmp_path / "photos")
    assert splits.train.names == ("a", "b")
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 21


def test_idx_files_are_read_in_their_own_size(tmp_path):
    rng = np.random.default_rng(0)
    for part, count in (("train", 40), ("t10k", 10)):
        images = rng.integers(0, 256, (count, 14, 14), "uint8")
        head = struct.pack(">IIII", 0x803, *images.shape)
        path = tmp_path / f"{part}-images-idx3-ubyte.gz"
        path.write_bytes(gzip.compress(head + images.tobytes()))
        labels = (np.arange(count) % 2).astype("uint8")
        content = struct.pack(">II", 0x801, count) + labels.tobytes()
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(content))
    splits = load(tmp_path)
    assert splits.train.images.shape == (36, 14, 14, 1)
    np.testing.assert_array_equal(splits.test.images[..., 0], images)


def test_built_in_faces_are_of_other_people_in_each_part():
    splits = recipe(subject="faces", size=16).load_data()
    assert splits.train.images.shape == (1200, 16, 16, 3)
    assert len(splits.test) == 400
    rows = {image.tobytes() for image in splits.train.images}
    assert not rows & {image.tobytes() for image in splits.test.images}


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"network": "pca", "code_units": 145},
            UsageError,
            "--network pca --code-units 145: an image has 144 numbers, fewer than the code",
        ),
        (
            {"code_units": 2000},
            UsageError,
            "has 1,079 training images, fewer than the numbers of the code",
        ),
        ({"leave_out": "17"}, UsageError, "--leave-out 17: not a class of the data."),
        ({"leave_out": "12"}, UsageError, "The classes are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9."),
        ({"leave_out": "1", "subject": "faces", "size": 16}, UsageError, "have no classes"),
        ({"network": "dbn", "subject": "faces", "size": 16}, UsageError, "has no classes for"),
    ],
)
def test_settings_that_do_not_suit_the_data_are_refused_in_one_line(settings, error, message):
    with pytest.raises(error) as caught:
        recipe(**settings).load_data()
    assert message in f"{caught.value.message} {caught.value.hint}"
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([np.full((SIDE, SIDE), 7)] * 30, "images are equal: there is nothing to describe"),
        ([np.full((SIDE, SIDE), k) for k in range(30)], "training images is blank, of a single"),
        ([np.full((SIDE, SIDE), 7)], "1 image is too few to train on and to test"),
        ([np.full((SIDE, SIDE), 7)] * 2, "2 images are too few to train on and to test"),
    ],
)
def test_images_that_show_nothing_are_refused_in_one_line(images, message, tmp_path):
    for number, image in enumerate(images):
        Image.fromarray(image.astype("uint8")).save(tmp_path / f"{number}.png")
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_some_blank_images_are_noted(tmp_path):
    images_in(tmp_path, [(SIDE, SIDE)] * 20)
    for number in range(10):
        Image.new("L", (SIDE, SIDE)).save(tmp_path / f"blank-{number}.png")
    assert any("training images are blank" in note for note in load(tmp_path).notes)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": "pca", "epochs": 3}, "--epochs: --network pca is computed, not trained"),
        ({"network": "dbn", "code_units": 3}, "is its last hidden layer: give --hidden-units"),
        ({"network": "convolutional", "pretrain": True}, "--pretrain: it is for --network deep"),
        ({"pretrain": False, "pretrain_epochs": 3}, "--pretrain-epochs: --no-pretrain is given"),
        ({"noise_kind": "masking"}, "--noise-kind: --noise is 0"),
        ({"dropout": 0.1}, "--dropout: it is for --network dbn"),
        ({"data": "photos", "subject": "faces"}, "--subject: it is for the built-in data"),
        ({"activation": "relu"}, "--activation relu: Boltzmann machines have sigmoid units"),
        ({"subject": "faces", "size": 8}, "faces need at least 16 pixels"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_in_one_line(settings, message):
    config = registry.find(NAME).config().parse(settings)
    with pytest.raises(UsageError) as caught:
        config.check_effect(settings, NAME)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_commands_of_the_readme_publish_under_names_of_their_own():
    text = (registry.find(NAME).folder / "README.md").read_text(encoding="utf-8")
    commands = [
        shlex.split(line, comments=True)
        for line in text.splitlines()
        if line.startswith(f"dlrecipes run {NAME}") or line.startswith("dlrecipes predict ")
    ]
    published = []
    for _, verb, name, *options in commands:
        given = dict(itertools.pairwise(options))
        if verb == "run":
            settings = {"data": given.get("--data"), "publish_as": given.get("--publish-as")}
            settings = {key: value for key, value in settings.items() if value}
            published.append(model_name(name, registry.find(NAME).config().parse(settings)))
        else:
            assert name in published
    assert len(published) == len(set(published)) > 1
