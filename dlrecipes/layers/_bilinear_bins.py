"""Averages of bilinear samples in the bins of regions, as one product per axis."""

from keras import ops


def bin_averages(features, rois, output_size, sampling_ratio, parts=None):
    """Returns the average of the samples in each bin of each region.

    The average of regular bilinear samples is a product with one small matrix for the rows and one
    for the columns. Points beyond the centres of the outermost positions take the value at the
    edge.

    Args:
        features: Feature maps of shape `(batch, height, width, channels)`.
        rois: Boxes `(left, top, right, bottom)` in positions of the map or of its part, of which
            the first has its centre at 0, float32 of shape `(batch, rois, 4)`.
        output_size: Number of bins per axis.
        sampling_ratio: Points per bin and axis; with 0 or `None` they are at most one position
            apart.
        parts: Part of the map that each region belongs to, `(left, top, width, height)` in whole
            positions, float32 of shape `(batch, rois, 4)`. Defaults to `None`: the whole map.

    Returns:
        Averages of shape `(batch, rois, output_size, output_size, channels)`.
    """
    batch, height, width, _ = ops.shape(features)
    regions, channels = ops.shape(rois)[1], features.shape[-1]
    left, top, right, bottom = ops.split(rois, 4, axis=-1)
    if parts is None:
        first_column = first_row = 0.0
        columns, rows = ops.cast(width, "float32"), ops.cast(height, "float32")
    else:
        first_column, first_row, columns, rows = ops.split(parts, 4, axis=-1)
    weights = _weights if sampling_ratio else _adaptive_weights

    def matrices(start, end, first, count, size):
        position = ops.arange(size, dtype="float32") - first
        result = weights(start, end, position, count, output_size, sampling_ratio)
        return ops.cast(result, features.dtype)

    y = matrices(top, bottom, first_row, rows, height)
    x = matrices(left, right, first_column, columns, width)
    y = ops.reshape(y, (batch, regions * output_size, height))
    x = ops.reshape(x, (batch * regions, 1, output_size, width))
    result = ops.matmul(y, ops.reshape(features, (batch, height, width * channels)))
    result = ops.matmul(x, ops.reshape(result, (batch * regions, output_size, width, channels)))
    return ops.reshape(result, (batch, regions, output_size, output_size, channels))


def _weights(start, end, position, count, output_size, sampling_ratio):
    """Returns each position's weight in each bin along one axis.

    Args:
        start: Start of each region, of shape `(batch, rois, 1)`.
        end: End of each region, of the same shape.
        position: Positions of the map, counted from the first one of each region's part, of shape
            `(size,)` or `(batch, rois, size)`.
        count: Number of positions of the part, a scalar or of shape `(batch, rois, 1)`.
        output_size: Number of bins.
        sampling_ratio: Points per bin.

    Returns:
        float32 of shape `(batch, rois, output_size, size)`.
    """
    bins = ops.arange(output_size, dtype="float32")
    position = ops.expand_dims(position, -2)
    total = 0.0
    for sample in range(sampling_ratio):
        part = (bins + (sample + 0.5) / sampling_ratio) / output_size
        point = ops.maximum(start + (end - start) * part, 0.0)
        point = ops.minimum(point, count - 1)
        # At least 1 outside of the part, where the weight is 0.
        distance = ops.abs(ops.expand_dims(point, -1) - position)
        total += ops.maximum(1.0 - distance, 0.0)
    return total / sampling_ratio


def _adaptive_weights(start, end, position, count, output_size, _):
    """Returns the weights without a loop over points, whose number differs by region.

    Between two positions, a point's weight is a linear function of its coordinate. The weights of a
    run of points therefore follow from their number and the sum of their coordinates. Arguments and
    result are those of `_weights`.
    """
    extent = ops.maximum(end - start, 1e-6)
    points = ops.ceil(extent / output_size)
    # Point k, from 0, of bin b is at first[b] + k * step.
    step = extent / output_size / points
    bins = ops.arange(output_size, dtype="float32")
    first = ops.expand_dims(start + extent * bins / output_size + step / 2, -1)
    points, step = ops.expand_dims(points, -1), ops.expand_dims(step, -1)
    # No point is between two positions outside of the part, which are both at its edge.
    edges = ops.expand_dims(ops.minimum(ops.maximum(position, 0.0), count - 1), -2)
    # Number of points before each position, and the sum of their coordinates.
    number = ops.clip(ops.ceil((edges - first) / step), 0.0, points)
    total = number * first + step * number * (number - 1) / 2
    # Between position p and the next one, the next one's weight is the distance to p.
    between, sums = number[..., 1:] - number[..., :-1], total[..., 1:] - total[..., :-1]
    later = sums - between * edges[..., :-1]
    weights = ops.pad(between - later, [(0, 0)] * 3 + [(0, 1)])
    weights += ops.pad(later, [(0, 0)] * 3 + [(1, 0)])
    # Points beyond the outermost positions take the value at the edge.
    before, after = number[..., :1], points - number[..., -1:]
    weights += before * _at(position, 0.0)
    weights += after * _at(position, count - 1)
    return weights / points


def _at(position, edge):
    """Returns 1 at one position and 0 at the others, with an axis for the bins."""
    return ops.expand_dims(ops.cast(ops.equal(position, edge), "float32"), -2)
