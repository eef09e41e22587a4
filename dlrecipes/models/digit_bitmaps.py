"""Bitmaps of the ten digits, 7x12 pixels, which LeNet-5's output units compare with."""

import numpy as np

HEIGHT, WIDTH = 12, 7
DIGITS = (
    """
    .......  .......  .......  .......  .......
    ..###..  ...#...  ..###..  .#####.  ....##.
    .##.##.  ..##...  .#...#.  .....#.  ...###.
    ##...##  .###...  ##...##  ....##.  ...#.#.
    ##...##  ...#...  .....##  ...##..  ..##.#.
    ##...##  ...#...  ....##.  ..###..  ..#..#.
    ##...##  ...#...  ...##..  ....##.  .##..#.
    ##...##  ...#...  ..##...  .....##  .#...#.
    ##...##  ...#...  .##....  .....##  #######
    .##.##.  ...#...  ##.....  ##..##.  .....#.
    ..###..  .#####.  #######  .####..  .....#.
    .......  .......  .......  .......  .......
    """,
    """
    .......  .......  .......  .......  .......
    ######.  ...###.  #######  ..###..  ..###..
    #......  ..##...  ##...##  .#...#.  .#...#.
    #......  .##....  .....#.  ##...##  ##...##
    #####..  ##.....  ....##.  .##.##.  ##...##
    ....##.  ##.###.  ....#..  ..###..  .##..##
    .....##  ###..##  ...##..  .#####.  ..###.#
    .....##  ##...##  ...#...  ##...##  .....##
    #....##  ##...##  ..##...  ##...##  ....##.
    ##..##.  .##.##.  ..#....  .##.##.  ...##..
    .####..  ..###..  ..#....  ..###..  .###...
    .......  .......  .......  .......  .......
    """,
)


def digit_bitmaps() -> np.ndarray:
    """Returns bitmaps of the digits 0 to 9, the prototypes of `RBFOutput`.

    Returns:
        An array of shape `(10, 84)`: 12 rows of 7 pixels per digit, concatenated, with ink as 1
        and paper as -1.

    Example:

    >>> from dlrecipes.models.digit_bitmaps import digit_bitmaps
    >>> digit_one = digit_bitmaps()[1].reshape(12, 7)
    >>> digit_one[3].tolist()
    [-1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0]
    """
    digits = []
    for text in DIGITS:
        rows = [line.split() for line in text.split("\n") if line.strip()]
        digits += ["".join(digit) for digit in zip(*rows, strict=True)]
    return np.array([[1.0 if pixel == "#" else -1.0 for pixel in digit] for digit in digits])
