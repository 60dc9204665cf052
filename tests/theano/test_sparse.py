"""Functions of sparse matrices, which run outside of JAX, against SciPy."""

import numpy as np
import scipy.sparse

import theano
import theano.sparse
import theano.tensor as T

VALUE = scipy.sparse.csr_matrix(np.diag(np.float32([2, 0, 5])))


def test_sparse_matrices_are_inputs_constants_shared_variables_and_results():
    given, shared = theano.sparse.csr_matrix(dtype="float32"), theano.shared(VALUE)
    constant, dense = theano.sparse.as_sparse_variable(VALUE), T.fmatrix()
    product = theano.sparse.basic.dot(shared, dense)
    stacked = theano.sparse.basic.hstack([given, constant], format="csr")
    assert all(isinstance(v.type, theano.sparse.SparseType) for v in (given, shared, constant, stacked))
    assert not isinstance(dense.type, theano.sparse.SparseType)

    f = theano.function(
        [given, dense],
        [stacked, product, T.grad(product.sum(), dense)],
        updates=[(shared, theano.sparse.add(shared, given))],
    )
    ones = np.ones((3, 2), "float32")
    joined, multiplied, gradient = f(VALUE, ones)
    np.testing.assert_array_equal(joined.toarray(), np.hstack([VALUE.toarray()] * 2))
    np.testing.assert_array_equal(multiplied, VALUE.toarray() @ ones)
    np.testing.assert_array_equal(gradient, VALUE.toarray().T @ ones)
    np.testing.assert_array_equal(shared.get_value().toarray(), 2 * VALUE.toarray())
