"""Names that a recipe's card and README state, compared with its published graphs."""

import re
from pathlib import Path

import pytest
from ai_edge_litert.interpreter import Interpreter
from tensorflow.core.protobuf import saved_model_pb2

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
NAME = re.compile(r"`([A-Za-z_]\w*)`")


def graph_names(folder):
    """Returns the names of signatures, inputs and outputs in a version's files."""
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((folder / "saved_model.pb").read_bytes())
    signatures = saved.meta_graphs[0].signature_def
    names = {"serving_default", *signatures}
    for signature in signatures.values():
        names |= {*signature.inputs, *signature.outputs}
    runner = Interpreter(model_path=str(folder / "model.tflite")).get_signature_runner()
    return names | {*runner.get_input_details(), *runner.get_output_details()}


@pytest.fixture(scope="session")
def unknown_names():
    """Returns a function that lists names in a version's card that its graphs do not have.

    With the name of the recipe, the section of its README on the published files is read as well.
    """

    def unknown(folder, recipe=None):
        card = (folder / "README.md").read_text(encoding="utf-8")
        # The generated tables have the names of the graphs; a recipe writes the notes.
        text = card.partition("\n### Notes\n")[2].partition("\n## ")[0]
        assert text
        if recipe:
            readme = (RECIPES / recipe / "README.md").read_text(encoding="utf-8")
            text += readme.partition("\n## Export and serve\n")[2].partition("\n## ")[0]
        return set(NAME.findall(text)) - graph_names(folder)

    return unknown
