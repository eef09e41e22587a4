"""A conditional random field over a sequence of tags."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from dlrecipes.layers import _crf_likelihood
from dlrecipes.layers._arguments import fresh, integer, number

# Added to the scores of forbidden tags: exp(-30) is 1e-13, and within the bound of 80.
FORBIDDEN_SCORE = -30.0


@keras.saving.register_keras_serializable(package="dlrecipes")
class LinearChainCRF(keras.layers.Layer):
    """Turns scores for each position into a distribution over whole tag sequences.

    It generalises the softmax from a single position to a chain. The score of a sequence `y` is

        start[y_1] + sum_t scores[t, y_t] + sum_t transitions[y_{t-1}, y_t] + end[y_T]

    and its probability is proportional to the exponential of that. Calling the layer gives the
    marginal probabilities of each position, `log_likelihood` is the training objective, and
    `decode` finds the best sequence.

    Sentences must be padded on the right. Padded positions have no influence: the scores and tags
    there may have any value. The mask is passed on. Everything is computed in float32 at
    least, under any dtype policy. Training and inference behave the same.

    Sums are computed in log space, each shifted by its largest term, and cannot overflow. In
    float32 they are exact as long as the differences between the scores of one position plus those
    between the transitions into one tag stay below about 80; a tag whose paths are less likely than
    exp(-80) times the best one is computed as exp(-80). `decode` only compares, and has no such
    bound. It never returns a forbidden sequence, unless all sequences of that length are forbidden.

    Args:
        num_tags: Number of tags, at least 1.
        transition_initializer: Initializer of `transitions`, of shape `(num_tags, num_tags)`, from
            the row's tag to the column's. Defaults to `"zeros"`.
        boundary_initializer: Initializer of `start` and `end`, each of shape `(num_tags,)`.
            Defaults to `"zeros"`.
        forbidden: Pairs `(from, to)` of tags that cannot follow one another, or a boolean mask of
            shape `(num_tags, num_tags)`, true at such pairs. In probabilities and likelihoods each
            makes a sequence about 1e-13 times as likely as its score alone would.
            `data.tag_schemes.tag_constraints` returns the pairs of BIO, IOBES and others. Defaults
            to no pairs.
        forbidden_start: Tags that a sequence cannot begin with, or a boolean mask of shape
            `(num_tags,)`. Defaults to no tags.
        forbidden_end: Tags that a sequence cannot end with, in the same form. Defaults to no tags.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        scores: Scores of any real value, of shape `(batch, time, num_tags)`; batch and time may be
            unknown, and time is at least 1.
        mask: Boolean of shape `(batch, time)`, true at real positions, or `None` if all are real.
            Defaults to `None`.

    Returns:
        Marginal probabilities p(y_t = k | scores), of shape `(batch, time, num_tags)`; zero at
        padded positions.

    Raises:
        ValueError: If `num_tags` is not an integer of at least 1, a forbidden tag is not in [0,
            num_tags), a mask has another shape, or the scores have another shape.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import LinearChainCRF
    >>> scores = keras.ops.array([[[0.0, 1.0], [2.0, 0.0]]])
    >>> keras.ops.convert_to_numpy(LinearChainCRF(2).decode(scores)).tolist()
    [[1, 0]]
    >>> staying = LinearChainCRF(2, transition_initializer=keras.initializers.Identity(9.0))
    >>> keras.ops.convert_to_numpy(staying.decode(scores)).tolist()
    [[0, 0]]

    Reference:
        Lafferty, McCallum and Pereira, 2001, "Conditional random fields: probabilistic models for
        segmenting and labeling sequence data", section 3, equation 1 and the recursions after it.
    """

    def __init__(
        self,
        num_tags: int,
        transition_initializer="zeros",
        boundary_initializer="zeros",
        forbidden: Sequence[tuple[int, int]] = (),
        forbidden_start: Sequence[int] = (),
        forbidden_end: Sequence[int] = (),
        **kwargs,
    ):
        super().__init__(**kwargs)
        integer("num_tags", num_tags)
        self.num_tags = num_tags
        self.transition_initializer = keras.initializers.get(transition_initializer)
        self.boundary_initializer = keras.initializers.get(boundary_initializer)
        self.forbidden = forbidden
        self.forbidden_start = forbidden_start
        self.forbidden_end = forbidden_end
        self._forbidden = (
            _pairs(forbidden, num_tags),
            _tags("forbidden_start", forbidden_start, num_tags),
            _tags("forbidden_end", forbidden_end, num_tags),
        )
        self.supports_masking = True
        # Sums over many paths need more precision than a 16-bit policy has.
        self.autocast = False

    def build(self, input_shape):
        self._check(input_shape)
        shapes = {"transitions": (self.num_tags, self.num_tags)}
        shapes |= {"start": (self.num_tags,), "end": (self.num_tags,)}
        for name, shape in shapes.items():
            boundary = len(shape) == 1
            initializer = self.transition_initializer
            initializer = fresh(self.boundary_initializer) if boundary else initializer
            setattr(self, name, self.add_weight(shape, initializer, autocast=False, name=name))

    def call(self, scores, mask=None):
        x, mask = self._time_major(scores, mask)
        transitions, start, end = self._weights()
        order = _backwards(mask)
        forward = _messages(x, start, _log_sum(transitions))
        backward = _messages(_reorder(x, order), end, _log_sum(ops.transpose(transitions)))
        # Both messages contain the position's own score.
        marginals = ops.softmax(forward + _reorder(backward, order) - x, axis=-1)
        marginals = ops.where(ops.expand_dims(mask, -1), marginals, ops.zeros_like(marginals))
        return ops.transpose(marginals, (1, 0, 2))

    def log_likelihood(self, scores, tags, mask=None):
        """Computes the log-probability of tag sequences.

        Args:
            scores: Scores of shape `(batch, time, num_tags)`.
            tags: Integer tags of shape `(batch, time)`, in [0, num_tags) at real positions.
            mask: Boolean of shape `(batch, time)`, or `None`. Defaults to `None`.

        Returns:
            Log-probabilities of shape `(batch,)`; 0 for a sentence that consists of padding.
        """
        scores, mask = self._checked(scores, mask)
        return _crf_likelihood.log_likelihood(scores, tags, mask, *self._weights())

    def decode(self, scores, mask=None):
        """Finds the most probable tag sequences.

        Args:
            scores: Scores of shape `(batch, time, num_tags)`.
            mask: Boolean of shape `(batch, time)`, or `None`. Defaults to `None`.

        Returns:
            Tags of shape `(batch, time)`, int32; 0 at padded positions.
        """
        x, mask = self._time_major(scores, mask)
        transitions, start, end = self._decoding_weights(x)
        into = ops.transpose(transitions)
        order = _backwards(mask)
        best = _reorder(_messages(x, start, _maximum(into)), order)

        def previous(tag, best):
            return _argmax(best + ops.take(into, tag, axis=0))

        tags = _chain(previous, _argmax(best[0] + end), best)
        tags = ops.cast(_reorder(tags, order), "int32")
        return ops.transpose(ops.where(mask, tags, ops.zeros_like(tags)))

    def compute_output_spec(self, scores, mask=None):
        return keras.KerasTensor(self.compute_output_shape(scores.shape), self._exact_dtype)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "num_tags": self.num_tags,
            "transition_initializer": keras.initializers.serialize(self.transition_initializer),
            "boundary_initializer": keras.initializers.serialize(self.boundary_initializer),
            "forbidden": self.forbidden,
            "forbidden_start": self.forbidden_start,
            "forbidden_end": self.forbidden_end,
        }

    @property
    def _exact_dtype(self) -> str:
        return "float64" if self.variable_dtype == "float64" else "float32"

    def _weights(self):
        """Returns transition, start and end scores, with the penalties of forbidden tags added."""
        # A graph with a float64 constant would be converted once more for LiteRT.
        penalty = np.array(FORBIDDEN_SCORE, self._exact_dtype)
        return self._penalized(lambda weight, forbidden: forbidden * penalty)

    def _decoding_weights(self, x):
        """Returns the scores, less at forbidden tags than allowed sequences can make up for.

        A constant that is large enough for all scores would leave no precision to the others when
        a LiteRT file is quantized.
        """
        if not any(forbidden.any() for forbidden in self._forbidden):
            return self._weights()
        spread = ops.max(x, axis=-1) - ops.min(x, axis=-1)
        highest = ops.sum(ops.max(spread, axis=1))
        time = ops.cast(ops.shape(x)[0], x.dtype)
        for weight, count in ((self.transitions, time), (self.start, 1.0), (self.end, 1.0)):
            weight = ops.cast(weight, x.dtype)
            highest += count * (ops.max(weight) - ops.min(weight))
        # Twice, for rounding.
        penalty = -(2.0 * highest + 1.0)
        return self._penalized(
            lambda weight, forbidden: ops.where(forbidden, penalty, ops.zeros_like(weight))
        )

    def _penalized(self, penalties):
        dtype = self._exact_dtype
        weights = [ops.cast(w, dtype) for w in (self.transitions, self.start, self.end)]
        return tuple(
            weight + ops.cast(penalties(weight, forbidden), dtype) if forbidden.any() else weight
            for weight, forbidden in zip(weights, self._forbidden, strict=True)
        )

    def _check(self, shape):
        if len(shape) != 3 or shape[-1] not in (None, self.num_tags):
            raise ValueError(
                "scores must be of shape (batch, time, num_tags) with "
                f"num_tags = {self.num_tags}, not {tuple(shape)}."
            )

    def _checked(self, scores, mask):
        scores = ops.cast(scores, self._exact_dtype)
        self._check(scores.shape)
        if not self.built:
            self.build(scores.shape)
        if mask is None:
            return scores, ops.ones_like(scores[:, :, 0], dtype="bool")
        return scores, ops.cast(mask, "bool")

    def _time_major(self, scores, mask):
        scores, mask = self._checked(scores, mask)
        # Not a product, since padding may contain infinities.
        x = ops.where(ops.expand_dims(mask, -1), scores, ops.zeros_like(scores))
        return ops.transpose(x, (1, 0, 2)), ops.transpose(mask)


def _pairs(forbidden, num_tags):
    """Returns a boolean mask of shape `(num_tags, num_tags)`."""
    if not hasattr(forbidden, "__iter__"):
        raise ValueError(f"forbidden must be pairs of tags, not {forbidden!r}.")
    if _is_mask("forbidden", forbidden, (num_tags, num_tags)):
        return np.array(forbidden)
    if any(np.shape(pair) != (2,) for pair in forbidden):
        raise ValueError(f"forbidden must be pairs of tags, not {forbidden!r}.")
    mask = np.zeros((num_tags, num_tags), bool)
    for pair in forbidden:
        mask[tuple(_checked(tag, num_tags) for tag in pair)] = True
    return mask


def _tags(name, forbidden, num_tags):
    """Returns a boolean mask of shape `(num_tags,)`."""
    if not hasattr(forbidden, "__iter__"):
        raise ValueError(f"{name} must be a list of tags, not {forbidden!r}.")
    if _is_mask(name, forbidden, (num_tags,)):
        return np.array(forbidden)
    mask = np.zeros(num_tags, bool)
    mask[[_checked(tag, num_tags) for tag in forbidden]] = True
    return mask


def _is_mask(name, forbidden, shape):
    flat = np.ravel(np.array(list(forbidden), dtype=object))
    if not flat.size or not all(isinstance(value, bool | np.bool_) for value in flat):
        return False
    if np.shape(forbidden) != shape:
        raise ValueError(f"{name} must be a mask of shape {shape}, not {np.shape(forbidden)}.")
    return True


def _checked(tag, num_tags):
    expected = f"integers in [0, {num_tags})"
    number("forbidden tags", tag, expected, lambda x: x % 1 == 0 and 0 <= x < num_tags)
    return int(tag)


def _chain(step, first, x):
    """Returns the states s_0 = first, s_t = step(s_{t-1}, x_t), of shape (time, batch, ...)."""
    # One step more than needed, whose result is dropped: this way a single position works.
    following = ops.concatenate([x[1:], x[:1]], axis=0)
    return ops.scan(lambda state, x: (step(state, x), state), first, following)[1]


def _messages(x, boundary, combine):
    """Returns, for each position and tag, the combined score of the paths that end there."""
    return _chain(lambda message, x: combine(message) + x, boundary + x[0], x)


def _log_sum(transitions):
    """Combines by log-sum-exp, as a product with exp(transitions): far fewer exponentials."""
    shift = ops.stop_gradient(ops.max(transitions, axis=0))
    weights = ops.exp(transitions - shift)

    def combine(message):
        top = ops.stop_gradient(ops.max(message, axis=-1, keepdims=True))
        total = ops.matmul(ops.exp(message - top), weights)
        return ops.log(ops.maximum(total, _crf_likelihood.SMALLEST)) + (top + shift)

    return combine


def _maximum(into):
    return lambda message: ops.max(ops.expand_dims(message, 1) + into, axis=-1)


def _argmax(x):
    # On floats, ops.argmax distinguishes -0.0 from 0.0 by an operation that LiteRT lacks.
    largest = ops.equal(x, ops.max(x, axis=-1, keepdims=True))
    return ops.argmax(ops.cast(largest, "int32"), axis=-1)


def _backwards(mask):
    """Returns the position of each element when every sentence is reversed."""
    time, batch = ops.shape(mask)
    position = ops.expand_dims(ops.arange(time), 1)
    length = ops.sum(ops.cast(mask, "int32"), axis=0)
    partner = ops.where(mask, length - 1 - position, position)
    return partner * batch + ops.arange(batch)


def _reorder(x, order):
    # One gather over rows, since take_along_axis would repeat the order for every tag.
    return ops.take(ops.reshape(x, (-1, *x.shape[2:])), order, axis=0)
