"""Larq Compute Engine: the network in Larq's layers, converted to its packed TensorFlow Lite form.

Its authors tune it for ARM; on x86 it runs its portable kernels. It gets what is fastest there: dense layers
as convolutions of the whole image, since it packs no others; padding by +1; its indirect kernel, which is 4
to 5 times as fast as its default one and runs on one thread whatever it is given; and XNNPACK for what is
real. ``lce_default.py`` takes its default kernel. Nothing scales signs, as in Larq's networks. A timed call
is the compiled interpreter's own ``predict``, without the Python around it: a copy of the images in, the run,
a copy of the scores out.
"""

import importlib.metadata
import importlib.util
import os
import sys
from pathlib import Path

from stopwatch import compete

__all__ = ["VERSION", "load", "prepare"]

VERSION = f"larq-compute-engine {importlib.metadata.version('larq-compute-engine')}"


def prepare(work, batch, path):
    # Larq knows the Keras that TensorFlow had before version 2.16.
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    import larq_compute_engine

    path.write_bytes(larq_compute_engine.convert_keras_model(_keras_model(work, batch)))


def _keras_model(work, batch):
    """The network in Larq's layers, images of shape ``(batch, rows, columns, channels)``."""
    import larq
    import tensorflow as tf

    tf.keras.utils.set_random_seed(0)
    channels, *image = work.input_shape
    x = first = tf.keras.layers.Input((*image, channels), batch_size=batch)
    for layer in work.layers:
        options = {"use_bias": not work.batch_norm}
        if layer.binary:
            options |= {"input_quantizer": "ste_sign", "kernel_quantizer": "ste_sign"}
        if layer.kind == "conv":
            size, options["padding"] = 3, "same"
            options["pad_values"] = float(layer.binary)
        else:
            size = x.shape[1]
        x = larq.layers.QuantConv2D(layer.outputs, size, **options)(x)
        if layer.pool:
            x = tf.keras.layers.MaxPool2D(2)(x)
        if work.batch_norm:
            x = tf.keras.layers.BatchNormalization()(x)
    return tf.keras.Model(first, x)


def load(work, path, threads, images, indirect=True):
    interpreter = _interpreter()(path.read_bytes(), threads, False, indirect, True)
    # The numbers are random: in another order they are as good, and need no second copy.
    channels, *image = work.input_shape
    images = images.reshape(-1, *image, channels)
    return lambda: interpreter.predict([images])


def _interpreter():
    """Class of the compiled interpreter: ``(model, threads, reference, indirect, xnnpack)``.

    Importing the package around it would import TensorFlow, its thread pools and half a gigabyte.
    """
    package = importlib.util.find_spec("larq_compute_engine").submodule_search_locations[0]
    sys.path.append(str(Path(package, "tflite", "python")))
    from interpreter_wrapper_lite import LiteInterpreter

    return LiteInterpreter


if __name__ == "__main__":
    compete(prepare, load, VERSION)
