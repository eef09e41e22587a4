"""Published versions: how they are called."""

import numpy as np
import pytest

from dlrecipes.errors import UsageError
from dlrecipes.export.version import ModelVersion


@pytest.mark.parametrize(
    ("inputs", "got"), [({"z": [[1, 2, 3]]}, "z"), ({}, "none"), ({"x": 1, "z": 2}, "x, z")]
)
def test_inputs_of_other_names_are_rejected(published, inputs, got):
    with pytest.raises(UsageError, match=f"serving_default has the inputs x, got {got}"):
        ModelVersion(published).call(**inputs)


def test_all_outputs_are_returned(published, model):
    x = np.ones((2, 3), "float32")
    outputs = ModelVersion(published).call(x=x)
    np.testing.assert_allclose(outputs["y"], model(x), atol=1e-6)
    np.testing.assert_allclose(outputs["total"], np.sum(outputs["y"]), rtol=1e-5)
    texts = ModelVersion(published).call("words", word=["é", "b"])["exclaimed"]
    assert [text.decode() for text in texts] == ["é!", "b!"]
