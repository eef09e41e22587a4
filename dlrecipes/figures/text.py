"""Figures of text: tagged sentences."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dlrecipes.figures.charts import BLUE, ORANGE
from dlrecipes.figures.fonts import drawable, fit_fonts

# Longer sentences are shown after shorter ones.
SHORT = 18
# Width at which a sentence is cut, in tenths of an inch.
MAX_WIDTH = 140
# Space between words and around the text, in tenths of an inch, and sizes of the letters.
GAP, MARGIN = 0.9, 1.5
SIZE, TAG_SIZE, TITLE_SIZE = 9, 7, 11
# Distances below a word, in lines: of the predicted and the true tag's line, and of their texts.
LINES, BASELINES = (0.08, 0.64), (0.32, 0.57)

# Content, size and weight of a text.
_Text = tuple[str, float, str]


def tagged_sentences(
    tokens: Sequence[Sequence[str]],
    truth: Sequence[Sequence[str]],
    predicted: Sequence[Sequence[str]],
    most: int = 12,
    title: str = "",
) -> Figure:
    """Draws sentences with their predicted tags; a true tag stands below a wrong one.

    Up to half of the sentences are ones with a wrong tag, which come first.

    Args:
        tokens: Words of each sentence.
        truth: True tag of each word; `"O"` means no tag and is not written.
        predicted: Predicted tag of each word.
        most: Maximum number of sentences. Defaults to 12.
        title: Title of the figure. Defaults to the number of sentences with a wrong tag.

    Returns:
        Figure with one line of text per sentence. A character that no font has is written by its
        name.

    Example:

    >>> from dlrecipes.figures import tagged_sentences
    >>> figure = tagged_sentences([["to", "Rome"]], [["O", "B-to"]], [["O", "B-from"]])
    >>> [text.get_text() for text in figure.axes[0].texts if text.get_text()]
    ['to', 'Rome', 'B-from', 'B-to']
    """
    right = [list(tags) == list(guess) for tags, guess in zip(truth, predicted, strict=True)]
    wrong = right.count(False)
    # Short sentences fit the page.
    order = sorted(range(len(right)), key=lambda row: (right[row], len(tokens[row]) > SHORT))
    rows = order[: min(most // 2, wrong)]
    rows += order[wrong : wrong + most - len(rows)]
    title = (
        title or f"Test sentences: {wrong} of {len(right)} have a wrong tag (orange: the true tag)"
    )
    sentences = [_Sentence(tokens[row], truth[row], predicted[row]) for row in rows]
    texts = {text for sentence in sentences for text in sentence.texts()}
    widths = _widths({*texts, (title, TITLE_SIZE, "normal")})
    lines = [sentence.placed(widths) for sentence in sentences]
    ends = [end for sentence in lines for end in _ends(sentence, widths)]
    width = max(*ends, widths[title, TITLE_SIZE, "normal"]) + 2 * MARGIN
    height = 0.6 * len(rows) + 0.6
    figure = Figure(figsize=(0.1 * width, height))
    # The whole figure, so that a unit is a tenth of an inch.
    axis = figure.add_axes((0, 0, 1, 1 - 0.35 / height))
    axis.set(xlim=(-MARGIN, width - MARGIN), ylim=(-len(rows), 0.4))
    axis.set_title(title, fontsize=TITLE_SIZE)
    axis.axis("off")
    for y, line in enumerate(lines):
        for word in line:
            _write(axis, word, -y, widths)
    fit_fonts(figure)
    return figure


@dataclass(frozen=True)
class _Word:
    """A word with its tags, and its place in tenths of an inch.

    A tag that continues the previous word's tag is not written again: a line joins them.
    """

    token: str
    weight: str = "normal"
    tags: Sequence[tuple[str, str]] = ()
    joined: Sequence[bool] = ()
    x: float = 0.0
    previous_end: float = 0.0

    @property
    def written(self) -> list[str]:
        """The texts below the word, some of them empty."""
        pairs = zip(self.tags, self.joined, strict=True)
        return ["" if joined else tag for (tag, _), joined in pairs]


class _Sentence:
    """The words of a sentence with the tags below them."""

    def __init__(self, tokens: Sequence[str], truth: Sequence[str], predicted: Sequence[str]):
        self.words: list[_Word] = []
        before = ["", ""]
        for token, true_tag, tag in zip(tokens, truth, predicted, strict=True):
            names = ["" if tag == "O" else tag, "" if true_tag == tag else true_tag]
            joined = [_continues(old, new) for old, new in zip(before, names, strict=True)]
            tags = list(zip(names, (BLUE, ORANGE), strict=True))
            weight = "normal" if tag == "O" else "bold"
            self.words.append(_Word(drawable(token), weight, tags, joined))
            before = names

    def texts(self) -> Iterator[_Text]:
        """Yields the texts whose widths `placed` needs."""
        yield "…", SIZE, "normal"
        for word in self.words:
            yield word.token, SIZE, word.weight
            yield from ((text, TAG_SIZE, "normal") for text in word.written)

    def placed(self, widths: Mapping[_Text, float]) -> list[_Word]:
        """Returns the words with their places; tags may extend below words without tags."""
        line: list[_Word] = []
        end, tags_end = -GAP, -GAP
        for word in self.words:
            width = max(widths[text, TAG_SIZE, "normal"] for text in word.written)
            x = max(end, tags_end if width else end) + GAP
            if x > MAX_WIDTH:
                return [*line, _Word("…", x=end + GAP)]
            line.append(replace(word, x=x, previous_end=end))
            end = x + widths[word.token, SIZE, word.weight]
            tags_end = x + width if width else tags_end
        return line


def _continues(old: str, new: str) -> bool:
    return new.startswith("I-") and old[:2] in ("B-", "I-") and old[2:] == new[2:]


def _write(axis: Axes, word: _Word, y: float, widths: Mapping[_Text, float]) -> None:
    axis.text(word.x, y, word.token, fontsize=SIZE, weight=word.weight)
    end = word.x + widths[word.token, SIZE, word.weight]
    rows = zip(word.tags, word.written, word.joined, LINES, BASELINES, strict=False)
    for (tag, colour), text, joined, line, baseline in rows:
        if tag:
            start = word.previous_end if joined else word.x
            axis.plot((start, end), (y - line, y - line), color=colour, linewidth=1)
        axis.text(word.x, y - baseline, text, fontsize=TAG_SIZE, color=colour)


def _ends(line: Sequence[_Word], widths: Mapping[_Text, float]) -> Iterator[float]:
    for word in line:
        yield word.x + widths[word.token, SIZE, word.weight]
        yield from (word.x + widths[text, TAG_SIZE, "normal"] for text in word.written)


def _widths(texts: Collection[_Text]) -> dict[_Text, float]:
    """Returns the widths of texts as they are drawn, in tenths of an inch."""
    scratch = Figure(dpi=100)
    artists = {
        text: scratch.text(0, 0, text[0], fontsize=text[1], weight=text[2]) for text in texts
    }
    fit_fonts(scratch)
    renderer = FigureCanvasAgg(scratch).get_renderer()
    return {
        text: artist.get_window_extent(renderer).width / 10 if text[0] else 0.0
        for text, artist in artists.items()
    }
