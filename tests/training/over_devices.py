"""Train over 1, 2, 4 and 8 devices of one process, and print as JSON what must not depend on their number.

Run by ``test_devices.py`` in a process of its own, as JAX takes the number of devices when it starts.
"""

import json
import sys

import jax
import lasagne
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import theano
import theano.tensor as T
from xnornet import data
from xnornet.devices import mesh_of
from xnornet.layers import BatchNormLayer, XNORConv2DLayer, XNORDenseLayer
from xnornet.ops.convolution import convolve_signs, multiply_signs
from xnornet.ops.plain import Geometry
from xnornet.training import Recipe
from xnornet.training.augmentation import augmentation_of
from xnornet.training.steps import Steps

STEPS, BATCH = 50, 48


def net(input_var, input_shape, num_classes):
    """What a mesh may get wrong: a real and a binary convolution, batch norm, dropout, a dense layer."""
    layer = lasagne.layers.InputLayer((None, *input_shape), input_var)
    layer = lasagne.layers.Conv2DLayer(layer, 8, 3, stride=2, nonlinearity=None)
    layer = BatchNormLayer(XNORConv2DLayer(BatchNormLayer(layer), 12, 2))
    layer = BatchNormLayer(XNORDenseLayer(lasagne.layers.DropoutLayer(layer, 0.1), 16))
    return lasagne.layers.DenseLayer(layer, num_classes, nonlinearity=None)


def losses_and_error(count):
    """Losses of a run's first steps, and its error on images that cannot be divided evenly."""
    digits = data.load("digits")
    recipe = Recipe(1, BATCH, lr=0.003, lr_end=0.003, loss="crossentropy", optimizer="momentum")
    augmentation = augmentation_of(digits)
    steps = Steps(net, {}, digits, recipe, augmentation, mesh_of(count))
    steps.set_lr(recipe.lr)
    rng = np.random.default_rng(0)
    losses = []
    for _ in range(STEPS):
        rows = rng.permutation(len(digits.train))[:BATCH]
        losses.append(steps.step(rows, augmentation.draw(rng, BATCH, (8, 8)))[0])
    return losses, steps.error(digits.valid, batch_size=len(digits.valid))


def products(count):
    """Products of signs and their gradients, in kernels."""
    rng = np.random.default_rng(1)

    def signs(*shape):
        return np.where(rng.random(shape) < 0.5, -1, 1).astype(np.float32)

    images, g, rows, gm = T.tensor4(), T.tensor4(), T.matrix(), T.matrix()
    filters, matrix = theano.shared(signs(20, 12, 3, 3)), theano.shared(signs(33, 70))
    out = convolve_signs(images, filters, Geometry(((1, 1), (1, 1))), training=True)
    product = multiply_signs(rows, matrix, training=True)
    outputs = [out, product]
    outputs += theano.grad((out * g).sum(), [images, filters])
    outputs += theano.grad((product * gm).sum(), [rows, matrix])
    inputs, shardings = [images, g, rows, gm], None
    if count > 1:
        mesh = Mesh(np.array(jax.devices()[:count]), ("batch",))
        shardings = dict.fromkeys(inputs, NamedSharding(mesh, PartitionSpec("batch")))
    values = signs(16, 12, 8, 8), rng.normal(size=(16, 20, 8, 8)), signs(16, 33), rng.normal(size=(16, 70))
    return theano.function(inputs, outputs, shardings=shardings, allow_input_downcast=True)(*values)


if __name__ == "__main__":
    counts = [int(word) for word in sys.argv[1:]]
    in_kernels = theano.config.floatX == "float32"
    # A number takes ten seconds to compile; in float32 the largest is enough.
    found = {"losses": {n: losses_and_error(n) for n in ({counts[0], counts[-1]} if in_kernels else counts)}}
    found["products"] = {}
    if in_kernels:
        alone = products(1)
        for n in counts:
            pairs = zip(alone, products(n), strict=True)
            found["products"][n] = [float(np.abs(a - b).max() / np.abs(a).max()) for a, b in pairs]
    print(json.dumps(found))
