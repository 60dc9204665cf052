"""One function per network, ``(input_var, input_shape, num_classes, **options) -> Layer``: ours and yours."""

from xnornet.networks.pytorch import from_pytorch
from xnornet.networks.shipped import (
    cifar10_convnet,
    cifar10_resnet18,
    digits_mlp,
    mnist_convnet,
    mnist_mlp,
    svhn_convnet,
)
from xnornet.networks.sources import (
    NETWORKS,
    Source,
    build,
    find,
    find_recorded,
    input_shape,
    options,
    set_weights,
)

__all__ = [
    "NETWORKS",
    "Source",
    "build",
    "cifar10_convnet",
    "cifar10_resnet18",
    "digits_mlp",
    "find",
    "find_recorded",
    "from_pytorch",
    "input_shape",
    "mnist_convnet",
    "mnist_mlp",
    "options",
    "set_weights",
    "svhn_convnet",
]
