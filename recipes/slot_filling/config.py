"""Settings of slot filling."""

from typing import Annotated, ClassVar, Literal

import pydantic

from dlrecipes.recipe import RecipeConfig, Search, setting
from dlrecipes.recipe.precision import Precision, precision_setting


class Config(RecipeConfig):
    """Settings of slot filling."""

    builtin_settings: ClassVar[tuple[str, ...]] = ("language", "examples", "other")
    builtin_kind: ClassVar[str] = "language"
    reading_settings: ClassVar[tuple[str, ...]] = ("word_column", "tag_column")
    unused_settings: ClassVar[dict[str, str]] = {"data_dir": "slot_filling reads no TFDS datasets"}

    epochs: int = setting(4, "Maximum number of epochs.", ge=1, le=100_000)
    patience: int = setting(6, "Epochs without improvement before stopping.", ge=1)
    monitor: Literal["span_f1", "loss"] = setting(
        "span_f1", "Metric that chooses the best epoch; loss is less noisy on few sentences."
    )
    batch_size: int = setting(
        64, "Batch size.", ge=1, le=65_536, search=Search(choices=(8, 16, 32, 64))
    )
    min_steps_per_epoch: int = setting(
        250, "Minimum steps per epoch; small datasets are repeated.", ge=1, le=100_000
    )
    word_column: int = setting(
        0, "Column of the words in CoNLL files, from 1; 0 finds it.", ge=0, le=1000
    )
    tag_column: int = setting(
        0, "Column of the tags in CoNLL files, from 1; 0 finds it.", ge=0, le=1000
    )
    language: Literal["english", "chinese"] = setting("english", "Language of the built-in data.")
    examples: int = setting(20_000, "Training sentences of the built-in data.", ge=100, le=50_000)
    other: float = setting(
        0.12, "Fraction of the built-in sentences that are not about travel.", ge=0, le=0.5
    )
    encoding: tuple[Literal["one_of_n", "hashing", "embedding"], ...] = setting(
        ("embedding", "hashing"),
        "Representation of words; several are concatenated.",
        min_length=1,
        search=Search(choices=("one_of_n", "hashing", "embedding", "embedding,hashing")),
    )
    word_units: int = setting(
        100, "Dimension of the word embedding.", ge=1, le=4096, search=Search(32, 256, "log")
    )
    ngram_units: int = setting(
        100, "Dimension of the n-gram projection.", ge=1, le=4096, search=Search(32, 256, "log")
    )
    ngram_sizes: tuple[Annotated[int, pydantic.Field(ge=1, le=9)], ...] = setting(
        (3,), "Lengths of the letter n-grams, in letters.", min_length=1
    )
    lowercase: bool = setting(True, "Whether to convert words to lower case.")
    fold_digits: bool = setting(True, "Whether to replace all digits with 0.")
    cell: Literal["feed_forward", "elman", "jordan", "lstm", "peephole_lstm", "gru"] = setting(
        "lstm",
        "Cell of the hidden layers.",
        search=Search(choices=("elman", "jordan", "lstm", "peephole_lstm", "gru")),
    )
    units: int = setting(
        128, "Hidden units per layer and direction.", ge=1, le=4096, search=Search(32, 256, "log")
    )
    depth: int = setting(1, "Hidden layers.", ge=1, le=8, search=Search(choices=(1, 2, 3)))
    bidirectional: bool = setting(
        True, "Whether to read in both directions.", search=Search(choices=(True, False))
    )
    context: int = setting(
        1, "Context words on each side of a word.", ge=0, le=20, search=Search(choices=(0, 1, 3))
    )
    ensemble_size: int = setting(
        1, "Ensemble size; members train independently and are averaged.", ge=1, le=16
    )
    output: Literal["softmax", "crf"] = setting(
        "crf", "Softmax per word, or a CRF.", search=Search(choices=("softmax", "crf"))
    )
    intent_weight: float = setting(1.0, "Weight of the intent's loss.", ge=0, le=100)
    dropout: float = setting(0.2, "Dropout rate.", ge=0, lt=1, search=Search(0.1, 0.6))
    word_dropout: float = setting(
        0.1, "Fraction of training words replaced by 'other'.", ge=0, lt=1, search=Search(0.0, 0.2)
    )
    precision: Precision = precision_setting()
    learning_rate: float = setting(
        6e-3, "Initial learning rate of Adam.", gt=0, le=1, search=Search(3e-4, 1e-2, "log")
    )
    lr_schedule: Literal["constant", "cosine"] = setting(
        "cosine", "Learning-rate schedule over all epochs."
    )
    clip_norm: float = setting(5.0, "Maximum global gradient norm.", gt=0)

    @pydantic.model_validator(mode="after")
    def _check_columns(self) -> "Config":
        if self.word_column and self.word_column == self.tag_column:
            raise ValueError("--word-column and --tag-column are the same column")
        return self

    def without_effect(self) -> dict[str, str]:
        """Returns the settings that the others leave without effect."""
        reasons = super().without_effect()
        if "embedding" not in self.encoding:
            reasons["word_units"] = "--encoding has no embedding"
        if "hashing" not in self.encoding:
            hashing = "--encoding has no hashing"
            reasons |= {"ngram_units": hashing, "ngram_sizes": hashing}
        if self.cell == "feed_forward" and self.bidirectional:
            reasons["bidirectional"] = "--cell feed_forward has no direction"
        return reasons
