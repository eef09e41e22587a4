"""Cross-validates settings of facenet for few people.

\b
    dlrecipes run facenet
    python benchmarks/people.py run FOLDER [CANDIDATE ...] [--seed 0 --seed 1] [--fold 6]
    python benchmarks/people.py table

FOLDER holds one folder of images per person, or folders `train`, `valid` and `test` of such
folders, which are joined. In the natural order of their names, the people are divided into six
folds. Each fold in turn is excluded from training and scored. Scores are added to
benchmarks/people.csv. Runs that it already holds are skipped, so that an interrupted comparison
resumes: move it away before you use other people or another built-in model. `table` prints the
table of facenet's README from that file.

Members of an ensemble are trained independently. One training therefore scores smaller ensembles,
which consist of some of its members, as well.
"""

from __future__ import annotations

import contextlib
import csv
import io
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from dlrecipes._utils.wording import counted
from dlrecipes.data import image_folders
from dlrecipes.data.folder_entries import natural
from dlrecipes.errors import DataError, RecipeError

FOLDS = 6
CSV = Path(__file__).resolve().with_suffix(".csv")
COLUMNS = ("candidate", "fold", "seed", "eer", "rank1", "pixels.eer", "cpu_seconds")
# Embedding units of each new member of an ensemble.
UNITS = 32
COMMON = {
    "mining": "batch_hard",
    "metric": "euclidean",
    "margin": 1.0,
    "batch_size": 32,
    "learning_rate": 1e-3,
    "precision": "mixed_bfloat16",
    "dropout": 0.2,
    "random_erasing": 0.3,
    "shift": 3.0,
    "rotation": 8.0,
    "zoom": 0.2,
    "warp": 1.2,
    "glasses": 0.3,
}
FINE_TUNING = {"epochs": 16}
# Each member begins with the built-in model, and keeps its 128 embedding units.
PAIR = {**FINE_TUNING, "normalization": "both", "ensemble_size": 2, "embedding_units": 256}
ENSEMBLE = {"epochs": 32, "normalization": "both", "ensemble_size": 4, "embedding_units": 4 * UNITS}


@dataclass(frozen=True)
class Candidate:
    """Settings to train with.

    Args:
        settings: Settings, besides those of `COMMON`.
        members: Members of which each scored network or ensemble consists, by its label in the
            table. The first has all members.
        fine_tuned: Whether training begins with the built-in model. Defaults to `True`.
    """

    settings: Mapping[str, Any]
    members: Mapping[str, tuple[int, ...]]
    fine_tuned: bool = True


def without(what: str, **settings: Any) -> Candidate:
    """Returns a fine-tuned network that lacks something."""
    return Candidate({**FINE_TUNING, **settings}, {f"fine-tuned, without {what}": (0,)})


CANDIDATES = {
    "pair": Candidate(
        PAIR,
        {
            "two fine-tuned networks, both views": (0, 1),
            "one of them, contrast": (0,),
            "one of them, local contrast": (1,),
        },
    ),
    "fine-tuned": Candidate(FINE_TUNING, {"fine-tuned built-in model": (0,)}),
    "no-warps": without("warps", warp=0.0),
    "no-glasses": without("glasses", glasses=0.0),
    "no-erasing": without("erasing", random_erasing=0.0),
    "no-zoom": without("changes of size", zoom=0.0),
    "scratch": Candidate(
        FINE_TUNING, {"the same network, from new weights": (0,)}, fine_tuned=False
    ),
    # With `--normalization both`, members 0 and 2 see contrast, members 1 and 3 local contrast.
    "ensemble": Candidate(
        ENSEMBLE,
        {
            "four new networks, both views": (0, 1, 2, 3),
            "two new networks, both views": (0, 1),
            "two new networks, contrast": (0, 2),
            "two new networks, local contrast": (1, 3),
            "one new network, contrast": (0,),
            "one new network, local contrast": (1,),
        },
        fine_tuned=False,
    ),
}


@click.group(help=__doc__)
def main() -> None:
    """Compare settings of facenet for few people."""


@main.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("candidates", nargs=-1, type=click.Choice(list(CANDIDATES)))
@click.option("--seed", "seeds", multiple=True, type=int, default=(0,), show_default=True)
@click.option(
    "--fold",
    "folds",
    multiple=True,
    type=click.IntRange(1, FOLDS),
    default=tuple(range(1, FOLDS + 1)),
    show_default=True,
)
@click.option(
    "--start",
    default="saved_models/facenet/1",
    show_default=True,
    help="Folder of the built-in model that is fine-tuned.",
)
def run(
    folder: Path,
    candidates: Sequence[str],
    seeds: Sequence[int],
    folds: Sequence[int],
    start: str,
) -> None:
    """Train candidates, score people who were excluded, and add the scores to people.csv."""
    try:
        people = people_of(folder)
        for name in candidates or CANDIDATES:
            for seed in seeds:
                for fold in folds:
                    measure(CANDIDATES[name], people, fold, seed, start)
    except RecipeError as error:
        raise click.ClickException(str(error)) from error


@main.command("table")
def print_table() -> None:
    """Print the mean and the range of each candidate's scores."""
    click.echo(table(read()))


def people_of(folder: Path) -> list[Path]:
    """Returns the folders of all people, in the natural order of their names."""
    folders = list(image_folders.parts(folder).values()) or [folder]
    # The same name in two folders is the same person.
    people = {path.name: path for part in folders for path in part.iterdir() if path.is_dir()}
    if len(people) < 2 * FOLDS:
        raise DataError(f"{folder}: expected at least {2 * FOLDS} people, got {len(people)}.")
    return [people[name] for name in sorted(people, key=natural)]


def measure(candidate: Candidate, people: Sequence[Path], fold: int, seed: int, start: str) -> None:
    """Trains a candidate without the people of a fold, scores them, and adds rows to people.csv.

    Args:
        candidate: The candidate.
        people: Folders of all people.
        fold: Fold to exclude, from 1.
        seed: Seed of the training.
        start: Folder of the built-in model.
    """
    labels = list(candidate.members)
    key = {"candidate": labels[0], "fold": str(fold), "seed": str(seed)}
    if any(key.items() <= row.items() for row in read()):
        click.echo(f"{labels[0]}, fold {fold}, seed {seed}: already in {CSV.name}")
        return
    first, last = (round(len(people) * k / FOLDS) for k in (fold - 1, fold))
    unseen = people[first:last]
    seen = [person for person in people if person not in unseen]
    begun = time.process_time()
    settings = {**COMMON, **candidate.settings, "seed": seed}
    if candidate.fine_tuned:
        settings["start"] = start
    scores, pixels = score(seen, unseen, settings, candidate.members)
    seconds = time.process_time() - begun
    rows = [
        {
            **key,
            "candidate": label,
            **{name: f"{value:.4f}" for name, value in scores[label].items()},
            "pixels.eer": f"{pixels:.4f}",
            # Smaller ensembles are not trained on their own.
            "cpu_seconds": f"{seconds:.0f}" if label == labels[0] else "",
        }
        for label in labels
    ]
    is_new = not CSV.exists()
    with CSV.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        click.echo(", ".join(f"{name} {value}" for name, value in row.items() if value))


def score(
    seen: Sequence[Path],
    unseen: Sequence[Path],
    settings: Mapping[str, Any],
    members: Mapping[str, tuple[int, ...]],
) -> tuple[dict[str, dict[str, float]], float]:
    """Trains on some people and scores others.

    Args:
        seen: Folders of the people to train on.
        unseen: Folders of the people to score.
        settings: Settings of the training.
        members: Members of which each scored network or ensemble consists, by label.

    Returns:
        Equal error rate and rank-1 accuracy by label, and the equal error rate of the images
        themselves.
    """
    from dlrecipes._utils.quiet import load_tensorflow

    load_tensorflow()
    import keras
    import tensorflow as tf

    from dlrecipes import runner
    from dlrecipes.metrics.embeddings import embedding_scores
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
        task = source.make(source.config().parse({**settings, "data": str(data)}))
        run_folder = Path(place) / "run"
        run_folder.mkdir()
        with contextlib.redirect_stdout(io.StringIO()):
            model, splits, _, metrics = runner.train(task, run_folder, parts=("validation",))
    examples = splits.validation
    images = tf.cast(examples.images, tf.float32) / 255
    embed = source._module("networks").embed
    embeddings = embed(model, images, task.config.mirror).numpy()
    # An ensemble concatenates the embeddings of its members.
    by_member = embeddings.reshape(len(examples), task.config.ensemble_size, -1)
    scores = {}
    for label, part in members.items():
        chosen = by_member[:, list(part)].reshape(len(examples), -1)
        chosen = tf.math.l2_normalize(chosen, axis=-1).numpy()
        every = embedding_scores(chosen, examples.labels, task.config.seed)
        scores[label] = {name: every[name] for name in ("eer", "rank1")}
    return scores, metrics["validation"]["pixels"]["eer"]


def read() -> list[dict[str, str]]:
    """Returns the rows of people.csv, none if there is no such file."""
    if not CSV.exists():
        return []
    with CSV.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Returns a Markdown table with the mean and the range of the scores.

    Args:
        rows: Rows of people.csv. Seeds that do not have all folds yet are left out.
    """
    lines = [
        "| candidate | equal error rate | rank 1 | runs | CPU seconds per run |",
        "| --- | --- | --- | --- | --- |",
    ]
    done = Counter((row["candidate"], row["seed"]) for row in rows)
    rows = [row for row in rows if done[row["candidate"], row["seed"]] == FOLDS]
    if not rows:
        raise click.ClickException("Expected all folds of a candidate and a seed: run them first.")
    for label in dict.fromkeys(row["candidate"] for row in rows):
        own = [row for row in rows if row["candidate"] == label]
        times = [float(row["cpu_seconds"]) for row in own if row["cpu_seconds"]]
        cells = [
            label,
            *(_percent([float(row[name]) for row in own]) for name in ("eer", "rank1")),
            f"{FOLDS} folds, {counted(len(own) // FOLDS, 'seed')}",
            f"{statistics.mean(times):.0f}" if times else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    # They do not depend on the seed.
    pixels = {row["fold"]: float(row["pixels.eer"]) for row in rows}
    lines.append(f"| the images themselves | {_percent(list(pixels.values()))} |  |  |  |")
    return "\n".join(lines)


def _percent(values: Sequence[float]) -> str:
    mean, least, most = (f"{100 * f(values):.1f}" for f in (statistics.mean, min, max))
    return f"{mean} % ({least} to {most})"


if __name__ == "__main__":
    main()
