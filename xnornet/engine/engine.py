"""The engine's interface: load a packed model, run it, get scores and classes."""

import importlib
from collections.abc import Callable
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xnornet.engine import kernels
from xnornet.engine.plan import Plan
from xnornet.errors import ModelError
from xnornet.graph import check_graph, load_packed
from xnornet.graph.simulation import check_range, real_images, warn_of_saturation
from xnornet.hints import StrPath
from xnornet.threads import MOST_THREADS, default_threads

if TYPE_CHECKING:
    from xnornet.graph.graph import Graph

__all__ = ["Engine", "load"]


def load(path: StrPath, threads: int | None = None, batch_size: int = 16) -> "Engine":
    """Load a packed model.

    Parameters
    ----------
    path : str or Path
        What ``python -m xnornet pack`` wrote.
    threads, batch_size : as in :class:`Engine`

    Returns
    -------
    Engine
        Its ``info`` is the file's description of the model.

    Raises
    ------
    ModelError
        The file is missing or damaged, or is no packed model that this version runs.
    """
    graph, info = load_packed(path)
    try:
        return Engine(graph, threads, batch_size, info, path=path)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


class Engine:
    """Run a fixed-point network on packed bits.

    Machine code is compiled, or read from disk, when the engine is made. Arrays are laid out at the first
    call for its number of images, up to ``batch_size``, and kept. Python's threads may share an engine: calls
    at the same time use separate arrays and threads. The process may fork at any time. A pickled engine
    contains its model and settings only; loading it compiles and allocates again.

    Parameters
    ----------
    graph : Graph
        In integers.
    threads : int, optional
        By default :func:`xnornet.threads.default_threads`: one for each core that the process may use, or
        ``XNORNET_THREADS``. One thread is the caller's; with ``threads=1`` there is no other.
    batch_size : int
        Most images that run at a time; fewer if they would take more than a gigabyte. Larger calls are split.
    info : dict, optional
        Description of the model. `classify` reads the scaling of pixels and the class names from it.
    path : str or Path, optional
        The model's file, beside which the whitening of its images lies, if they are whitened.
    kernels : module, optional
        ``xnornet.engine.reference`` runs the kernels' plain twins.

    Attributes
    ----------
    input_shape : tuple of int
        Of an image, ``(channels, rows, columns)``.
    q_out : Q
        Format of the scores.
    class_names : tuple of str
        By default the numbers of the classes.
    threads, batch_size, info

    Raises
    ------
    ModelError
        The kernels cannot run the model.
    ValueError
        ``threads`` or ``batch_size`` is out of range.
    """

    def __init__(
        self,
        graph: "Graph",
        threads: int | None = None,
        batch_size: int = 16,
        info: dict[str, Any] | None = None,
        kernels: ModuleType = kernels,
        path: StrPath | None = None,
    ) -> None:
        threads = default_threads() if threads is None else threads
        if not 1 <= threads <= MOST_THREADS:
            raise ValueError(f"threads is {threads}; it takes 1 to {MOST_THREADS}")
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it takes at least 1")
        check_graph(graph)
        self._graph, self._kernels = graph, kernels
        self._plan = Plan(graph, threads)
        self.batch_size = min(batch_size, self._plan.most_images)
        self.threads, self.info, self._path = threads, info or {}, path
        self.input_shape, self.q_out = tuple(graph.input_shape), graph.q_out
        kernels.prepare(self._plan.kernels())
        # Taken and returned by one atomic operation of Python: a lock could stay closed in a forked child.
        self._idle = []

    def __reduce__(self) -> tuple:
        settings = self.threads, self.batch_size, self.info, self._kernels.__name__, self._path
        return _engine, (self._graph, *settings)

    def run(self, images: ArrayLike, out: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Scores of images.

        Parameters
        ----------
        images : float array, ``(n, channels, rows, columns)``
            Scaled as the network's training images were; for pixels as they are in a picture, see `classify`.
            Other types than float32 and float64 are converted to float64.
        out : int64 array, ``(n, classes)`` or ``(n, *shape)`` of the scores, optional
            Where to write the scores.

        Returns
        -------
        int64 array, ``(n, classes)`` or ``(n, *shape)`` of the scores
            In format ``q_out``.

        Raises
        ------
        ValueError
            Images or ``out`` of another shape or type, values that are not numbers, or values far beyond the
            format that calibration chose.

        Warns
        -----
        Saturation
            Some values exceed the range of the format that calibration chose.
        """
        images = real_images(images)
        if images.ndim != len(self.input_shape) + 1 or images.shape[1:] != self.input_shape:
            expected = ", ".join(map(str, ("n", *self.input_shape)))
            raise ValueError(f"The network takes images of shape ({expected}); got {images.shape}")
        images = images.reshape(-1, *self._plan.input_shape)
        wanted = (len(images), *self._plan.output_shape)
        if out is None:
            out = np.empty(wanted, np.int64)
        elif not isinstance(out, np.ndarray) or out.shape != wanted or out.dtype != np.int64:
            found = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
            raise ValueError(f"out should be an int64 array {wanted}; got {found}")
        parts = (slice(i, i + self.batch_size) for i in range(0, len(images), self.batch_size))
        arrays = self._take(min(len(images), self.batch_size))
        try:
            nans, beyond = 0, 0
            for part in parts:
                found = arrays.run(images[part], out[part])
                nans, beyond = nans + found[0], beyond + found[1]
        finally:
            self._idle.append(arrays)
        if nans:
            raise ValueError(f"The images hold {nans} values that are not numbers; expected [-1, 1]")
        if beyond:
            check_range(self._graph, images)
        warn_of_saturation(self._graph, beyond, images.size)
        return out

    def predict(self, images: ArrayLike) -> NDArray[np.int64]:
        """Classes of images: the highest score's, the first of equal ones.

        Parameters
        ----------
        images : as in `run`

        Returns
        -------
        int64 array, ``(n,)``
        """
        return self.run(images).argmax(axis=1)

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        from xnornet.data.preprocessing import class_names_of

        names, shape = class_names_of(self.info), self._plan.output_shape
        if len(shape) != 1:
            raise ModelError(f"the model gives scores of shape {shape} for an image, not one for each class")
        (count,) = shape
        if names is None:
            return tuple(map(str, range(count)))
        if len(names) != count:
            raise ModelError(f"the model has {count} scores, and {len(names)} class names")
        return names

    @cached_property
    def _prepare(self):
        from xnornet.data.preprocessing import preparation_of

        return preparation_of(self.info, self._path)

    def classify(self, pixels: ArrayLike) -> tuple[str | list[str], NDArray[np.float64]]:
        """Names of the classes of pictures, and their scores.

        Parameters
        ----------
        pixels : uint8 array
            An image or a batch of them, of the model's size, with channels first or last; grey ones also
            ``(height, width)``. Scaled here as the training images were.

        Returns
        -------
        (str, float64 array ``(classes,)``) or (list of str, float64 array ``(n, classes)``)
            Name of the highest score, and all scores, of an image or of each of a batch.

        Raises
        ------
        ValueError
            Pixels of another shape or type.
        ModelError
            The model does not record how its pixels were scaled, or its scores are not one for each class.
        """
        pixels, alone = self._batch(pixels)
        known = self.class_names
        scores = self.q_out.dequantize(self.run(self._prepare(pixels)))
        names = [known[k] for k in scores.argmax(axis=1)]
        return (names[0], scores[0]) if alone else (names, scores)

    def _batch(self, pixels):
        """Pixels as a batch with channels first, and whether they are an image alone."""
        pixels = np.asarray(pixels)
        if pixels.dtype != np.uint8:
            raise ValueError(
                f"classify takes pixels, uint8 from 0 to 255; got {pixels.dtype}. Pass scaled numbers "
                "to run or predict"
            )
        channels, *size = self.input_shape
        first, last = (channels, *size), (*size, channels)
        if channels == 1 and pixels.shape == tuple(size):
            pixels = pixels[np.newaxis]
        alone = pixels.shape in (first, last)
        if alone:
            pixels = pixels[np.newaxis]
        if pixels.ndim == 4 and pixels.shape[1:] == first:
            return pixels, alone
        if pixels.ndim == 4 and pixels.shape[1:] == last:
            return pixels.transpose(0, 3, 1, 2), alone
        raise ValueError(
            f"The model takes an image of shape {first} or {last}, or a batch of them; got {pixels.shape}. "
            "xnornet.data.pictures.read_picture fits a picture to a size"
        )

    def calls(self, images: NDArray) -> list[tuple[str, Callable[[], None]]]:
        """The kernels after the quantizer, in order, for measuring.

        Parameters
        ----------
        images : float array
            At most ``batch_size`` images; the calls work on the arrays that running them filled.

        Returns
        -------
        list of (str, function)
            Name of each kernel, and a function without arguments that runs it alone.
        """
        self.run(images)
        _, *calls = self._take(len(images)).calls(len(images), "float32")
        return [(call[0], self._kernels.runner([call], self.threads)) for call in calls]

    def _take(self, images):
        """Arrays for at least ``images`` images that no other call uses."""
        try:
            arrays = self._idle.pop()
        except IndexError:
            arrays = None
        if arrays is None or arrays.images < images:
            arrays = _Arrays(self._plan, images, self.threads, self._kernels)
        return arrays


def _engine(graph, threads, batch_size, info, kernels, path):
    """An engine that was pickled."""
    return Engine(graph, threads, batch_size, info, importlib.import_module(kernels), path)


class _Arrays:
    """The arrays of a plan for up to ``images`` images, and the kernels bound to them."""

    def __init__(self, plan, images, threads, kernels):
        self._plan, self.images, self._threads, self._kernels = plan, images, threads, kernels
        self.of, self.calls = plan.bind(images)
        self._runners = {}

    def run(self, images, out):
        """Write the scores of images; returns how many values are not numbers, and how many saturate."""
        count, dtype = len(images), "float32" if images.dtype == np.float32 else "float64"
        if (count, dtype) not in self._runners:
            self._runners[count, dtype] = self._kernels.runner(self.calls(count, dtype), self._threads)
        np.copyto(self.of[self._plan.images[dtype]][:count], images, casting="unsafe")
        self._runners[count, dtype]()
        invalid = self.of[self._plan.invalid].sum(axis=0)
        if not invalid[0]:
            out[...] = self._plan.as_scores(self.of[self._plan.scores][:count])
        return invalid
