"""PyTorch running an XNOR-Net as most research code does: signs are float32 numbers, and so are their sums.

Layers compute ``(H (*) B) * K * alpha + b``, in the paper's letters, and batch norm is merged; the signs of
the weights are taken once, those of the data at every layer.
"""

import numpy as np
import torch
from stopwatch import compete
from torch.nn import functional as F

__all__ = ["load", "prepare"]


def prepare(work, batch, path):
    rng = np.random.default_rng(0)
    arrays = {}
    for i, layer in enumerate(work.layers):
        shape = (layer.outputs, layer.inputs, *((3, 3) if layer.kind == "conv" else ()))
        W = rng.normal(0, (layer.outputs / np.prod(shape)) ** 0.5, shape)
        if layer.binary:
            arrays[f"alpha{i}"] = np.abs(W).reshape(layer.outputs, -1).mean(axis=1)
            W = np.where(W >= 0, 1, -1)
        arrays[f"W{i}"] = W
        arrays[f"b{i}"] = rng.normal(0, 0.1, layer.outputs)
        if work.batch_norm:
            arrays[f"scale{i}"] = rng.uniform(0.5, 1.5, layer.outputs)
            arrays[f"offset{i}"] = rng.uniform(-0.5, 0.5, layer.outputs)
    with open(path, "wb") as file:
        np.savez(file, **{name: array.astype(np.float32) for name, array in arrays.items()})


def load(work, path, threads, images):
    torch.set_num_threads(threads)
    with np.load(path, allow_pickle=False) as file:
        weights = {name: torch.from_numpy(file[name]) for name in file.files}
    images = torch.from_numpy(images)

    @torch.inference_mode()
    def run():
        I = images
        for i, layer in enumerate(work.layers):
            own = (weights.get(f"{name}{i}") for name in ("W", "b", "alpha", "scale", "offset"))
            I = _layer(layer, I, *own)
        return I

    return run


def _layer(layer, I, W, b, alpha, scale, offset):
    """A layer, and the pooling and the batch norm behind it."""
    if layer.kind == "conv":
        per_channel = (1, -1, 1, 1)
        if layer.binary:
            K = F.avg_pool2d(I.abs().mean(1, keepdim=True), 3, 1, 1)
            I = F.conv2d(_sign(I), W, padding=1) * K * alpha.view(per_channel) + b.view(per_channel)
        else:
            I = F.conv2d(I, W, b, padding=1)
    else:
        per_channel = (1, -1)
        I = I.flatten(1)
        if layer.binary:
            beta = I.abs().mean(1, keepdim=True)
            I = F.linear(_sign(I), W) * beta * alpha + b
        else:
            I = F.linear(I, W, b)
    if layer.pool:
        I = F.max_pool2d(I, 2)
    return I if scale is None else torch.addcmul(offset.view(per_channel), I, scale.view(per_channel))


def _sign(x):
    return torch.where(x >= 0, 1.0, -1.0)


if __name__ == "__main__":
    compete(prepare, load, f"torch {torch.__version__}")
