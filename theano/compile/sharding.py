"""Functions over several devices: where their inputs and shared variables lie.

JAX compiles one program for all devices of a mesh, and each device computes with its parts of the arrays.
This module specifies the placement of the arrays; XLA determines the communication between devices.
"""

from contextlib import contextmanager
from contextvars import ContextVar

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

__all__ = ["Placement", "mesh_in_use", "place"]

# The mesh of the function that is traced.
_mesh = ContextVar("mesh", default=None)


def mesh_in_use():
    """The mesh of the function that is being compiled, or None if that is for one device.

    For JAX versions of Ops that XLA cannot divide by itself, such as calls of kernels.
    """
    return _mesh.get()


def place(value, sharding):
    """An array where a sharding has it."""
    if isinstance(value, jax.Array) and value.sharding == sharding:
        return value
    if sharding.is_fully_addressable:
        return jax.device_put(value, sharding)
    # On several hosts device_put would compare their values first, at every call.
    value = np.asarray(value)
    return jax.make_array_from_callback(value.shape, sharding, value.__getitem__)


class Placement:
    """Where the arrays of a function lie.

    Parameters
    ----------
    shardings : dict
        Variables and their shardings, all of one mesh. A variable that is not listed lies whole on each
        device of the mesh.

    Raises
    ------
    TypeError
        A value of ``shardings`` is not a sharding.
    ValueError
        There are shardings of two meshes, or one of more axes than its variable has.
    """

    def __init__(self, shardings):
        for variable, sharding in shardings.items():
            if not isinstance(sharding, NamedSharding):
                raise TypeError(f"shardings take a jax.sharding.NamedSharding; got {sharding!r}")
            if len(sharding.spec) > variable.type.ndim:
                raise ValueError(
                    f"{variable} has {variable.type.ndim} axes, and its sharding {sharding.spec}"
                )
        meshes = {sharding.mesh for sharding in shardings.values()}
        if len(meshes) > 1:
            raise ValueError("The shardings of a function are of one mesh; got several")
        (self.mesh,) = meshes
        self.shardings = shardings
        self.replicated = NamedSharding(self.mesh, PartitionSpec())
        self._found = {}

    def of(self, variable, shape, each=False):
        """Sharding of a value; if ``each``, of many of them, stacked.

        An array that the devices cannot divide evenly is copied to each of them.
        """
        key = variable, shape, each
        if key not in self._found:
            self._found[key] = self._find(self.shardings.get(variable, self.replicated), shape, each)
        return self._found[key]

    def _find(self, sharding, shape, each):
        if each:
            sharding = NamedSharding(self.mesh, PartitionSpec(None, *sharding.spec))
        try:
            sharding.shard_shape(shape)
        except ValueError:
            return self.replicated
        return sharding

    def values(self, variables, values, each=False):
        """Values of variables, each where it belongs."""
        return [
            place(np.asarray(v), self.of(variable, v.shape, each))
            for variable, v in zip(variables, values, strict=True)
        ]

    @contextmanager
    def in_use(self):
        """A context in which :func:`mesh_in_use` returns this mesh."""
        token = _mesh.set(self.mesh)
        try:
            yield
        finally:
            _mesh.reset(token)
