"""Generated faces, rendered from random numbers.

A head is a deformed ellipsoid with its features mapped onto the surface; it is rotated, lit and
projected. The identity determines proportions, hair, skin and marks. Pose, light, expression,
occlusion and position are sampled for each image.
"""

from __future__ import annotations

import math

import numpy as np

# Images rendered at once: few enough for the cache of a processor to hold them.
BATCH = 16
# Random numbers per identity and per image: more than are used.
TRAITS, CIRCUMSTANCES = 64, 48

Colours = np.ndarray


def generated_faces(
    identities: int,
    images: int,
    seed: int,
    size: int = 64,
    first: int = 0,
    crop: tuple[float, float] = (1.0, 1.0),
) -> tuple[np.ndarray, np.ndarray]:
    """Returns images of people who do not exist, deterministic by seed.

    Args:
        identities: Number of people, at least 1.
        images: Images per person, at least 1.
        seed: Random seed, at least 0; a person depends on the seed and on its number.
        size: Height and width in pixels, at least 16. Defaults to 64.
        first: Number of the first person, at least 0. Defaults to 0.
        crop: Fractions of height and width, above 0 and at most 1, of the part around the centre
            that fills the image. Defaults to `(1.0, 1.0)`, with space around the head.

    Returns:
        Images, uint8 of shape `(identities * images, size, size, 3)`, grouped by person; labels,
        int32 of shape `(identities * images,)`, which count from `first`.

    Raises:
        ValueError: If an argument is out of bounds.

    Example:

    >>> from dlrecipes.data.generated.faces import generated_faces
    >>> images, labels = generated_faces(3, 2, seed=0, size=32)
    >>> images.shape, labels.tolist()
    ((6, 32, 32, 3), [0, 0, 1, 1, 2, 2])
    """
    bounds = {"identities": (identities, 1), "images": (images, 1), "size": (size, 16)}
    for name, (value, least) in {**bounds, "first": (first, 0), "seed": (seed, 0)}.items():
        if value < least:
            raise ValueError(f"{name} must be at least {least}, not {value!r}.")
    if not all(0 < fraction <= 1 for fraction in crop):
        raise ValueError(f"crop must be two numbers above 0 and at most 1, not {crop!r}.")
    labels = np.repeat(np.arange(first, first + identities, dtype="int32"), images)
    rngs = [np.random.default_rng([seed, number]) for number in range(first, first + identities)]
    traits = np.repeat([rng.random(TRAITS) for rng in rngs], images, axis=0)
    moments = np.concatenate([rng.random((images, CIRCUMSTANCES)) for rng in rngs])
    noise = np.random.default_rng([seed, first, identities])
    batches = [
        _render(traits[k : k + BATCH], moments[k : k + BATCH], size, crop, noise)
        for k in range(0, len(labels), BATCH)
    ]
    return np.concatenate(batches), labels


def _render(
    traits: np.ndarray, moments: np.ndarray, size: int, crop: tuple[float, float], noise
) -> np.ndarray:
    """Returns uint8 images rendered from rows of random numbers between 0 and 1."""
    who, now = _Numbers(traits), _Numbers(moments)
    canvas = _Canvas(len(traits), size, crop)
    pose = _Pose(canvas, who, now)
    skin, hair = _skin(who), _hair_colour(who)
    _background(canvas, now)
    _body(canvas, pose, skin, now)
    _hair_behind(canvas, pose, hair, who)
    light = _light(pose, now)
    _ears(canvas, pose, skin, who, light)
    canvas.paint(pose.head, skin * light)
    for part in (_cheeks, _marks, _nose, _mouth, _beard, _eyes, _brows):
        part(canvas, pose, skin, hair, who, now, light)
    _fringe(canvas, pose, hair, who, light)
    _glasses(canvas, pose, who, now)
    _cover(canvas, now)
    return _photographed(canvas.colours, now, noise)


class _Numbers:
    """Columns of random numbers, each used once and scaled to a range."""

    def __init__(self, values: np.ndarray):
        self._columns = iter(values.T.astype("float32"))

    def between(self, low: float, high: float) -> np.ndarray:
        """Returns the next column, uniform, with shape `(count, 1, 1)`."""
        return (low + (high - low) * next(self._columns))[:, None, None]

    def about(self, middle: float, deviation: float) -> np.ndarray:
        """Returns the next column, concentrated around the middle, within 2 deviations."""
        x = 2 * next(self._columns) - 1
        return (middle + 2 * deviation * np.sign(x) * np.abs(x) ** 1.4)[:, None, None]


class _Canvas:
    """Images painted with soft-edged shapes; uncropped, x and y run from -1 to 1."""

    def __init__(self, count: int, size: int, crop: tuple[float, float]):
        steps = (np.arange(size, dtype="float32") + 0.5) * (2 / size) - 1
        height, width = crop
        self.x, self.y = width * steps[None, None, :], height * steps[None, :, None]
        self.colours = np.zeros((count, size, size, 3), "float32")
        # Edges are 1.5 pixels wide.
        self.sharpness = size / (3 * math.sqrt(height * width))

    def shape(self, inside: np.ndarray, softness: float = 1.0) -> np.ndarray:
        """Returns the coverage of each pixel; `inside` is the signed distance from the edge."""
        return np.clip(0.5 + inside * (self.sharpness / softness), 0, 1)

    def paint(self, cover: np.ndarray, colour: Colours) -> None:
        """Blends a colour, broadcastable to `(count, height, width, 3)`, over the images."""
        self.colours += cover[..., None] * (colour - self.colours)


class _Pose:
    """Position of each pixel on the rotated head, and direction of the surface there."""

    def __init__(self, canvas: _Canvas, who: _Numbers, now: _Numbers):
        self.canvas = canvas
        roll, scale = now.about(0, 0.09), now.about(0.66, 0.03)
        dx, dy = now.about(0, 0.06), now.about(0.04, 0.05)
        x, y = (canvas.x - dx) / scale, (canvas.y - dy) / scale
        x, y = x * np.cos(roll) + y * np.sin(roll), y * np.cos(roll) - x * np.sin(roll)
        # The outline: breadth of the head, and how much narrower or squarer it is below.
        self.breadth, jaw = who.about(0.78, 0.045), who.about(0.20, 0.075)
        self.length, chin = who.about(1.03, 0.035), who.about(0.0, 0.05)
        down = y / self.length
        below = np.clip(down, 0, 1)
        narrow = 1 - jaw * below**2 + chin * np.sin(np.pi * below)
        self.x, self.y = x, y
        across = x / (self.breadth * narrow)
        radius = np.sqrt(across**2 + down**2)
        self.head = canvas.shape((1 - radius) * self.breadth)
        depth = np.sqrt(np.clip(1 - across**2 - down**2, 0, 1))
        yaw, pitch = now.about(0, 0.22), now.about(0, 0.10)
        # Rotated back: coordinates on the surface of the face.
        self.u = across * np.cos(yaw) - depth * np.sin(yaw)
        ahead = depth * np.cos(yaw) + across * np.sin(yaw)
        self.v = down * np.cos(pitch) - ahead * np.sin(pitch)
        self.facing = depth, across, down
        self.front = np.clip(3 * (ahead * np.cos(pitch) + down * np.sin(pitch)), 0, 1) * self.head

    def ellipse(self, u, v, width, height, tilt=0.0, softness: float = 1.0) -> np.ndarray:
        """Returns the coverage of an ellipse on the face; width and height are half axes."""
        across, down = self.u - u, self.v - v
        if not np.isscalar(tilt) or tilt:
            across, down = across + tilt * down, down - tilt * across
        inside = 1 - np.sqrt((across / width) ** 2 + (down / height) ** 2)
        return self.canvas.shape(inside * np.minimum(width, height), softness) * self.front


def _skin(who: _Numbers) -> Colours:
    tone, warmth = who.between(0, 1), who.about(0, 0.025)
    light, dark = np.array([0.93, 0.78, 0.68]), np.array([0.38, 0.25, 0.18])
    colour = dark + (light - dark) * tone[..., None] ** 0.8
    return (colour + warmth[..., None] * np.array([1.0, 0.0, -1.0])).astype("float32")


def _hair_colour(who: _Numbers) -> Colours:
    dark, red = who.between(0, 1) ** 1.7, who.between(0, 1)
    base = np.array([0.09, 0.07, 0.06]) + dark[..., None] * np.array([0.62, 0.50, 0.33])
    return (base * (1 + 0.25 * red[..., None] * np.array([1.0, -0.2, -0.5]))).astype("float32")


def _background(canvas: _Canvas, now: _Numbers) -> None:
    colour = np.stack([now.between(0.08, 0.68) for _ in "rgb"], axis=-1)
    slope, level = now.about(0, 0.16), now.about(0, 0.10)
    shade = slope * canvas.x + level * canvas.y
    canvas.paint(np.ones_like(shade), np.clip(colour + shade[..., None], 0, 1))


def _body(canvas: _Canvas, pose: _Pose, skin: Colours, now: _Numbers) -> None:
    cloth = np.stack([now.between(0.05, 0.8) for _ in "rgb"], axis=-1)
    neck = canvas.shape(np.minimum(0.42 - np.abs(pose.x), pose.y - 0.4))
    canvas.paint(neck, 0.72 * skin)
    canvas.paint(canvas.shape(pose.y - 1.12 - 0.35 * pose.x**2), cloth)


def _hair_behind(canvas: _Canvas, pose: _Pose, hair: Colours, who: _Numbers) -> None:
    volume, length = who.between(0.02, 0.20), who.between(-0.5, 1.1)
    across = pose.x / (pose.breadth + volume)
    down = (pose.y + 0.12) / (pose.length + 0.8 * volume)
    crown = 1 - np.sqrt(across**2 + np.minimum(down, 0) ** 2)
    canvas.paint(canvas.shape(np.minimum(crown, 1.2 * (length - pose.y)) * 0.8), 0.8 * hair)


def _light(pose: _Pose, now: _Numbers) -> np.ndarray:
    depth, across, down = pose.facing
    from_left, from_above = now.about(0, 0.42), now.about(-0.25, 0.25)
    strength, glow = now.between(0.35, 0.75), now.between(0.42, 0.62)
    towards = depth + from_left * across + from_above * down
    towards /= np.sqrt(1 + from_left**2 + from_above**2)
    return (glow + strength * np.clip(towards, 0, 1))[..., None]


def _ears(canvas, pose, skin, who, light) -> None:
    size, height = who.between(0.10, 0.19), who.about(0.02, 0.05)
    for side in (-1, 1):
        across = (pose.x - side * pose.breadth) / (0.75 * size)
        down = (pose.y - height) / (1.5 * size)
        canvas.paint(canvas.shape((1 - np.hypot(across, down)) * size), 0.72 * skin * light)


def _cheeks(canvas, pose, skin, hair, who, now, light) -> None:
    depth, rosy = who.between(0.0, 0.22), who.between(0, 0.18)
    place = who.about(0.42, 0.05)
    for side in (-1, 1):
        hollow = pose.ellipse(side * 0.5, place, 0.22, 0.26, softness=9)
        canvas.paint(depth * hollow, 0.7 * skin * light)
        blush = pose.ellipse(side * 0.42, 0.28, 0.2, 0.16, softness=9)
        canvas.paint(rosy * blush, np.array([0.85, 0.35, 0.3], "float32") * light)


def _marks(canvas, pose, skin, hair, who, now, light) -> None:
    """Moles, whose places belong to the person."""
    for _ in range(2):
        u, v, size = who.between(-0.5, 0.5), who.between(-0.3, 0.7), who.between(-0.05, 0.045)
        spot = pose.ellipse(u, v, np.maximum(size, 0.001), np.maximum(size, 0.001))
        canvas.paint(spot * (size > 0.012), 0.4 * skin * light)


def _nose(canvas, pose, skin, hair, who, now, light) -> None:
    width, length = who.about(0.13, 0.03), who.about(0.25, 0.04)
    bridge = who.between(0.25, 0.55)
    ridge = pose.ellipse(0.0, length - 0.2, 0.045 + 0.3 * width * bridge, 0.26, softness=4)
    canvas.paint(0.35 * ridge, np.minimum(1.18 * skin * light, 1))
    canvas.paint(0.5 * pose.ellipse(0.0, length, width, 0.065, softness=3), 0.78 * skin * light)
    for side in (-1, 1):
        nostril = pose.ellipse(side * 0.6 * width, length + 0.03, 0.32 * width, 0.022)
        canvas.paint(0.8 * nostril, 0.35 * skin * light)


def _mouth(canvas, pose, skin, hair, who, now, light) -> None:
    width, place, full = who.about(0.27, 0.04), who.about(0.53, 0.035), who.between(0.025, 0.075)
    red = who.between(0.1, 0.9)
    smile, opened = now.about(0.12, 0.25), np.clip(now.between(-0.10, 0.10), 0, 1)
    width = width * (1 + 0.25 * np.clip(smile, 0, 1))
    bend = smile * (pose.u / width) ** 2 * 0.16
    lip = 0.75 * skin * light * (1 - 0.45 * red[..., None] * np.array([0.0, 1.0, 0.8], "float32"))
    u, v = pose.u / width, pose.v - place + bend
    taper = np.clip(1 - u**2, 0, 1)
    lips = pose.canvas.shape(taper * (full + opened) - np.abs(v)) * pose.front * (np.abs(u) < 1)
    canvas.paint(lips, lip)
    gap = pose.canvas.shape(taper * (0.012 + opened) - np.abs(v)) * pose.front * (np.abs(u) < 1)
    canvas.paint(0.9 * gap, 0.22 * skin * light)
    teeth = pose.canvas.shape(taper * opened - 0.02 - np.abs(v)) * pose.front * (np.abs(u) < 0.9)
    canvas.paint(teeth * np.clip(8 * opened, 0, 1), 0.85 * light * np.ones(3, "float32"))


def _beard(canvas, pose, skin, hair, who, now, light) -> None:
    kind, shave = who.between(0, 1), now.between(0.5, 1.0)
    low = pose.canvas.shape(pose.v - 0.38 - 0.25 * (1 - np.abs(pose.u)), 5) * pose.front
    mouth = pose.ellipse(0.0, 0.53, 0.34, 0.11, softness=3)
    canvas.paint(0.75 * shave * (kind > 0.86) * low * (1 - mouth), 0.9 * hair * light)
    lip = pose.ellipse(0.0, 0.40, 0.27, 0.06, softness=2)
    canvas.paint(0.8 * shave * ((kind > 0.74) & (kind < 0.92)) * lip, 0.9 * hair * light)


def _eyes(canvas, pose, skin, hair, who, now, light) -> None:
    apart, height = who.about(0.37, 0.035), who.about(-0.06, 0.03)
    width, tall = who.about(0.135, 0.018), who.about(0.062, 0.012)
    tilt, iris = who.about(0, 0.12), who.between(0, 1)
    opened, look = np.clip(now.between(0.35, 1.6), 0.1, 1.1), now.about(0, 0.025)
    colour = np.array([0.15, 0.09, 0.05]) + iris[..., None] ** 2 * np.array([0.15, 0.33, 0.45])
    for side in (-1, 1):
        shadow = pose.ellipse(side * apart, height - 0.02, 1.45 * width, 2.1 * tall, softness=4)
        canvas.paint(0.45 * shadow, 0.66 * skin * light)
        eye = pose.ellipse(side * apart, height, width, tall * opened, side * tilt)
        canvas.paint(eye, np.clip(0.92 * light, 0, 1) * np.ones(3, "float32"))
        ball = pose.ellipse(side * apart + look, height, 0.062, 0.062)
        canvas.paint(ball * eye, colour.astype("float32") * light)
        canvas.paint(pose.ellipse(side * apart + look, height, 0.028, 0.028) * eye, 0.03 * light)
        lid = pose.ellipse(side * apart, height - tall * opened, width, 0.016, side * tilt)
        canvas.paint(0.8 * lid, 0.3 * skin * light)


def _brows(canvas, pose, skin, hair, who, now, light) -> None:
    height, thick = who.about(-0.24, 0.025), who.between(0.014, 0.042)
    slope, length, apart = who.about(0.05, 0.12), who.about(0.20, 0.03), who.about(0.36, 0.03)
    raised = now.about(0, 0.035)
    for side in (-1, 1):
        brow = pose.ellipse(side * apart, height + raised, length, thick, -side * slope)
        canvas.paint(0.9 * brow, 0.75 * hair * light)


def _fringe(canvas, pose, hair, who, light) -> None:
    line, side, curve = who.about(-0.56, 0.11), who.about(0, 0.16), who.between(-0.1, 0.55)
    edge = line + side * pose.u + curve * pose.u**2
    canvas.paint(canvas.shape((edge - pose.v) * 0.7) * pose.head, hair * light)


def _glasses(canvas, pose, who, now) -> None:
    """Glasses, which some people own and wear in most of their images."""
    has, thick, dark = who.between(0, 1), who.between(0.016, 0.035), who.between(0.05, 0.4)
    worn = (has > 0.72) & (now.between(0, 1) > 0.25)
    for side in (-1, 1):
        outer = pose.ellipse(side * 0.37, -0.04, 0.22, 0.17)
        inner = pose.ellipse(side * 0.37, -0.04, 0.22 - thick, 0.17 - thick)
        canvas.paint(worn * np.clip(outer - inner, 0, 1), dark[..., None] * np.ones(3, "float32"))
        canvas.paint(0.12 * worn * inner, np.full(3, 0.9, "float32"))
    bridge = pose.ellipse(0.0, -0.06, 0.16, 0.6 * thick)
    canvas.paint(worn * bridge, dark[..., None] * np.ones(3, "float32"))


def _cover(canvas: _Canvas, now: _Numbers) -> None:
    """Occlusion in one image of six: a bar at a random position and angle."""
    present, angle = now.between(0, 1) > 0.84, now.between(0, np.pi)
    place, width, grey = now.about(0, 0.3), now.between(0.06, 0.17), now.between(0.05, 0.7)
    off = canvas.x * np.cos(angle) + canvas.y * np.sin(angle) - place
    bar = canvas.shape(width - np.abs(off)) * present
    canvas.paint(bar, grey[..., None] * np.ones(3, "float32"))


def _photographed(colours: np.ndarray, now: _Numbers, noise) -> np.ndarray:
    """Returns uint8 images with the camera's exposure, contrast, white balance and noise."""
    gain, gamma, warmth = now.about(1.0, 0.10), now.about(1.0, 0.12), now.about(0, 0.03)
    balance = 1 + warmth[..., None] * np.array([1.0, 0.0, -1.0], "float32")
    seen = np.clip(colours * gain[..., None] * balance, 0, 1) ** gamma[..., None]
    seen += 0.02 * noise.standard_normal(seen.shape, "float32")
    return (np.clip(seen, 0, 1) * 255).round().astype("uint8")
