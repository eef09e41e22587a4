"""The settings of FaceNet, and what its predictions can be told: each once."""

from typing import Literal

from dlrecipes.recipe import Options, RecipeConfig, Search, setting


class Config(RecipeConfig):
    """Settings of FaceNet."""

    epochs: int = setting(14, "Passes over the training data, at most.", ge=1, le=100_000)
    patience: int = setting(1, "Not used: the last epoch is kept.", ge=1)
    min_steps_per_epoch: int = setting(
        25, "Steps an epoch has at least: of few images it is several passes.", ge=1, le=100_000
    )
    people: int = setting(
        240, "People of the built-in data, of whom 40 validate and 40 test.", ge=90, le=20_000
    )
    size: int = setting(64, "Height and width that images are brought to.", ge=16, le=512)
    crop: float = setting(
        1.0, "Share of an image about its middle that is kept; LFW: 0.5.", gt=0, le=1
    )
    colour: bool = setting(False, "Whether the network sees colours.")
    network: Literal["small", "inception_resnet"] = setting("small", "The network.")
    width: float = setting(
        1.0, "Multiplies its channels.", gt=0, le=8, search=Search(0.5, 2.0, "log")
    )
    ensemble_size: int = setting(
        1,
        "Networks, each trained for itself, whose embeddings stand side by side: each has its "
        "share of --embedding-units.",
        ge=1,
        le=16,
    )
    normalization: Literal["contrast", "local_contrast", "both"] = setting(
        "contrast",
        "What a network sees. contrast: images of one brightness and contrast; local_contrast: "
        "the same also around each point, whatever the light; both: members in turn the one and "
        "the other, of two or more.",
    )
    pooling: Literal["flatten", "average"] = setting(
        "flatten",
        "What the small network's last layer sees: each place by itself, as faces that fill the "
        "images alike want it, or the mean over them.",
        search=Search(choices=("flatten", "average")),
    )
    embedding_units: int = setting(128, "Numbers of an embedding.", ge=2, le=4096)
    dropout: float = setting(
        0.2, "Share of the last features left out.", ge=0, lt=1, search=Search(0.0, 0.5)
    )
    mining: Literal["batch_hard", "batch_all_nonzero", "batch_all", "semi_hard", "hard"] = setting(
        "semi_hard",
        "Which triplets of a batch count; of few people batch_hard learns more, of many it may "
        "bring all images to one place.",
        search=Search(choices=("batch_hard", "batch_all_nonzero", "semi_hard")),
    )
    margin: float = setting(
        0.2,
        "How much farther other people should be, in units of the metric.",
        gt=0,
        le=4,
        search=Search(0.1, 1.2),
    )
    metric: Literal["euclidean", "squared_euclidean", "cosine"] = setting(
        "squared_euclidean", "What the margin is measured in."
    )
    batch_size: int = setting(
        32, "Images a step: of as many people as fit.", ge=4, le=65_536, search=Search(16, 128)
    )
    images_per_person: int = setting(4, "Images of each person of a batch.", ge=2, le=256)
    warp: float = setting(
        0.0,
        "How far points of a face move where each person of a batch is bent into another one, "
        "alike in all its images: standard deviation, in pixels of --size.",
        ge=0,
        le=100,
    )
    glasses: float = setting(
        0.0, "Share of images on which glasses are drawn; for faces that fill them.", ge=0, le=1
    )
    flip: bool = setting(True, "Whether half of the images are mirrored in training.")
    mirror: bool = setting(
        True, "Whether an embedding is the mean of the image's and of its mirror image's."
    )
    shift: float = setting(
        3.0, "Largest random shift along each axis, in pixels.", ge=0, search=Search(0.0, 6.0)
    )
    rotation: float = setting(
        8.0, "Largest random rotation, in degrees.", ge=0, le=180, search=Search(0.0, 20.0)
    )
    zoom: float = setting(
        0.2,
        "Largest random change of height and width alike: proportions tell people apart.",
        ge=0,
        lt=1,
        search=Search(0.0, 0.4),
    )
    elastic: float = setting(
        0.0, "Strength of the elastic distortion, alpha; 0 is none.", ge=0, le=1000
    )
    random_erasing: float = setting(
        0.3, "Share of images of which a part is hidden.", ge=0, le=1, search=Search(0.0, 0.6)
    )
    learning_rate: float = setting(
        1e-3, "Adam's step at the start.", gt=0, le=1, search=Search(1e-4, 1e-2, "log")
    )
    weight_decay: float = setting(0.0, "AdamW's decay of the weights.", ge=0, le=1)
    lr_schedule: Literal["constant", "cosine"] = setting(
        "cosine", "Of the learning rate, over all epochs."
    )
    target_far: float = setting(
        0.01,
        "Share of pairs of two validation people that the published threshold accepts.",
        gt=0,
        lt=1,
    )


class PredictOptions(Options):
    """What 'dlrecipes predict facenet' can be told beside images."""

    gallery: str = setting(
        "", "Who is known: a folder with one folder a person, or a file of --enrol."
    )
    enrol: str = setting("", "File (.npz) to keep the gallery's embeddings in.")
    threshold: float | None = setting(
        None, "Largest distance of one person's images; as published.", gt=0, le=4
    )
