"""Settings of poem generation and options of its predictions."""

from typing import ClassVar, Literal

from dlrecipes.recipe import Options, RecipeConfig, Search, setting
from dlrecipes.recipe.precision import Precision, precision_setting


class Config(RecipeConfig):
    """Settings of poem generation."""

    builtin_settings: ClassVar[tuple[str, ...]] = ("line_length", "examples")
    unused_settings: ClassVar[dict[str, str]] = {
        "data_dir": "poem_generation reads no TFDS datasets"
    }

    epochs: int = setting(10, "Maximum passes over the training data.", ge=1, le=100_000)
    patience: int = setting(4, "Epochs without improvement before stopping.", ge=1)
    batch_size: int = setting(
        64, "Poems, or streams of a text, per step.", ge=1, le=65_536, search=Search(16, 128, "log")
    )
    min_steps_per_epoch: int = setting(
        40, "Minimum steps per epoch; small datasets are repeated.", ge=1, le=100_000
    )
    form: Literal["auto", "quatrains", "text"] = setting(
        "auto", "Form of the data; 'auto' detects quatrains if at least half of the lines are such."
    )
    line_length: Literal["5", "7", "both"] = setting(
        "both", "Characters per line of the built-in quatrains."
    )
    examples: int = setting(3000, "Training poems in the built-in data.", ge=100, le=20_000)
    minimum_count: int = setting(2, "Occurrences that put a character in the vocabulary.", ge=1)
    cell: Literal["lstm", "elman", "gru", "peephole_lstm"] = setting(
        "lstm",
        "Type of the hidden layers.",
        search=Search(choices=("lstm", "gru", "peephole_lstm")),
    )
    units: int = setting(
        256, "Hidden units per layer.", ge=1, le=8192, search=Search(128, 1024, "log")
    )
    depth: int = setting(2, "Hidden layers.", ge=1, le=8, search=Search(choices=(1, 2, 3)))
    embedding_units: int = setting(
        128, "Size of the character embedding.", ge=1, le=8192, search=Search(64, 512, "log")
    )
    embeddings: Literal["cooccurrence", "random"] = setting(
        "cooccurrence",
        "Initial character embeddings: from cooccurrence in the training data, or random.",
        search=Search(choices=("cooccurrence", "random")),
    )
    condition_units: int = setting(32, "Size of place, tone and rhyme embeddings.", ge=1, le=1024)
    tied: bool = setting(
        True,
        "Whether the output layer shares its weights with the character embedding.",
        search=Search(choices=(True, False)),
    )
    dropout: float = setting(
        0.1, "Fraction of units dropped in training.", ge=0, lt=1, search=Search(0.0, 0.5)
    )
    condition_dropout: float = setting(
        0.1, "Fraction of training poems without tones, and without rhyme, as input.", ge=0, lt=1
    )
    window: int = setting(
        32, "Steps of backpropagation through time; a quatrain has up to 28.", ge=1, le=1000
    )
    precision: Precision = precision_setting()
    learning_rate: float = setting(
        4e-3, "Initial learning rate of Adam.", gt=0, le=1, search=Search(5e-4, 1e-2, "log")
    )
    lr_schedule: Literal["constant", "cosine"] = setting(
        "cosine", "Schedule of the learning rate over all epochs."
    )
    clip_norm: float = setting(5.0, "Largest global norm of the gradient.", gt=0)
    num_samples: int = setting(200, "Poems generated for the metrics.", ge=1, le=100_000)
    temperature: float = setting(
        0.8, "Sampling temperature; below 1 sharpens the distribution.", gt=0, le=10
    )
    top_k: int = setting(0, "Most likely characters to sample from; 0 for all.", ge=0)
    top_p: float = setting(
        0.95, "Probability of the most likely characters to sample from; 1 for all.", gt=0, le=1
    )

    def without_effect(self) -> dict[str, str]:
        """Returns the settings that the others leave without effect."""
        reasons = super().without_effect()
        if self.data == "builtin" and self.form == "text":
            reasons["form"] = "the built-in data is quatrains, and --data gives a text"
        if self.form == "text":
            poems = "it is for quatrains, not --form text"
            names = ("condition_units", "condition_dropout", "num_samples")
            reasons |= dict.fromkeys(names, poems)
        return reasons


class PredictOptions(Options):
    """Options of `dlrecipes predict poem_generation`."""

    count: int = setting(1, "Number of different poems per theme.", ge=1, le=1000)
    first_line: str = setting("", "First characters of the poem, up to its whole first line.")
    acrostic: str = setting("", "First character of each line, up to four.")
    line_length: Literal["auto", "5", "7"] = setting("auto", "Characters per line.")
    template: int = setting(-1, "Tone template, from 0; -1 for any that fits.", ge=-1, le=3)
    rhyme: str = setting("", "Character that the poem rhymes with.")
    enforce: bool = setting(True, "Whether tones and rhyme are enforced, or inputs only.")
    temperature: float | None = setting(
        None, "Sampling temperature; default: the training setting.", gt=0, le=10
    )
    top_k: int | None = setting(
        None, "Most likely characters to sample from; default: the training setting.", ge=0
    )
    top_p: float | None = setting(
        None, "Probability to sample from; default: the training setting.", gt=0, le=1
    )
    seed: int = setting(0, "Seed; the same seed writes the same poems.", ge=0, le=2**31 - 1)
    length: int = setting(200, "Characters to add to a text.", ge=1, le=100_000)
