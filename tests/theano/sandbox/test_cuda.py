"""Theano's first GPU backend is absent, and says so to those that ask."""

import importlib

import pytest

import theano.sandbox.cuda


def test_programs_that_ask_get_the_answer_that_it_is_absent():
    assert theano.sandbox.cuda.cuda_available is theano.sandbox.cuda.cuda_enabled is False
    assert not theano.sandbox.cuda.dnn.dnn_available()
    assert "T.nnet.conv2d" in theano.sandbox.cuda.dnn.dnn_available.msg


def test_what_it_computed_with_cannot_be_imported():
    with pytest.raises(ImportError):
        importlib.import_module("theano.sandbox.cuda.basic_ops")


def test_a_device_is_not_selected_by_call():
    with pytest.raises(NotImplementedError, match="theano.sandbox.cuda.use.*THEANO_FLAGS"):
        theano.sandbox.cuda.use("gpu0")
