"""Shared variables, whose value may stay on the device as a JAX array between calls.

The container of a shared variable holds a NumPy array until a compiled function first uses it, and a JAX
array from then on. ``get_value`` gives NumPy in either case.
"""

from collections import deque
from itertools import repeat
from operator import setitem

import jax
import numpy as np
import pytensor
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.sharedvar import TensorSharedVariable as _PyTensorSharedVariable
from pytensor.tensor.type import TensorType

from theano.compile.rebuilding import as_general_as
from theano.compile.sharding import place

__all__ = [
    "SharedVariable",
    "TensorSharedVariable",
    "shared",
    "store_together",
    "to_device",
    "to_host",
]


class TensorSharedVariable(_PyTensorSharedVariable):
    """A tensor that outlives calls; see :func:`shared`."""

    def get_value(self, borrow=False, return_internal_type=False):
        """Value as a NumPy array, or as it is stored if ``return_internal_type``.

        Parameters
        ----------
        borrow : bool
            Avoid the copy if possible. The array may then be the stored one, so that writing to it changes
            the variable, until a compiled function first uses the variable; from then on the array is
            read-only and keeps its value. To change the variable, use :meth:`set_value`.
        return_internal_type : bool
            Give what is stored: a JAX array once a compiled function has used the variable. The second call
            that updates the variable takes over its memory.
        """
        value = self.container.storage[0]
        if return_internal_type:
            return value
        return np.asarray(value) if borrow else np.array(value)

    def set_value(self, new_value, borrow=False):
        """Set the value; its shape may differ from the present one.

        Parameters
        ----------
        new_value : array_like or scalar
        borrow : bool
            Store an array itself rather than a copy. Writing to it later changes the variable until a
            compiled function first uses the variable, and not from then on.

        Raises
        ------
        TypeError
            The number of dimensions or the dtype does not fit the variable's type.
        """
        # Python numbers stay what they are: they fit where a 64-bit array would not.
        copied = isinstance(new_value, np.ndarray) and not borrow
        self.container.value = new_value.copy() if copied else new_value

    def zero(self, borrow=False):
        """Set every element to zero."""
        self.set_value(np.zeros_like(self.get_value(borrow=True)), borrow=True)

    def __getstate__(self):
        to_host(self.container)
        return super().__getstate__()

    # PyTensor deprecates default updates; Theano code depends on them.
    @property
    def default_update(self):
        """Expression that functions store here after each call by default, or None."""
        return self._default_update

    @default_update.setter
    def default_update(self, expression):
        if expression is not None:
            # PyTensor copies no graph with an update that is narrower than what it updates.
            expression = as_general_as(self.type.filter_variable(expression, allow_convert=True), self)
        self._default_update = expression


def shared(
    value,
    name=None,
    strict=False,
    allow_downcast=None,
    borrow=False,
    broadcastable=None,
    shape=None,
    **kwargs,
):
    """Create a variable whose value is kept between calls and shared by functions.

    Parameters
    ----------
    value : array_like or scalar
        Initial value. Python numbers become 64-bit scalars, as in Theano.
    name : str, optional
    strict, allow_downcast : bool, optional
        How ``set_value`` treats other dtypes.
    borrow : bool
        Store an array itself rather than a copy, as in :meth:`TensorSharedVariable.set_value`.
    broadcastable : sequence of bool, optional
        Axes fixed to length 1. By default no axis is.
    shape : sequence of (int or None), optional
        Lengths of axes that are fixed.

    Raises
    ------
    TypeError
        ``value`` is symbolic.
    """
    if isinstance(value, pytensor.graph.basic.Variable):
        raise TypeError("A shared variable takes a number or an array as its value, not a symbolic variable")
    if not isinstance(value, np.ndarray | np.number | np.bool_ | int | float | complex | list):
        return pytensor.shared(value, name=name, strict=strict, allow_downcast=allow_downcast, **kwargs)
    array = np.asarray(value) if borrow else np.array(value)
    if broadcastable is not None:
        shape = tuple(1 if b else None for b in broadcastable)
    return TensorSharedVariable(
        type=TensorType(array.dtype, shape=shape or (None,) * array.ndim),
        value=array,
        strict=strict,
        allow_downcast=allow_downcast,
        name=name,
    )


def to_device(container, sharding=None):
    """Value of a container as a JAX array, moved there the first time, or to where ``sharding`` has it."""
    value = container.storage[0]
    if isinstance(value, np.ndarray):
        # JAX may take an array over instead of copying it, and this one may be the caller's. To copy by
        # itself JAX would compile a program for each shape.
        value = np.array(value)
        value = jax.device_put(value) if sharding is None else place(value, sharding)
        container.storage[0] = value
    elif sharding is not None:
        value = container.storage[0] = place(value, sharding)
    return value


def to_host(container):
    """Value of a container as a NumPy array, for PyTensor's other backends; moved back if necessary."""
    value = container.storage[0]
    if not isinstance(value, np.ndarray) and hasattr(value, "addressable_shards"):
        container.storage[0] = np.array(value)


def store_together(storages, values):
    """Put each value into its storage, all of them or none.

    All are stored in one call of a C function, which a signal cannot interrupt: Python handles signals
    between calls.
    """
    deque(map(setitem, storages, repeat(0), values), maxlen=0)
