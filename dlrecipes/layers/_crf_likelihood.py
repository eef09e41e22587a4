"""Log-likelihood of a linear-chain CRF, with a hand-written gradient."""

from keras import ops

# exp(-80): lower bound of the weight of a transition, chosen so that its reciprocal, which the
# gradient contains, stays far from overflow in float32.
SMALLEST = 1e-35
# Steps per iteration of the loops over time. An iteration costs as much as several steps.
CHUNK = 8


def log_likelihood(scores, tags, mask, transitions, start, end):
    """Returns the log-probability of tag sequences.

    The loops over time contain a matrix product per step, and little else: messages are weights
    whose maximum is 1, so that exponentials, logarithms and masks stay outside of the loops, where
    they apply to all positions at once. Automatic differentiation gives the same gradient.

    Args:
        scores: Scores of shape `(batch, time, tags)`; any values at padded positions.
        tags: Integer tags of shape `(batch, time)`; any values at padded positions.
        mask: Boolean of shape `(batch, time)`, true at real positions, which come first.
        transitions: Scores of shape `(tags, tags)`, from the row's tag to the column's.
        start: Scores of the first tag, of shape `(tags,)`.
        end: Scores of the last tag, of shape `(tags,)`.

    Returns:
        Tensor of shape `(batch,)`; 0 for a sentence that consists of padding.
    """

    @ops.custom_gradient
    def compute(scores, transitions, start, end):
        chain = _Chain(scores, tags, mask, transitions, start, end)
        return chain.path - chain.total, chain.gradient

    any_real = mask[:, 0]
    likelihood = compute(scores, transitions, start, end)
    return ops.where(any_real, likelihood, ops.zeros_like(likelihood))


class _Chain:
    """The messages from the first position to the last, and the gradient that needs them."""

    def __init__(self, scores, tags, mask, transitions, start, end):
        self.time, self.batch, self.tags = (
            ops.shape(scores)[1],
            ops.shape(scores)[0],
            start.shape[0],
        )
        self.chunks = (self.time + CHUNK - 1) // CHUNK
        lengths = ops.sum(ops.cast(mask, "int32"), axis=1)
        self.last = ops.maximum(lengths - 1, 0)
        position = ops.expand_dims(ops.arange(self.chunks * CHUNK), 1)
        self.real = ops.cast(position < lengths, scores.dtype)
        self.at_last = ops.expand_dims(ops.cast(ops.equal(position, self.last), scores.dtype), -1)
        # Not a product, since padding may contain infinities.
        x = ops.where(ops.expand_dims(mask, -1), scores, ops.zeros_like(scores))
        x = ops.transpose(self._padded(x), (1, 0, 2))
        self._sum_over_sequences(x, transitions, start, end)
        self._score_of_tags(x, ops.where(mask, ops.cast(tags, "int32"), 0), transitions, start, end)

    def _padded(self, x):
        """Returns `(batch, time, ...)` with zeros that fill the last chunk."""
        missing = self.chunks * CHUNK - self.time
        return ops.pad(x, [[0, 0], [0, missing], *([0, 0] for _ in x.shape[2:])])

    def _sum_over_sequences(self, x, transitions, start, end):
        # Each column is divided by its largest weight, which the scores make up for.
        into = ops.max(transitions, axis=0)
        self.exact = ops.exp(transitions - into)
        self.weights = ops.maximum(self.exact, SMALLEST)
        biased = ops.concatenate([x[:1] + start, x[1:] + into], axis=0)
        top = ops.max(biased, axis=-1, keepdims=True)
        emitted = ops.exp(biased - top)
        self.reached, norms = self._forward(emitted)
        self.scaled = emitted / norms
        logs = ops.log(norms) + top
        before = ops.cumsum(logs, axis=0) - logs
        self.reached_last = self._at_last(self.reached)
        message = ops.log(self.reached_last) + self._at_last(biased) + self._at_last(before)
        self.ending = message + end
        self.total = ops.logsumexp(self.ending, axis=-1)

    def _score_of_tags(self, x, tags, transitions, start, end):
        tags = ops.transpose(self._padded(tags))
        self.first, self.final = tags[0], ops.reshape(self._at_last(tags), (-1,))
        self.moves = tags[:-1] * self.tags + tags[1:]
        self.places = ops.arange(self.chunks * CHUNK * self.batch) * self.tags + ops.reshape(
            tags, (-1,)
        )
        emitted = ops.reshape(ops.take(ops.reshape(x, (-1,)), self.places), (-1, self.batch))
        moved = ops.take(ops.reshape(transitions, (-1,)), self.moves)
        self.path = (
            ops.take(start, self.first)
            + ops.sum(emitted * self.real, axis=0)
            + ops.sum(moved * self.real[1:], axis=0)
            + ops.take(end, self.final)
        )

    def _at_last(self, x):
        """Returns the rows of `(time, batch, size)` at the last position of each sentence."""
        rows = self.last * self.batch + ops.arange(self.batch)
        return ops.take(ops.reshape(x, (-1, *x.shape[2:])), rows, axis=0)

    def _chunk(self, x, index):
        """Returns a chunk of `(time, batch, size)` as a list of steps."""
        shape = (CHUNK, self.batch, x.shape[-1])
        # All of one type, as JAX requires.
        begin = ops.stack([index * CHUNK, 0 * index, 0 * index])
        return ops.unstack(ops.slice(x, begin, shape), num=CHUNK, axis=0)

    def _joined(self, chunks):
        return ops.reshape(chunks, (-1, self.batch, chunks.shape[-1]))

    def _forward(self, emitted):
        """Returns the weight that reaches each tag from those before it, and the scales."""

        def chunk(states, index):
            reached, *_ = states
            every, norms = [], []
            for step in self._chunk(emitted, index):
                every.append(reached)
                joint = reached * step
                norms.append(ops.max(joint, axis=-1, keepdims=True))
                reached = ops.matmul(joint / norms[-1], self.weights)
            states = reached, ops.stack(every, axis=0), ops.stack(norms, axis=0)
            # ops.scan needs the same structure twice.
            return states, states

        first = ops.ones_like(emitted[0]), emitted[:CHUNK], emitted[:CHUNK, :, :1]
        _, (_, reached, norms) = ops.scan(chunk, first, ops.arange(self.chunks))
        return self._joined(reached), self._joined(norms)

    def _backward(self, ending):
        """Returns the marginal probabilities, each divided by the weight that reaches its tag."""
        transposed = ops.transpose(self.weights)
        added = self.at_last * (ending / self.reached_last)

        def chunk(states, index):
            ratio, _ = states
            every = []
            steps = zip(self._chunk(self.scaled, index), self._chunk(added, index), strict=True)
            for scaled, more in list(steps)[::-1]:
                ratio = scaled * ops.matmul(ratio, transposed) + more
                every.append(ratio)
            states = ratio, ops.stack(every[::-1], axis=0)
            return states, states

        first = ops.zeros_like(ending), self.scaled[:CHUNK]
        _, (_, ratios) = ops.scan(chunk, first, ops.arange(self.chunks), reverse=True)
        return self._joined(ratios)

    def gradient(self, *args, upstream=None):
        """Returns the gradients of scores, transitions, start and end."""
        upstream = args[0] if upstream is None else upstream
        ending = -ops.softmax(self.ending, axis=-1) * ops.expand_dims(upstream, -1)
        ratios = self._backward(ending)
        source = ops.reshape((self.reached * self.scaled)[:-1], (-1, self.tags))
        target = ops.reshape(ratios[1:], (-1, self.tags))
        expected = self.exact * ops.matmul(ops.transpose(source), target)
        marginals = self.reached * ratios
        real = self.real * upstream

        def counts(values, tags, size):
            return ops.segment_sum(ops.reshape(values, (-1,)), ops.reshape(tags, (-1,)), size)

        observed = counts(real[1:], self.moves, self.tags**2)
        flat = ops.reshape(marginals, (-1,))
        changed = ops.take(flat, self.places) + ops.reshape(real, (-1,))
        d_scores = ops.scatter_update(flat, ops.expand_dims(self.places, -1), changed)
        d_scores = ops.reshape(d_scores, (-1, self.batch, self.tags))[: self.time]
        return (
            ops.transpose(d_scores, (1, 0, 2)),
            expected + ops.reshape(observed, (self.tags, self.tags)),
            ops.sum(marginals[0], axis=0) + counts(upstream, self.first, self.tags),
            ops.sum(ending, axis=0) + counts(upstream, self.final, self.tags),
        )
