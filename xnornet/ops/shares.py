"""Kernels on several devices: each computes its share.

XLA divides its own operations among devices. It cannot divide a custom call, and every device would compute
all of it. So the program divides it here, in such a way that the blocks in which real numbers are rounded
are the same as on one device.
"""

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import mlir
from jax.sharding import PartitionSpec

from theano.compile.sharding import mesh_in_use

__all__ = ["count_shares", "on_shares", "padded_to"]


def count_shares():
    """Number of devices that the program being compiled divides its batches among."""
    mesh = mesh_in_use()
    return 1 if mesh is None else mesh.size


def on_shares(compute, arrays, axes, result_axis):
    """Compute a function of arrays, each device its share.

    Parameters
    ----------
    compute : function
        From the shares of the arrays to that of the result.
    arrays : sequence of array
    axes : sequence of (int or None)
        The axis of each array that is divided; None where each device gets the whole array.
    result_axis : int or None
        The axis of the result that consists of shares; if None, the results of all devices are added.

    Returns
    -------
    array
        If an axis cannot be divided evenly, each device computes everything.
    """
    mesh, count = mesh_in_use(), count_shares()
    lengths = [a.shape[axis] for a, axis in zip(arrays, axes, strict=True) if axis is not None]
    if count == 1 or any(length % count for length in lengths):
        return compute(*arrays)

    specs = tuple(_spec(mesh, axis) for axis in axes)
    out = _spec(mesh, result_axis)
    return _shares.bind(*arrays, compute=compute, mesh=mesh, specs=specs, out=out, added=result_axis is None)


def _divide(*arrays, compute, mesh, specs, out, added):
    def share(*arrays):
        result = compute(*arrays)
        return jax.lax.psum(result, mesh.axis_names) if added else result

    return jax.shard_map(share, mesh=mesh, in_specs=specs, out_specs=out, check_vma=False)(*arrays)


def _shape(*arrays, compute, mesh, specs, out, added):
    whole = jax.eval_shape(
        lambda *arrays: _divide(*arrays, compute=compute, mesh=mesh, specs=specs, out=out, added=added),
        *arrays,
    )
    return ShapedArray(whole.shape, whole.dtype)


# checkify, which checks indices, would enter a shard_map and fail to join the errors of its devices. Kernels
# have no indices to check, and checkify leaves a primitive without a rule as it is.
_shares = Primitive("xnornet_shares")
_shares.def_abstract_eval(_shape)
mlir.register_lowering(_shares, mlir.lower_fun(_divide, multiple_results=False))


def padded_to(array, axis, multiple):
    """An array with zeros at the end of an axis, so that its length is a multiple of a number."""
    widths = [(0, 0)] * array.ndim
    widths[axis] = 0, -array.shape[axis] % multiple
    return jnp.pad(array, widths) if widths[axis][1] else array


def _spec(mesh, axis):
    return PartitionSpec() if axis is None else PartitionSpec(*[None] * axis, mesh.axis_names)
