"""Breeds of cats and dogs: the ranges of their proportions."""

from __future__ import annotations

from dlrecipes.data.generated.cats_dogs.bodies import Body
from dlrecipes.data.generated.cats_dogs.heads import Head
from dlrecipes.data.generated.chance import Chance

# Breed: weight, ears, ear length, ear width, muzzle, its width, eye, hair (0 short, 1 long).
CATS = {
    "shorthair": (5.0, "pointed", 0.76, 0.48, 0.02, 1.0, 0.215, 0.15),
    "longhair": (2.5, "pointed", 0.72, 0.48, 0.04, 1.1, 0.21, 0.9),
    "oriental": (2.0, "pointed", 0.95, 0.54, 0.14, 0.85, 0.20, 0.0),
    "persian": (1.2, "pointed", 0.56, 0.44, -0.10, 1.15, 0.235, 1.0),
    "scottish fold": (0.4, "folded", 0.4, 0.36, -0.02, 1.1, 0.235, 0.4),
}
DOGS = {
    "retriever": (3.0, "floppy", 1.0, 0.42, 0.72, 1.1, 0.14, 0.3),
    "hound": (2.5, "floppy", 1.25, 0.46, 0.82, 1.05, 0.14, 0.05),
    "spaniel": (2.0, "floppy", 1.3, 0.5, 0.65, 1.05, 0.15, 0.7),
    "shepherd": (1.0, "pointed", 0.85, 0.32, 0.85, 1.0, 0.13, 0.4),
    "terrier": (1.6, "folded", 0.6, 0.34, 0.65, 1.15, 0.14, 0.5),
    "bulldog": (1.0, "folded", 0.5, 0.34, 0.32, 1.4, 0.16, 0.0),
    "spitz": (0.6, "pointed", 0.58, 0.3, 0.6, 0.95, 0.14, 0.9),
}


def cat(chance: Chance) -> tuple[Head, Body, float, float]:
    """Returns a cat's head and body, the size of its head and the length of its hair."""
    breed = chance.weighted({name: row[0] for name, row in CATS.items()})
    hair = _hair(chance, CATS[breed][-1])
    slim = breed == "oriental"
    body = Body(
        legs=chance.about(0.40 if slim else 0.34, 0.03),
        girth=chance.about(0.19 if slim else 0.235, 0.02),
        limb=chance.about(0.06, 0.006),
        neck=chance.about(0.16 if slim else 0.10, 0.02),
        tail=chance.about(0.85, 0.08),
        tail_radius=chance.about(0.05, 0.006) * (1 + 0.9 * hair),
        tail_form=chance.weighted({"up": 3.0, "low": 2.0}),
    )
    return _head(chance, CATS[breed]), body, chance.about(0.36, 0.02), hair


def dog(chance: Chance) -> tuple[Head, Body, float, float]:
    """Returns a dog's head and body, the size of its head and the length of its hair."""
    breed = chance.weighted({name: row[0] for name, row in DOGS.items()})
    hair = _hair(chance, DOGS[breed][-1])
    long_legs = chance.about(0.48, 0.05) if breed != "bulldog" else 0.32
    if chance.happens(0.12):
        long_legs = chance.about(0.22, 0.02)
    forms = {"up": 2.0, "curled": 1.0, "low": 2.0, "stub": 0.6}
    body = Body(
        legs=long_legs,
        girth=chance.about(0.235, 0.02),
        limb=chance.about(0.065, 0.006),
        neck=chance.about(0.17, 0.025),
        tail=chance.about(0.6, 0.07),
        tail_radius=chance.about(0.045, 0.006) * (1 + 0.9 * hair),
        tail_form="curled" if breed == "spitz" else chance.weighted(forms),
    )
    return _head(chance, DOGS[breed]), body, chance.about(0.335, 0.018), hair


def _hair(chance: Chance, usual: float) -> float:
    return min(1.0, max(0.0, chance.about(usual, 0.1)))


def _head(chance: Chance, row) -> Head:
    _, ears, length, width, muzzle, wide, eye, hair = row
    return Head(
        ears=ears,
        ear_length=length * chance.about(1.0, 0.08),
        ear_width=width * chance.about(1.0, 0.07),
        muzzle=muzzle + chance.about(0.0, 0.04),
        wide=wide * chance.about(1.0, 0.06),
        eye=eye * chance.about(1.0, 0.06),
        cheeks=1.0 + 0.35 * hair * chance.between(0.6, 1.2),
    )
