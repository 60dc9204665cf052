"""PyTorch on the same network, loss and optimizer as ours, as fast as its own operations make it.

A binary layer computes ``(sign(I) (*) sign(W) alpha) * K + b``, in the paper's letters: scaling the signs of
the weights, of which there are few, spares a pass over the data. Signs are numbers of the data's own type.
The images lie on the device, CIFAR-10's as bytes. Adam is PyTorch's own, fused; its epsilon moves with the
step so that the formula is Lasagne's. Batch norm is PyTorch's own as well: it keeps a running variance,
where ours keeps a running inverse deviation, which no training step reads. Where several numbers of a window
are the largest, as signs' sums of 0 may be, its pooling passes the gradient to one of them, ours to each.

``eager`` has channels first; the others have them last. ``compile`` compiles images, network, loss and
gradients, and leaves Adam, which is one kernel, as it is. In ``bfloat16`` the master weights, their moments
and the loss stay float32, and all that flows between the layers is bfloat16.
"""

import os
from typing import NamedTuple

import torch
from laps import compete
from nets import CLASSES, LEVELS, NETS, RATE
from torch.nn import functional as F

__all__ = ["VARIANTS", "Network", "Optimizer", "Variant", "loss_of", "max_pool", "sign"]

BETAS = (0.9, 0.999)


class Variant(NamedTuple):
    """A way to train: where channels lie, what runs the step, and the type of what flows through it."""

    channels_last: bool = True
    compiled: bool = False
    dtype: torch.dtype = torch.float32


VARIANTS = {
    "eager": Variant(channels_last=False),
    "channels_last": Variant(),
    "compile": Variant(compiled=True),
    "bfloat16": Variant(dtype=torch.bfloat16),
    "compile_bfloat16": Variant(compiled=True, dtype=torch.bfloat16),
}


class _Sign(torch.autograd.Function):
    """``sign(x)`` with ``sign(0) = +1``, and the gradient ``g * (|x| <= 1)``."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        if torch.compiler.is_compiling():
            return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)
        # Adding 0 turns -0 into +0. Two passes without a mask are the fastest there are.
        return torch.copysign(torch.ones((), dtype=x.dtype, device=x.device), x + 0)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        # One pass; that kernel passes nothing at its limits, so they lie at the numbers next to 1.
        limit = 1 + torch.finfo(x.dtype).eps
        return torch.ops.aten.hardtanh_backward(g, x, -limit, limit)


def sign(x):
    return _Sign.apply(x)


def max_pool(x):
    return F.max_pool2d(x, 2)


class Network(torch.nn.Module):
    """A ``Net`` with its parameters.

    Parameters
    ----------
    net : nets.Net
    dtype : torch.dtype
        Of what flows between the layers.

    Attributes
    ----------
    weights : ParameterList
        In the order of the layers: ``W`` and ``b``, or batch norm's ``beta`` and ``gamma``. ``W`` is
        ``(outputs, inputs)`` or ``(outputs, inputs, 3, 3)``, and filters are not turned around.
    binary : list of Parameter
        Those whose signs are used.
    """

    def __init__(self, net, dtype=torch.float32):
        super().__init__()
        self.net, self.dtype = net, dtype
        self.weights, self.binary = torch.nn.ParameterList(), []
        for i, layer in enumerate(net.layers):
            if layer.kind in ("conv", "dense"):
                taps = (3, 3) if layer.kind == "conv" else ()
                W = torch.nn.init.xavier_uniform_(torch.empty(layer.outputs, layer.inputs, *taps))
                self.weights.extend([W, torch.zeros(layer.outputs)])
            elif layer.kind == "batch_norm":
                self.weights.extend([torch.zeros(layer.outputs), torch.ones(layer.outputs)])
                self.register_buffer(f"mean{i}", torch.zeros(layer.outputs))
                self.register_buffer(f"variance{i}", torch.ones(layer.outputs))
            if layer.binary:
                self.binary.append(self.weights[-2])

    def forward(self, images):
        x, weights = images.to(self.dtype), iter(self.weights)
        for i, layer in enumerate(self.net.layers):
            if layer.kind == "batch_norm":
                statistics = getattr(self, f"mean{i}"), getattr(self, f"variance{i}")
                beta, gamma = next(weights), next(weights)
                x = F.batch_norm(x, *statistics, gamma, beta, training=True, momentum=0.1, eps=1e-4)
            elif layer.kind == "pool":
                x = max_pool(x)
            elif layer.kind == "dropout":
                x = F.dropout(x, layer.share)
            else:
                x = _weighted(layer, x, next(weights), next(weights))
        return x.float()


def _weighted(layer, x, W, b):
    """A convolution or a dense layer."""
    x = x.flatten(1) if layer.kind == "dense" else x
    if not layer.binary:
        return _product(layer, x, W.to(x.dtype), b.to(x.dtype))
    alpha = W.abs().mean(tuple(range(1, W.ndim)), keepdim=True)
    scale = torch.linalg.vector_norm(x, 1, 1, keepdim=True) / layer.inputs
    if layer.kind == "conv":
        scale = F.avg_pool2d(scale, 3, 1, 1)
        b = b.view(1, -1, 1, 1)
    signs = _product(layer, sign(x), (sign(W) * alpha).to(x.dtype))
    return torch.addcmul(b.to(x.dtype), signs, scale)


def _product(layer, x, W, b=None):
    return F.conv2d(x, W, b, padding=1) if layer.kind == "conv" else F.linear(x, W, b)


def loss_of(scores, labels):
    """``mean(max(0, 1 - t * score)**2)``, ``t`` being +1 for the true class and -1 for the others."""
    sides = 2.0 * F.one_hot(labels, CLASSES) - 1
    return F.relu(1 - sides * scores).square().mean()


class Optimizer:
    """Lasagne's Adam, and the clipping of binary weights to [-1, 1].

    Parameters
    ----------
    network : Network
    """

    def __init__(self, network):
        self.binary, self.steps = network.binary, 0
        self.adam = torch.optim.Adam(network.parameters(), lr=RATE, betas=BETAS, fused=True)

    def step(self):
        """Take a step down the parameters' gradients, and forget them."""
        self.steps += 1
        (group,) = self.adam.param_groups
        # Lasagne adds epsilon before it corrects the bias of the root, PyTorch after.
        group["eps"] = 1e-8 / (1 - BETAS[1] ** self.steps) ** 0.5
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        with torch.no_grad():
            for W in self.binary:
                W.clamp_(-1, 1)


def load(task):
    torch.manual_seed(0)
    torch.set_num_threads(os.cpu_count())
    torch.set_float32_matmul_precision("high" if task.device == "cuda" else "highest")
    torch.backends.cudnn.benchmark = True
    variant = VARIANTS[task.variant]
    layout = torch.channels_last if variant.channels_last else torch.contiguous_format
    network = Network(NETS[task.network](task.width), variant.dtype).to(task.device, memory_format=layout)
    optimizer = Optimizer(network)
    images = torch.from_numpy(task.images).to(task.device, memory_format=layout)
    labels = torch.from_numpy(task.labels).to(task.device, torch.int64)

    def forward(rows):
        batch = images[rows].contiguous(memory_format=layout)
        batch = batch.float().mul_(LEVELS[0]).add_(LEVELS[1])
        return loss_of(network(batch), labels[rows])

    if variant.compiled:
        forward = torch.compile(forward)

    def run(batches):
        for rows in torch.from_numpy(batches).to(task.device, torch.int64):
            loss = forward(rows)
            loss.backward()
            optimizer.step()
        if task.device == "cuda":
            torch.cuda.synchronize()
        return loss.item()

    return run


if __name__ == "__main__":
    version = f"torch {torch.__version__} (kernels for {torch.backends.cpu.get_cpu_capability()})"
    compete(load, version, VARIANTS, torch.cuda.max_memory_allocated)
