"""Checks of arguments that several losses share: shapes, as far as they are known, and numbers."""

from keras import ops

from dlrecipes.layers._arguments import number


def at_least_0(name: str, value) -> None:
    """Raises a ValueError unless `value` is a number of at least 0."""
    number(name, value, "at least 0", lambda x: x >= 0)


def sizes_of(**arguments) -> dict[str, int | None]:
    """Checks that the shapes of tensors match their named axes and one another.

    Args:
        **arguments: Tensor and axes of each argument. The axes are separated by spaces; a number is
            a fixed size, and a name is the same size in all arguments.

    Returns:
        The sizes by name, `None` where unknown.

    Raises:
        ValueError: If a shape does not fit.

    Example:

    >>> from keras import ops
    >>> from dlrecipes.losses._arguments import sizes_of
    >>> sizes_of(boxes=(ops.zeros((2, 4)), "batch 4"))
    {'4': 4, 'batch': 2}
    """
    sizes = {
        axis: int(axis) for _, axes in arguments.values() for axis in axes.split() if axis.isdigit()
    }
    for name, (tensor, axes) in arguments.items():
        axes, shape = axes.split(), tuple(tensor.shape)
        expected = tuple(sizes.get(axis) for axis in axes)
        if len(shape) != len(axes) or any(
            None not in pair and pair[0] != pair[1] for pair in zip(shape, expected, strict=True)
        ):
            names = f"({', '.join(axes)}{',' * (len(axes) == 1)})"
            here = f", here {expected}," if any(axis in sizes for axis in axes) else ","
            raise ValueError(f"{name} must have shape {names}{here} not {shape}.")
        for axis, size in zip(axes, shape, strict=True):
            sizes[axis] = size if sizes.get(axis) is None else sizes[axis]
    return sizes


def flat(name: str, tensor):
    """Returns a tensor of shape `(batch,)` or `(batch, 1)` as `(batch,)`."""
    tensor = ops.convert_to_tensor(tensor)
    shape = tuple(tensor.shape)
    if len(shape) == 2 and shape[1] in (1, None):
        return ops.squeeze(tensor, -1) if shape[1] else ops.reshape(tensor, (-1,))
    if len(shape) != 1:
        raise ValueError(f"{name} must have shape (batch,) or (batch, 1), not {shape}.")
    return tensor
