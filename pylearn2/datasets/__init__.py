"""Datasets as pylearn2 gave them, on those of ``xnornet.data``."""
