import numpy as np
import pytest
from keras import ops

from dlrecipes.models import self_organizing_map


def test_outputs_are_the_distances_and_the_nearest_units_position():
    model = self_organizing_map(2, grid=(3, 4))
    codebook = np.random.default_rng(0).normal(size=(12, 2))
    model.get_layer("map").codebook.assign(codebook)
    x = np.random.default_rng(1).normal(size=(5, 2)).astype("float32")
    outputs = {name: ops.convert_to_numpy(y) for name, y in model(x).items()}
    squared = np.sum((x[:, None] - codebook) ** 2, axis=-1)
    np.testing.assert_allclose(outputs["distances"].reshape(5, 12), squared, rtol=1e-4)
    expected = [divmod(int(index), 4) for index in np.argmin(squared, axis=1)]
    assert [tuple(position) for position in outputs["winner"]] == expected


def test_codebook_has_one_vector_per_unit():
    assert self_organizing_map(7).count_params() == 10 * 10 * 7
    assert self_organizing_map(7, grid=3).count_params() == 3 * 3 * 7


@pytest.mark.parametrize(
    ("kwargs", "name"),
    [({"num_features": 0}, "num_features"), ({"num_features": 2, "grid": (2, 0)}, "grid")],
)
def test_invalid_arguments_are_rejected(kwargs, name):
    with pytest.raises(ValueError, match=f"{name} must be"):
        self_organizing_map(**kwargs)
