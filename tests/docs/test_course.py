"""The course's scripts run, and the numbers in their text are the numbers that they compute.

`CLAIMS` holds parts of each text, with a field wherever the text has a number. A field names a
variable of the script: `{separable}`, `{errors[relu]}`, `{rates[0]}`; `{accuracy:%}` is a fraction
that the text gives in per cent. Integers must be equal, other numbers may differ by one unit of
their last digit. The words before a number change this: "about 20" allows 10 %, and "less than",
"below", "at most", "more than", "above" and "at least" make it a bound. Numbers outside fields are
part of the subject, such as a year. Each number of a text must be in a claim; those in formulas, in
code and in references are not read, and a result must not stand there.
"""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dlrecipes.recipe import registry

COURSE = Path(__file__).parents[2] / "docs" / "course"
SCRIPTS = sorted(COURSE.glob("*.py"))
CPU_SECONDS = 60
LIBRARIES = {"itertools", "dlrecipes", "keras", "matplotlib", "numpy", "sklearn", "tensorflow"}

CLAIMS = {
    "01_neuron": (
        "published in 1943",
        "so there are {functions.__len__} functions",
        "compute {separable} of the 16 functions",
    ),
    "02_activations": (
        "is at most {largest[logistic]}, in the middle",
        "ten layers of 64 units",
        "by a factor of more than {lost[sigmoid]}, and",
        "is {remaining[relu]} times as large",
    ),
    "03_perceptron": (
        "A line divides {x.__len__} points",
        "made {total} mistakes on the {x.__len__} points and none from the {clean}th epoch on; the "
        "bound allows about {bound}. On XOR it makes {always} mistakes in each epoch of four",
    ),
    "04_decision_regions": (
        "weights 1 and threshold 4",
        "with threshold 1 fires",
        "{learned[0]:%} % of the points without a hidden layer, {learned[1]:%} % with one and at "
        "least {learned[2]:%} % with two",
    ),
    "05_back_propagation": (
        "are {de_da} and {de_db}. The neuron outputs {f}",
        "its bias, is {df_dw[2]}.",
        "from automatic differentiation is below {graphs_differ}.",
        "differ by less than {networks_differ} in every weight",
        "about {speed} times as many passes",
    ),
    "06_universal_approximation": (
        "over {x.__len__} points",
        "With {units[6]} units the error is below {errors[sine][64]} on the sine and below "
        "{errors[corner][64]} on the corner, but still above {errors[jump][64]} on the jump.",
        "largest error is above {largest[jump]}:",
    ),
    "07_over_fitting": (
        "of which {y.__len__} are for training",
        "to {rise} times its minimum, and the network names {accuracies[no remedy]:%} % of",
        "decay brings {accuracies[weight decay]:%} %, dropout {accuracies[dropout]:%} %, and "
        "stopping at the gap {accuracies[stop: gap]:%} %.",
        "after {stopped[plateau]} epochs, with {accuracies[stop: plateau]:%} %.",
    ),
    "08_local_minima": (
        "at a height of {lowest[gradient descent]}. After {budget} evaluations",
        "at a height below {worst}.",
    ),
    "09_hopfield_network": (
        "Units are -1 or 1,",
        "restores {right[projection noisy]} of the ten digits",
        "and the Hebbian rule {right[hebbian noisy]}:",
        "projection restores {right[projection half]}.",
        "in {units} units, and recall",
        "The overlap is 1 if",
        "the collapse at 0.138 patterns",
        "At {loads[1]} patterns per unit the overlap is above {overlaps[0.1]}, and at {loads[5]} "
        "below {overlaps[0.2]}. With {units} units",
    ),
    "10_self_organizing_map": (
        "The grid has {side} rows and columns",
        "falls from {before[0]} to {after[0]}, and the topographic error from {before[1]:%} % to "
        "{after[1]:%} %.",
        "The {units.__len__} units name {accuracy:%} % of the test digits rightly, and the "
        "topographic error is {digit_history[40][1]:%} %.",
    ),
    "11_boltzmann_machine": (
        "of 4x4 pixels",
        "There are {bars.__len__} of them. With 16 visible",
        "over all {images.__len__} images",
        "falls from {nats[0]} to about {nats[-1]} nats. The least possible is {least},",
        "about {times_smaller} times smaller",
    ),
    "12_deep_belief_network": (
        "With {label_counts[0]} labels per class, pre-training lowers the test error from "
        "{means[random][0]:%} % to {means[pre-trained][0]:%} % (means over three seeds), and with "
        "{label_counts[3]} labels from {means[random][3]:%} % to {means[pre-trained][3]:%} %",
    ),
    "13_autoencoder": (
        "with an error of about {errors[PCA]} per image, the autoencoder with about "
        "{errors[autoencoder]}.",
        "in {accuracies[PCA]:%} % of the cases with PCA, and in {accuracies[autoencoder]:%} % with",
    ),
    "14_convolution": (
        "with the columns 1, 0 and -1 finds the edge, and a kernel that moves in strides of 2",
        "The rows are {step_edge[0]}, {step_edge[1]}, {step_edge[2]} and {step_edge[3]} for the "
        "edge. The other result begins with {strided[0][0]}, {strided[0][1]} and {strided[0][2]}.",
        "add up to 7 with probability {chance_of_7} and to 12 with {chance_of_12}.",
        "counting the pairs differ by less than {dice_differ}.",
        "differ by less than {moves_differ}, where the image goes up to 255, and the formula gives "
        "Keras' size in {agreeing} of {cases} cases",
    ),
    "15_pooling": (
        "0 means that nothing changes, 1 that",
        "has changed by {by_one[none]} of the distance between digits, with the mean by "
        "{by_one[mean]}, and with the overlapping maximum, whose windows are larger, by "
        "{by_one[overlapping]}.",
    ),
    "16_lenet5": (
        "After 15 epochs it names {accuracy:%} % of the",
        "A unit of C1 sees {fields[C1]} pixels in each direction, one of C3 sees {fields[C3]}, and "
        "one of C5 sees {fields[C5]}:",
        "is right for {by_layer[image]:%} % of the digits, and by layer F6 for {by_layer[F6]:%} %:",
    ),
    "17_classic_cnns": (
        "From LeNet-5 (1998) over AlexNet (2012), VGG and GoogLeNet (2014) to ResNet (2015),",
        "With images of 224x224, VGG-16 takes {billions[VGG-16]} billion multiply-accumulates and "
        "GoogLeNet {billions[GoogLeNet]} billion.",
        "hold {dense[AlexNet]:%} % of its {millions[AlexNet]} million parameters.",
        "so that GoogLeNet has {millions[GoogLeNet]} million.",
        "digits for 10 epochs,",
        "names at least {accuracies[LeNet-5]:%} % of the test digits rightly, and the network of "
        "today at least {accuracies[small CNN]:%} % with {costs[small CNN]} million",
    ),
    "18_recurrent_networks": (
        "(1, 1), (1, 1), (2, 2), both outputs of the Elman network are {outputs[Elman][0]}, "
        "{outputs[Elman][1]} and {outputs[Elman][2]}, and those of the Jordan network {jordan[0]}, "
        "{jordan[1]} and {jordan[2]}. The bidirectional network outputs "
        "{outputs[bidirectional][0]}, {outputs[bidirectional][1]} and "
        "{outputs[bidirectional][2]}, the deep one {outputs[deep][0]}, {outputs[deep][1]} and "
        "{outputs[deep][2]}. In the other order, Elman's outputs are {outputs[reversed][0]}, "
        "{outputs[reversed][1]} and {outputs[reversed][2]}:",
        "1 if the input can",
        "{UNITS} units know the last inputs, about {past[Elman]}, by",
        "feeds back {OUTPUTS} outputs, and knows {past[Jordan]} inputs. The bidirectional network "
        "also knows about {future[bidirectional]} inputs of the future, where the others know "
        "{future[Elman]}.",
    ),
    "19_vanishing_gradients": (
        "to less than {law:%} % up to lag 20.",
        "With a radius of 0.9, less than {left[elman]:%} % of the gradient is left after {TIME} "
        "steps.",
        "gate is {gates[1.0]} at Keras' default bias of 1: less than {left[default]:%} % is left",
        "With a bias of 5 the gate is {gates[5.0]}, and at least {left[open]:%} % of the gradient",
    ),
    "20_long_dependencies": (
        "Two of {TIME} numbers",
        "over at least 20 steps",
        "between 0 and 1. The constant answer 1 has",
        "bias of 1, the forget gate (遗忘门) hardly remembers 20 steps, as",
        "bias starts at 3, except",
        "has an error of {constant} on",
        "After {total_steps} steps the Elman network is above {errors[elman][9]}, the LSTM with a "
        "bias of 1 above {errors[lstm (bias 1)][9]}, with 3 below {errors[lstm][9]}, and with "
        "peepholes below {errors[peephole_lstm][9]}.",
        "the outputs differ by less than {differ}.",
        "is open to {opens[lstm]} at the marks and to {rests[lstm]} elsewhere in the LSTM, to "
        "{opens[peephole_lstm]} and {rests[peephole_lstm]} with peepholes:",
    ),
    "21_sequence_shapes": (
        "spells at least {right[one to many]:%} % without an error, the second is right for at "
        "least {right[many to one]:%} %, and the fourth for at least "
        "{right[encoder and decoder]:%} %. The third trained on numbers of 8 bits, and adds at "
        "least {right[aligned]:%} % of the pairs of {bits} bits",
    ),
    "22_gan": (
        "as in figure 1 of the paper",
        "falls from about {distances[0]} before training to below {distances[2000]} after "
        "{UPDATES} updates.",
        "is then below {undecided} away",
    ),
    "23_triplet_loss": (
        "The figure shows 3 of the {UNSEEN} people who",
        "four images each of 20 people",
        "is below {auc[before]}, and 0.5 would be chance. Semi-hard triplets bring it above "
        "{auc[semi_hard]}, and the fraction of mined triplets that still cost something falls from "
        "{active[semi_hard][0]} to less than {active[semi_hard][15]}.",
        "with a mean distance below {apart}, where each triplet costs the margin of "
        "{loss[hard][15]}.",
    ),
    "24_detection": (
        "has 192x192 pixels, and the map one position per {stride} pixels",
        "an overlap of 0.7 with an object on, negative (负样本) below 0.3 with",
        "Of {anchors.__len__} anchors, {positive} are positive and {negative} negative. Each of "
        "the {found} objects",
        "With a threshold of 0.7, it leaves the proposals (候选区域), the boxes worth a second "
        "look; with 0.5, one",
        "moves by less than {round_trip} pixels. From {deltas.__len__} predicted boxes come "
        "{boxes.__len__} proposals, and from these {best.__len__} boxes. They find {hits} of the "
        "six objects with an overlap above 0.7.",
    ),
}

NUMBER = r"(?<![\w-])\d[\d,]*(?:\.\d+)?"
FIELD = re.compile(r"\{([^{}]+?)(?::(%))?\}")
UPPER, LOWER = r"\b(less than|below|at most) $", r"\b(more than|above|at least) $"

RUN = """
import json, resource, runpy, sys
import matplotlib.pyplot as plt
import numpy as np

def plain(value):
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist()) if value.size <= 10_000 else [None] * len(value)
    return value if isinstance(value, (int, float)) else None

values = runpy.run_path(sys.argv[1], run_name="__main__")
usage = resource.getrusage(resource.RUSAGE_SELF)
report = {
    "values": {name: plain(value) for name, value in values.items() if name[0] != "_"},
    "figures": len(plt.get_fignums()),
    "seconds": usage.ru_utime + usage.ru_stime,
}
with open(sys.argv[2], "w") as file:
    json.dump(report, file)
"""


def text_of(path):
    """Returns a script's text as one line, without formulas, code, addresses and references."""
    source = path.read_text(encoding="utf-8")
    cells = [ast.get_docstring(ast.parse(source))]
    cells += re.findall(r"(?m)^# %%\n((?:#.*\n)+)", source)
    cells = [re.sub(r"(?m)^# ?", "", cell).strip() for cell in cells]
    paragraphs = "\n\n".join(cells).split("\n\n")
    kept, formula = [], False
    for paragraph in paragraphs:
        formula = paragraph.startswith(".. math::") or (formula and paragraph.startswith(" "))
        if not formula and not paragraph.startswith("*Reference"):
            kept.append(paragraph)
    text = " ".join(" ".join(kept).split())
    text = re.sub(r"<https?:[^>]*>|``.*?``", "", text)
    return re.sub(r":(math|class|func|doc|ref):`[^`]*`", r":\1:", text)


def pattern_of(claim):
    parts = FIELD.split(claim)
    literals, fields = parts[::3], list(zip(parts[1::3], parts[2::3], strict=True))
    return f"({NUMBER})".join(re.escape(part) for part in literals), fields


def occurrence(claim, text):
    pattern, fields = pattern_of(claim)
    matches = list(re.finditer(pattern, text))
    assert len(matches) == 1, f"{claim!r} stands {len(matches)} times in the text"
    return matches[0], fields


def value_of(field, values):
    """Returns a script's variable, or an entry of it: `name`, `name[key]`, `name.__len__`."""
    name = re.match(r"\w+", field)[0]
    value = values[name]
    if field == f"{name}.__len__":
        return len(value)
    for key in re.findall(r"\[([^]]+)\]", field):
        value = value[key] if isinstance(value, dict) else value[int(key)]
    return value


def agrees(stated, value, before):
    """Whether a number of the text describes a value, given the words before the number."""
    number = float(stated.replace(",", ""))
    if before.endswith(" about "):
        return abs(value - number) <= 0.1 * abs(number)
    if re.search(UPPER, before):
        return value <= number
    if re.search(LOWER, before):
        return value >= number
    if isinstance(value, int):
        return value == number
    unit = 10.0 ** -len(stated.partition(".")[2])
    return abs(value - number) <= unit * (1 + 1e-9)


@pytest.mark.parametrize(
    ("stated", "value", "before", "expected"),
    [
        ("14", 14, "computes ", True),
        ("14", 15, "computes ", False),
        ("1,797", 1797, "has ", True),
        ("0.25", 0.2561, "is ", True),
        ("0.25", 0.2601, "is ", False),
        ("20", 21.9, "is about ", True),
        ("20", 22.1, "is about ", False),
        ("0.1", 0.02, "below ", True),
        ("0.1", 0.11, "below ", False),
        ("90", 95.0, "at least ", True),
        ("90", 89.9, "above ", False),
    ],
)
def test_a_number_agrees_within_the_tolerance_that_its_text_claims(stated, value, before, expected):
    assert agrees(stated, value, before) is expected


def test_every_script_makes_a_claim():
    assert [path.stem for path in SCRIPTS] == sorted(CLAIMS)
    assert all("{" in " ".join(claims) for claims in CLAIMS.values())


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_every_number_of_the_text_is_in_a_claim(path):
    text = text_of(path)
    claimed = set()
    for claim in CLAIMS[path.stem]:
        match, _ = occurrence(claim, text)
        claimed.update(range(*match.span()))
    loose = [match for match in re.finditer(NUMBER, text) if match.start() not in claimed]
    assert [text[max(0, match.start() - 30) : match.end() + 15] for match in loose] == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_are_short_and_use_only_the_public_library(path):
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 100
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_")
    assert {name.partition(".")[0] for name in names} <= LIBRARIES
    assert [name for name in names if "._" in name] == []
    title = ast.get_docstring(ast.parse(source)).splitlines()[0]
    assert re.search(r"\([^)]*[\u4e00-\u9fff]+[^)]*\)$", title), "no Chinese term in the title"


def test_the_index_names_every_page_in_order_and_every_recipe():
    index = (COURSE / "GALLERY_HEADER.rst").read_text(encoding="utf-8")
    pages = re.findall(r":doc:`(\d\d_\w+)`", index)
    assert pages == [path.stem for path in SCRIPTS]
    recipes = set(re.findall(r"</gallery/(\w+)>`", index))
    assert recipes == {source.name for source in registry.sources() if source.is_built_in}


@pytest.mark.slow
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_computes_the_numbers_of_its_text(path, tmp_path):
    report = tmp_path / "report.json"
    subprocess.run(
        [sys.executable, "-c", RUN, path, report],
        check=True,
        env={**os.environ, "MPLBACKEND": "agg"},
        cwd=tmp_path,
    )
    report = json.loads(report.read_text())
    text, wrong = text_of(path), []
    for claim in CLAIMS[path.stem]:
        match, fields = occurrence(claim, text)
        for number, (field, percent) in enumerate(fields, 1):
            value = value_of(field, report["values"])
            value = 100 * value if percent else value
            if not agrees(match[number], value, text[: match.start(number)]):
                wrong.append(f"{claim}: {field} is {value}, not {match[number]}")
    assert wrong == []
    assert report["figures"] >= 1
    assert report["seconds"] < CPU_SECONDS
