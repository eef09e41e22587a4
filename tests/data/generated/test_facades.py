"""Generated facades: photographs match their label maps, and show more."""

import numpy as np
import pytest

from dlrecipes.data.generated.facades import (
    CLASSES,
    PALETTE,
    classes_of,
    coloured,
    generated_facades,
    is_label_map,
)

NUMBER = {name: number for number, name in enumerate(CLASSES)}


@pytest.fixture(scope="module")
def facades():
    return generated_facades(40, seed=3, size=64)


def test_facades_depend_on_seed_and_number(facades):
    maps, photographs = facades
    again = generated_facades(2, seed=3, size=64, first=5)
    np.testing.assert_array_equal(again[0], maps[5:7])
    np.testing.assert_array_equal(again[1], photographs[5:7])
    assert (generated_facades(1, seed=4)[1] != photographs[0]).mean() > 0.5


def test_all_classes_occur_and_facades_are_mostly_wall(facades):
    maps, _ = facades
    assert set(np.unique(maps)) == set(range(len(CLASSES)))
    fractions = [(maps == number).mean() for number in range(len(CLASSES))]
    assert np.argmax(fractions) == NUMBER["facade"]
    # Each facade has windows and one door.
    for label_map in maps:
        assert {NUMBER["window"], NUMBER["door"], NUMBER["facade"]} <= set(np.unique(label_map))


def test_windows_are_darker_than_the_wall(facades):
    maps, photographs = facades
    brightness = photographs.mean(axis=-1)
    darker = [
        brightness[k][maps[k] == NUMBER["window"]].mean()
        < brightness[k][maps[k] == NUMBER["facade"]].mean()
        for k in range(len(maps))
    ]
    # Not all of them: a dark wall has lighter frames.
    assert np.mean(darker) > 0.7


def test_a_label_map_does_not_determine_the_photograph(facades):
    # The colour of the walls varies between facades, although their class is the same.
    maps, photographs = facades
    walls = [photographs[k][maps[k] == NUMBER["facade"]].mean(axis=0) for k in range(len(maps))]
    assert np.std(walls, axis=0).min() > 10


def test_classes_are_recovered_from_noisy_colours(facades):
    maps, _ = facades
    images = coloured(maps)
    np.testing.assert_array_equal(classes_of(images), maps)
    noisy = images.astype("int32") + np.random.default_rng(0).integers(-25, 26, images.shape)
    np.testing.assert_array_equal(classes_of(noisy.clip(0, 255).astype("uint8")), maps)
    assert len({tuple(colour) for colour in PALETTE.tolist()}) == len(CLASSES)


def test_pixels_are_compared_with_the_palette_in_parts(facades, monkeypatch):
    maps, _ = facades
    monkeypatch.setattr("dlrecipes.data.generated.facades.PIXELS", 1000)
    np.testing.assert_array_equal(classes_of(coloured(maps)), maps)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"count": 0}, "count must be at least 1, not 0"),
        ({"size": 31}, "size must be at least 32"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"first": -1}, "first must be at least 0"),
    ],
)
def test_arguments_out_of_bounds_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        generated_facades(**{"count": 1, "seed": 0, **arguments})


def test_label_maps_are_recognized_even_after_jpeg_compression(facades):
    import tensorflow as tf

    maps, photographs = (part[:4] for part in facades)
    assert is_label_map(coloured(maps))
    assert not is_label_map(photographs)
    files = [tf.io.encode_jpeg(image, quality=75) for image in coloured(maps)]
    assert is_label_map(np.stack([tf.io.decode_jpeg(file).numpy() for file in files]))
