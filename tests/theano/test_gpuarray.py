"""Theano's own GPU backend is known, and absent."""

import theano
import theano.gpuarray.dnn
from theano import gpuarray


def test_programs_that_ask_for_the_backend_learn_that_it_is_absent():
    assert gpuarray.pygpu_activated is False
    assert gpuarray.dnn.dnn_present() is False and theano.gpuarray.dnn.dnn_available() is False
    assert "JAX" in gpuarray.dnn.dnn_present.msg
