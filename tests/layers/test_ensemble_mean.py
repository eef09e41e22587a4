"""Members are averaged at inference and kept separate in training."""

import numpy as np
import pytest

from dlrecipes.layers import EnsembleMean

FIRST = np.array([[1.0, 2.0], [3.0, 4.0]], "float32")
SECOND = np.array([[3.0, 0.0], [5.0, 4.0]], "float32")


def test_inference_averages_the_members():
    np.testing.assert_allclose(EnsembleMean()([FIRST, SECOND]), [[2.0, 1.0], [4.0, 4.0]])


def test_training_stacks_the_rows_of_all_members_in_order():
    stacked = EnsembleMean()([FIRST, SECOND], training=True)
    np.testing.assert_array_equal(stacked, [[1, 2], [3, 4], [3, 0], [5, 4]])


def test_a_single_tensor_raises():
    with pytest.raises(ValueError, match="list of tensors"):
        EnsembleMean()(FIRST)
