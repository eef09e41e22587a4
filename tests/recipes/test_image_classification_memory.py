"""Training on many images takes no more memory than training on few."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

CODE = """
import json
import pathlib
import sys

import keras

from dlrecipes.data import image_store
from dlrecipes.recipe.registry import find

folder, (size, batch_size, memory) = sys.argv[1], map(int, sys.argv[2:])
image_store.MEMORY = memory


def megabytes():
    # getrusage would return the most memory of the process that started this one.
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


class Watch(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 8:
            self.early = megabytes()


source = find("image_classification")
config = source.config()(
    data=folder, size=size, batch_size=batch_size, network="small_cnn", width=0.05
)
recipe = source.make(config)
splits = recipe.load_data()
model = recipe.build(splits)
batches, steps = recipe.dataset(model, splits.train, 0)
watch = Watch()
# A part of the second epoch reads images that the first one kept.
model.fit(batches, steps_per_epoch=steps + 10, callbacks=[watch], verbose=0)
print(json.dumps({"images": len(splits.train), "early": watch.early, "late": megabytes()}))
"""


def train_on_links(folder, count, size, batch_size, memory):
    """Returns megabytes of resident memory early and at the end of training on linked images."""
    noise = np.random.default_rng(0).integers(0, 256, (8, 60, 80, 3), "uint8")
    for number, image in enumerate(noise):
        Image.fromarray(image).save(folder / f"{number}.jpg")
    for name in ("cat", "dog"):
        (folder / "links" / name).mkdir(parents=True)
    for number in range(count):
        name = ("cat", "dog")[number % 2]
        link = folder / "links" / name / f"{number}.jpg"
        link.symlink_to(folder / f"{number % len(noise)}.jpg")
    command = [
        sys.executable,
        "-c",
        CODE,
        str(folder / "links"),
        *map(str, (size, batch_size, memory)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux' memory figures")
def test_images_that_do_not_fit_do_not_stay_in_memory(tmp_path):
    # Kept in memory, 16 more images of 192x192 a step would take 1.8 MB more.
    result = train_on_links(tmp_path, 800, size=192, batch_size=16, memory=5_000_000)
    assert result["images"] >= 600
    assert result["late"] - result["early"] < 30


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux' memory figures")
def test_200_000_images_train_with_less_than_2_gb(tmp_path):
    result = train_on_links(tmp_path, 200_000, size=64, batch_size=64, memory=400_000_000)
    assert result["images"] >= 150_000
    assert result["late"] < 2000
