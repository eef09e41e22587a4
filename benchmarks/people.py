"""Compares settings of facenet for small datasets by cross-validation over people.

    python benchmarks/people.py FOLDER [CANDIDATE ...]

FOLDER holds the folders `train` and `valid` (and `test`), each with one folder of images per
person, as for `dlrecipes run facenet --data FOLDER`. The people of `train` and `valid` are divided
into five folds. Each fold in turn is excluded from training and scored. People in `test` are never
read.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from dlrecipes.data import image_folders
from dlrecipes.data.folder_entries import natural
from dlrecipes.errors import DataError, RecipeError

FOLDS = 5
COMMON = {
    "epochs": 32,
    "mining": "batch_hard",
    "metric": "euclidean",
    "margin": 1.0,
    "batch_size": 32,
    "learning_rate": 1e-3,
    "dropout": 0.2,
    "random_erasing": 0.3,
    "shift": 3.0,
    "rotation": 8.0,
    "zoom": 0.2,
}
VARIED = {"warp": 1.2, "glasses": 0.3}
CANDIDATES: dict[str, dict[str, Any]] = {
    "both views, two members, warps and glasses": {
        **VARIED,
        "normalization": "both",
        "ensemble_size": 2,
    },
    "both views, four members, warps and glasses": {
        **VARIED,
        "normalization": "both",
        "ensemble_size": 4,
    },
    "local contrast, warps and glasses": {**VARIED, "normalization": "local_contrast"},
    "contrast, warps and glasses": VARIED,
    "batch-hard": {},
    "batch-hard, sizes as they are": {"zoom": 0.0},
    "batch-hard, mean over the places": {"pooling": "average"},
    "batch-all": {"mining": "batch_all_nonzero"},
    "semi-hard": {"mining": "semi_hard", "metric": "squared_euclidean", "margin": 0.2},
}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("candidates", nargs=-1, type=click.Choice(list(CANDIDATES)))
@click.option("--seed", default=0, show_default=True)
def main(folder: Path, candidates: Sequence[str], seed: int) -> None:
    """Score candidates on people of FOLDER that were excluded from training."""
    try:
        people = people_of(folder)
        for name in candidates or CANDIDATES:
            compare(name, people, seed)
    except RecipeError as error:
        raise click.ClickException(str(error)) from error


def people_of(folder: Path) -> list[Path]:
    """Returns the folders of the people in `train` and `valid`."""
    parts = image_folders.parts(folder)
    folders = [parts[part] for part in ("train", "validation") if part in parts]
    # The same name in both folders is the same person.
    people = {path.name: path for part in folders for path in part.iterdir() if path.is_dir()}
    if len(people) < 2 * FOLDS:
        raise DataError(
            f"{folder}: expected at least {2 * FOLDS} people in train and valid, got {len(people)}."
        )
    return [people[name] for name in sorted(people, key=natural)]


def compare(name: str, people: Sequence[Path], seed: int) -> None:
    """Prints the scores of a candidate for each fold, and their means."""
    rows = []
    for fold in range(FOLDS):
        first, last = (round(len(people) * k / FOLDS) for k in (fold, fold + 1))
        unseen = people[first:last]
        seen = [person for person in people if person not in unseen]
        rows.append(score(seen, unseen, {**COMMON, **CANDIDATES[name], "seed": seed}))
        label = f"{name}, fold {fold + 1} of {FOLDS}"
        click.echo(f"{label}: " + ", ".join(f"{key} {x:.4f}" for key, x in rows[-1].items()))
    means = {key: statistics.mean(row[key] for row in rows) for key in rows[0]}
    click.echo(f"{name}: " + ", ".join(f"{key} {x:.4f}" for key, x in means.items()))


def score(
    seen: Sequence[Path], unseen: Sequence[Path], settings: Mapping[str, Any]
) -> dict[str, float]:
    """Returns rank-1 accuracy and equal error rate for unseen people after training on others."""
    from dlrecipes._utils.quiet import load_tensorflow

    load_tensorflow()
    import keras

    from dlrecipes import runner
    from dlrecipes.recipe.registry import find

    keras.backend.clear_session()
    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "people"
        # The recipe requires a test part with other names. It is not scored here.
        for part, people, mark in (
            ("train", seen, ""),
            ("valid", unseen, ""),
            ("test", unseen, "_"),
        ):
            (data / part).mkdir(parents=True)
            for person in people:
                (data / part / f"{person.name}{mark}").symlink_to(person.resolve())
        source = find("facenet")
        task = source.recipe()(source.config().parse({**settings, "data": str(data)}), "facenet")
        run = Path(place) / "run"
        run.mkdir()
        with contextlib.redirect_stdout(io.StringIO()):
            metrics = runner.train(task, run, parts=("validation",))[3]["validation"]
    return {name: metrics[name] for name in ("rank1", "eer")}


if __name__ == "__main__":
    main()
