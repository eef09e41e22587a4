"""Settings of my_task."""

from dlrecipes.recipe import RecipeConfig, Search, setting


class Config(RecipeConfig):
    """Settings of my_task; `data`, `seed`, `epochs` and `batch_size` are every recipe's."""

    units: int = setting(32, "Hidden units.", ge=1, le=4096, search=Search(8, 128, "log"))
    learning_rate: float = setting(0.01, "Learning rate.", gt=0, search=Search(1e-3, 0.1, "log"))
