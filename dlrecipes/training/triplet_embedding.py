"""Training of embeddings in which images of one identity lie together, by triplets."""

import keras
import tensorflow as tf

from dlrecipes.layers.pairwise_distances import at_least_float32
from dlrecipes.losses import triplet
from dlrecipes.training._engine import uneven_batches
from dlrecipes.training._engine.checks import members, refuse_unbuilt
from dlrecipes.training.trainer import Trainer, batch_size


@keras.saving.register_keras_serializable(package="dlrecipes")
class TripletEmbedding(Trainer):
    """Trains a network so that examples with one label lie nearer together than to others.

    Triplets are mined within the batch, as `losses.triplet_loss` describes, in float32 whatever
    the dtype policy. Under a `tf.distribute` strategy the embeddings of all replicas are
    gathered first: triplets are those of the whole batch. Give it batches of some images of
    each of some identities (`data.identities.pk_batches`); a batch of one label alone
    costs 0 and moves nothing. The network's regularization losses are added. The members of a
    `models.ensemble` are trained each for itself; their mean, which `L2Normalization` should
    follow, tells examples apart only where each member has axes of its own.

    Training and validation log

    - `loss`, the mean over batches;
    - `active_triplets`, the share of the mined triplets that cost something: training is over
      when it nears 0;
    - `positive_distance` and `negative_distance`, the means over all pairs in a batch with the
      same label and with different ones;
    - `rank1`, the share of examples with a positive in the batch that are nearer to one than
      to any negative.

    Args:
        network: Model whose weights are made, from examples to embeddings of shape
            `(batch, units)`. FaceNet's end on the unit sphere, as `models.facenet_small` and
            `models.facenet_inception_resnet` do, or any that ends with `L2Normalization`.
        margin: How much farther a negative should be than a positive, at least 0, in units
            of the metric; on the unit sphere squared distances are at most 4.
        mining: The triplets that count: `"semi_hard"`, `"hard"`, `"batch_hard"`,
            `"batch_all"` or `"batch_all_nonzero"`, as `losses.triplet_loss` has them.
        metric: `"squared_euclidean"`, `"euclidean"` or `"cosine"`.

    Call arguments:
        inputs: What the network takes.
        training: Whether dropout and the like are on.

    Returns:
        The embeddings, of shape `(batch, units)`.

    Raises:
        ValueError: If the network has no weights yet or does not give one vector an example,
            `mining` or `metric` is not one of those named, or `margin` is no number of at
            least 0; in `compile`, if there is a loss; in training, if
            there are no labels, or there are sample weights.

    Example:

    >>> from dlrecipes.models import facenet_small
    >>> model = TripletEmbedding(facenet_small((16, 16, 1), filters=(4, 8)), margin=0.2)
    >>> model.compile(keras.optimizers.Adam(1e-3))
    >>> images, people = keras.ops.ones((4, 16, 16, 1)), keras.ops.array([0, 0, 1, 1])
    >>> history = model.fit(images, people, verbose=0).history
    >>> round(history["loss"][0], 3), history["active_triplets"][0]
    (0.2, 1.0)

    Reference:
        Schroff, Kalenichenko and Philbin, 2015, "FaceNet: a unified embedding for face
        recognition and clustering", section 3.1, equations 1 to 3, and section 3.2, equation 4
        (semi-hard negatives). Hermans, Beyer and Leibe, 2017, "In defense of the triplet loss
        for person re-identification", section 2 (batches of P identities by K images).
    """

    serializable_arguments = ("network",)

    def __init__(
        self,
        network: keras.Model,
        margin: float = 0.2,
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
        """Returns the embeddings."""
        return self.network(inputs, training=training)

    def train_step(self, data):
        """Returns the metrics of one optimizer step on one batch."""
        x, labels = self._unpack(data)
        with tf.GradientTape() as tape:
            embeddings = self(x, training=True)
            loss = self._loss(x, labels, embeddings, members(self.network))
            scaled = self.optimizer.scale_loss(loss)
        norm = self.update(self.optimizer, tape, scaled, self.trainable_variables)
        # An ensemble in training gives each member's embeddings, one below the other.
        known = tf.tile(labels, [members(self.network)])
        logs = self.compute_metrics(x, known, embeddings)
        self.gradient_norm.update_state(norm)
        return {**logs, "gradient_norm": self.gradient_norm.result()}

    def test_step(self, data):
        """Returns the metrics of one batch."""
        x, labels = self._unpack(data)
        embeddings = self(x, training=False)
        self._loss(x, labels, embeddings)
        return self.compute_metrics(x, labels, embeddings)

    def _loss(self, x, labels, embeddings: tf.Tensor, parts: int = 1) -> tf.Tensor:
        """Returns the loss of the whole batch, which all replicas compute; keeps the figures.

        Each of the parts of the embeddings, an ensemble's members, is compared within itself.
        """
        found = [self._mined(labels, part) for part in tf.split(embeddings, parts)]
        loss = tf.add_n(found) / parts
        loss = tf.add_n([loss, *(tf.cast(penalty, loss.dtype) for penalty in self.losses)])
        self._loss_tracker.update_state(loss, sample_weight=batch_size(x))
        return loss

    def _mined(self, labels, embeddings: tf.Tensor) -> tf.Tensor:
        """Returns the mean cost of the triplets; keeps the figures."""
        # Gathered at full precision: what differs in the last digits is what is compared.
        everyone, known = _gathered(at_least_float32(embeddings), labels)
        distances, positive, negative = triplet.compared(known, everyone, self.metric)
        costs, mined = triplet.mined_costs(distances, positive, negative, self.mining, self.margin)
        self._keep(self.active_triplets, costs > 0, mined)
        self._keep(self.positive_distance, distances, positive)
        self._keep(self.negative_distance, distances, negative)
        nearest = [
            tf.reduce_min(tf.where(kind, distances, distances.dtype.max), axis=1)
            for kind in (positive, negative)
        ]
        self._keep(self.rank1, nearest[0] < nearest[1], tf.reduce_any(positive, axis=1))
        return triplet.mean_cost(costs, mined, self.mining)

    def _keep(self, tracker: keras.metrics.Mean, values: tf.Tensor, which: tf.Tensor) -> None:
        weights = tf.cast(which, tf.float32)
        count = tf.reduce_sum(weights)
        total = tf.reduce_sum(tf.cast(values, tf.float32) * weights)
        tracker.update_state(tf.math.divide_no_nan(total, count), sample_weight=count)

    def _unpack(self, data):
        x, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        self._refuse(labels, sample_weight)
        # Keras loses count of the axes when it is given a vector of labels and then a column.
        return x, tf.reshape(labels, [-1]) if labels.shape.rank is None else labels

    def compile(self, optimizer="rmsprop", loss=None, **kwargs):
        """As `keras.Model.compile`, without a loss.

        Raises:
            ValueError: If a loss is given.
        """
        if loss is not None:
            raise ValueError("TripletEmbedding is its own loss: give compile none.")
        super().compile(optimizer, **kwargs)

    def check_batch(self, x, y=None, sample_weight=None) -> None:
        """Refuses data without labels, with sample weights, or that the network does not read."""
        super().check_batch(x, y, sample_weight)
        self._refuse(y, sample_weight)

    def _refuse(self, labels, sample_weight) -> None:
        if labels is None:
            raise ValueError("TripletEmbedding needs labels: give fit pairs of (x, labels).")
        if sample_weight is not None:
            raise ValueError("TripletEmbedding takes no sample weights: its loss is of triplets.")

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "margin": self.margin,
            "mining": self.mining,
            "metric": self.metric,
        }


def _gathered(embeddings: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns those of all replicas, in the batch's order.

    Each replica computes the same loss, and from it the gradient of its own embeddings; `update`
    weighs by examples what should be summed, which a factor makes up for.
    """
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas == 1:
        return embeddings, labels
    context = tf.distribute.get_replica_context()
    count, factor = uneven_batches.examples(), float(replicas)
    known = tf.shape(embeddings)[0] if count is None else count
    # A replica without examples was given one that counts nowhere.
    embeddings, labels = embeddings[:known], labels[:known]
    everyone, everyones, counts = (
        context.all_gather(value, axis=0)
        for value in (tf.stop_gradient(embeddings), labels, tf.reshape(known, [1]))
    )
    if count is not None:
        factor = tf.math.divide_no_nan(
            tf.cast(tf.reduce_sum(counts), tf.float32), tf.cast(count, tf.float32)
        )
    start = tf.reduce_sum(counts[: context.replica_id_in_sync_group])
    own = _scaled_backwards(embeddings, factor)
    return tf.concat([everyone[:start], own, everyone[start + known :]], axis=0), everyones


def _scaled_backwards(x: tf.Tensor, factor: float | tf.Tensor) -> tf.Tensor:
    """Returns a tensor as it is; its gradient is multiplied by a factor."""

    @tf.custom_gradient
    def same(x):
        return tf.identity(x), lambda upstream: upstream * tf.cast(factor, upstream.dtype)

    return same(x)


def _check_network(network: keras.Model) -> None:
    refuse_unbuilt(network)
    outputs = getattr(network, "outputs", None)
    if outputs and (len(outputs) != 1 or len(outputs[0].shape) != 2):
        shapes = ", ".join(str(tuple(output.shape)) for output in outputs)
        raise ValueError(f"{network.name} must give (batch, units), not {shapes}.")
