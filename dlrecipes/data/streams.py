"""One long text as parallel streams: each batch continues where the previous one ended."""

import numpy as np
import tensorflow as tf


def stream_steps(tokens: int, streams: int, length: int) -> int:
    """Returns the number of batches in one pass over a text; leftover tokens are not used.

    Args:
        tokens: Number of tokens in the text.
        streams: Rows per batch.
        length: Steps per batch.

    Example:

    >>> from dlrecipes.data.streams import stream_steps
    >>> stream_steps(101, streams=4, length=8)
    3
    """
    return (tokens - 1) // streams // length


def stream_batches(tokens: np.ndarray, streams: int, length: int) -> tf.data.Dataset:
    """Cuts a text into equal streams, and the streams into batches of consecutive pieces.

    Row `i` of a batch continues where row `i` of the previous batch ended, as `TruncatedBPTT`
    with the same number of `streams` expects. The targets are the tokens one step later. The
    order is fixed, so that a resumed run sees the same batches.

    Args:
        tokens: Ids of shape `(tokens,)`, or vectors of shape `(tokens, features)`.
        streams: Rows per batch, at least 1.
        length: Steps per batch, at least 1: the length of one chunk, or a multiple of it.

    Returns:
        Dataset of `stream_steps(...)` pairs of inputs and targets, each of shape `(streams,
        length, ...)` and of the tokens' type; `repeat()` makes it endless.

    Raises:
        ValueError: If there are too few tokens for one batch, or a size is below 1.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.streams import stream_batches
    >>> for x, y in stream_batches(np.arange(11), streams=2, length=2):
    ...     print(x.numpy().tolist(), y.numpy().tolist())
    [[0, 1], [5, 6]] [[1, 2], [6, 7]]
    [[2, 3], [7, 8]] [[3, 4], [8, 9]]

    Reference:
        Mikolov, Karafiát, Burget, Černocký and Khudanpur, 2010, "Recurrent neural network based
        language model", section 2 (a text is read in its order),
        https://doi.org/10.21437/Interspeech.2010-343.
    """
    if streams < 1 or length < 1:
        raise ValueError(f"streams and length must be at least 1, not {streams} and {length}.")
    tokens = np.asarray(tokens)
    steps = stream_steps(len(tokens), streams, length)
    if steps < 1:
        raise ValueError(
            f"{streams} streams of batches of {length} steps need {streams * length + 1} tokens, "
            f"not {len(tokens)}."
        )
    part = (len(tokens) - 1) // streams
    # Each row ends with the first token of the next row: the target of its last token.
    rows = np.arange(streams)[:, None] * part + np.arange(part + 1)
    table = tf.constant(tokens[rows])

    def batch(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        start = number * length
        piece = table[:, start : start + length + 1]
        piece = tf.ensure_shape(piece, [streams, length + 1, *table.shape[2:]])
        return piece[:, :-1], piece[:, 1:]

    options = tf.data.Options()
    # Autotuning makes the end of every `fit` wait seconds for a background timer.
    options.autotune.enabled = False
    options.deterministic = True
    return tf.data.Dataset.range(steps).map(batch).prefetch(4).with_options(options)
