"""Tagging schemes for spans, such as BIO, IOB1, IOBES and BMES, and conversion to BIO."""

import itertools
import re
from collections.abc import Iterable, Sequence

# Prefixes of each scheme: begin, inside, last, single; BIOS has no last, BIOE and BMEO no single.
SCHEMES = {
    "BIO": "BI",
    "IOB1": "BI",
    "IOBES": "BIES",
    "BILOU": "BILU",
    "BMES": "BMES",
    "BMEWO": "BMEW",
    "BIOS": "BIS",
    "BIOE": "BIE",
    "BMEO": "BME",
}
_OPEN_ENDED = ("BIO", "IOB1", "BIOS")
_SINGLE = "SUW"
TAG = re.compile(r"O|[BIESLUMW]-.+")
# Tags of data with a single, unnamed slot.
BARE = frozenset("BIESLUMWO")


class TagError(ValueError):
    """A tag that its scheme does not allow at its position.

    Args:
        position: Index of the tag in its sequence, from 0.
        message: Description of the mistake.
    """

    def __init__(self, position: int, message: str):
        super().__init__(message)
        self.position = position


def detect_scheme(sequences: Iterable[Sequence[str]]) -> str:
    """Returns the tagging scheme of a dataset.

    Any `W-` means BMEWO, any `M-` BMES, any other `E-` or `S-` IOBES, and any `L-` or `U-` BILOU.
    Some data lack a prefix: with `S-` next to `B-` or `I-`, but no `E-`, the scheme is BIOS; with
    `E-`, but no `S-`, and a `B-` that stands alone, it is BMEO or BIOE. Otherwise it is IOB1 if
    some span starts with `I-` and every `B-` directly follows a span of its slot, else BIO.
    Noisy BIO may be detected as IOB1, without consequence: `to_bio` finds the same spans.

    Args:
        sequences: Tag sequences of all sentences, of all splits together.

    Returns:
        One of `SCHEMES`.

    Example:

    >>> from dlrecipes.data.tag_schemes import detect_scheme
    >>> detect_scheme([["B-city", "E-city", "O"]]), detect_scheme([["O", "I-city", "B-city"]])
    ('IOBES', 'IOB1')

    Reference:
        Ramshaw and Marcus, 1995, "Text chunking using transformation-based learning" (IOB1),
        https://arxiv.org/abs/cmp-lg/9505040; Tjong Kim Sang and Veenstra, 1999, "Representing
        text chunks", https://arxiv.org/abs/cs/9907006.
    """
    prefixes = set()
    starts_with_i, b_elsewhere, b_alone = False, False, False
    for tags in sequences:
        last = ""
        for tag, following in itertools.zip_longest(tags, tags[1:], fillvalue="O"):
            prefix, _, slot = tag.partition("-")
            prefixes.add(prefix)
            b_alone |= prefix == "B" and following not in {f"{p}-{slot}" for p in "IMEL"}
            starts_with_i |= prefix == "I" and slot != last
            b_elsewhere |= prefix == "B" and slot != last
            last = slot
    if "E" in prefixes and b_alone and not prefixes & {"S", "W"}:
        return "BMEO" if "M" in prefixes else "BIOE"
    if prefixes & {"W", "M"}:
        return "BMEWO" if "W" in prefixes else "BMES"
    if "S" in prefixes and "E" not in prefixes and prefixes & {"B", "I"}:
        return "BIOS"
    if prefixes & {"E", "S"}:
        return "IOBES"
    if prefixes & {"L", "U"}:
        return "BILOU"
    return "IOB1" if starts_with_i and not b_elsewhere else "BIO"


def to_bio(tags: Sequence[str], scheme: str) -> tuple[str, ...]:
    """Returns the BIO tags of the same spans.

    In BIO, IOB1 and BIOS, an `I-` that does not continue a span opens one, as in conlleval.

    Args:
        tags: Tags of one sentence.
        scheme: One of `SCHEMES`.

    Raises:
        ValueError: If the scheme is unknown, a tag does not belong to it, or, except in BIO, IOB1
            and BIOS, a span is not opened or not closed.

    Example:

    >>> from dlrecipes.data.tag_schemes import to_bio
    >>> to_bio(["S-day", "B-city", "E-city", "O"], "IOBES")
    ('B-day', 'B-city', 'I-city', 'O')
    >>> to_bio(["I-city", "I-city", "B-city", "O"], "IOB1")
    ('B-city', 'I-city', 'B-city', 'O')

    Reference:
        Tjong Kim Sang and Veenstra, 1999, "Representing text chunks",
        https://arxiv.org/abs/cs/9907006; Ratinov and Roth, 2009, "Design challenges and
        misconceptions in named entity recognition" (BILOU).
    """
    check_tags(tags, scheme)
    if scheme not in _OPEN_ENDED:
        prefixes = SCHEMES[scheme]
        _check_closed(tags, prefixes[1], prefixes[2], lone=len(prefixes) == 3)
    result, previous = [], ""
    for tag in tags:
        prefix, _, slot = tag.partition("-")
        opens = prefix == "B" or prefix in _SINGLE or slot != previous
        result.append(tag if tag == "O" else f"{'B' if opens else 'I'}-{slot}")
        previous = "" if prefix in _SINGLE else slot
    return tuple(result)


def tag_constraints(tag_names: Sequence[str], scheme: str) -> dict[str, list]:
    """Returns the tags that a scheme does not allow to follow one another, begin or end a sequence.

    They are the arguments of `layers.LinearChainCRF`. Exactly those sequences are allowed that
    tags of spans can form. A span of one word is `S-` (or `U-`, `W-`) in schemes that have it,
    else `B-`, or `I-` in IOB1.

    Args:
        tag_names: Tags in the order of their ids.
        scheme: One of `SCHEMES`, such as `"BIO"` or `"IOBES"`.

    Returns:
        `forbidden`, pairs `(from, to)` of ids; `forbidden_start` and `forbidden_end`, ids.

    Raises:
        ValueError: If the scheme is unknown, or a tag does not belong to it.

    Example:

    >>> from dlrecipes.data.tag_schemes import tag_constraints
    >>> from dlrecipes.layers import LinearChainCRF
    >>> rules = tag_constraints(["O", "B-city", "I-city"], "BIO")
    >>> rules
    {'forbidden': [(0, 2)], 'forbidden_start': [2], 'forbidden_end': []}
    >>> crf = LinearChainCRF(3, **rules)
    """
    check_tags(tag_names, scheme)
    numbers = range(len(tag_names))
    pairs = itertools.product(numbers, numbers)
    return {
        "forbidden": [
            (a, b) for a, b in pairs if not _may_follow(tag_names[a], tag_names[b], scheme)
        ],
        "forbidden_start": [b for b in numbers if not _may_follow("O", tag_names[b], scheme)],
        "forbidden_end": [a for a in numbers if not _may_follow(tag_names[a], "O", scheme)],
    }


def check_tags(tags: Sequence[str], scheme: str) -> None:
    """Refuses an unknown scheme, and tags that do not belong to it.

    Args:
        tags: Tags.
        scheme: One of `SCHEMES`.

    Raises:
        ValueError: If the scheme is unknown.
        TagError: If a tag does not belong to it.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"scheme must be one of {', '.join(SCHEMES)}, not {scheme!r}.")
    for position, tag in enumerate(tags):
        if not TAG.fullmatch(tag) or (tag != "O" and tag[0] not in SCHEMES[scheme]):
            raise TagError(position, f"the tag {tag!r} is not a tag of {scheme}")


def _may_follow(before: str, tag: str, scheme: str) -> bool:
    """Returns whether a tag may follow another one; `O` also stands for the ends of a sentence."""
    begin, inside, *closing = list(SCHEMES[scheme])
    single = [prefix for prefix in closing if prefix in _SINGLE]
    last = [prefix for prefix in closing if prefix not in _SINGLE]
    same_slot = before[1:] == tag[1:] and tag != "O"
    is_open = before[0] in (begin, inside)
    if scheme == "IOB1":
        # B- only separates two spans of one slot.
        return tag[0] != begin or (same_slot and is_open)
    if same_slot and is_open and tag[0] in (inside, *last):
        return True
    # B- or I- must be continued, unless it may be a whole span or its end.
    is_unfinished = (before[0] == begin and single) or (before[0] == inside and last)
    return not is_unfinished and tag[0] not in (inside, *last)


def _check_closed(tags: Sequence[str], inside: str, last: str, lone: bool) -> None:
    """Raises an error for a span that is not opened or not closed; with `lone`, `B-` may be one."""
    slot_open = ""
    for position, tag in enumerate((*tags, "O")):
        prefix, _, slot = tag.partition("-")
        continues = prefix in (inside, last)
        is_lone = lone and position and tags[position - 1].startswith("B-")
        if slot_open and not is_lone and not (continues and slot == slot_open):
            message = f"the span of {tags[position - 1]!r} ends without {last}-{slot_open}"
            raise TagError(position - 1, message)
        if continues and slot != slot_open:
            raise TagError(
                position, f"the tag {tag!r} does not continue a span: B-{slot} is missing"
            )
        slot_open = slot if prefix in ("B", inside) else ""
