"""How surely the published digit recogniser reads what the published DCGAN draws.

dlrecipes run digit_recognition
dlrecipes run dcgan
python benchmarks/read_digits.py
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

SURE, AT_ONCE = 0.9, 100


@click.command(help=__doc__)
@click.option("--models", type=click.Path(path_type=Path), default=Path("saved_models"))
@click.option("--count", type=click.IntRange(1), default=1000)
def main(models: Path, count: int) -> None:
    """Draws with seeds from 0, reads, and prints."""
    from dlrecipes._utils.quiet import load_tensorflow

    load_tensorflow()
    import tensorflow as tf

    from dlrecipes.export.version import find_version

    draw = find_version(models, "dcgan").function()
    read = find_version(models, "digit_recognition").function("images")
    told = draw.structured_input_signature[1]
    found = []
    for seed in range(-(-count // AT_ONCE)):
        request = {"seed": tf.constant([seed]), "count": tf.constant([AT_ONCE])}
        if "label" in told:
            request["label"] = tf.constant([-1])
        found.append(read(images=draw(**request)["images"]))
    chances = np.concatenate([one["probabilities"].numpy() for one in found])[:count]
    names = [name.decode() for name in found[0]["classes"].numpy()[0]]
    sure = chances.max(axis=1) >= SURE
    counts = np.bincount(chances.argmax(axis=1)[sure], minlength=len(names))
    each = ", ".join(f"{name} {number}" for name, number in zip(names, counts, strict=True))
    print(f"{count} samples: {sure.mean():.1%} read with at least {SURE:.0%} confidence")
    print(f"of those: {each}")
    if "label" in told:
        wanted = np.tile(np.arange(AT_ONCE) % len(names), len(found))[:count]
        print(f"read as the class that was told: {np.mean(chances.argmax(axis=1) == wanted):.1%}")


if __name__ == "__main__":
    main()
