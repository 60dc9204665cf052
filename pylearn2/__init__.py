"""The part of pylearn2 that BinaryNet, BinaryConnect and theano-xnor-net import, on ``xnornet.data``."""
