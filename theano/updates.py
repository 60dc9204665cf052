"""The updates of shared variables that a scan returns."""

from collections import OrderedDict

from pytensor.compile.sharedvalue import SharedVariable

__all__ = ["OrderedUpdates"]


class OrderedUpdates(OrderedDict):
    """Expressions to be stored in shared variables. Those of two scans are joined by ``+``.

    Raises
    ------
    TypeError
        A key is not a shared variable.
    KeyError
        What is joined stores two expressions in one variable.
    """

    def __init__(self, *pairs, **named):
        super().__init__()
        self.update(*pairs, **named)

    def __setitem__(self, variable, expression):
        if not isinstance(variable, SharedVariable):
            raise TypeError(f"Updates are of shared variables; got {variable!r}")
        super().__setitem__(variable, expression)

    def update(self, *pairs, **named):
        """Add updates."""
        for variable, expression in OrderedDict(*pairs, **named).items():
            if self.get(variable, expression) is not expression:
                raise KeyError(f"{variable} has two updates; give it one")
            self[variable] = expression

    def __add__(self, other):
        joined = type(self)(self)
        joined.update(other)
        return joined

    def __radd__(self, other):
        return type(self)(other) + self
