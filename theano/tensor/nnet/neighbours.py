"""Patches of images as rows: not written here."""

from theano.tensor.nnet.absent import absent

__all__ = ["images2neibs", "neibs2images"]

images2neibs = absent("neighbours.images2neibs")
neibs2images = absent("neighbours.neibs2images")
