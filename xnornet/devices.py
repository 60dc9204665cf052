"""The devices that batches are divided among, of one host or of several."""

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from xnornet.errors import UsageError

__all__ = ["divided", "mesh_of", "read_share"]

# Of the mesh, which divides batches.
AXIS = "batch"


def mesh_of(count):
    """A mesh of the first devices of each host.

    Parameters
    ----------
    count : int, "all" or None
        How many of each host; None is one where there is one host, and all where there are several.

    Returns
    -------
    jax.sharding.Mesh, or None for one device of one host

    Raises
    ------
    UsageError
        A host has fewer.
    """
    of_hosts = {}
    for device in jax.devices():
        of_hosts.setdefault(device.process_index, []).append(device)
    fewest = min(map(len, of_hosts.values()))
    if count is None:
        count = 1 if len(of_hosts) == 1 else "all"
    if count == "all":
        count = fewest
    if count > fewest:
        where = "here" if len(of_hosts) == 1 else "on one of the hosts"
        more = ""
        if jax.default_backend() == "cpu":
            more = f"; XLA_FLAGS=--xla_force_host_platform_device_count={count} makes one CPU as many"
        raise UsageError(f"--devices is {count}, and JAX has {fewest} {where}{more}")
    # One host after the other, so that each reads rows that lie together.
    chosen = [device for host in sorted(of_hosts) for device in of_hosts[host][:count]]
    return Mesh(np.array(chosen), (AXIS,)) if len(chosen) > 1 else None


def divided(mesh):
    """Sharding of arrays whose first axis is divided among the devices of a mesh."""
    return NamedSharding(mesh, PartitionSpec(AXIS))


def read_share(images, rows, mesh):
    """Images of a batch, of which those of other hosts' devices are not read.

    Parameters
    ----------
    images : array, Pixels or Stored
    rows : int array, ``(batch,)``
    mesh : jax.sharding.Mesh or None
        Of the devices that the batch is divided among.

    Returns
    -------
    array
        Images of all the rows; zeros for those that this host's devices do not get.
    """
    if mesh is None or not mesh.is_multi_process or len(rows) % mesh.size:
        return images[rows]
    parts = divided(mesh).addressable_devices_indices_map((len(rows),)).values()
    own = slice(min(part.start or 0 for (part,) in parts), max(part.stop or len(rows) for (part,) in parts))
    read = images[rows[own]]
    batch = np.zeros((len(rows), *read.shape[1:]), read.dtype)
    batch[own] = read
    return batch
