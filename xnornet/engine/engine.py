"""The engine as its users see it: a packed model in, scores and classes out."""

import threading
from contextlib import contextmanager

import numba
import numpy as np

from xnornet.engine import kernels
from xnornet.engine.plan import Plan
from xnornet.model import ModelError, check_model, load_packed

__all__ = ["Engine", "load"]

MOST_THREADS = numba.config.NUMBA_NUM_THREADS

# Numba's own threads, which it has where it finds neither OpenMP nor TBB, end the process when two Python
# threads use them at a time.
ONE_AT_A_TIME = threading.Lock()


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
    model, info = load_packed(path)
    try:
        return Engine(model, threads, batch_size, info)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


class Engine:
    """Run a fixed-point network on packed bits.

    Arrays are laid out at the first call for its number of images, up to ``batch_size``, and kept. Threads
    may share an engine; they wait for each other.

    Parameters
    ----------
    model : QuantizedModel
    threads : int, optional
        By default as many as Numba has: one for each core, or ``NUMBA_NUM_THREADS``.
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

    def __init__(self, model, threads=None, batch_size=16, info=None, kernels=kernels):
        threads = MOST_THREADS if threads is None else threads
        if not 1 <= threads <= MOST_THREADS:
            raise ValueError(f"threads is {threads}; it takes 1 to {MOST_THREADS}, or set NUMBA_NUM_THREADS")
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it takes at least 1")
        check_model(model)
        self._plan = Plan(model, MOST_THREADS)
        self.batch_size = min(batch_size, self._plan.most_images)
        self.threads, self.info = threads, info or {}
        self.input_shape, self.q_out = tuple(model.input_shape), model.q_out
        self._kernels = kernels
        self._capacity = 0
        numba.get_num_threads()  # until threads are asked for, it is not known whose they are
        self._lock = ONE_AT_A_TIME if numba.threading_layer() == "workqueue" else threading.Lock()

    def run(self, images, out=None):
        """Scores of images.

        Parameters
        ----------
        images : float array, ``(n, channels, rows, columns)``
            Scaled as the network's training images were. What is neither float32 nor float64 is converted.
        out : int64 array, ``(n, classes)``, optional
            Where to write the scores.

        Returns
        -------
        int64 array, ``(n, classes)``
            In format ``q_out``.

        Raises
        ------
        ValueError
            Images or ``out`` of another shape or type, or values that are not numbers.
        """
        images = np.asarray(images)
        if images.ndim != len(self.input_shape) + 1 or images.shape[1:] != self.input_shape:
            wanted = ", ".join(map(str, ("n", *self.input_shape)))
            raise ValueError(f"The network takes images of shape ({wanted}); got {images.shape}")
        if images.dtype not in (np.float32, np.float64):
            images = images.astype(np.float64)
        images = np.ascontiguousarray(images).reshape(-1, *self._plan.input_shape)
        wanted = (len(images), *self._plan.output_shape)
        if out is None:
            out = np.empty(wanted, np.int64)
        elif not isinstance(out, np.ndarray) or out.shape != wanted or out.dtype != np.int64:
            found = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
            raise ValueError(f"out should be an int64 array {wanted}; got {found}")
        parts = (slice(i, i + self.batch_size) for i in range(0, len(images), self.batch_size))
        with self._lock, _threads(self.threads):
            lost = sum(self._run_part(images[part], out[part]) for part in parts)
        if lost:
            raise ValueError(f"The images hold {lost} values that are not numbers; expected [-1, 1]")
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
        """The kernels behind the quantizer and their arguments, in order, for measuring.

        Parameters
        ----------
        images : float array
            At most ``batch_size`` of them; the calls work on what running them left.

        Returns
        -------
        list of (function, tuple)
        """
        self.run(images)
        return self._calls[len(images)]

    def _run_part(self, images, out):
        """Scores of a part; returns how many values are not numbers, in which case there are no scores."""
        count = len(images)
        if count > self._capacity:
            self._arrays, self._program = self._plan.bind(count, self.threads, self._kernels)
            self._calls, self._capacity = {}, count
        if count not in self._calls:
            self._calls[count] = self._program(count)
        q, first = self._plan.quantizer.q_out, self._plan.first
        lost = self._kernels.quantize(
            count, images, 2.0**q.f, float(q.limit), self._arrays[first.ints], first.corner
        )
        if not lost:
            for kernel, arguments in self._calls[count]:
                kernel(*arguments)
            out[...] = self._plan.as_scores(self._arrays[self._plan.scores][:count])
        return lost


@contextmanager
def _threads(count):
    """Let Numba run so many threads meanwhile."""
    before = numba.get_num_threads()
    numba.set_num_threads(count)
    try:
        yield
    finally:
        numba.set_num_threads(before)
