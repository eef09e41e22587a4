"""Constraints of tag schemes, against the tags of all sets of spans."""

import itertools

import pytest

from dlrecipes.data.tag_schemes import SCHEMES, TagError, tag_constraints

SLOTS = ("a", "b")
WORDS = 4


def all_spans(start=0):
    """Yields every list of spans `(slot, start, end)` of a sentence of WORDS words."""
    if start == WORDS:
        yield []
        return
    for rest in all_spans(start + 1):
        yield rest
    for end, slot in itertools.product(range(start + 1, WORDS + 1), SLOTS):
        for rest in all_spans(end):
            yield [(slot, start, end), *rest]


def encode(spans, scheme):
    """Returns the tags of spans, from the definition of the scheme."""
    begin, inside, last, single = {
        "BIO": "BIIB",
        "IOB1": "IIII",
        "IOBES": "BIES",
        "BILOU": "BILU",
        "BMES": "BMES",
        "BMEWO": "BMEW",
        "BIOS": "BIIS",
        "BIOE": "BIEB",
        "BMEO": "BMEB",
    }[scheme]
    tags = ["O"] * WORDS
    for slot, start, end in spans:
        tags[start] = f"{begin}-{slot}"
        for position in range(start + 1, end):
            tags[position] = f"{inside}-{slot}"
        tags[end - 1] = f"{single if end == start + 1 else last}-{slot}"
        # In IOB1, B- separates a span from one of the same slot before it.
        if scheme == "IOB1" and any(
            other == (slot, s, start) for other in spans for s in [other[1]]
        ):
            tags[start] = f"B-{slot}"
    return tuple(tags)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_exactly_the_tags_of_spans_are_allowed(scheme):
    names = ["O", *(f"{prefix}-{slot}" for prefix in SCHEMES[scheme] for slot in SLOTS)]
    rules = tag_constraints(names, scheme)
    allowed = {
        tuple(names[tag] for tag in path)
        for path in itertools.product(range(len(names)), repeat=WORDS)
        if path[0] not in rules["forbidden_start"]
        and path[-1] not in rules["forbidden_end"]
        and not set(itertools.pairwise(path)) & set(rules["forbidden"])
    }
    assert allowed == {encode(spans, scheme) for spans in all_spans()}


def test_tags_of_another_scheme_are_refused():
    with pytest.raises(TagError, match="'E-a' is not a tag of BIO"):
        tag_constraints(["O", "E-a"], "BIO")
    with pytest.raises(ValueError, match="scheme must be one of BIO"):
        tag_constraints(["O"], "IOB")
