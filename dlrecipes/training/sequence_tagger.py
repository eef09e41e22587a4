"""Training and decoding of a tagger: softmax a word, or a linear-chain CRF a sentence."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from dlrecipes.data.text import TextEncoder
from dlrecipes.layers import LinearChainCRF
from dlrecipes.metrics import SpanF1
from dlrecipes.training.trainer import Trainer, batch_size

OUTPUTS = ("softmax", "crf")


@keras.saving.register_keras_serializable(package="dlrecipes")
class SequenceTagger(Trainer):
    """Trains a network that scores tags, and tags raw sentences with it.

    The loss is the negative log-likelihood of a sentence's tags, in nats, averaged over
    the sentences of a batch: with `"softmax"` the sum over its words of the cross-entropy,
    with `"crf"` that of the whole tag sequence. Where the network has an output `intent`,
    `intent_weight` times its cross-entropy is added. Validation logs `span_f1` (and
    `intent_accuracy`). Padding counts nowhere.

    Args:
        network: Model from `words` (and `ngrams`) to `tags`, scores of shape
            `(batch, time, len(tag_names))`, and perhaps `intent`, such as `models.tagger`.
        encoder: Makes the network's inputs from tokens.
        tag_names: BIO tags by id.
        intent_names: Intents by id; empty without that output.
        output: `"softmax"` or `"crf"`.
        intent_weight: Weight of the intent's loss, at least 0.
        well_formed: Whether the CRF rules out tags that are no BIO, such as `I-city` after
            `O`; for training data that has none.

    Call arguments:
        inputs: `words`, int32 of shape `(batch, time)`, and, where the network wants it,
            `ngrams`, int32 of shape `(batch, time, ngrams_a_word)`.
        training: Whether dropout is on.

    Returns:
        The network's scores.

    Raises:
        ValueError: If `output` is neither of the two.

    Example:

    >>> from dlrecipes.models import tagger
    >>> encoder = TextEncoder.fit([["to", "Rome"], ["from", "Rome"]])
    >>> network = tagger(encoder.num_words, num_tags=3, units=8)
    >>> model = SequenceTagger(network, encoder, ["O", "B-to", "B-from"], output="crf")
    >>> model.tag(tf.constant(["from Rome"]))["tokens"].numpy().tolist()
    [[b'from', b'Rome']]

    Reference:
        Lafferty, McCallum and Pereira, 2001, "Conditional random fields"; Huang, Xu and
        Yu, 2015, "Bidirectional LSTM-CRF models for sequence tagging".
    """

    serializable_arguments = ("network", "encoder")

    def __init__(
        self,
        network: keras.Model,
        encoder: TextEncoder,
        tag_names: Sequence[str],
        intent_names: Sequence[str] = (),
        output: str = "crf",
        intent_weight: float = 1.0,
        well_formed: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if output not in OUTPUTS:
            raise ValueError(f"output must be one of {OUTPUTS}, not {output!r}.")
        self.network = network
        self.encoder = encoder
        self.tag_names = tuple(tag_names)
        self.intent_names = tuple(intent_names)
        self.output_layer = output
        self.intent_weight = intent_weight
        self.well_formed = well_formed
        self.crf = None
        if output == "crf":
            pairs, starts = malformed(self.tag_names) if well_formed else ((), ())
            self.crf = LinearChainCRF(
                len(self.tag_names), forbidden=pairs, forbidden_start=starts, name="crf"
            )
        self.span_f1 = SpanF1(self.tag_names, name="span_f1")
        self.intent_accuracy = keras.metrics.SparseCategoricalAccuracy(name="intent_accuracy")
        if self.crf is not None:
            self.crf.build((None, None, len(self.tag_names)))
        self.built = True

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the network's inputs, in their order."""
        return tuple(tensor.name for tensor in self.network.inputs)

    def call(self, inputs, training=False):
        """Returns the network's scores: `tags`, and `intent` where it has them."""
        return self.network(inputs, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Returns the loss of a batch, in nats a sentence."""
        scores = tf.cast(y_pred["tags"], tf.float32)
        # An ensemble in training gives each member's scores: one below the other.
        members = tf.shape(scores)[0] // tf.shape(y["tags"])[0]
        targets, mask = tf.tile(y["tags"], [members, 1]), tf.tile(x["words"] != 0, [members, 1])
        # A tag of validation data that training never showed has no score to compare with.
        known = targets < len(self.tag_names)
        tags = tf.where(known, targets, 0)
        if self.crf is not None:
            whole = tf.reduce_all(known | ~mask, axis=1)
            likelihood = tf.where(whole, self.crf.log_likelihood(scores, tags, mask=mask), 0.0)
        else:
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(tags, scores)
            likelihood = -tf.reduce_sum(tf.where(mask & known, each, 0.0), axis=1)
        loss = -tf.reduce_mean(likelihood)
        if "intent" in y_pred and "intent" in y:
            intents = tf.tile(y["intent"], [members])
            known = intents < len(self.intent_names)
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(
                tf.where(known, intents, 0), tf.cast(y_pred["intent"], tf.float32)
            )
            loss += self.intent_weight * tf.reduce_mean(tf.where(known, each, 0.0))
        return loss

    def test_step(self, data):
        """Returns the loss and the span F1 of the decoded tags, over the data so far."""
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        loss = self.compute_loss(x, y, y_pred, training=False)
        self._loss_tracker.update_state(loss, sample_weight=batch_size(x))
        mask = x["words"] != 0
        self.span_f1.update_state(y["tags"], self._best_tags(y_pred["tags"], mask), mask)
        logs = {"loss": self._loss_tracker.result(), "span_f1": self.span_f1.result()}
        if "intent" in y_pred and "intent" in y:
            self.intent_accuracy.update_state(y["intent"], y_pred["intent"])
            logs["intent_accuracy"] = self.intent_accuracy.result()
        return logs

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Returns the running loss alone: decoding every training batch would cost a third."""
        return {"loss": self._loss_tracker.result()}

    def decode(self, inputs) -> dict[str, tf.Tensor]:
        """Returns the best tags of encoded sentences.

        Args:
            inputs: As `call` takes them.

        Returns:
            `tags`, int32 of shape `(batch, time)`, the best sequence (Viterbi, with a CRF);
            `probabilities`, float32 of the same shape, of each tag at its word (the CRF's
            marginal); and, where there are intents, `intent`, int32, and
            `intent_probability`, float32, of shape `(batch,)`. Padding gives 0.
        """
        scores = self(inputs, training=False)
        mask = inputs["words"] != 0
        tags = self._best_tags(scores["tags"], mask)
        if self.crf is not None:
            each = self.crf(scores["tags"], mask=mask)
        else:
            each = tf.nn.softmax(tf.cast(scores["tags"], tf.float32))
        chosen = tf.gather(each, tags, axis=2, batch_dims=2)
        outputs = {"tags": tags, "probabilities": tf.where(mask, chosen, 0.0)}
        if "intent" in scores:
            chances = tf.nn.softmax(tf.cast(scores["intent"], tf.float32))
            outputs["intent"] = tf.argmax(chances, axis=-1, output_type=tf.int32)
            outputs["intent_probability"] = tf.reduce_max(chances, axis=-1)
        return outputs

    def tag(self, sentences: tf.Tensor) -> dict[str, tf.Tensor]:
        """Tags raw sentences: tokenisation, encoding and decoding in one graph.

        Args:
            sentences: String tensor of shape `(batch,)`, UTF-8.

        Returns:
            `tokens` and `tags`, strings of shape `(batch, time)`, padded with `""`;
            `probabilities`, float32 of the same shape, padded with 0; and, where there are
            intents, `intent`, string, and `intent_probability`, float32, of shape `(batch,)`.
            An empty sentence has no token, the intent `""` and the probability 0.
        """
        return self.tag_tokens(self.encoder.tokenize(sentences).to_tensor(""))

    def tag_tokens(self, tokens: tf.Tensor) -> dict[str, tf.Tensor]:
        """As `tag`, of sentences that are tokens already: shape `(batch, time)`, `""`-padded."""
        # A batch of nothing but empty sentences has no word for a network to read.
        padded = tf.pad(tokens, [[0, 0], [0, tf.cast(tf.shape(tokens)[1] == 0, tf.int32)]])
        encoded = self.encoder(padded)
        found = self.decode({name: encoded[name] for name in self.input_names})
        words = tf.shape(tokens)[1]
        named = tf.gather(tf.constant(self.tag_names), found["tags"])
        outputs = {
            "tokens": tokens,
            "tags": tf.where(padded == "", "", named)[:, :words],
            "probabilities": found["probabilities"][:, :words],
        }
        if "intent" in found:
            spoken = tf.reduce_any(padded != "", axis=1)
            intents = tf.gather(tf.constant(self.intent_names), found["intent"])
            outputs["intent"] = tf.where(spoken, intents, "")
            outputs["intent_probability"] = tf.where(spoken, found["intent_probability"], 0.0)
        return outputs

    def _best_tags(self, scores: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        if self.crf is not None:
            return tf.cast(self.crf.decode(scores, mask=mask), tf.int32)
        return tf.where(mask, tf.argmax(scores, axis=-1, output_type=tf.int32), 0)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "tag_names": list(self.tag_names),
            "intent_names": list(self.intent_names),
            "output": self.output_layer,
            "intent_weight": self.intent_weight,
            "well_formed": self.well_formed,
        }


def malformed(tag_names: Sequence[str]) -> tuple[list[tuple[int, int]], list[int]]:
    """Returns what no BIO sequence has: pairs of neighbours `(from, to)`, and first tags.

    `I-slot` continues `B-slot` or `I-slot`; it stands nowhere else.

    Args:
        tag_names: BIO tags by id.

    Example:

    >>> malformed(["O", "B-a", "I-a"])
    ([(0, 2)], [2])
    """
    inside = [number for number, name in enumerate(tag_names) if name.startswith("I-")]
    pairs = [
        (before, number)
        for number in inside
        for before, name in enumerate(tag_names)
        if name not in (f"B-{tag_names[number][2:]}", tag_names[number])
    ]
    return pairs, inside
