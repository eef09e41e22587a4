"""Photographs of things are told from characters on paper."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from dlrecipes.data.image_files import read_image_bytes
from dlrecipes.data.photographs import is_photograph, mostly_photographs

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "cats_dogs" / "test"


def stroke(paper, ink, light, side=200):
    """A digit as it is photographed: ink on paper of some colours, in uneven light."""
    digit = Image.fromarray((load_digits().images[3] * 255 / 16).astype("uint8"))
    amount = np.asarray(digit.resize((side, side)), float)[..., None] / 255
    rows = np.linspace(1 - light, 1, side)[:, None, None]
    pixels = (amount * ink + (1 - amount) * paper) * rows
    noise = np.random.default_rng(0).normal(0, 0.02, pixels.shape)
    return Image.fromarray((np.clip(pixels + noise, 0, 1) * 255).astype("uint8"))


BLUE, RED, WHITE, YELLOW = map(np.array, ((0, 0, 0.5), (0.7, 0, 0), (1, 1, 1), (0.9, 0.8, 0.4)))


@pytest.mark.parametrize("light", [0, 0.5])
@pytest.mark.parametrize(
    ("paper", "ink"), [(WHITE, BLUE), (YELLOW, BLUE), (YELLOW, RED), (BLUE, YELLOW)]
)
def test_ink_on_paper_is_not_a_photograph(paper, ink, light):
    assert not is_photograph(stroke(paper, ink, light))


def natural(side=200):
    """Coloured patches of any brightness at several scales, as scenes have them."""
    rng = np.random.default_rng(1)
    layers = [
        np.asarray(
            Image.fromarray((rng.random((n, n, 3)) * 255).astype("uint8")).resize((side, side)),
            float,
        )
        for n in (4, 8, 16, 32)
    ]
    mean = np.mean(layers, axis=0)
    return Image.fromarray(np.clip(128 + 2 * (mean - 128), 0, 255).astype("uint8"))


def test_a_scene_in_colour_is_a_photograph():
    assert is_photograph(natural())
    assert not is_photograph(natural().convert("L"))
    # Street numbers are small, and in any surroundings.
    assert not is_photograph(natural().resize((32, 32)))


def test_most_files_decide(tmp_path):
    names = [tmp_path / f"{n}.png" for n in range(5)]
    for n, name in enumerate(names):
        (natural() if n < 3 else stroke(WHITE, BLUE, 0)).save(name)
    (tmp_path / "5.png").write_bytes(b"no image")
    assert mostly_photographs([*names, tmp_path / "5.png"])
    assert not mostly_photographs(names[2:])
    assert not mostly_photographs([])


@pytest.mark.skipif(not REAL.is_dir(), reason="needs ../shared/data")
def test_most_photographs_of_animals_are_recognized():
    assert mostly_photographs(sorted(REAL.glob("*/*")))


class Version:
    """A published model that takes everything for a 3."""

    read_image = staticmethod(read_image_bytes)

    def call(self, image_bytes):
        count = len(image_bytes)
        return {
            "label": [b"3"] * count,
            "classes": [[b"3"]] * count,
            "probabilities": np.ones((count, 1)),
        }


def test_the_character_recipe_asks_about_photographs(tmp_path, capsys):
    from dlrecipes.data.digits import read_digits
    from dlrecipes.recipe import registry

    for part, make in (("photos", natural), ("scans", lambda: stroke(WHITE, BLUE, 0.3))):
        for name in ("a", "b"):
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(10):
                make().save(tmp_path / part / name / f"{number}.png")
    notes = {part: [] for part in ("photos", "scans")}
    for part, own in notes.items():
        read_digits(tmp_path / part, 0, own.append)
    command = f"Did you mean: dlrecipes run image_classification --data {tmp_path / 'photos'}"
    assert any(note.endswith(command) for note in notes["photos"])
    assert not any("image_classification" in note for note in notes["scans"])

    source = registry.find("digit_recognition")
    recipe = source.recipe()(source.config()(), source.name)
    for part, asked in (("scans", 0), ("photos", 1)):
        names = [str(tmp_path / part / "a" / f"{number}.png") for number in range(2)]
        assert [one["label"] for one in recipe.predict(Version(), names)] == ["3", "3"]
        # Once, however many images there are.
        assert capsys.readouterr().err.count("Did you mean image_classification?") == asked
