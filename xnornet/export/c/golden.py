"""Expected results of an exported network: scores of some images, and a digest of each layer's output.

They come from the operations' definitions, not from the engine nor from the C.
"""

import numpy as np

__all__ = ["digest", "draw_pixels", "expected_outputs", "packed_words", "scores_of"]

IMAGES = 10


def draw_pixels(shape, count=IMAGES, seed=0):
    """Images of noise and of soft blobs, uint8, ``(count, *shape)``."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (count, *shape))
    places = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    for i in range(0, count, 2):
        center = rng.uniform(-0.7, 0.7, len(shape))
        distance = sum((p - c) ** 2 for p, c in zip(places, center, strict=True))
        noise[i] = 255 * np.exp(-distance / rng.uniform(0.05, 0.6)) * rng.choice([0.6, 1])
    return noise.astype(np.uint8)


def as_stored(pixels):
    """Images as the C takes them: rows, columns, channels; one row for each image."""
    return np.moveaxis(pixels, 1, -1).reshape(len(pixels), -1)


def values_of(graph, pixels, levels):
    """What each node gives for images, by its definition."""
    values = [levels[pixels].astype(np.int64)]
    for node in graph.nodes[1:]:
        values.append(node.operation.exact(np, *(values[k] for k in node.inputs)))
    return values


def expected_outputs(layers, values):
    """Output of each layer for each image: words of signs or numbers, as uint32.

    Returns
    -------
    list of (uint32 array, ``(images, count)``, or None for a layer whose output is no node's)
    """
    return [_stored(layer.output, values) for layer in layers]


def _stored(value, values):
    if value.node is None:
        return None
    n = values[value.node]
    n = np.moveaxis(n.reshape(len(n), *value.shape), 1, -1).reshape(len(n), -1)
    if not value.signs:
        return n.astype(np.int64).astype(np.uint32)
    return packed_words(n >= 0)


def packed_words(flags):
    """Flags along the last axis as words of 32 bits."""
    bits = np.packbits(flags, axis=-1, bitorder="little")
    whole = np.zeros((*bits.shape[:-1], -(-bits.shape[-1] // 4) * 4), np.uint8)
    whole[..., : bits.shape[-1]] = bits
    return whole.view("<u4")


def scores_of(values):
    """Scores of each image, as the C gives them."""
    return values[-1].reshape(len(values[-1]), -1)


def digest(numbers):
    """A digest of uint32 numbers, one for each row: FNV-1a, a number at a time."""
    found = np.full(len(numbers), 2166136261, np.uint32)
    for column in numbers.T:
        found = (found ^ column) * np.uint32(16777619)
    return found
