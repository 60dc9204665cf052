"""Larq: the network in its layers on TensorFlow, a step compiled to a TensorFlow graph.

Layers, widths, loss, Adam and its clipped weights are those of all. What differs is Larq's own: a layer
computes ``sign(I) (*) sign(W) + b``, with neither ``K`` nor ``alpha``, so it has less to do. Gradients pass
both signs where ``|x| <= 1``, as ours.
"""

import os

# Larq knows the Keras that TensorFlow had before version 2.16.
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import importlib.metadata  # noqa: E402

import larq  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from laps import compete  # noqa: E402
from nets import CLASSES, LEVELS, NETS, RATE  # noqa: E402

__all__ = ["load"]

VERSION = f"larq {importlib.metadata.version('larq')} (tensorflow {tf.__version__})"
BINARY = {"input_quantizer": "ste_sign", "kernel_quantizer": "ste_sign", "kernel_constraint": "weight_clip"}


def load(task):
    model = _model(NETS[task.network](task.width))
    adam = tf.keras.optimizers.Adam(RATE, epsilon=1e-8)
    pixels = tf.constant(np.ascontiguousarray(task.images.transpose(0, 2, 3, 1)))
    labels = tf.constant(task.labels)

    @tf.function(autograph=False)
    def step(rows):
        images = LEVELS[0] * tf.cast(tf.gather(pixels, rows), tf.float32) + LEVELS[1]
        sides = 2 * tf.one_hot(tf.gather(labels, rows), CLASSES) - 1
        with tf.GradientTape() as tape:
            scores = model(images, training=True)
            loss = tf.reduce_mean(tf.square(tf.maximum(0.0, 1 - sides * scores)))
        weights = model.trainable_variables
        adam.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    def run(batches):
        for rows in batches:
            last = step(tf.constant(rows))
        return float(last)

    return run


def _model(net):
    """The network, for images of shape ``(batch, rows, columns, channels)``."""
    channels, *image = net.input_shape
    x = first = tf.keras.layers.Input((*image, channels))
    for layer in net.layers:
        if layer.kind == "dense" and len(x.shape) > 2:
            x = tf.keras.layers.Flatten()(x)
        x = _layer(layer)(x)
    return tf.keras.Model(first, x)


def _layer(layer):
    options = BINARY if layer.binary else {}
    if layer.kind == "conv":
        return larq.layers.QuantConv2D(layer.outputs, 3, padding="same", **options)
    if layer.kind == "dense":
        return larq.layers.QuantDense(layer.outputs, **options)
    if layer.kind == "batch_norm":
        return tf.keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-4)
    if layer.kind == "dropout":
        return tf.keras.layers.Dropout(layer.share)
    return tf.keras.layers.MaxPool2D(2)


if __name__ == "__main__":
    compete(load, VERSION, ["default"])
