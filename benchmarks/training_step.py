"""One training step of a network, timed from its graph to its first result, by whichever Theano is imported.

python benchmarks/training_step.py NETWORK {xnornet,plain} [--batch N] [--width FACTOR]

``xnornet`` takes the network of ``xnornet.networks``, with ``K`` as the plain one has it. ``plain`` writes a
network with parameters of the same shapes in Theano's own operations, signs and scaling factors included and
dropout left out, so that Theano-PyMC, which has neither our layers nor a Lasagne that it can import, builds
the same graph. ``compile.py`` runs this program in fresh processes; it prints one JSON object.
"""

import argparse
import json
import time

import numpy as np

import theano
import theano.tensor as T

__all__ = ["PLAIN", "Plain", "plain_step", "xnornet_step"]

CLASSES = 10
IMAGES = {"mnist_mlp": (1, 28, 28), "cifar10_convnet": (3, 32, 32)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=list(PLAIN))
    parser.add_argument("style", choices=("xnornet", "plain"))
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--width", type=float, default=1.0, help="factor of hidden units and filters")
    arguments = parser.parse_args()
    theano.config.floatX = "float32"  # Theano-PyMC has no set_defaults
    images, labels = T.tensor4("images"), T.ivector("labels")
    random = np.random.RandomState(0)
    values = (
        random.uniform(-1, 1, (arguments.batch, *IMAGES[arguments.network])).astype("float32"),
        random.randint(CLASSES, size=arguments.batch).astype("int32"),
    )
    build = {"xnornet": xnornet_step, "plain": plain_step}[arguments.style]
    begun = time.perf_counter()
    loss, updates = build(arguments.network, images, labels, arguments.width)
    built = time.perf_counter()
    step = theano.function([images, labels], loss, updates=updates)
    first_loss = float(step(*values))
    first = time.perf_counter()
    step(*values)
    measured = {
        "graph_s": built - begun,
        "first_result_s": first - built,
        "step_s": time.perf_counter() - first,
    }
    print(json.dumps({**measured, "loss": first_loss, "version": theano.__version__}))


def xnornet_step(network, images, labels, width):
    """Loss and updates of a network of ours."""
    import lasagne

    from xnornet import networks
    from xnornet.layers import clip_weights
    from xnornet.training.steps import squared_hinge

    options = {"num_units": max(1, round(4096 * width))} if network == "mnist_mlp" else {"width": width}
    layer = networks.build(network, images, scale_inputs=True, **options)
    loss = squared_hinge(lasagne.layers.get_output(layer), labels, CLASSES)
    params = lasagne.layers.get_all_params(layer, trainable=True)
    return loss, clip_weights(lasagne.updates.adam(loss, params, learning_rate=0.001), layer)


def plain_step(network, images, labels, width):
    """Loss and updates of the plain network of the same name."""
    net = Plain()
    scores = PLAIN[network](net, images, width)
    sides = 2 * T.cast(T.eq(labels.dimshuffle(0, "x"), T.arange(CLASSES)), "float32") - 1
    loss = T.mean(T.sqr(T.maximum(0, 1 - sides * scores)))
    return loss, net.averages + adam(loss, net.params, net.binary)


def mnist_mlp(net, images, width):
    """``xnornet.networks.mnist_mlp`` without dropout."""
    units = max(1, round(4096 * width))
    x = net.binary_dense(images.flatten(2), 784, units)
    for _ in range(2):
        x = net.binary_dense(net.batch_norm(x, units), units, units)
    return net.batch_norm(net.dense(x, units, CLASSES), CLASSES)


def cifar10_convnet(net, images, width):
    """``xnornet.networks.cifar10_convnet``."""
    x, channels = images, 3
    units = max(1, round(1024 * width))
    for filters in (max(1, round(n * width)) for n in (128, 256, 512)):
        x = net.conv(x, channels, filters) if x is images else net.binary_conv(x, channels, filters)
        x = net.binary_conv(net.batch_norm(x, filters), filters, filters)
        x, channels = net.batch_norm(max_pool(x), filters), filters
    x, fan_in = x.flatten(2), channels * 4 * 4
    for _ in range(2):
        x = net.batch_norm(net.binary_dense(x, fan_in, units), units)
        fan_in = units
    return net.batch_norm(net.dense(x, units, CLASSES), CLASSES)


PLAIN = {"mnist_mlp": mnist_mlp, "cifar10_convnet": cifar10_convnet}


class Plain:
    """Layers as expressions, and what they bring along.

    Attributes
    ----------
    params : list of shared variables
        What is trained, in the order of the layers.
    binary : list of shared variables
        Those of ``params`` whose signs are used; they are kept in [-1, 1].
    averages : list of pairs
        Moving statistics of batch norm and their updates.
    """

    def __init__(self):
        self.params, self.binary, self.averages = [], [], []

    def dense(self, x, fan_in, units):
        """``x . W + b``"""
        return T.dot(x, self._weights(fan_in, units)) + self._zeros(units)

    def binary_dense(self, x, fan_in, units):
        """``(sign(x) . sign(W)) * beta * alpha + b``"""
        W = self._weights(fan_in, units, binary=True)
        signs = T.dot(binarize(x), binarize(W))
        beta, alpha = abs(x).mean(axis=1, keepdims=True), abs(W).mean(axis=0)
        return signs * beta * alpha + self._zeros(units)

    def conv(self, x, channels, filters):
        """``x (*) W + b`` with 3x3 filters, padded by 1."""
        return convolve(x, self._weights(filters, channels, 3, 3)) + over_channels(self._zeros(filters))

    def binary_conv(self, x, channels, filters):
        """``(sign(x) (*) sign(W)) * K * alpha + b`` with 3x3 filters, padded by 1."""
        W = self._weights(filters, channels, 3, 3, binary=True)
        box = theano.shared(np.full((1, 1, 3, 3), 1 / 9, "float32"))
        K = convolve(abs(x).mean(axis=1, keepdims=True), box)
        signs = convolve(binarize(x), binarize(W))
        alpha = over_channels(abs(W).mean(axis=(1, 2, 3)))
        return signs * T.addbroadcast(K, 1) * alpha + over_channels(self._zeros(filters))

    def batch_norm(self, x, channels):
        """``(x - mean) * gamma / std + beta``, with the statistics of the batch."""
        axes = (0, 2, 3) if x.ndim == 4 else (0,)
        spread = over_channels if x.ndim == 4 else lambda v: v
        beta, gamma = self._zeros(channels), theano.shared(np.ones(channels, "float32"))
        self.params.append(gamma)
        mean, inv_std = x.mean(axis=axes), 1 / T.sqrt(x.var(axis=axes) + np.float32(1e-4))
        for start, batch in ((np.zeros, mean), (np.ones, inv_std)):
            stored = theano.shared(start(channels, "float32"))
            self.averages.append((stored, np.float32(0.9) * stored + np.float32(0.1) * batch))
        return (x - spread(mean)) * spread(gamma * inv_std) + spread(beta)

    def _weights(self, *shape, binary=False):
        random = np.random.RandomState(len(self.params))
        W = theano.shared(random.uniform(-0.1, 0.1, shape).astype("float32"))
        self.params.append(W)
        if binary:
            self.binary.append(W)
        return W

    def _zeros(self, length):
        b = theano.shared(np.zeros(length, "float32"))
        self.params.append(b)
        return b


def binarize(x):
    """Signs, whose gradient passes where ``|x| <= 1``."""
    clipped = T.clip(x, np.float32(-1), np.float32(1))
    signs = T.switch(T.ge(x, 0), np.float32(1), np.float32(-1))
    return clipped + theano.gradient.disconnected_grad(signs - clipped)


def convolve(x, W):
    """Convolution padded by 1."""
    return T.nnet.conv2d(x, W, border_mode=(1, 1))


def max_pool(x):
    """The largest of each 2x2 window."""
    from theano.tensor.signal.pool import pool_2d

    return pool_2d(x, ws=(2, 2), ignore_border=True)


def over_channels(v):
    """A number a channel, for images."""
    return v.dimshuffle("x", 0, "x", "x")


def adam(loss, params, clipped, rate=0.001):
    """Adam's updates; ``clipped`` are kept in [-1, 1]."""
    one = np.float32(1)
    t = theano.shared(np.float32(0))
    now = t + one
    rate = np.float32(rate) * T.sqrt(one - np.float32(0.999) ** now) / (one - np.float32(0.9) ** now)
    updates = [(t, now)]
    for param, g in zip(params, T.grad(loss, params)):  # noqa: B905  (older Pythons run this too)
        m, v = (theano.shared(np.zeros_like(param.get_value())) for _ in range(2))
        mean = np.float32(0.9) * m + np.float32(0.1) * g
        square = np.float32(0.999) * v + np.float32(0.001) * g * g
        stepped = param - rate * mean / (T.sqrt(square) + np.float32(1e-8))
        stepped = T.clip(stepped, -one, one) if param in clipped else stepped
        updates += [(m, mean), (v, square), (param, stepped)]
    return updates


if __name__ == "__main__":
    main()
