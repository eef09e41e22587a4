import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.samplers import choose, choose_numpy, pick, pick_numpy, uniform

SEEDS = np.array([0, 1, 7, 2**31 - 1])


def murmur_finalizer(x):
    """MurmurHash3's 32-bit finalizer, as its reference implementation writes it."""
    mask = 2**32 - 1
    x = (x ^ x >> 16) * 0x85EBCA6B & mask
    x = (x ^ x >> 13) * 0xC2B2AE35 & mask
    return x ^ x >> 16


def test_random_numbers_are_the_hash_of_seed_and_counter():
    for seed in SEEDS.tolist():
        for number in (0, 5, 10**6):
            key = murmur_finalizer(seed) + (number + 1) * 0x9E3779B9
            expected = (murmur_finalizer(key & 2**32 - 1) >> 8) / 2**24
            assert uniform(seed, number) == expected


def test_random_numbers_are_equal_in_python_numpy_and_the_graph():
    graph = tf.function(uniform, input_signature=[tf.TensorSpec([None], tf.int64)] * 2)
    for number in range(20):
        expected = [uniform(seed, number) for seed in SEEDS.tolist()]
        assert uniform(SEEDS, number).tolist() == expected
        assert uniform(tf.constant(SEEDS), number).numpy().tolist() == expected
        assert graph(SEEDS, np.array([number])).numpy().tolist() == expected


def test_random_numbers_are_evenly_spread():
    numbers = np.stack([uniform(SEEDS, number) for number in range(300)])
    assert 0 <= numbers.min() <= numbers.max() < 1
    # The mean of 1,200 numbers lies within 4 standard deviations of a half.
    assert abs(numbers.mean() - 0.5) < 4 / np.sqrt(12 * numbers.size)


def test_the_graph_and_numpy_choose_the_same_ids():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(4, 50)).astype("float32")
    allowed = rng.random((4, 50)) < 0.5
    top_k, top_p = np.array([0, 3, 0, 5], "int32"), np.array([1, 1, 0.5, 0.9], "float32")
    for number in range(40):
        uniforms = uniform(SEEDS, number)
        ids = choose(*map(tf.constant, (scores, allowed, top_k, top_p, uniforms)))
        rows = zip(scores, allowed, top_k, top_p, uniforms, strict=True)
        assert ids.numpy().tolist() == [choose_numpy(*row) for row in rows]


PROBABILITIES = np.array([0.5, 0.3, 0.15, 0.05])


def counts(top_k, top_p, allowed=(True,) * 4):
    """Returns how often each of 4 ids is sampled from 1,000 evenly spaced numbers."""
    ids = choose(
        tf.constant(np.tile(np.log(PROBABILITIES), (1000, 1)).astype("float32")),
        tf.constant(np.tile(allowed, (1000, 1))),
        tf.fill([1000], top_k),
        tf.fill([1000], top_p),
        tf.constant((np.arange(1000) + 0.5) / 1000),
    )
    return np.bincount(ids.numpy(), minlength=4).tolist()


def test_ids_follow_the_softmax_of_the_scores():
    assert counts(0, 1.0) == [500, 300, 150, 50]
    assert counts(0, 1.0, (False, True, False, True)) == pytest.approx([0, 857, 0, 143], abs=1)


def test_top_k_keeps_the_highest_scores():
    assert counts(2, 1.0) == [625, 375, 0, 0]


def test_top_p_keeps_the_fewest_ids_that_reach_the_probability():
    # The first two have 0.8, so the third is needed to reach 0.9; the three have 0.95.
    assert counts(0, 0.9) == pytest.approx([526, 316, 158, 0], abs=1)


def test_top_p_applies_to_what_top_k_keeps():
    # The first two are 0.625 and 0.375 of their sum: the first alone reaches 0.6.
    assert counts(2, 0.6) == [1000, 0, 0, 0]


def test_pick_follows_the_weights_and_survives_zeros():
    weights = np.array([[0.0, 1.0, 3.0], [0.0, 1.0, 3.0], [0.0, 0.0, 0.0]])
    uniforms = np.array([0.2, 0.3, 0.5])
    assert pick(tf.constant(weights), tf.constant(uniforms)).numpy().tolist() == [1, 2, 2]
    assert [pick_numpy(*row) for row in zip(weights, uniforms, strict=True)] == [1, 2, 2]


def test_the_numpy_functions_do_not_load_tensorflow():
    code = (
        "import sys, numpy as np\n"
        "from dlrecipes.samplers import choose_numpy, uniform\n"
        "choose_numpy(np.zeros(3, 'float32'), np.ones(3, bool), 2, 0.9, uniform(1, 2))\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
