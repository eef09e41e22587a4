"""Training of embeddings that place images of one identity close together, by triplets."""

import warnings

import keras
import numpy as np
import tensorflow as tf

from dlrecipes.layers.pairwise_distances import at_least_float32
from dlrecipes.losses import triplet
from dlrecipes.training._engine import uneven_batches
from dlrecipes.training._engine.checks import check_built, ensemble_size
from dlrecipes.training.trainer import Trainer, batch_size


@keras.saving.register_keras_serializable(package="dlrecipes")
class TripletEmbedding(Trainer):
    """Trains a network to embed examples with the same label closer together than others.

    Triplets are mined within the batch, as described in `losses.triplet_loss`, in float32
    regardless of the dtype policy. Under a `tf.distribute` strategy, the embeddings of all replicas
    are gathered first, so that triplets come from the whole batch. Use batches with several images
    of each of several identities (`data.identities.pk_batches`); a batch with a single label has
    loss 0 and changes no weight. The network's regularization losses are added.

    The members of a `models.ensemble` are trained independently. Their mean, which
    `L2Normalization` should follow, is useful only if each member has its own axes.

    Training and validation log

    - `loss`, the mean over batches;
    - `active_triplets`, the fraction of the mined triplets with a loss above 0: training has
      converged when it approaches 0;
    - `positive_distance` and `negative_distance`, the means over all pairs in a batch with the same
      label and with different labels;
    - `rank1`, the fraction of examples with a positive in the batch for which the nearest other
      example is a positive.

    Args:
        network: Built model from examples to embeddings of shape
            `(batch, units)`. FaceNet's lie on the unit sphere, as do those of
            `models.facenet_small`, `models.facenet_inception_resnet` and any network that ends
            with `L2Normalization`.
        margin: Required difference between the distances of a negative and a positive, at least 0,
            in units of the metric; or `"soft"`, as in `losses.triplet_loss`. On the unit sphere,
            squared distances are at most 4. Defaults to 0.2.
        mining: Triplets to use: `"semi_hard"`, `"hard"`, `"batch_hard"`, `"batch_all"` or
            `"batch_all_nonzero"`, as in `losses.triplet_loss`. Defaults to `"semi_hard"`.
        metric: `"squared_euclidean"`, `"euclidean"` or `"cosine"`. Defaults to
            `"squared_euclidean"`.
        **kwargs: Keyword arguments of `keras.Model`, such as `name`.

    Attributes:
        validation_part: Number of examples of a batch that validation embeds at once, which limits
            the memory of large batches, or `None`: all. The layers of the network must not add
            losses in their `call`. `None` at first.

    Call arguments:
        inputs: Inputs of the network.
        training: Whether layers such as dropout are in training mode. Defaults to `False`.

    Returns:
        The embeddings, of shape `(batch, units)`.

    Raises:
        ValueError: If the network has no weights yet or does not output one vector per example, if
            `mining` or `metric` is unknown, or if `margin` is neither `"soft"` nor at least 0. In
            `compile`: if a loss is given. In training: if there are no labels, or if there are
            sample weights.

    Example:

    >>> import keras
    >>> from dlrecipes.models import facenet_small
    >>> from dlrecipes.training import TripletEmbedding
    >>> model = TripletEmbedding(facenet_small((16, 16, 1), filters=(4, 8)), margin=0.2)
    >>> model.compile(keras.optimizers.Adam(1e-3))
    >>> images, people = keras.ops.ones((4, 16, 16, 1)), keras.ops.array([0, 0, 1, 1])
    >>> history = model.fit(images, people, verbose=0).history
    >>> round(history["loss"][0], 3), history["active_triplets"][0]
    (0.2, 1.0)

    Reference:
        Schroff, Kalenichenko and Philbin, 2015, "FaceNet: a unified embedding for face recognition
        and clustering", section 3.1, equations 1 to 3, and section 3.2, equation 4 (semi-hard
        negatives). https://arxiv.org/abs/1503.03832
        Hermans, Beyer and Leibe, 2017, "In defense of the triplet loss for person
        re-identification", section 2 (batches of P identities by K images).
        https://arxiv.org/abs/1703.07737
    """

    serializable_arguments = ("network",)
    validation_part: int | None = None

    def __init__(
        self,
        network: keras.Model,
        margin: float | str = 0.2,
        mining: str = "semi_hard",
        metric: str = "squared_euclidean",
        **kwargs,
    ):
        super().__init__(**kwargs)
        triplet.check(mining, margin, metric)
        _check_network(network)
        self.network = network
        self.margin = margin
        self.mining = mining
        self.metric = metric
        self.active_triplets = keras.metrics.Mean(name="active_triplets")
        self.positive_distance = keras.metrics.Mean(name="positive_distance")
        self.negative_distance = keras.metrics.Mean(name="negative_distance")
        self.rank1 = keras.metrics.Mean(name="rank1")
        self.built = True

    def call(self, inputs, training=False):
        return self.network(inputs, training=training)

    def train_step(self, data):
        x, labels = self._unpack(data)
        with tf.GradientTape() as tape:
            embeddings = self(x, training=True)
            loss = self._loss(x, labels, embeddings, ensemble_size(self.network))
            scaled = self.optimizer.scale_loss(loss)
        norm = self.update(self.optimizer, tape, scaled, self.trainable_variables)
        # An ensemble in training stacks its members' embeddings along the batch axis.
        repeated = tf.tile(labels, [ensemble_size(self.network)])
        logs = self.compute_metrics(x, repeated, embeddings)
        self.gradient_norm.update_state(norm)
        return {**logs, "gradient_norm": self.gradient_norm.result()}

    def test_step(self, data):
        x, labels = self._unpack(data)
        embeddings = self._in_parts(x)
        self._loss(x, labels, embeddings)
        return self.compute_metrics(x, labels, embeddings)

    def _in_parts(self, x) -> tf.Tensor:
        """Returns the embeddings of a batch, part by part."""
        each, outputs = self.validation_part, getattr(self.network, "outputs", None)
        # XLA needs fixed shapes.
        if each is None or self.jit_compile or not outputs:
            return self(x, training=False)
        size = batch_size(x)

        def embed(first, done):
            part = tf.nest.map_structure(lambda tensor: tensor[first : first + each], x)
            embeddings = at_least_float32(self(part, training=False))
            return first + each, done.write(first // each, embeddings)

        dtype = at_least_float32(tf.zeros([], outputs[0].dtype)).dtype
        shape = [None, *outputs[0].shape[1:]]
        parts = tf.TensorArray(
            dtype, tf.maximum(1, -(-size // each)), infer_shape=False, element_shape=shape
        )
        # An empty batch is one part.
        _, parts = tf.while_loop(
            lambda first, done: first < tf.maximum(1, size),
            embed,
            (0, parts),
            parallel_iterations=1,
        )
        return tf.ensure_shape(parts.concat(), shape)

    def _loss(self, x, labels, embeddings: tf.Tensor, parts: int = 1) -> tf.Tensor:
        """Returns the loss of the whole batch, which all replicas compute, and updates the metrics.

        The embeddings of each ensemble member form a part; triplets do not cross parts.
        """
        losses = [self._triplet_loss(labels, part) for part in tf.split(embeddings, parts)]
        loss = tf.add_n(losses) / parts
        loss = tf.add_n([loss, *(tf.cast(penalty, loss.dtype) for penalty in self.losses)])
        self._loss_tracker.update_state(loss, sample_weight=batch_size(x))
        return loss

    def _triplet_loss(self, labels, embeddings: tf.Tensor) -> tf.Tensor:
        """Returns the mean cost of the mined triplets, and updates the metrics."""
        # Gathered in float32, because embeddings to compare may differ only in the last digits.
        embeddings, labels = _gather_replicas(at_least_float32(embeddings), labels)
        distances, positive, negative = triplet.compared(labels, embeddings, self.metric)
        costs, mined = triplet.mined_costs(distances, positive, negative, self.mining, self.margin)
        self._track(self.active_triplets, triplet.active(costs, self.margin), mined)
        self._track(self.positive_distance, distances, positive)
        self._track(self.negative_distance, distances, negative)
        nearest = [
            tf.reduce_min(tf.where(kind, distances, distances.dtype.max), axis=1)
            for kind in (positive, negative)
        ]
        self._track(self.rank1, nearest[0] < nearest[1], tf.reduce_any(positive, axis=1))
        return triplet.mean_cost(costs, mined, self.mining)

    def _track(self, tracker: keras.metrics.Mean, values: tf.Tensor, which: tf.Tensor) -> None:
        weights = tf.cast(which, tf.float32)
        count = tf.reduce_sum(weights)
        total = tf.reduce_sum(tf.cast(values, tf.float32) * weights)
        tracker.update_state(tf.math.divide_no_nan(total, count), sample_weight=count)

    def _unpack(self, data):
        x, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        self._check_labels(labels, sample_weight)
        # Keras loses the rank of labels that are first a vector and then a column.
        return x, tf.reshape(labels, [-1]) if labels.shape.rank is None else labels

    def compile(self, optimizer="rmsprop", loss=None, **kwargs):
        """Configures training as `keras.Model.compile` does, without a loss.

        Raises:
            ValueError: If a loss is given.
        """
        if loss is not None:
            raise ValueError("TripletEmbedding has its own loss: compile it without one.")
        super().compile(optimizer, **kwargs)

    def check_batch(self, x, y=None, sample_weight=None) -> None:
        """Raises an error for data without labels, with sample weights, or of the wrong shape."""
        super().check_batch(x, y, sample_weight)
        self._check_labels(y, sample_weight)

    def fit(self, x=None, y=None, *args, **kwargs):
        """Trains as `keras.Model.fit` does, and warns if labels in an array form no triplet."""
        if hasattr(y, "__array__"):
            _warn_without_triplets(np.asarray(y))
        return super().fit(x, y, *args, **kwargs)

    def _check_labels(self, labels, sample_weight) -> None:
        if labels is None:
            raise ValueError("TripletEmbedding needs labels: give fit pairs of (x, labels).")
        if sample_weight is not None:
            raise ValueError("TripletEmbedding takes no sample weights: its loss is over triplets.")

    def get_config(self):
        return {
            **super().get_config(),
            "margin": self.margin,
            "mining": self.mining,
            "metric": self.metric,
        }


def _warn_without_triplets(labels: np.ndarray) -> None:
    counts = np.unique(labels, return_counts=True)[1]
    if len(counts) == 1 or (len(counts) and counts.max() == 1):
        reason = "no label occurs twice" if len(counts) > 1 else "all have the same label"
        warnings.warn(
            f"Nothing is learned: there are no triplets, because {reason}. Give two labels or "
            "more, one of them twice.",
            stacklevel=3,
        )


def _gather_replicas(embeddings: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the embeddings and labels of all replicas, in the batch's order.

    Each replica computes the same loss and from it the gradient of its own embeddings. `update`
    then averages by examples what should be summed; a factor on the gradient compensates for that.
    """
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas == 1:
        return embeddings, labels
    context = tf.distribute.get_replica_context()
    count, factor = uneven_batches.examples(), float(replicas)
    size = tf.shape(embeddings)[0] if count is None else count
    # Removes the placeholder of a replica without examples.
    embeddings, labels = embeddings[:size], labels[:size]
    all_embeddings, all_labels, counts = (
        context.all_gather(value, axis=0)
        for value in (tf.stop_gradient(embeddings), labels, tf.reshape(size, [1]))
    )
    if count is not None:
        factor = tf.math.divide_no_nan(
            tf.cast(tf.reduce_sum(counts), tf.float32), tf.cast(count, tf.float32)
        )
    start = tf.reduce_sum(counts[: context.replica_id_in_sync_group])
    own = _scale_gradient(embeddings, factor)
    before, after = all_embeddings[:start], all_embeddings[start + size :]
    return tf.concat([before, own, after], axis=0), all_labels


def _scale_gradient(x: tf.Tensor, factor: float | tf.Tensor) -> tf.Tensor:
    """Returns a tensor unchanged, but multiplies its gradient by a factor."""

    @tf.custom_gradient
    def same(x):
        return tf.identity(x), lambda upstream: upstream * tf.cast(factor, upstream.dtype)

    return same(x)


def _check_network(network: keras.Model) -> None:
    check_built(network)
    outputs = getattr(network, "outputs", None)
    if outputs and (len(outputs) != 1 or len(outputs[0].shape) != 2):
        shapes = ", ".join(str(tuple(output.shape)) for output in outputs)
        raise ValueError(f"{network.name} must output (batch, units), not {shapes}.")
