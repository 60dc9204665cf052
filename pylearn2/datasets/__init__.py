"""Datasets in pylearn2's form, built on those of ``xnornet.data``."""
