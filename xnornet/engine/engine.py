"""The engine as its users see it: a packed model in, scores and classes out."""

import importlib

import numpy as np

from xnornet.engine import kernels
from xnornet.engine.plan import Plan
from xnornet.errors import ModelError
from xnornet.graph import check_graph, load_packed
from xnornet.graph.simulation import warn_of_saturation
from xnornet.threads import MOST_THREADS, default_threads

__all__ = ["Engine", "load"]


def load(path, threads=None, batch_size=16):
    """Load a packed model.

    Parameters
    ----------
    path : str or Path
        What ``python -m xnornet pack`` wrote.
    threads, batch_size : as in :class:`Engine`

    Returns
    -------
    Engine
        Its ``info`` is what the file tells of where the model comes from.

    Raises
    ------
    ModelError
        The file is missing or damaged, or is no packed model that this version runs.
    """
    graph, info = load_packed(path)
    try:
        return Engine(graph, threads, batch_size, info)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


class Engine:
    """Run a fixed-point network on packed bits.

    Machine code is compiled, or read from disk, when the engine is made. Arrays are laid out at the first
    call for its number of images, up to ``batch_size``, and kept. Python's threads may share an engine: calls
    at the same time have arrays and threads of their own. The process may fork at any time. A pickled engine
    is its model and settings; the rest is made anew where it is loaded.

    Parameters
    ----------
    graph : Graph
        In integers.
    threads : int, optional
        By default :func:`xnornet.threads.default_threads`: one for each core that the process may use, or
        ``XNORNET_THREADS``. One thread is the caller's; with ``threads=1`` there is no other.
    batch_size : int
        Images run at a time, or fewer of them if so many would take more than a gigabyte; more are run in
        parts.
    info : dict, optional
        What is known of the model, kept for the caller.
    kernels : module, optional
        ``xnornet.engine.reference`` runs the kernels' plain twins.

    Attributes
    ----------
    input_shape : tuple of int
        Of an image, ``(channels, rows, columns)``.
    q_out : Q
        Format of the scores.
    threads, batch_size, info

    Raises
    ------
    ModelError
        The kernels cannot run the model.
    ValueError
        ``threads`` or ``batch_size`` is out of range.
    """

    def __init__(self, graph, threads=None, batch_size=16, info=None, kernels=kernels):
        threads = default_threads() if threads is None else threads
        if not 1 <= threads <= MOST_THREADS:
            raise ValueError(f"threads is {threads}; it takes 1 to {MOST_THREADS}")
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it takes at least 1")
        check_graph(graph)
        self._graph, self._kernels = graph, kernels
        self._plan = Plan(graph, threads)
        self.batch_size = min(batch_size, self._plan.most_images)
        self.threads, self.info = threads, info or {}
        self.input_shape, self.q_out = tuple(graph.input_shape), graph.q_out
        kernels.prepare(self._plan.kernels())
        # Taken and given back by one operation of Python: no lock that a child could find closed forever.
        self._idle = []

    def __reduce__(self):
        return _engine, (self._graph, self.threads, self.batch_size, self.info, self._kernels.__name__)

    def run(self, images, out=None):
        """Scores of images.

        Parameters
        ----------
        images : float array, ``(n, channels, rows, columns)``
            Scaled as the network's training images were. What is neither float32 nor float64 is converted to
            float64.
        out : int64 array, ``(n, classes)`` or ``(n, *shape)`` of the scores, optional
            Where to write the scores.

        Returns
        -------
        int64 array, ``(n, classes)`` or ``(n, *shape)`` of the scores
            In format ``q_out``.

        Raises
        ------
        ValueError
            Images or ``out`` of another shape or type, or values that are not numbers.

        Warns
        -----
        Saturation
            Images go beyond the format that calibration chose.
        """
        images = np.asarray(images)
        if images.ndim != len(self.input_shape) + 1 or images.shape[1:] != self.input_shape:
            wanted = ", ".join(map(str, ("n", *self.input_shape)))
            raise ValueError(f"The network takes images of shape ({wanted}); got {images.shape}")
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
            lost, beyond = 0, 0
            for part in parts:
                found = arrays.run(images[part], out[part])
                lost, beyond = lost + found[0], beyond + found[1]
        finally:
            self._idle.append(arrays)
        if lost:
            raise ValueError(f"The images hold {lost} values that are not numbers; expected [-1, 1]")
        warn_of_saturation(self._graph, beyond, images.size)
        return out

    def predict(self, images):
        """Classes of images: the highest score's, the first of equal ones.

        Parameters
        ----------
        images : as in `run`

        Returns
        -------
        int64 array, ``(n,)``
        """
        return self.run(images).argmax(axis=1)

    def calls(self, images):
        """The kernels behind the quantizer, in order, for measuring.

        Parameters
        ----------
        images : float array
            At most ``batch_size`` of them; the calls work on what running them left.

        Returns
        -------
        list of (str, function)
            Name of each kernel, and a function without arguments that runs it alone.
        """
        self.run(images)
        _, *calls = self._take(len(images)).calls(len(images), "float32")
        return [(call[0], self._kernels.runner([call], self.threads)) for call in calls]

    def _take(self, images):
        """Arrays for at least so many images that nobody else uses."""
        try:
            arrays = self._idle.pop()
        except IndexError:
            arrays = None
        if arrays is None or arrays.images < images:
            arrays = _Arrays(self._plan, images, self.threads, self._kernels)
        return arrays


def _engine(graph, threads, batch_size, info, kernels):
    """An engine that was pickled."""
    return Engine(graph, threads, batch_size, info, importlib.import_module(kernels))


class _Arrays:
    """The arrays of a plan for up to so many images, and what runs on them."""

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
        lost = self.of[self._plan.lost].sum(axis=0)
        if not lost[0]:
            out[...] = self._plan.as_scores(self.of[self._plan.scores][:count])
        return lost
