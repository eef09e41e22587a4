"""Figures of images show every image and title that they are given."""

import numpy as np
import pytest

from dlrecipes.figures import epoch_frames, image_grid, over_epochs, select_epochs, tiled


def images(count, channels=1):
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8, channels), dtype="uint8")


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_shows_images_row_by_row_with_titles(channels):
    contents = images(5, channels)
    figure = image_grid(contents, columns=3, titles=["a", "b", "c"], title="letters")
    axes = figure.axes
    assert [len(axis.images) for axis in axes] == [1, 1, 1, 1, 1, 0]
    assert [axis.get_title() for axis in axes] == ["a", "b", "c", "", "", ""]
    assert figure.get_suptitle() == "letters"
    for axis, image in zip(axes, contents, strict=False):
        np.testing.assert_array_equal(axis.images[0].get_array(), image.squeeze())


@pytest.mark.parametrize(
    "epochs, expected",
    [([7], [7]), ([3, 1, 2], [1, 2, 3]), (range(1, 1001), [1, 4, 16, 63, 251, 1000])],
)
def test_selected_epochs_are_closer_together_at_the_beginning(epochs, expected):
    # 1000 ** (k / 5) for k = 0 to 5 is 1, 3.98, 15.8, 63.1, 251.2, 1000.
    assert select_epochs(epochs) == expected


def test_images_over_epochs_have_a_sheet_per_epoch():
    snapshots = {epoch: images(4) for epoch in (1, 2, 5)}
    figure = over_epochs(snapshots)
    assert [axis.get_title() for axis in figure.axes] == ["epoch 1", "epoch 2", "epoch 5"]
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), tiled(images(4))[..., 0])


def test_frames_are_evenly_spaced_epochs():
    snapshots = {epoch: np.full((4, 8, 8, 1), epoch, "uint8") for epoch in range(1, 11)}
    frames = epoch_frames(snapshots, count=4)
    assert frames[:, 5, 5, 0].tolist() == [1, 4, 7, 10]
    assert len(epoch_frames(snapshots)) == 10
