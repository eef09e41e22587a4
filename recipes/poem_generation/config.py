"""The settings of poem generation, and what its predictions can be told: each once."""

from typing import Literal

from dlrecipes.recipe import Options, RecipeConfig, Search, setting


class Config(RecipeConfig):
    """Settings of poem generation."""

    epochs: int = setting(10, "Passes over the training data, at most.", ge=1, le=100_000)
    patience: int = setting(4, "Epochs without a better validation before it stops.", ge=1)
    batch_size: int = setting(
        64, "Poems, or streams of text, a step.", ge=1, le=65_536, search=Search(16, 128, "log")
    )
    form: Literal["auto", "quatrains", "text"] = setting(
        "auto", "What the data is; 'auto': quatrains where at least half of the lines are some."
    )
    line_length: Literal["5", "7", "both"] = setting(
        "both", "Characters a line of the built-in quatrains."
    )
    examples: int = setting(3000, "Training poems of the built-in data.", ge=100, le=20_000)
    minimum_count: int = setting(2, "How often a character must occur to be known.", ge=1)
    cell: Literal["lstm", "elman", "gru", "peephole_lstm"] = setting(
        "lstm", "The hidden layers.", search=Search(choices=("lstm", "gru", "peephole_lstm"))
    )
    units: int = setting(
        256, "Hidden units a layer.", ge=1, le=8192, search=Search(128, 1024, "log")
    )
    depth: int = setting(2, "Hidden layers.", ge=1, le=8, search=Search(choices=(1, 2, 3)))
    embedding_units: int = setting(
        128,
        "Size of a character's embedding.",
        ge=1,
        le=8192,
        search=Search(64, 512, "log"),
    )
    embeddings: Literal["cooccurrence", "random"] = setting(
        "cooccurrence",
        "How characters' embeddings begin: from which stand near which in the data, or drawn.",
        search=Search(choices=("cooccurrence", "random")),
    )
    condition_units: int = setting(
        32, "Size of the embedding of place, tone and rhyme, each.", ge=1, le=1024
    )
    tied: bool = setting(
        True,
        "Whether the output's weights are the embedding's.",
        search=Search(choices=(True, False)),
    )
    dropout: float = setting(0.1, "Share of units left out.", ge=0, lt=1, search=Search(0.0, 0.5))
    condition_dropout: float = setting(
        0.1, "Share of poems that tone, and rhyme, are not told of, in training.", ge=0, lt=1
    )
    window: int = setting(
        32, "Characters that a gradient goes back; 28 are a whole quatrain.", ge=1, le=1000
    )
    precision: Literal["float32", "mixed_bfloat16"] = setting(
        "float32", "Of training; the published model is float32."
    )
    learning_rate: float = setting(
        4e-3, "Adam's step at the start.", gt=0, le=1, search=Search(5e-4, 1e-2, "log")
    )
    lr_schedule: Literal["constant", "cosine"] = setting(
        "cosine", "Of the learning rate, over all epochs."
    )
    clip_norm: float = setting(5.0, "Largest global norm of a gradient.", gt=0)
    num_samples: int = setting(200, "Poems or texts written to be scored.", ge=1, le=100_000)
    temperature: float = setting(
        0.8, "Below 1 the likely characters are more so, while writing.", gt=0, le=10
    )
    top_k: int = setting(0, "Writes one of so many likeliest characters; 0: of all.", ge=0)
    top_p: float = setting(
        0.95, "Writes one of the likeliest characters that have this share.", gt=0, le=1
    )


class PredictOptions(Options):
    """What 'dlrecipes predict poem_generation' can be told beside a theme."""

    first_line: str = setting("", "The poem's first characters, up to its whole first line.")
    acrostic: str = setting("", "The first character of each line, up to four.")
    line_length: Literal["auto", "5", "7"] = setting("auto", "Characters a line.")
    template: int = setting(-1, "Tone template, from 0; -1: one that fits.", ge=-1, le=3)
    rhyme: str = setting("", "A character that the poem shall rhyme with.")
    enforce: bool = setting(True, "Whether tones and rhyme are enforced, or only wished for.")
    temperature: float | None = setting(None, "As in training's settings.", gt=0, le=10)
    top_k: int | None = setting(None, "As in training's settings.", ge=0)
    top_p: float | None = setting(None, "As in training's settings.", gt=0, le=1)
    seed: int = setting(0, "The same seed writes the same poem.", ge=0, le=2**31 - 1)
    length: int = setting(200, "Characters that are added to a text.", ge=1, le=100_000)
    lite: bool = setting(False, "Use model.tflite, without TensorFlow's graph.")
