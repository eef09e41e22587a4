"""Batches of images are the same however they are decoded, and each error names its file."""

import gc
import itertools
import os
import subprocess
import sys
import tempfile
import threading
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dlrecipes.data import image_batches, image_store
from dlrecipes.data.image_batches import plain_decoding_errors
from dlrecipes.data.labelled_images import ImageExamples
from dlrecipes.errors import DataError
from dlrecipes.training import ImageClassifier

COUNT, SIZE = 11, 8


@pytest.fixture
def paths(tmp_path):
    """Images of several sizes, each of one grey level."""
    paths = [tmp_path / f"{number}.png" for number in range(COUNT)]
    for number, path in enumerate(paths):
        Image.new("L", (5 + number, 20 - number), 20 * number).save(path)
    return paths


@pytest.fixture
def examples(paths):
    return ImageExamples.from_files(paths, [*range(COUNT)], [str(n) for n in range(COUNT)])


def read(examples, steps=None, **kwargs):
    batches, one_epoch = image_batches.image_batches(examples, SIZE, 4, seed=0, **kwargs)
    assert one_epoch == 3
    return [(x.numpy(), y.numpy()) for x, y in itertools.islice(batches, steps)]


def test_one_pass_is_in_order_and_each_image_has_its_label(examples):
    batches = read(examples)
    assert [x.shape for x, _ in batches] == [(4, 8, 8, 3), (4, 8, 8, 3), (3, 8, 8, 3)]
    assert np.concatenate([y for _, y in batches]).tolist() == [*range(COUNT)]
    for images, labels in batches:
        assert (images == 20 * labels[:, None, None, None]).all()


def test_an_epoch_has_each_image_once_and_a_resumed_run_the_same_batches(examples):
    labels = [y.tolist() for _, y in read(examples, 9, start_epoch=0)]
    for epoch in range(3):
        assert sorted(itertools.chain(*labels[3 * epoch : 3 * epoch + 3])) == [*range(COUNT)]
    assert labels[:3] != labels[3:6]
    resumed = read(examples, 3, start_epoch=2)
    assert [y.tolist() for _, y in resumed] == labels[6:]
    for images, own in resumed:
        assert (images == 20 * own[:, None, None, None]).all()


def count_decoded(examples, monkeypatch):
    numbers = []
    original = type(examples.source).read

    def read(self, number, least=0):
        numbers.append(number)
        return original(self, number, least)

    monkeypatch.setattr(type(examples.source), "read", read)
    return numbers


def test_decoded_images_are_kept_while_they_fit(examples, monkeypatch):
    numbers = count_decoded(examples, monkeypatch)
    # One pass: of two, the second may begin before the first one has kept its last images.
    read(examples)
    assert sorted(numbers) == [*range(COUNT)]
    read(examples, 6, start_epoch=0)
    # A part of the same images, and another order, need no further decoding.
    assert len(read(examples[:9])) == 3
    assert len(numbers) == COUNT


@pytest.mark.parametrize("disk", [0, 3 * SIZE * SIZE * 3, 10**6])
def test_images_beyond_the_memory_are_kept_in_a_file_and_are_the_same(
    examples, monkeypatch, tmp_path, disk
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    expected = read(examples, 9, start_epoch=0)
    store = image_store.ImageStore
    gc.collect()
    monkeypatch.setattr(image_store, "MEMORY", 3 * SIZE * SIZE * 4 + store.reserved_memory)
    monkeypatch.setattr(image_store, "DISK", disk + store.reserved_disk)
    monkeypatch.setattr(image_batches, "_PREFETCH", 1)
    few = ImageExamples.from_files(
        [examples.sources(k) for k in range(COUNT)], examples.labels, examples.names
    )
    numbers = count_decoded(examples, monkeypatch)
    for (images, labels), (same, own) in zip(expected, read(few, 9, start_epoch=0), strict=True):
        np.testing.assert_array_equal(images, same)
        np.testing.assert_array_equal(labels, own)
    # Four images fit into memory, and none, three or all of the seven others into the file.
    kept = {0: 4, 3 * SIZE * SIZE * 3: 7}.get(disk, COUNT)
    assert image_batches._decoded[few.source][SIZE]._kept._used == kept
    # The stream is ahead of what was read of it.
    assert len(numbers) >= COUNT + 2 * (COUNT - kept)
    assert kept < COUNT or len(numbers) == COUNT
    # The file has no name, so that nothing is left behind if the process is killed.
    assert os.name == "nt" or [path.suffix for path in tmp_path.iterdir()] == [".png"] * COUNT


def test_the_memory_is_free_once_nothing_needs_the_images(paths):
    gc.collect()
    before = image_store.ImageStore.reserved_memory
    examples = ImageExamples.from_files(paths, [0] * COUNT, ("x",))
    read(examples)
    assert image_store.ImageStore.reserved_memory == before + 3 * SIZE * SIZE * COUNT
    del examples
    gc.collect()
    assert image_store.ImageStore.reserved_memory == before


def test_a_dataset_outlives_the_examples_that_it_was_made_of(paths):
    examples = ImageExamples.from_files(paths, [0] * COUNT, ("x",))
    batches = image_batches.image_batches(examples, SIZE, 4, seed=0)[0].map(lambda x, y: x)
    del examples
    gc.collect()
    assert len(list(batches)) == 3


def test_warnings_are_as_before_after_threads_decoded(paths):
    filters = list(warnings.filters)
    threads = [
        threading.Thread(target=lambda: read(ImageExamples.from_files(paths, [0] * COUNT, ("x",))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == filters


@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_a_file_that_is_damaged_later_is_named_in_one_line(examples, paths, damage):
    if damage == "missing":
        paths[5].unlink()
    else:
        paths[5].write_bytes(paths[5].read_bytes()[:45])
    message = r"5\.png: the image cannot be read"
    with pytest.raises(DataError, match=message) as caught, plain_decoding_errors():
        read(examples)
    assert "\n" not in str(caught.value)
    network = keras.Sequential([keras.Input((SIZE, SIZE, 3)), keras.layers.Flatten()])
    network.add(keras.layers.Dense(COUNT))
    model = ImageClassifier(network, examples.names)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    batches, steps = image_batches.image_batches(examples, SIZE, 4, seed=0, start_epoch=0)
    batches = batches.map(lambda x, y: (tf.cast(x, tf.float32) / 255, y))
    with pytest.raises(DataError, match=message):
        model.fit(batches, steps_per_epoch=steps, verbose=0)


# A callback fails while the next batches are read, each image of which takes a while.
FAILING = """
import time
import keras
import numpy as np
from dlrecipes.data.image_batches import image_batches
from dlrecipes.data.image_examples import ImageArrays
from dlrecipes.data.labelled_images import ImageExamples

class Slow(ImageArrays):
    def read(self, *args, **kwargs):
        time.sleep(0.05)
        return super().read(*args, **kwargs)

class Fails(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        raise KeyError("the callback's own error")

examples = ImageExamples(Slow(np.zeros((99, 8, 8, 3), "uint8")), [0] * 99, ("cat",))
batches, steps = image_batches(examples, size=8, batch_size=8, seed=0, start_epoch=0)
model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(batches, steps_per_epoch=steps, callbacks=[Fails()], verbose=0)
"""


def test_a_process_ends_after_an_error_in_a_callback():
    ended = subprocess.run(
        [sys.executable, "-c", FAILING], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.rstrip().endswith('KeyError: "the callback\'s own error"')
