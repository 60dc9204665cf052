"""What other packages import of Theano's scan."""

from pytensor.graph.basic import equal_computations
from pytensor.scan.utils import until

__all__ = ["equal_computations", "until"]
