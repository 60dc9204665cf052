"""Names and numbers that every package may use; this module imports nothing.

The commands offer them without loading what they stand for.
"""

__all__ = [
    "ARITHMETICS",
    "COLOR",
    "COLORS",
    "DATASET_OF",
    "FORMATS",
    "LOSSES",
    "MAX_BITS",
    "MODES",
    "NETWORKS",
    "NETWORKS_OF",
    "ON_DISK",
    "OPTIMIZERS",
    "SCHEDULES",
]

# Networks of each dataset, the first of them its usual one.
NETWORKS_OF = {
    "digits": ("digits_mlp",),
    "mnist": ("mnist_mlp", "mnist_convnet"),
    "cifar10": ("cifar10_convnet", "cifar10_resnet18"),
    "svhn": ("svhn_convnet",),
}
DATASET_OF = {network: dataset for dataset, networks in NETWORKS_OF.items() for network in networks}
NETWORKS = tuple(DATASET_OF)

# Datasets that have files, and those of color photographs.
ON_DISK = ("mnist", "cifar10", "svhn")
COLOR = ("cifar10", "svhn")

# What the user's own images may be, and the channels of that.
COLORS = {"grey": 1, "rgb": 3}

# How a model is tested, what is minimized and how, how a rate falls, and what gradients of binary layers are
# computed in.
MODES = ("float", "fixed", "packed")
LOSSES = ("hinge", "crossentropy")
OPTIMIZERS = ("adam", "momentum")
SCHEDULES = ("exponential", "cosine")
ARITHMETICS = ("int16", "float32")

# Numbers of data and of parameters are 16-bit words with their sign.
MAX_BITS = 15

# Usual widths of a fixed-point network, as `xnornet.graph.Formats` has them.
FORMATS = {"input_bits": 7, "data_bits": 15, "param_bits": 15}
