"""Chooses facenet's settings for a few people by cross-validation over people.

    python benchmarks/people.py FOLDER [CANDIDATE ...]

FOLDER holds folders `train`, `validation` and `test`, each of one folder of pictures a person.
The people of `train` and `validation` are parted in five: each fifth in turn is unseen in
training and scored. Those of `test` are never read.
"""

from __future__ import annotations

import contextlib
import io
import re
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

FOLDS = 5
COMMON = {"epochs": 32, "mining": "batch_hard", "metric": "euclidean", "margin": 1.0}
VARIED = {"warp": 1.2, "glasses": 0.3}
CANDIDATES: dict[str, dict[str, Any]] = {
    "both views, two members, warps and glasses": {**VARIED, "view": "both", "members": 2},
    "both views, four members, warps and glasses": {**VARIED, "view": "both", "members": 4},
    "local contrast, warps and glasses": {**VARIED, "view": "local_contrast"},
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
    """Score candidates on people of FOLDER that their training has not seen."""
    there = [one for part in ("train", "validation") for one in (folder / part).iterdir()]
    people = sorted(there, key=lambda one: [int(x) for x in re.findall(r"\d+", one.name)])
    for name in candidates or CANDIDATES:
        found = []
        for fold in range(FOLDS):
            size = len(people) // FOLDS
            unseen = people[fold * size : (fold + 1) * size]
            seen = [one for one in people if one not in unseen]
            found.append(score(seen, unseen, {**COMMON, **CANDIDATES[name], "seed": seed}))
            told = f"{name}, fold {fold + 1} of {FOLDS}"
            click.echo(f"{told}: " + ", ".join(f"{key} {x:.4f}" for key, x in found[-1].items()))
        means = {key: statistics.mean(one[key] for one in found) for key in found[0]}
        click.echo(f"{name}: " + ", ".join(f"{key} {x:.4f}" for key, x in means.items()))


def score(
    seen: Sequence[Path], unseen: Sequence[Path], settings: Mapping[str, Any]
) -> dict[str, float]:
    """Returns rank 1 and equal error rate of unseen people, after training on others."""
    from dlrecipes.quiet import load_tensorflow

    load_tensorflow()
    import keras

    from dlrecipes import runner
    from dlrecipes.registry import find

    keras.backend.clear_session()
    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "people"
        # The parts that are scored may be the same; no choice is made by them in training.
        for part, people in (("train", seen), ("validation", unseen), ("test", unseen)):
            (data / part).mkdir(parents=True)
            for one in people:
                (data / part / one.name).symlink_to(one.resolve())
        source = find("facenet")
        task = source.recipe()(source.config().parse({**settings, "data": str(data)}), "facenet")
        run = Path(place) / "run"
        run.mkdir()
        with contextlib.redirect_stdout(io.StringIO()):
            metrics = runner.train(task, run, parts=("validation",))[3]["validation"]
    return {name: metrics[name] for name in ("rank1", "eer")}


if __name__ == "__main__":
    main()
