"""Measures how confidently the published digit recogniser reads images of the published DCGAN.

\b
    dlrecipes run digit_recognition
    dlrecipes run dcgan
    python benchmarks/read_digits.py
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

CONFIDENT, BATCH = 0.9, 100


@click.command(help=__doc__)
@click.option("--models", type=click.Path(path_type=Path), default=Path("saved_models"))
@click.option("--count", type=click.IntRange(1), default=1000)
def main(models: Path, count: int) -> None:
    """Generates images with seeds from 0, classifies them, and prints the results."""
    from dlrecipes._utils.quiet import load_tensorflow

    load_tensorflow()
    import tensorflow as tf

    from dlrecipes.export.version import find_version

    generate = find_version(models, "dcgan").function()
    classify = find_version(models, "digit_recognition").function("images")
    conditional = "label" in generate.structured_input_signature[1]
    outputs = []
    for seed in range(-(-count // BATCH)):
        request = {"seed": tf.constant([seed]), "count": tf.constant([BATCH])}
        if conditional:
            request["label"] = tf.constant([-1])
        outputs.append(classify(images=generate(**request)["images"]))
    probabilities = np.concatenate([output["probabilities"].numpy() for output in outputs])[:count]
    names = [name.decode() for name in outputs[0]["classes"].numpy()[0]]
    predicted, confident = probabilities.argmax(axis=1), probabilities.max(axis=1) >= CONFIDENT
    counts = np.bincount(predicted[confident], minlength=len(names))
    each = ", ".join(f"{name} {number}" for name, number in zip(names, counts, strict=True))
    print(f"{count} samples: {confident.mean():.1%} read with at least {CONFIDENT:.0%} confidence")
    print(f"confident predictions by class: {each}")
    if conditional:
        labels = np.tile(np.arange(BATCH) % len(names), len(outputs))[:count]
        print(f"read as the class they were conditioned on: {np.mean(predicted == labels):.1%}")


if __name__ == "__main__":
    main()
