"""Gradients under Theano's names."""

import numpy as np

import theano
import theano.tensor as T

JACOBIAN_ROWS = np.array([[1.0, 2, 3], [4, 5, 6]])


def test_Lop_and_Rop_multiply_the_jacobian_from_its_sides():
    x, u, v = T.dvector(), T.dvector(), T.dvector()
    y = T.dot(JACOBIAN_ROWS, x**2)
    f = theano.function([x, u, v], [T.Lop(y, x, u), T.Rop(y, x, v)])
    point, left, right = np.array([1.0, -1, 2]), np.array([2.0, 3]), np.array([1.0, 0, -2])
    jacobian = JACOBIAN_ROWS * 2 * point
    from_left, from_right = f(point, left, right)
    np.testing.assert_allclose(from_left, left @ jacobian)
    np.testing.assert_allclose(from_right, jacobian @ right)


def test_a_considered_constant_passes_no_gradient():
    x = T.dscalar()
    gradient = theano.grad(x * theano.gradient.consider_constant(x**2), x)
    assert theano.function([x], gradient)(3.0) == 9


def test_clipped_gradients_stay_in_their_interval():
    x = T.dvector()
    y = T.sum(theano.gradient.grad_clip(x, -1, 2) ** 2)
    np.testing.assert_array_equal(theano.function([x], T.grad(y, x))(np.array([-3.0, 0.25, 5])), [-1, 0.5, 2])


def test_the_right_product_of_a_linear_function_still_has_its_variable_as_an_input():
    x, v, other = T.dvector(), T.dvector(), T.dvector()
    f = theano.function([x, v], [T.Rop(2 * x, x, v), *T.Rop([x.sum(), 3 * x], x, v)])
    point, tangent = np.array([1.0, -1, 2]), np.array([1.0, 0, -2])
    for result, expected in zip(f(point, tangent), [2 * tangent, -1, 3 * tangent], strict=True):
        np.testing.assert_array_equal(result, expected)
    of_another = theano.function([x, v, other], T.Rop(2 * x, [x, other], [v, v]), on_unused_input="ignore")
    np.testing.assert_array_equal(of_another(point, tangent, point), 2 * tangent)


def test_right_products_of_a_sum_have_the_terms_of_all_inputs():
    x, y, a, b = T.fvectors(*"xyab")
    products = theano.Rop([x + y, x * y, x], [x, y], [a, b])
    values = [np.array(v, "float32") for v in ([1, 2], [3, 5], [7, 11], [13, 17])]
    f = theano.function([x, y, a, b], [*products, theano.Rop(x - y, [x, y], [a, b])])
    for result, expected in zip(f(*values), [[20, 28], [34, 89], [7, 11], [-6, -6]], strict=True):
        np.testing.assert_array_equal(result, expected)
