"""Images that are not stored on the device: a thread reads those of the next steps during the current one."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import jax
import numpy as np

import theano
import theano.tensor as T
from xnornet.data.dataset import LEVELS, Pixels, scale_bytes
from xnornet.data.stored import is_stored
from xnornet.devices import read_share

__all__ = ["Ahead", "reads_ahead"]

# Images take at most this share of a GPU's free memory: the program needs the rest.
SHARE_OF_DEVICE = 1 / 2

# How many bytes are read ahead, and the limits of that in batches.
BYTES_AHEAD = 1 << 26
FEWEST, MOST = 2, 100


def reads_ahead(images):
    """Whether steps read images a batch at a time: those on disk, and those too large for a GPU's memory."""
    if is_stored(images):
        return True
    memory = jax.local_devices()[0].memory_stats() if jax.default_backend() == "gpu" else None
    if not memory:
        return False
    pixels = images.bytes if _are_bytes(images) else images
    nbytes = np.prod(pixels.shape, dtype=np.int64) * pixels.dtype.itemsize
    return nbytes > SHARE_OF_DEVICE * (memory["bytes_limit"] - memory["bytes_in_use"])


def _are_bytes(images):
    """Whether images are sent to the device as bytes, and not as the real numbers computed on the host."""
    return isinstance(images, Pixels) and images.preprocess is scale_bytes


class Ahead:
    """The images of the next steps, as bytes if they are stored as bytes.

    Reading ahead changes the time that a step takes, and nothing else.

    Parameters
    ----------
    images : float32 array, Pixels or Stored
    mesh : jax.sharding.Mesh, optional
        Of the devices that batches are divided among; of several hosts, each reads what its devices get.

    Attributes
    ----------
    batch : 4D variable
        Input of a step: its batch, from :meth:`take`.
    numbers : 4D expression
        The batch as real numbers.
    shared : list of shared variables
        Other inputs of ``numbers``.
    """

    def __init__(self, images, mesh=None):
        self._mesh = mesh
        self._images = images.bytes if _are_bytes(images) else images
        self.batch = T.TensorType(self._images.dtype.name, (None,) * 4)("batch")
        self.shared, self.numbers = [], self.batch
        if _are_bytes(images):
            self.shared = [theano.shared(LEVELS.copy(), borrow=True)]
            self.numbers = self.shared[0][self.batch]
        # One thread, as a file is read by one thread at a time. It starts with the first batch.
        self._reader = ThreadPoolExecutor(1, "images")
        self.expect(np.empty((0, 1), np.int64))

    def expect(self, batches):
        """Start to read the batches of these rows, ``(batches, batch)``, in this order."""
        batch_bytes = batches.shape[1] * np.prod(self._images.shape[1:]) * self._images.dtype.itemsize
        self._coming, self._reading = iter(batches), deque()
        self._depth = int(np.clip(BYTES_AHEAD // batch_bytes, FEWEST, MOST))
        self._fill()

    def steps_per_call(self, most):
        """How many expected batches one call should take: half of those that are read ahead."""
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
        return self._read(rows)

    def _read(self, rows):
        return read_share(self._images, rows, self._mesh)

    def _fill(self):
        for rows in islice(self._coming, self._depth - len(self._reading)):
            self._reading.append((rows, self._reader.submit(self._read, rows)))
