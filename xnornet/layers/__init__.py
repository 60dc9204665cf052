"""Lasagne layers of an XNOR-Net, for nets of your own."""

from xnornet.layers.conv import XNORConv2DLayer
from xnornet.layers.dense import XNORDenseLayer
from xnornet.layers.normalization import BatchNormLayer
from xnornet.layers.updates import clip_weights, clipped_adam

__all__ = ["BatchNormLayer", "XNORConv2DLayer", "XNORDenseLayer", "clip_weights", "clipped_adam"]
