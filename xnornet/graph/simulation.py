"""Run a graph on images a batch at a time: in integers, by the definition, or in real numbers."""

import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from xnornet.data.dataset import Pixels
    from xnornet.graph.graph import Graph

__all__ = [
    "Saturation",
    "check_range",
    "count_beyond",
    "evaluate_batches",
    "real_images",
    "simulate",
    "warn_of_saturation",
]

# Values this many times beyond the input's format mean that the images were scaled in another way.
FAR_BEYOND = 16


class Saturation(UserWarning):
    """Pixel values exceed the range of the format that calibration chose."""


def simulate(
    graph: "Graph",
    images: "NDArray | Pixels",
    batch_size: int = 500,
    real: bool = False,
    progress: bool = False,
    mesh: Any = None,
) -> NDArray:
    """Scores of a graph: the exact result of each operation, rounded once.

    It runs on JAX, on the device that JAX has.

    Parameters
    ----------
    graph : Graph
    images : float array, ``(n, channels, rows, columns)``
        Scaled as the network's training images were.
    batch_size : int
        Images run at a time.
    real : bool
        Compute in single precision with the real values of the parameters, without rounding. Required for
        a graph that is not quantized.
    progress : bool
        Show a bar on a terminal.
    mesh : jax.sharding.Mesh, optional
        Devices that batches are divided among; a batch that they cannot divide evenly, each runs as a whole.

    Returns
    -------
    int64 array, ``(n, ...)``, in format ``graph.q_out``, or float32 array

    Raises
    ------
    ValueError
        The images have the wrong shape or contain NaN.

    Warns
    -----
    Saturation
        Some values exceed the range of the format that calibration chose.
    """
    from tqdm import tqdm

    batches = evaluate_batches(graph, images, batch_size, real, lambda values: values[-1], mesh)
    total = -(-len(images) // batch_size)
    bar = tqdm(batches, unit="batch", total=total, leave=False, disable=None if progress else True)
    return np.concatenate(list(bar))


def evaluate_batches(
    graph: "Graph",
    images: "NDArray | Pixels",
    batch_size: int,
    real: bool,
    select: Callable[[list], Any],
    mesh: Any = None,
) -> Iterator[Any]:
    """Yield ``select(values)`` for each batch of images, on JAX; ``values`` has an array for each node."""
    import jax
    import jax.numpy as jnp
    from jax.sharding import NamedSharding, PartitionSpec

    wanted = tuple(graph.input_shape)
    if tuple(images.shape[1:]) != wanted or not len(images):
        raise ValueError(f"The network takes images of shape {('n', *wanted)}; got {images.shape}")
    first = real_images(images[:1]).astype("float32")

    def run(xp, x):
        if real:
            return select(graph.evaluate(lambda operation, *x: operation.real(xp, *x), x))
        return select(graph.evaluate(lambda operation, *n: operation.exact(xp, *n), x))

    whole = divided = None
    if mesh is not None:
        whole, divided = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), (mesh.axis_names,)))
    beyond = total = 0
    # The definition uses 64-bit integers.
    with jax.enable_x64(True):
        weights = []
        jax.eval_shape(lambda x: run(_Arguments(jnp, seen=weights), x), first)
        compiled = jax.jit(lambda weights, x: run(_Arguments(jnp, iter(weights)), x), out_shardings=whole)
        weights = jax.device_put(weights, whole)
        for i in range(0, len(images), batch_size):
            batch = np.asarray(images[i : i + batch_size])
            if np.isnan(batch).any():
                raise ValueError("The images hold values that are not numbers")
            if not real:
                check_range(graph, batch)
                beyond, total = beyond + count_beyond(graph, batch), total + batch.size
            batch = batch.astype("float32") if real else batch
            if mesh is not None:
                batch = jax.device_put(batch, whole if len(batch) % mesh.size else divided)
            found = compiled(weights, batch)
            yield jax.tree.map(np.asarray, found)
    warn_of_saturation(graph, beyond, total)


class _Arguments:
    """``jax.numpy``, except that ``asarray``, which operations call for weights, returns function arguments.

    XLA would spend a long time folding weights that are constants of a compiled function.
    """

    __name__ = "jax.numpy"

    def __init__(self, xp, given=None, seen=None):
        self._xp, self._given, self._seen = xp, given, seen

    def __getattr__(self, name):
        return getattr(self._xp, name)

    def asarray(self, array):
        if self._given is not None:
            return next(self._given)
        self._seen.append(array)
        return self._xp.asarray(array)


def real_images(images: ArrayLike) -> NDArray:
    """Images as an array of real numbers.

    Raises
    ------
    ValueError
        They are integers, booleans or complex numbers, so they were not scaled for a network.
    """
    images = np.asarray(images)
    if images.dtype.kind != "f":
        raise ValueError(
            f"The network takes real numbers, scaled as its training images were; got {images.dtype}. Pass "
            "pixels to Engine.classify, or scale them: (2.0 * pixels / 255 - 1) * 127 / 128"
        )
    return images


def check_range(graph: "Graph", images: NDArray) -> None:
    """Raise ValueError for images whose values far exceed the format that calibration chose."""
    q = graph.nodes[0].operation.q_out
    # Without a temporary array of magnitudes, since the engine allocates none.
    largest = max(images.max(initial=0), -images.min(initial=0))
    if FAR_BEYOND * 2.0**q.int_bits < largest < np.inf:
        raise ValueError(
            f"The images reach {largest:g}, those of calibration {2.0**q.int_bits:g}; scale them as the "
            "training images were, or pass pixels to Engine.classify"
        )


def count_beyond(graph: "Graph", images: NDArray) -> int:
    """Count the values that exceed the range of the input's format by more than its last unit."""
    q = graph.nodes[0].operation.q_out
    return int(np.count_nonzero(np.abs(images) > 2.0**q.int_bits))


def warn_of_saturation(graph: "Graph", beyond: int, total: int) -> None:
    """Warn if some values of the images exceed the range of the input's format."""
    if beyond:
        q = graph.nodes[0].operation.q_out
        warnings.warn(
            f"{beyond / total:.2%} of the images' numbers lie beyond {q}, the format from calibration, and "
            f"become {2.0**q.int_bits:g}; scale images as those were, or calibrate on images like these",
            Saturation,
            stacklevel=3,
        )
