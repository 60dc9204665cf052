"""Convolutions and products of signs by plain loops in float64, with bounds for their gradients' errors."""

import itertools
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st

__all__ = [
    "GRADIENTS",
    "Convolution",
    "Product",
    "draw_convolutions",
    "draw_products",
    "float32_error",
    "int16_error",
    "random_signs",
    "tensor_cores_error",
]


def random_signs(rng, *shape):
    return rng.choice(np.array([-1, 1], np.int8), shape)


@dataclass(frozen=True)
class Convolution:
    """Of ``(images, rows, columns, channels)`` and ``(filters, channels / groups, rows, columns)``."""

    images: tuple
    filters: tuple
    pad: tuple = ((0, 0), (0, 0))
    flip: bool = True
    stride: tuple = (1, 1)
    dilation: tuple = (1, 1)
    groups: int = 1
    seed: int = 0

    @property
    def output(self):
        spans = ((k - 1) * d + 1 for k, d in zip(self.filters[2:], self.dilation, strict=True))
        axes = zip(self.images[1:3], spans, self.pad, self.stride, strict=True)
        return self.images[0], *((n + sum(p) - k) // s + 1 for n, k, p, s in axes), self.filters[0]

    def draw_signs(self):
        rng = np.random.default_rng(self.seed)
        return random_signs(rng, *self.images), random_signs(rng, *self.filters)

    def meetings(self):
        """Each pixel of the output, tap of a filter, and pixel of the image that meet."""
        _, h, w, _ = self.images
        *_, kh, kw = self.filters
        (top, _), (left, _) = self.pad
        _, oh, ow, _ = self.output
        for y, x, i, j in itertools.product(range(oh), range(ow), range(kh), range(kw)):
            u = y * self.stride[0] + i * self.dilation[0] - top
            v = x * self.stride[1] + j * self.dilation[1] - left
            if 0 <= u < h and 0 <= v < w:
                yield (y, x), (kh - 1 - i, kw - 1 - j) if self.flip else (i, j), (u, v)

    def parts(self):
        """Channels and filters of each group."""
        channels, filters = self.filters[1], self.filters[0] // self.groups
        for k in range(self.groups):
            yield slice(k * channels, (k + 1) * channels), slice(k * filters, (k + 1) * filters)

    def forward(self, H, B):
        H, B, out = _pixels_first(H), _taps_first(B), np.zeros(_front(self.output))
        for (o, t, p), (c, f) in itertools.product(self.meetings(), self.parts()):
            out[o][:, f] += H[p][:, c] @ B[t][f].T
        return out.transpose(2, 0, 1, 3)

    def left_gradient(self, g, B):
        g, B, out = _pixels_first(g), _taps_first(B), np.zeros(_front(self.images))
        for (o, t, p), (c, f) in itertools.product(self.meetings(), self.parts()):
            out[p][:, c] += g[o][:, f] @ B[t][f]
        return out.transpose(2, 0, 1, 3)

    def right_gradient(self, H, g):
        filters, channels, *window = self.filters
        H, g, out = _pixels_first(H), _pixels_first(g), np.zeros((*window, filters, channels))
        for (o, t, p), (c, f) in itertools.product(self.meetings(), self.parts()):
            out[t][f] += g[o][:, f].T @ H[p][:, c]
        return out.transpose(2, 3, 0, 1)

    def one_channel(self):
        """Where there are no groups, errors of all channels are those of one."""
        if self.groups > 1:
            return self
        return replace(self, images=(*self.images[:3], 1), filters=(self.filters[0], 1, *self.filters[2:]))


def _front(shape):
    n, h, w, channels = shape
    return h, w, n, channels


def _pixels_first(images):
    return np.ascontiguousarray(images.transpose(1, 2, 0, 3), float)


def _taps_first(filters):
    return np.ascontiguousarray(filters.transpose(2, 3, 0, 1), float)


@dataclass(frozen=True)
class Product:
    """Numbers of rows, channels and outputs."""

    rows: int
    channels: int
    outputs: int
    seed: int = 0

    @property
    def output(self):
        return self.rows, self.outputs

    def draw_signs(self):
        rng = np.random.default_rng(self.seed)
        return random_signs(rng, self.rows, self.channels), random_signs(rng, self.channels, self.outputs)

    def forward(self, H, B):
        return sum(np.outer(H[:, c].astype(float), B[c]) for c in range(self.channels))

    def left_gradient(self, g, B):
        return sum(np.outer(g[:, o].astype(float), B[:, o]) for o in range(self.outputs))

    def right_gradient(self, H, g):
        return sum(np.outer(H[n].astype(float), g[n]) for n in range(self.rows))

    def one_channel(self):
        return replace(self, channels=1)


seeds = st.integers(0, 2**32)
channel_counts = st.sampled_from([1, 63, 64, 65, 128, 192]) | st.integers(1, 200)


@st.composite
def draw_convolutions(draw, most=140, widest_pad=-1, strides=(1,), dilations=(1,), groups=(1,)):
    """Of up to the given number of filters, and pads of up to a filter's length and ``widest_pad``."""
    stride, dilation = (draw(st.tuples(*[st.sampled_from(s)] * 2)) for s in (strides, dilations))
    kernel = tuple(draw(st.integers(1, 7 if d == 1 else 4)) for d in dilation)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    pad = tuple(tuple(draw(st.integers(0, s + widest_pad)) for _ in range(2)) for s in spans)
    size = (draw(st.integers(max(1, s - sum(p)), max(9, s))) for s, p in zip(spans, pad, strict=True))
    count = draw(st.sampled_from(groups))
    channels = draw(channel_counts if count == 1 else st.integers(1, 5) | st.integers(1, 70))
    filters = count * draw(st.integers(1, most // count))
    images = (draw(st.integers(1, 4)), *size, count * channels)
    filters = filters, channels, *kernel
    return Convolution(images, filters, pad, draw(st.booleans()), stride, dilation, count, draw(seeds))


@st.composite
def draw_products(draw):
    lengths = st.integers(1, 130), channel_counts | st.integers(1, 300), st.integers(1, 300)
    return Product(*draw(st.tuples(*lengths)), draw(seeds))


def _one_among_tiny(rng, shape):
    g = rng.normal(size=shape) * 1e-6
    g.flat[rng.integers(g.size)] = 1
    return g


def _just_lost(rng, shape):
    """One number, and all others a bit below half a step of its 16 bits: all that can be lost is."""
    g = np.full(shape, 0.499 / 32767)
    g.flat[rng.integers(g.size)] = -1
    return g


# What arrives at a layer, and what is hard to round.
GRADIENTS = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "sparse": lambda rng, shape: rng.normal(size=shape) * (rng.random(shape) < 0.1),
    "zero": lambda rng, shape: np.zeros(shape),
    "constant": lambda rng, shape: np.full(shape, -0.1),
    "one among tiny ones": _one_among_tiny,
    "one, and less than half a step": _just_lost,
    "of all magnitudes": lambda rng, shape: rng.normal(size=shape) * 10.0 ** rng.integers(-38, 30, shape),
    "huge": lambda rng, shape: rng.normal(size=shape) * 1e30,
    "tiny": lambda rng, shape: rng.normal(size=shape) * 1e-34,
    "subnormal": lambda rng, shape: rng.normal(size=shape) * 1e-41,
}

# A number so small may count as 0.
SMALLEST = 2.0**-110


def _error(case, each):
    """Errors of both gradients if each number of ``g`` has this error, the same in every channel."""
    case = case.one_channel()
    left, right = map(np.ones_like, case.draw_signs())
    return case.left_gradient(each, right), case.right_gradient(left, each)


def float32_error(case, g):
    """Sums of float32 in any order: each addition has an error of up to half of the sum's last bit."""
    total = np.abs(g.astype(float)) * 2**-24
    terms = _error(case, np.ones(g.shape))
    return [n * e + n * 2.0**-126 for n, e in zip(terms, _error(case, total), strict=True)]


def int16_error(case, g, together):
    """Half a step of 16 bits for each number, relative to the largest along axes; float32 sums up blocks."""
    largest = np.max(np.abs(g.astype(float)), axis=together, keepdims=True)
    lost = np.broadcast_to(largest / (2 * 32767) + SMALLEST, g.shape)
    rounded = _error(case, np.abs(g.astype(float)) * 2**-20 + lost)
    return [1.001 * e for e in rounded]


def tensor_cores_error(case, g):
    """What two parts of 8 bits leave of each number, and the errors of sums."""
    lost = _error(case, np.abs(g.astype(float)) * 2**-16 + SMALLEST)
    return [a + b for a, b in zip(lost, float32_error(case, g), strict=True)]
