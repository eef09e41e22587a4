"""What every training loop shares: the gradient's norm is logged before it is clipped."""

import keras
import tensorflow as tf


class Trainer(keras.Model):
    """A `keras.Model` whose `train_step` logs `gradient_norm`, the epoch's mean so far.

    Subclasses say what the loss is, in `compute_loss`. Clipping is the optimizer's own
    (`keras.optimizers.Adam(global_clipnorm=1.0)`); what is logged is the global norm
    before it, which is what tells exploding gradients.

    Reference:
        Pascanu, Mikolov and Bengio, 2013, "On the difficulty of training recurrent
        neural networks", algorithm 1 (clipping by norm).
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.gradient_norm = keras.metrics.Mean(name="gradient_norm")

    def train_step(self, data):
        """Returns the metrics of one optimizer step on one batch."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred, sample_weight, training=True)
            scaled = self.optimizer.scale_loss(loss)
        variables = self.trainable_variables
        gradients = tape.gradient(scaled, [v.value for v in variables])
        gradients = [_summed(gradient) for gradient in gradients]
        norm = tf.linalg.global_norm(gradients) / self.optimizer.scale_loss(tf.ones(()))
        self.optimizer.apply(gradients, variables)
        self._loss_tracker.update_state(loss, sample_weight=tf.shape(tf.nest.flatten(x)[0])[0])
        logs = self.compute_metrics(x, y, y_pred, sample_weight)
        self.gradient_norm.update_state(norm)
        return {**logs, "gradient_norm": self.gradient_norm.result()}


def _summed(gradient):
    # A row used twice comes as two slices, whose norm, which clipping goes by, is not the sum's.
    return tf.convert_to_tensor(gradient) if isinstance(gradient, tf.IndexedSlices) else gradient
