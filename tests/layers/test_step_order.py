import numpy as np
import pytest
from contract import on_tensorflow

pytestmark = on_tensorflow

FEATURES = 2


def make(lengths, time, chunk, backwards=False):
    """The order of sequences with real steps at the beginning, and inputs that name their step."""
    import tensorflow as tf

    from dlrecipes.layers._step_order import StepOrder

    batch = len(lengths)
    x = 100 * np.arange(batch)[:, None, None] + np.arange(time)[None, :, None]
    x = tf.constant(np.repeat(x, FEATURES, axis=2), "float32")
    mask = tf.constant(np.arange(time) < np.array(lengths)[:, None])
    return x, StepOrder(x, tf.reverse(mask, [1]) if backwards else mask, backwards, chunk)


def test_sequences_have_rows_up_to_the_chunk_in_which_they_end():
    """Chunks of 4 steps: three sequences in the first one, two in the second, one in the third."""
    _, order = make([8, 2, 9], time=12, chunk=4)
    assert [int(order.sequences(chunk)) for chunk in range(int(order.chunks))] == [3, 2, 1]
    assert [int(order.first_row(chunk)) for chunk in range(3)] == [0, 12, 20]
    assert int(order.rows) == 24


@pytest.mark.parametrize("backwards", [False, True])
def test_rows_are_steps_of_the_sequences_sorted_by_length(backwards):
    x, order = make([1, 3], time=4, chunk=2, backwards=backwards)
    rows = order.inputs(x).numpy()[:, 0]
    # The longer sequence first: its steps 0 and 1, interleaved with those of the other; the second
    # step of which fills the chunk. Then the last step of the longer one.
    real = [100, 0, 101, None, 102, None]
    if backwards:
        real = [102, 0, 101, None, 100, None]
    assert all(row == step for row, step in zip(rows, real, strict=True) if step is not None)


def test_masked_steps_repeat_the_last_real_output_and_pass_their_gradient_to_it():
    import tensorflow as tf

    x, order = make([1, 3], time=4, chunk=2)
    rows = order.inputs(x)
    outputs = order.outputs(rows).numpy()[..., 0]
    np.testing.assert_array_equal(outputs, [[0, 0, 0, 0], [100, 101, 102, 102]])
    last = order.last(rows, tf.zeros((2, FEATURES)))
    np.testing.assert_array_equal(last[:, 0], [0, 102])
    # One for each output, and ten for the last state.
    d_rows = order.d_rows(tf.ones((2, 4, FEATURES)), 10 * tf.ones((2, FEATURES)))
    d_x = order.d_inputs(d_rows).numpy()[..., 0]
    np.testing.assert_array_equal(d_x, [[14, 0, 0, 0], [1, 1, 12, 0]])
