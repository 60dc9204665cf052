"""What BinaryNet, BinaryConnect and theano-xnor-net import of pylearn2, on ``xnornet.data``."""
