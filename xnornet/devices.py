"""The devices that batches are divided among."""

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from xnornet.errors import UsageError

__all__ = ["divided", "mesh_of"]

# Of the mesh, which divides batches.
AXIS = "batch"


def mesh_of(count):
    """A mesh of the first devices that JAX has.

    Parameters
    ----------
    count : int, "all" or None
        How many; None is one.

    Returns
    -------
    jax.sharding.Mesh, or None for one device

    Raises
    ------
    UsageError
        There are fewer.
    """
    devices = jax.devices()
    count = {"all": len(devices), None: 1}.get(count, count)
    if count > len(devices):
        more = ""
        if jax.default_backend() == "cpu":
            more = f"; XLA_FLAGS=--xla_force_host_platform_device_count={count} makes one CPU as many"
        raise UsageError(f"--devices is {count}, and JAX has {len(devices)} here{more}")
    return Mesh(np.array(devices[:count]), (AXIS,)) if count > 1 else None


def divided(mesh):
    """Sharding of arrays whose first axis is divided among the devices of a mesh."""
    return NamedSharding(mesh, PartitionSpec(AXIS))
