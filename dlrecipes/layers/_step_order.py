"""The order in which a recurrence processes the steps of a batch (TensorFlow only)."""

import tensorflow as tf


class StepOrder:
    """Packs the steps of all sequences into rows, in the order in which they are processed.

    The steps form chunks. In each sequence real steps come first, and masked ones after them, where
    they change nothing that is used. Sequences are sorted by their number of real steps, so that
    the sequences that have any in a chunk are the first ones; the others have no rows there.

    Args:
        x: Sequences of shape `(batch, time, features)`.
        mask: Boolean of shape `(batch, time)`, in the order of processing, or `None`.
        backwards: Whether the last step is processed first.
        chunk: Number of steps per chunk.
    """

    def __init__(self, x: tf.Tensor, mask: tf.Tensor | None, backwards: bool, chunk: int):
        self.chunk, self.shape = chunk, x.shape
        self.batch, self.time = tf.shape(x)[0], tf.shape(x)[1]
        # A single chunk needs no loop.
        self.single = x.shape[1] == chunk
        # Whether all sequences have rows in all chunks.
        self.uniform = self.single or mask is None
        numbers, position = tf.range(self.batch), tf.range(self.time)[None]
        if mask is None:
            self.empty, rank = None, None
            held = tf.zeros_like(numbers)[:, None] + position
            last = tf.fill([self.batch], self.time - 1)
        else:
            real = tf.cumsum(tf.cast(mask, tf.int32), axis=1)
            count = real[:, -1]
            self.empty = (count == 0)[:, None]
            # After the real steps, in the order of the masked ones.
            rank = tf.where(mask, real - 1, count[:, None] + position - real)
            held, last = tf.maximum(real - 1, 0), tf.maximum(count - 1, 0)
        self._count_rows(last)
        self._rows_in = self._inputs_of_rows(rank, backwards)
        self._rows_out = self._row(held, self._place[:, None])
        self._rows_last = self._row(last, self._place)

    def _count_rows(self, last: tf.Tensor) -> None:
        """Sets the numbers of chunks and rows, and the order of the sequences."""
        if self.uniform:
            self.chunks = -(-self.time // self.chunk)
            self.rows = self.chunks * self.chunk * self.batch
            self._sorted = self._place = tf.range(self.batch)
            return
        self.chunks = tf.reduce_max(last) // self.chunk + 1
        self._sorted = tf.argsort(last, direction="DESCENDING")
        self._place = tf.argsort(self._sorted)
        has_steps = last >= self.chunk * tf.range(self.chunks)[:, None]
        self._sequences = tf.reduce_sum(tf.cast(has_steps, tf.int32), axis=1)
        self._first_rows = self.chunk * tf.cumsum(self._sequences, exclusive=True)
        self.rows = self.chunk * tf.reduce_sum(self._sequences)

    def sequences(self, chunk: tf.Tensor) -> tf.Tensor:
        """Returns the number of sequences with steps in a chunk, or in each of several."""
        return self.batch if self.uniform else tf.gather(self._sequences, chunk)

    def first_row(self, chunk: tf.Tensor) -> tf.Tensor:
        """Returns the first row of a chunk, or of each of several."""
        if self.uniform:
            return chunk * self.chunk * self.batch
        return tf.gather(self._first_rows, chunk)

    def _row(self, step: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
        """Returns the row of a step of the sequence at a place."""
        chunk = step // self.chunk
        return self.first_row(chunk) + step % self.chunk * self.sequences(chunk) + place

    def _inputs_of_rows(self, rank: tf.Tensor | None, backwards: bool) -> tf.Tensor:
        """Returns the row of `(batch * time, features)` that each row reads."""
        # The steps that fill the last chunk repeat the last one.
        step = tf.minimum(tf.range(self.chunks * self.chunk), self.time - 1)
        if rank is None:
            steps = step[:, None] + tf.zeros_like(self._sorted)
        else:
            order = tf.gather(tf.argsort(rank, axis=1), self._sorted)
            steps = tf.gather(tf.transpose(order), step)
        if backwards:
            steps = self.time - 1 - steps
        rows = steps + self.time * self._sorted
        if self.uniform:
            return tf.reshape(rows, [-1])
        sequences = tf.repeat(self._sequences, self.chunk)
        return tf.boolean_mask(rows, tf.range(self.batch) < sequences[:, None])

    def inputs(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the rows of `(batch, time, features)`."""
        return tf.gather(tf.reshape(x, [-1, x.shape[2]]), self._rows_in)

    def d_inputs(self, d_rows: tf.Tensor) -> tf.Tensor:
        """Returns the gradient of the sequences, given a gradient for each row."""
        summed = tf.math.unsorted_segment_sum(d_rows, self._rows_in, self.batch * self.time)
        shape = tf.concat([[self.batch, self.time], tf.shape(summed)[1:]], 0)
        return tf.ensure_shape(tf.reshape(summed, shape), self.shape)

    def initial(self, state: tf.Tensor) -> tf.Tensor:
        """Returns initial states in the order of the rows."""
        return state if self.uniform else tf.gather(state, self._sorted)

    def outputs(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns `(batch, time, features)`, in which masked steps repeat the last real one."""
        return tf.ensure_shape(tf.gather(rows, self._rows_out), [*self.shape[:2], rows.shape[1]])

    def last(self, rows: tf.Tensor, initial: tf.Tensor) -> tf.Tensor:
        """Returns the state after the last real step, or the initial one."""
        last = tf.ensure_shape(tf.gather(rows, self._rows_last), initial.shape)
        return last if self.empty is None else tf.where(self.empty, initial, last)

    def d_rows(self, d_outputs: tf.Tensor | None, d_last: tf.Tensor) -> tf.Tensor:
        """Returns the gradient of the rows.

        Args:
            d_outputs: Gradient of what `outputs` returned, or `None`.
            d_last: Gradient of what `last` returned.
        """
        if self.empty is not None:
            d_last = tf.where(self.empty, tf.zeros([], d_last.dtype), d_last)
        rows, values = self._rows_last, d_last
        if d_outputs is not None:
            rows = tf.concat([tf.reshape(self._rows_out, [-1]), rows], 0)
            values = tf.concat([tf.reshape(d_outputs, [-1, d_last.shape[1]]), values], 0)
        return tf.math.unsorted_segment_sum(values, rows, self.rows)

    def d_initial(self, d_state: tf.Tensor, d_last: tf.Tensor | None) -> tf.Tensor:
        """Returns the gradient of an initial state.

        Args:
            d_state: Gradient of what `initial` returned.
            d_last: Gradient of what `last` returned, or `None`.
        """
        total = d_state if self.uniform else tf.gather(d_state, self._place)
        if self.empty is None or d_last is None:
            return total
        return total + tf.where(self.empty, d_last, tf.zeros([], d_last.dtype))
