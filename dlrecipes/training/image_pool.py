"""A history of generated images, from which a discriminator is shown some again."""

import keras
import tensorflow as tf

from dlrecipes.layers._arguments import integer
from dlrecipes.training._engine import stateless_random, uneven_batches


@keras.saving.register_keras_serializable(package="dlrecipes")
class ImagePool(keras.layers.Layer):
    """Keeps generated images, and gives back old ones in place of half of the new ones.

    Images come one after the other, those of a batch in their order. Until the pool is
    full each is stored and given back. From then on, with probability 1/2, an image
    takes the place of a stored one, drawn uniformly, which is given back; else it is given back
    itself and not stored. So an image may take the place of one of its own batch.

    What is stored is non-trainable weights of a model that has the pool as an attribute:
    checkpoints and `.keras` files hold it. Random draws are a function of `seed`, `stream` and
    step. Under a `tf.distribute` strategy the pool is that of one process: each replica stores
    the images of all replicas, and gets back its share.

    Args:
        size: How many images are kept, at least 0; 0 gives every image back as it is.
        seed: Seed of the stateless_random.
        stream: Tells several pools of one seed apart.

    Raises:
        ValueError: If `size` is not an integer of at least 0.

    Example:

    >>> pool = ImagePool(size=2)
    >>> first = pool.query(tf.constant([[1.0], [2.0]]), step=0)
    >>> first.numpy().ravel().tolist(), pool.images.numpy().ravel().tolist()
    ([1.0, 2.0], [1.0, 2.0])
    >>> later = pool.query(tf.constant([[3.0], [4.0], [5.0]]), step=1).numpy().ravel()
    >>> sorted([*later, *pool.images.numpy().ravel()]) == [1, 2, 3, 4, 5]  # each once
    True

    Reference:
        Shrivastava, Pfister, Tuzel, Susskind, Wang and Webb, 2017, "Learning from simulated and
        unsupervised images through adversarial training", section 2.3; in the form of
        Zhu, Park, Isola and Efros, 2017, "Unpaired image-to-image translation using
        cycle-consistent adversarial networks", section 4.
    """

    def __init__(self, size: int = 50, seed: int = 0, stream: int = 0, **kwargs):
        super().__init__(**kwargs)
        integer("size", size, 0)
        self.size = size
        self.seed = seed
        self.stream = stream

    def build(self, input_shape):
        """Makes room for images of the shape that a batch has after its first axis."""
        if self.size:
            # Every replica computes the same: that of the first may be written to all.
            options = {"trainable": False, "aggregation": "only_first_replica"}
            self.images = self.add_weight(
                shape=(self.size, *input_shape[1:]),
                initializer="zeros",
                dtype="float32",
                autocast=False,
                name="images",
                **options,
            )
            self.count = self.add_weight(
                shape=(), initializer="zeros", dtype="int64", name="count", **options
            )
        self.built = True

    def query(self, images: tf.Tensor, step: tf.Tensor | int) -> tf.Tensor:
        """Stores images and returns as many to show to the discriminator.

        Args:
            images: Generated images of shape `(batch, ...)`, floats.
            step: Number of the step, an integer scalar: `optimizer.iterations`.

        Returns:
            Images of the same shape and type, for which no gradient flows.

        Raises:
            ValueError: If the images are not of the shape that the pool was built for.
        """
        if not self.built:
            self.build(images.shape)
        if not self.size:
            return tf.stop_gradient(images)
        kept = tuple(self.images.shape[1:])
        if not images.shape[1:].is_compatible_with(kept):
            found = tuple(images.shape[1:])
            raise ValueError(f"The pool keeps images of shape {kept}, not {found}.")
        new = tf.stop_gradient(tf.cast(images, "float32"))
        here, first, everyones = _of_all_replicas(new)
        chances = stateless_random.replicated_uniform(
            [tf.shape(everyones)[0], 2], self.seed, step, self.stream
        )
        returned = self._exchange(everyones, chances)[first : first + here]
        # A replica without examples has one that counts nowhere.
        returned = tf.concat([returned, new[here:]], axis=0)
        return tf.cast(tf.ensure_shape(returned, images.shape), images.dtype)

    def _exchange(self, new: tf.Tensor, chances: tf.Tensor) -> tf.Tensor:
        """Stores and returns, by two numbers in [0, 1) an image: whether to swap, and for which.

        It does at once what the definition does image by image: in the place that it looks
        at, an image finds what the last image before it wrote there.
        """
        batch = tf.shape(new)[0]
        rows = tf.range(batch)
        position = self.count.value + tf.cast(rows, tf.int64)
        fills = position < self.size
        swaps = ~fills & (chances[:, 0] > 0.5)
        place = tf.where(fills, position, tf.cast(chances[:, 1] * self.size, tf.int64))
        # Rows are readers, columns are writers.
        wrote = (fills | swaps) & (place[:, None] == place)
        known = tf.concat([tf.gather(self.images.value, place), new], axis=0)

        def newest(written):
            return tf.reduce_max(tf.where(written, batch + rows, rows[:, None]), axis=1)

        earlier = rows < rows[:, None]
        returned = tf.gather(known, tf.where(swaps, newest(wrote & earlier), batch + rows))
        # Where several write, all write what the last one does: in any order.
        self.images.value.scatter_update(tf.IndexedSlices(tf.gather(known, newest(wrote)), place))
        filled = tf.minimum(self.count.value + tf.cast(batch, tf.int64), self.size)
        self.count.assign(filled)
        return returned

    def get_config(self):
        """Returns the constructor's arguments."""
        own = {"size": self.size, "seed": self.seed, "stream": self.stream}
        return {**super().get_config(), **own}


def _of_all_replicas(new: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns how many of the images count, where they begin among all, and all of them."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return tf.shape(new)[0], tf.constant(0), new
    here, before, _ = uneven_batches.replica_offset(tf.shape(new)[0])
    context = tf.distribute.get_replica_context()
    return here, before, context.all_gather(new[:here], axis=0)
