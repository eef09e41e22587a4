"""Triplet losses: an anchor should be nearer to a positive than to a negative."""

import math

import keras
from keras import ops

from dlrecipes.errors import nearest
from dlrecipes.layers.pairwise_distances import METRICS, at_least_float32, pairwise_distances
from dlrecipes.losses._arguments import at_least_0, flat, sizes_of

# The margin of the smooth cost.
SOFT = "soft"


@keras.saving.register_keras_serializable(package="dlrecipes")
def triplet_loss(
    labels,
    embeddings,
    mining: str = "semi_hard",
    margin: float | str = 0.2,
    metric: str = "squared_euclidean",
):
    """Computes the mean hinge loss over triplets that are mined within a batch.

    With `d` the distance, a triplet of an anchor `a`, a positive `p` (another example with the
    anchor's label) and a negative `n` (an example with another label) costs

        max(0, d(a, p) - d(a, n) + margin)

    or, with `margin="soft"`, its smooth version without a margin, which never stops pulling:

        log(1 + exp(d(a, p) - d(a, n)))

    `mining` selects the triplets:

    - `"batch_all"`: all triplets of the batch.
    - `"batch_all_nonzero"`: all triplets of the batch, but the mean is over those with a cost above
      0.
    - `"semi_hard"`: for each anchor and positive, the nearest negative that is farther than the
      positive; the farthest negative if there is none.
    - `"hard"`: for each anchor and positive, the nearest negative.
    - `"batch_hard"`: for each anchor, the farthest positive and the nearest negative.

    `"hard"` and `"batch_hard"` on squared distances can collapse all embeddings into one point,
    where each triplet costs the margin; start from `"semi_hard"`, or use `metric="euclidean"`. A
    batch without a triplet costs 0, with zero gradients. The first two methods need memory cubic in
    the batch size, the others quadratic.

    It can be passed to `compile`. For other arguments than the defaults, wrap it in a function that
    is registered, so that compiled models can be saved and loaded:

        @keras.saving.register_keras_serializable()
        def hard_loss(labels, embeddings):
            return triplet_loss(labels, embeddings, "batch_hard", metric="euclidean")

    `dlrecipes.losses.triplet.active_triplets`, with the same arguments, is a metric to monitor: the
    fraction of triplets with a cost above 0.

    Args:
        labels: Identities of the examples, of shape `(batch,)` or `(batch, 1)`: integers, or floats
            as `fit` converts them (float32 represents integers below 16,777,216 exactly).
        embeddings: Vectors of shape `(batch, units)`, usually of length 1.
        mining: Name of the mining method. Defaults to `"semi_hard"`.
        margin: Margin by which a negative should be farther than a positive, at least 0; or
            `"soft"`. Defaults to 0.2.
        metric: `"squared_euclidean"`, `"euclidean"` or `"cosine"`, as for `PairwiseDistances`.
            Defaults to `"squared_euclidean"`.

    Returns:
        The loss, a scalar, in float32 at least.

    Raises:
        ValueError: If `mining` or `metric` is not one of the names above, `margin` is neither
            `"soft"` nor a number of at least 0, or the shapes differ from those above.

    Example:

    >>> import keras
    >>> from dlrecipes.losses import triplet_loss
    >>> labels, embeddings = [0, 0, 1, 1], [[0.0], [1.0], [1.1], [3.0]]
    >>> round(float(triplet_loss(labels, embeddings, "batch_hard")), 4)
    1.2475
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> model.compile("sgd", loss=triplet_loss)
    >>> history = model.fit(keras.ops.eye(4, 3), keras.ops.array(labels), verbose=0)

    Reference:
        Schroff, Kalenichenko and Philbin, 2015, "FaceNet: a unified embedding for face recognition
        and clustering", equations 1 to 3 and the semi-hard negatives of 4.
        https://arxiv.org/abs/1503.03832
        Hermans, Beyer and Leibe, 2017, "In defense of the triplet loss for person
        re-identification", equations 5 (batch hard) and 6 (batch all), and section 3.2; for the
        soft margin, the paragraph of that name in section 2.
        https://arxiv.org/abs/1703.07737
    """
    check(mining, margin, metric)
    distances, positive, negative = compared(labels, embeddings, metric)
    return mean_cost(*mined_costs(distances, positive, negative, mining, margin), mining)


@keras.saving.register_keras_serializable(package="dlrecipes")
def active_triplets(
    labels,
    embeddings,
    mining: str = "semi_hard",
    margin: float | str = 0.2,
    metric: str = "squared_euclidean",
):
    """Computes the fraction of mined triplets with a cost above 0, a metric for training.

    With a soft margin, whose costs are never 0, it is the fraction whose positive is farther than
    the negative.

    Training converges as it approaches 0. If it is 1 while the loss stays at the margin, all
    embeddings have collapsed into one point.

    Args:
        labels: Identities, as for `triplet_loss`.
        embeddings: Vectors, as for `triplet_loss`.
        mining: Mining method, as for `triplet_loss`. Defaults to `"semi_hard"`.
        margin: Margin, as for `triplet_loss`. Defaults to 0.2.
        metric: Distance, as for `triplet_loss`. Defaults to `"squared_euclidean"`.

    Returns:
        The fraction, a scalar in [0, 1]; 0 for a batch without a triplet.

    Raises:
        ValueError: As for `triplet_loss`.

    Example:

    >>> from dlrecipes.losses.triplet import active_triplets
    >>> float(active_triplets([0, 0, 1, 1], [[0.0], [1.0], [1.1], [3.0]], "batch_hard"))
    0.5
    """
    check(mining, margin, metric)
    distances, positive, negative = compared(labels, embeddings, metric)
    costs, mined = mined_costs(distances, positive, negative, mining, margin)
    return _mean(ops.cast(active(costs, margin), costs.dtype), mined)


def active(costs, margin: float | str = 0.2):
    """Returns which triplets violate the margin; with a soft one, which have the wrong order.

    Args:
        costs: Costs of triplets, of any shape.
        margin: Margin, as for `triplet_loss`. Defaults to 0.2.

    Returns:
        Booleans of the same shape.

    Example:

    >>> import keras
    >>> from dlrecipes.losses.triplet import active
    >>> keras.ops.convert_to_numpy(active(keras.ops.array([0.0, 0.3]))).tolist()
    [False, True]
    """
    # Equal distances cost log 2.
    return costs > (math.log(2) if margin == SOFT else 0)


def check(mining: str, margin: float | str, metric: str) -> None:
    """Raises a ValueError for arguments that `triplet_loss` does not support.

    Args:
        mining: Mining method, as for `triplet_loss`.
        margin: Margin, as for `triplet_loss`.
        metric: Distance, as for `triplet_loss`.

    Raises:
        ValueError: As for `triplet_loss`.
    """
    for name, value, choices in (("mining", mining, MINERS), ("metric", metric, METRICS)):
        if value not in tuple(choices):
            hint = nearest(str(value), choices)
            raise ValueError(f"{name} {value!r} is not one of {', '.join(choices)}. {hint}".strip())
    if margin != SOFT:
        at_least_0("margin", margin)


def compared(labels, embeddings, metric: str = "squared_euclidean"):
    """Compares all examples of a batch with one another.

    Args:
        labels: Identities, as for `triplet_loss`.
        embeddings: Vectors, as for `triplet_loss`.
        metric: Distance, as for `triplet_loss`. Defaults to `"squared_euclidean"`.

    Returns:
        Three matrices of shape `(batch, batch)`: the distances; whether the second example is
        another one with the first one's label; whether it has another label.

    Raises:
        ValueError: If the shapes differ from those of `triplet_loss`.

    Example:

    >>> import keras
    >>> from dlrecipes.losses.triplet import compared
    >>> distances, positive, negative = compared([0, 0, 1], [[0.0], [1.0], [3.0]])
    >>> [keras.ops.convert_to_numpy(x)[0].tolist() for x in (distances, positive, negative)]
    [[0.0, 1.0, 9.0], [False, True, False], [False, False, True]]
    """
    labels, embeddings = flat("labels", labels), at_least_float32(embeddings)
    sizes_of(embeddings=(embeddings, "batch units"), labels=(labels, "batch"))
    distances = pairwise_distances(embeddings, metric=metric)
    same = ops.equal(ops.expand_dims(labels, 1), labels)
    index = ops.arange(ops.shape(labels)[0])
    positive = same & ops.not_equal(ops.expand_dims(index, 1), index)
    return distances, positive, ops.logical_not(same)


def mined_costs(
    distances, positive, negative, mining: str = "semi_hard", margin: float | str = 0.2
):
    """Computes the costs of triplets from the result of `compared`.

    Args:
        distances: Distances between all examples, of shape `(batch, batch)`.
        positive: Booleans of the same shape: whether the second example is a positive of the first.
        negative: Booleans of the same shape: whether it is a negative.
        mining: Mining method, as for `triplet_loss`. Defaults to `"semi_hard"`.
        margin: Margin, as for `triplet_loss`. Defaults to 0.2.

    Returns:
        The costs, and booleans of the same shape that mark the mined ones: one per anchor, per
        anchor and positive, or per triplet, depending on the mining method.

    Example:

    >>> import keras
    >>> from dlrecipes.losses.triplet import compared, mined_costs
    >>> costs, mined = mined_costs(*compared([0, 0, 1], [[0.0], [1.0], [2.0]]), "batch_hard")
    >>> [round(float(cost), 1) for cost in costs[:2]], keras.ops.convert_to_numpy(mined).tolist()
    ([0.0, 0.2], [True, True, False])
    """
    near, far, mined = MINERS[mining](distances, positive, negative)
    if margin == SOFT:
        return ops.softplus(near - far), mined
    return ops.relu(near - far + margin), mined


def mean_cost(costs, mined, mining: str = "semi_hard"):
    """Computes the mean of the mined costs.

    Args:
        costs: Costs of triplets, of any shape.
        mined: Booleans of the same shape that mark the mined ones.
        mining: Mining method, as for `triplet_loss`. Defaults to `"semi_hard"`.

    Returns:
        The mean, a scalar; 0 if there are no mined costs.

    Example:

    >>> import keras
    >>> from dlrecipes.losses.triplet import mean_cost
    >>> float(mean_cost(keras.ops.array([0.0, 3.0]), keras.ops.array([True, True])))
    1.5
    """
    return _mean(costs, mined & (costs > 0) if mining == "batch_all_nonzero" else mined)


def _all(distances, positive, negative):
    mined = ops.expand_dims(positive, 2) & ops.expand_dims(negative, 1)
    return ops.expand_dims(distances, 2), ops.expand_dims(distances, 1), mined


def _semi_hard(distances, positive, negative):
    # By sorting, since all triplets at once would need memory cubic in the batch size.
    size = ops.shape(distances)[0]
    fixed = ops.stop_gradient(distances)
    apart = ops.where(negative, fixed, float("inf"))
    # Each anchor's negatives and all its distances in one order, with negatives first in ties.
    order = ops.argsort(ops.concatenate([apart, fixed], axis=1), axis=1)
    negatives_so_far = ops.cumsum(ops.cast(order < size, "int32"), axis=1)
    place = ops.argsort(order, axis=1)[:, size:]
    no_farther = ops.take_along_axis(negatives_so_far, place, axis=1)
    # The next one is the nearest that is farther; if there is none, the last of all negatives.
    last = ops.sum(ops.cast(negative, "int32"), axis=1, keepdims=True) - 1
    chosen = ops.maximum(ops.minimum(no_farther, last), 0)
    column = ops.take_along_axis(ops.argsort(apart, axis=1), chosen, axis=1)
    far = ops.take_along_axis(distances, column, axis=1)
    return distances, far, _with_a_negative(positive, negative)


def _hard(distances, positive, negative):
    nearest = ops.expand_dims(_masked_min(distances, negative), 1)
    return distances, nearest, _with_a_negative(positive, negative)


def _batch_hard(distances, positive, negative):
    farthest, nearest = _masked_max(distances, positive), _masked_min(distances, negative)
    return farthest, nearest, ops.any(positive, axis=1) & ops.any(negative, axis=1)


MINERS = {
    "batch_all": _all,
    "batch_all_nonzero": _all,
    "semi_hard": _semi_hard,
    "hard": _hard,
    "batch_hard": _batch_hard,
}


def _with_a_negative(positive, negative):
    return positive & ops.any(negative, axis=1, keepdims=True)


def _masked_max(x, mask):
    """Returns the largest marked value of the last axis; 0, without gradient, if there is none."""
    largest = ops.max(ops.where(mask, x, -float("inf")), axis=-1)
    return ops.where(ops.any(mask, axis=-1), largest, ops.zeros_like(largest))


def _masked_min(x, mask):
    return -_masked_max(-x, mask)


def _mean(x, mask):
    weights = ops.cast(mask, x.dtype)
    # Not a product, since values that are not mined may be infinite or NaN.
    total = ops.sum(ops.where(mask, x, ops.zeros_like(x)))
    return total / ops.maximum(ops.sum(weights), 1)
