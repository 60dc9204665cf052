"""Images of a training step that do not lie on the device: read on a thread, while steps before it run."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import jax
import numpy as np

import theano
import theano.tensor as T
from xnornet.data.dataset import LEVELS, Pixels, scale_bytes
from xnornet.data.stored import is_stored

__all__ = ["Ahead", "reads_ahead"]

# Of a GPU's memory that is left, images take at most this share: its program takes the rest.
SHARE_OF_DEVICE = 1 / 2

# What is read ahead: so many bytes, but within these numbers of batches.
BYTES_AHEAD = 1 << 26
FEWEST, MOST = 2, 100


def reads_ahead(images):
    """Whether steps read images a batch at a time: those on disk, and those too large for a GPU's memory."""
    if is_stored(images):
        return True
    memory = jax.devices()[0].memory_stats() if jax.default_backend() == "gpu" else None
    if not memory:
        return False
    pixels = images.bytes if _are_bytes(images) else images
    nbytes = np.prod(pixels.shape, dtype=np.int64) * pixels.dtype.itemsize
    return nbytes > SHARE_OF_DEVICE * (memory["bytes_limit"] - memory["bytes_in_use"])


def _are_bytes(images):
    """Whether what the device gets is bytes, and not the real numbers that they become on the host."""
    return isinstance(images, Pixels) and images.preprocess is scale_bytes


class Ahead:
    """The images of the steps that come next, as bytes where they are kept as such.

    Whether they were read ahead changes the time that a step takes, and nothing else.

    Parameters
    ----------
    images : float32 array, Pixels or Stored

    Attributes
    ----------
    batch : 4D variable
        What a step gets of its batch, from :meth:`take`.
    numbers : 4D expression
        Its real numbers.
    shared : list of shared variables
        That ``numbers`` takes besides.
    """

    def __init__(self, images):
        self._images = images.bytes if _are_bytes(images) else images
        self.batch = T.TensorType(self._images.dtype.name, (None,) * 4)("batch")
        self.shared, self.numbers = [], self.batch
        if _are_bytes(images):
            self.shared = [theano.shared(LEVELS.copy(), borrow=True)]
            self.numbers = self.shared[0][self.batch]
        # A thread for each reader, as the file is read by one at a time. It starts with the first batch.
        self._reader = ThreadPoolExecutor(1, "images")
        self.expect(np.empty((0, 1), np.int64))

    def expect(self, batches):
        """Read the batches of these rows, ``(batches, batch)``, in their order, each before it is taken."""
        batch_bytes = batches.shape[1] * np.prod(self._images.shape[1:]) * self._images.dtype.itemsize
        self._coming, self._reading = iter(batches), deque()
        self._depth = int(np.clip(BYTES_AHEAD // batch_bytes, FEWEST, MOST))
        self._fill()

    def steps_per_call(self, most):
        """How many of the batches that are expected a call best takes: while as many are read."""
        return min(most, self._depth // 2)

    def take(self, rows):
        """The images of the given rows, ``(batch,)``.

        Raises
        ------
        DataError
            They cannot be read.
        """
        if self._reading and np.array_equal(self._reading[0][0], rows):
            reading = self._reading.popleft()[1]
            self._fill()
            return reading.result()
        return self._images[rows]

    def _fill(self):
        for rows in islice(self._coming, self._depth - len(self._reading)):
            self._reading.append((rows, self._reader.submit(self._images.__getitem__, rows)))
