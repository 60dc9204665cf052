"""Small programs in our theano and in Theano 1.0.5: values, dtypes, shapes, broadcasting, errors.

Runs on both, hence on Python 3.7 too, and needs nothing but theano and NumPy. An expression is a line of
``EXPRESSIONS``; a program that needs more than one expression is a function whose name begins with
``program_``. The answers of Theano 1.0.5 are in ``tests/theano/conformance.json``, where the tests read them.

    pyenv exec python3.7 -m venv old && old/bin/pip install "numpy<1.20" "scipy<1.6" theano==1.0.5
    THEANO_FLAGS=blas.ldflags=,floatX=float32 old/bin/python benchmarks/conformance.py answers.json
    python benchmarks/conformance.py --compare answers.json
"""

import argparse
import itertools
import json
import math
import os
import sys
import warnings

if __name__ == "__main__":
    os.environ.setdefault("THEANO_FLAGS", "floatX=float32")
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    # Where theano is not installed, ours; Python itself puts the folder of the script there.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import numpy as np

import theano
import theano.compile.ops
import theano.ifelse
import theano.tensor as T
import theano.tensor.fft
import theano.tensor.nlinalg
import theano.tensor.signal.conv
import theano.tensor.slinalg
from theano.sandbox.rng_mrg import MRG_RandomStreams
from theano.tensor.shared_randomstreams import RandomStreams


def scan(*args, **options):
    return theano.scan(*args, **options)[0]


def powers(v):
    """Some of the powers of a vector's numbers, the others computed again for the gradient."""
    return theano.scan_checkpoints(
        lambda h, a: h * a, outputs_info=T.ones_like(v), non_sequences=v, n_steps=4, save_every_N=2
    )[0]


until = theano.scan_module.until
# Values of the variables that expressions name; their types have no axis of known length but r's and c's.
VALUES = {
    "x": np.array([[0.5, -1.5, 2.0], [-0.25, 0.75, -3.0]], "float32"),
    "y": np.array([[1.5, 0.5, -2.0], [3.0, -0.75, 0.0]], "float32"),
    "p": np.array([[0.2, 0.5, 0.3], [0.1, 0.6, 0.3]], "float32"),
    "m": np.array([[4.0, 1.0, 0.5], [1.0, 3.0, -1.0], [0.5, -1.0, 5.0]], "float32"),
    "d": np.array([[0.5, -1.5, 2.5], [-0.5, 0.25, 7.0]], "float64"),
    "v": np.array([1.0, -2.0, 3.5], "float32"),
    "w": np.array([2.0, -0.5], "float32"),
    "s": np.array(2.5, "float32"),
    "r": np.array([[1.0, 2.0, 3.0]], "float32"),
    "c": np.array([[10.0], [20.0]], "float32"),
    "t": np.linspace(-2, 2, 24).reshape(2, 3, 4).astype("float32"),
    "f": np.sin(np.arange(80.0)).reshape(2, 2, 4, 5).astype("float32"),
    "k": np.cos(np.arange(24.0)).reshape(3, 2, 2, 2).astype("float32"),
    "g": np.sin(np.arange(72.0)).reshape(1, 2, 3, 4, 3).astype("float32"),
    "h": np.cos(np.arange(16.0)).reshape(1, 2, 2, 2, 2).astype("float32"),
    "b": np.array([3, -7, 100], "int8"),
    "u": np.array([3, 250, 0], "uint8"),
    "i": np.array([2, 0, 1], "int32"),
    "l": np.array([7, -8, 0], "int64"),
    "q": np.array([1, 0, 1], "bool"),
    "z": np.array([1 + 2j, -1.5j, 3], "complex64"),
    "n": np.array(2, "int32"),
    "e": np.zeros((0, 3), "float32"),
}
_UNARY = (
    "abs_ neg exp exp2 expm1 log log2 log10 log1p sgn ceil floor round iround sqr sqrt inv deg2rad rad2deg "
    "cos arccos sin arcsin tan arctan cosh arccosh sinh arcsinh tanh arctanh erf erfc erfinv erfcinv gamma "
    "gammaln psi chi2sf isnan isinf invert zeros_like ones_like real imag conj angle nnet.sigmoid "
    "nnet.softplus trunc"
)
_BINARY = "add sub mul true_div int_div mod pow maximum minimum arctan2 eq neq lt ge and_ or_ xor"
_PAIRS = (
    "x,y b,b b,u i,l l,v u,v q,q q,b v,2 v,2.5 l,2 l,2.5 b,2 b,300 u,-1 u,2.5 x,d x,r x,c s,x c,r z,v v,z"
)
_REDUCTIONS = "sum prod mean var std max min argmax argmin all any ptp max_and_argmax cumsum cumprod"
EXPRESSIONS = [f"T.{n}({a})" for n in _UNARY.split() for a in "xdbulqz"]
EXPRESSIONS += [f"T.{n}({a})" for n in _BINARY.split() for a in _PAIRS.split()]
EXPRESSIONS += [
    f"T.{n}({a})" for n in _REDUCTIONS.split() for a in ("x", "x, axis=0", "x, axis=-1", *"dbulq")
]
EXPRESSIONS += [
    f"T.grad(T.{n}({a}).sum(), {a})"
    for n in "abs_ exp expm1 log1p sgn ceil round sqr tan arctan sinh tanh erf nnet.sigmoid nnet.softplus "
    "nnet.relu nnet.elu nnet.selu nnet.hard_sigmoid nnet.softsign nnet.softmax nnet.logsoftmax max min prod "
    "var std argmax zeros_like".split()
    for a in "xd"
]
EXPRESSIONS += """
x + 1
x + 1.5
x * np.float64(2)
x * np.array(2.0)
x + np.arange(3)
b + 1
b + 127
b + 128
b * 2.5
u - 1
u + 256
l * 1.5
i / 2
i // 2
i % 3
-7 // i
7 % l
q + q
q * 1
~q
-b
-u
abs(b)
b & 3
b | u
b ^ 3
x ** 2
x ** 0.5
l ** 2
2 ** l
2.0 ** v
x > 0
x > y
T.eq(x, y) * 1
(x > 0) * x
x.T
x.dimshuffle(1, 0)
x.dimshuffle('x', 0, 1)
v.dimshuffle('x', 0)
v.dimshuffle(0, 'x')
r.dimshuffle(1)
x.dimshuffle(0)
c.dimshuffle(0)
x.dimshuffle(0, 0)
r + c
r * x
v + c
x + v
x + w
T.addbroadcast(x[:1], 0)
T.unbroadcast(r, 0)
T.patternbroadcast(x[:1], (True, False))
T.addbroadcast(x, 0)
T.cast(d, 'int8')
T.cast(x, 'float64')
T.cast(l, 'bool')
T.cast(x, 'bool')
T.cast(z, 'float32')
x.astype('int32')
T.zeros((2, 3))
T.ones((2,), dtype='int8')
T.zeros(n)
T.alloc(s, 2, 3)
T.alloc(v, 2, 3)
T.alloc(v, 2, 2)
T.eye(3)
T.eye(2, 3, 1)
T.identity_like(m)
T.arange(5)
T.arange(1, 7, 2)
T.arange(n)
T.arange(5.0)
T.arange(0, 1, 0.25)
T.arange(b[0])
T.mgrid[0:2, 0:3][0]
T.ogrid[0:2, 0:3][1]
T.fill(x, 3)
T.full_like(x, 2)
T.zeros_like(x, dtype='int8')
T.tri(3)
T.tril(m)
T.triu(m)
T.tril(m, -1)
T.diag(v)
T.diag(m)
T.diagonal(m)
T.allclose(x, y)
T.isclose(x, x)
T.shape(x)
x.shape
x.shape[0]
x.size
x.shape[0] * 2.5
T.shape_padleft(v)
T.shape_padright(v)
T.shape_padaxis(x, 1)
T.flatten(x)
T.flatten(t, 2)
T.flatten(t, outdim=2)
x.flatten()
t.flatten(2)
t.flatten(3)
t.flatten(4)
T.reshape(x, (3, 2))
T.reshape(x, (-1, 2))
T.reshape(x, (4, 2))
x.reshape((1, 6))
x.reshape((6,))
x.reshape([6])
x.reshape((x.shape[0], 1, x.shape[1]))
T.reshape(x, x.shape[::-1], ndim=2)
T.reshape(x, l)
T.concatenate([x, y])
T.concatenate([x, y], axis=1)
T.concatenate([x, y], axis=-1)
T.concatenate([x, d])
T.concatenate([v, b])
T.concatenate([x, v])
T.concatenate([r, x])
T.concatenate([x, t])
T.join(0, x, y)
T.join(1, x, y)
T.join(n - 1, x, y)
T.stack([v, v])
T.stack([v, v], axis=1)
T.stack(v, v)
T.stack([v, w])
T.stacklists([[s, s], [s, s]])
T.split(x, [1, 2], 2, axis=1)
T.split(x, [1, 1], 2, axis=1)
T.roll(x, 1, axis=1)
T.roll(v, -1)
T.tile(v, 2)
T.tile(x, (2, 1))
T.repeat(v, 2)
T.repeat(x, 2, axis=1)
T.squeeze(r)
T.squeeze(c)
T.swapaxes(t, 0, 2)
T.transpose(t)
T.transpose(t, (2, 0, 1))
T.moveaxis(t, 0, 2)
T.switch(x > 0, x, y)
T.switch(x > 0, x, 0)
T.switch(x > 0, b, 0.5)
T.switch(x > 0, b, u)
T.where(q, v, 0)
T.clip(x, -1, 1)
T.clip(b, 0, 10)
T.clip(u, -1, 300)
T.clip(x, 1, -1)
T.where(q, v, d)
T.nonzero(x)
T.nonzero(v)[0]
T.nonzero_values(x)
T.flatnonzero(x)
T.sort(x)
T.sort(x, axis=0)
T.sort(x, axis=None)
T.argsort(x)
T.argsort(v)
T.topk(v, 2)
T.argtopk(v, 1)
T.choose(i, [v, v, v])
T.bincount(i)
T.bincount(i, minlength=5)
T.bincount(i, weights=v)
T.unique(i)
T.searchsorted(T.sort(v), w)
T.diff(v)
T.diff(x, 2)
T.extra_ops.to_one_hot(i, 4)
T.extra_ops.squeeze(r)
T.extra_ops.fill_diagonal(m, 0)
T.extra_ops.compress([1, 0], x, axis=0)
T.unravel_index(i, (2, 2))
T.ravel_multi_index((i, i), (3, 3))
T.sum(x, axis=(0, 1))
T.sum(x, axis=[0])
T.sum(x, keepdims=True)
T.sum(x, axis=0, keepdims=True)
T.sum(x, axis=2)
T.sum(b, dtype='int8')
T.sum(x, dtype='float64')
T.sum(x, acc_dtype='float64')
T.prod(b)
T.prod(x, no_zeros_in_input=True)
T.mean(b)
T.mean(l)
T.mean(q)
T.mean(x, axis=(0, 1))
T.mean(x, dtype='float64')
T.mean(x, axis=0, keepdims=True)
T.var(x, axis=1, keepdims=True)
T.var(x, ddof=1)
T.var(l)
T.std(b)
T.max(x, axis=1, keepdims=True)
T.max(t, axis=(0, 2))
T.argmax(x, keepdims=True)
T.argmax(t, axis=(0, 1, 2))
T.max_and_argmax(x, axis=1)
T.max(e, axis=0)
T.max(e)
T.sum(e)
T.sum(e, axis=0)
T.prod(e)
T.mean(e)
T.mean(e, axis=0)
x.sum()
x.mean(1)
x.max(axis=0)
x.argmax(axis=1)
x.norm(2)
x.norm(1, axis=0)
x.std(axis=0)
x.prod(axis=0)
x.cumsum(axis=1)
x.trace()
x.diagonal()
x.round()
x.clip(0, 1)
x.copy()
x.nonzero()
x.repeat(2)
x.ravel()
x.take([1, 0])
x.take(i, axis=1)
x.sort()
x.argsort()
x.fill(2)
x.any(axis=0)
x.all()
x.min()
x.zeros_like()
x.conj()
x.ndim
x.dtype
x.broadcastable
r.broadcastable
x.type.ndim
T.dot(x, y)
T.dot(x, y.T)
T.dot(x, v)
T.dot(v, v)
T.dot(v, x)
T.dot(w, x)
T.dot(x, s)
T.dot(t, v)
T.dot(x, d.T)
T.dot(b, b)
T.dot(i, l)
T.dot(l, v)
T.dot(q, q)
T.dot(t[:, :, :3], t[:, :3, :])
T.dot(r, v)
T.dot(r, r.T)
x.dot(v)
T.outer(v, w)
T.outer(x, v)
T.tensordot(t, t, 3)
T.tensordot(t, t, axes=[[1, 2], [1, 2]])
T.tensordot(x, y, axes=2)
T.tensordot(x, y, axes=[1, 1])
T.tensordot(t, x, axes=1)
T.batched_dot(t, t.dimshuffle(0, 2, 1))
T.batched_dot(x, y)
T.batched_tensordot(t, t, axes=[[1], [1]])
T.batched_tensordot(x, t, axes=1)
T.nlinalg.matrix_inverse(m)
T.nlinalg.det(m)
T.nlinalg.trace(m)
T.nlinalg.diag(m)
T.nlinalg.alloc_diag(v)
T.nlinalg.extract_diag(m)
T.nlinalg.eigh(m)[0]
T.nlinalg.svd(m)[1]
T.nlinalg.svd(m, compute_uv=False)
T.nlinalg.pinv(x)
T.nlinalg.norm(v, 2)
T.nlinalg.norm(m, 'fro')
T.nlinalg.matrix_power(m, 2)
T.nlinalg.matrix_dot(m, m, m)
T.nlinalg.qr(m, 'r') ** 2
T.nlinalg.lstsq(m, v, -1)[0]
T.nlinalg.tensorinv(m.reshape((3, 3, 1)), 1)
T.slinalg.cholesky(m)
T.slinalg.solve(m, v)
T.slinalg.solve_lower_triangular(m, v)
T.slinalg.solve_upper_triangular(m, v)
T.slinalg.expm(m * 0.1)
T.slinalg.kron(x, y)
T.slinalg.eigvalsh(m, m)
T.grad(T.nlinalg.det(m), m)
T.grad(T.nlinalg.matrix_inverse(m).sum(), m)
T.grad(T.slinalg.cholesky(m).sum(), m)
T.grad(T.slinalg.solve(m, v).sum(), v)
x[0]
x[-1]
x[2]
x[n]
x[0, 1]
x[:, 1]
x[:, -1:]
x[::-1]
x[:, ::-2]
x[1:]
x[1:1]
x[5:]
x[-5:5]
x[:n - 1]
x[0:1]
x[:, 0:1]
x[None]
x[:, None]
x[..., 0]
x[0, ..., None]
x[:, np.newaxis, 1]
x[0][1]
x[0, 0, 0]
t[1, :, 2]
t[..., 1:3]
x[i]
x[:, i]
x[[1, 0]]
x[:, [2, 0]]
x[[0, 1], [1, 2]]
x[T.arange(2), [0, 2]]
x[np.array([0, 1])]
x[i, i]
x[:, i][0]
v[i]
v[[True, False, True]]
v[q]
v[v > 0]
x[x > 0]
x[T.eq(x, 0.5)]
x[(x > 0).nonzero()]
x[:, q]
v[q.nonzero()]
v[b]
v[2.0]
v[1.5]
v['a']
v[x]
t[:, [0, 1]]
t[[0, 1], :, [1, 2]]
t[0, [0, 1]]
t[:, 0, [0, 1]]
t[[0], 1:, 0]
t[[[0, 1], [1, 0]]]
t[1, i.dimshuffle(0, 'x')]
T.set_subtensor(x[0], 1)
T.set_subtensor(x[0], v)
T.set_subtensor(x[:, 1], w)
T.set_subtensor(x[0], d[0])
T.set_subtensor(v[i], 5)
T.set_subtensor(v[q], 0)
T.set_subtensor(v[v > 0], 0)
T.set_subtensor(x[0, 1], s)
T.set_subtensor(b[0], 300)
T.set_subtensor(b[0], 1.5)
T.set_subtensor(b[0], 5)
T.set_subtensor(x[5], 0)
T.set_subtensor(x[:, :2], r[:, :2])
T.set_subtensor(x[0], w)
T.set_subtensor(x, y)
T.inc_subtensor(x[1], v)
T.inc_subtensor(x[:, [0, 0]], 1)
T.inc_subtensor(v[[0, 0, 1]], 1)
T.inc_subtensor(v[i], w)
T.inc_subtensor(x[i[1:2]], 1)
T.inc_subtensor(x[::2], 1)
T.inc_subtensor(v[v < 0], 10)
T.inc_subtensor(x[[0, 1], [1, 1]], w)
T.grad(x[0].sum(), x)
T.grad(x[[0, 0]].sum(), x)
T.grad(x[:, i].sum(), x)
T.grad(T.set_subtensor(x[0], v).sum(), v)
T.grad(T.inc_subtensor(x[:, 0], w).sum(), [x, w])
T.grad(x[(x > 0).nonzero()].sum(), x)
T.grad(x.sum(), y)
T.grad(x.sum(), y, disconnected_inputs='ignore')
T.grad(x, x)
T.grad((x ** 2).sum(), [x])
T.grad((x ** 2).sum(), (x,))
T.grad((x * y).sum(), [x, y])
T.grad(x.max(), x)
T.grad(x.sum() * s, s)
T.grad((x + r).sum(), r)
T.grad((x * c).sum(), c)
T.grad(T.switch(x > 0, x, y * 2).sum(), [x, y])
T.grad(T.clip(x, -1, 1).sum(), x)
T.grad(T.maximum(x, y).sum(), [x, y])
T.grad(T.maximum(x, 0.5).sum(), x)
T.grad(T.pow(T.abs_(x), y).sum(), [x, y])
T.grad((x % 2).sum(), x)
T.grad((x // 2).sum(), x)
T.grad(T.cast(x, 'int32').sum() * 1.0, x)
T.grad(T.cast(x, 'float64').sum(), x)
T.grad((l * 1.0).sum(), l)
T.grad(l.sum(), l)
T.grad(T.sqrt(x * 0).sum(), x)
T.grad((x ** 0).sum(), x)
T.grad(T.dot(x, v).sum(), [x, v])
T.grad(T.dot(x, y.T).sum(), x)
T.grad(T.batched_dot(t, t.dimshuffle(0, 2, 1)).sum(), t)
T.grad(T.tensordot(t, t, axes=[[1, 2], [1, 2]]).sum(), t)
T.grad(T.concatenate([x, y]).sum(), y)
T.grad(T.stack([v, v]).sum(), v)
T.grad(x.reshape((3, 2))[0].sum(), x)
T.grad(T.repeat(v, 2).sum(), v)
T.grad(T.tile(v, 2).sum(), v)
T.grad(T.cumsum(v)[1], v)
T.grad(T.cumprod(v)[2], v)
T.grad(T.sort(v)[0], v)
T.grad(T.diag(m).sum(), m)
T.grad(x.norm(2), x)
T.grad(T.var(x), x)
T.grad((x ** 2).sum(), x, known_grads={(x ** 2): x})
T.grad(None, x, known_grads={x: y})
T.grad((x * y).sum(), x, consider_constant=[y])
T.grad((x * theano.gradient.disconnected_grad(x)).sum(), x)
T.grad(theano.gradient.grad_clip(x * 5, -1, 1).sum(), x)
T.grad((theano.gradient.grad_scale(x, 3) ** 2).sum(), x)
T.grad(theano.gradient.zero_grad(x).sum(), x)
T.grad(T.grad((x ** 3).sum(), x).sum(), x)
T.jacobian(v ** 2, v)
T.jacobian(T.dot(x, v), v)
T.jacobian((v ** 2).sum(), v)
T.hessian((v ** 3).sum(), v)
T.hessian((x ** 3).sum(), x)
T.Rop(T.dot(x, v), v, v)
T.Rop(x ** 2, x, y)
T.Rop([x ** 2, x + y], [x, y], [y, x])
T.Rop(x ** 2, x, v)
T.Lop(x ** 2, x, y)
T.Lop(T.dot(x, v), [x, v], w)
T.Lop(T.dot(x, v), v, x)
T.nnet.sigmoid(b)
T.nnet.ultra_fast_sigmoid(x)
T.nnet.hard_sigmoid(x)
T.nnet.relu(x)
T.nnet.relu(x, 0.1)
T.nnet.relu(x, alpha=v)
T.nnet.elu(x)
T.nnet.elu(x, 0.5)
T.nnet.selu(x)
T.nnet.softsign(x)
T.nnet.softmax(x)
T.nnet.softmax(v)
T.nnet.softmax(t)
T.nnet.softmax(d)
T.nnet.softmax(b)
T.nnet.softmax(x * 100)
T.nnet.logsoftmax(x)
T.nnet.logsoftmax(v)
T.nnet.softmax_with_bias(x, v)
T.nnet.binary_crossentropy(p, p)
T.nnet.binary_crossentropy(T.nnet.sigmoid(x), p)
T.nnet.sigmoid_binary_crossentropy(x, p)
T.nnet.categorical_crossentropy(p, i[:2])
T.nnet.categorical_crossentropy(p, p)
T.nnet.categorical_crossentropy(p, v[:2])
T.nnet.categorical_crossentropy(p, i)
T.nnet.categorical_crossentropy(p, l[:2])
T.nnet.categorical_crossentropy(T.nnet.softmax(x), i[:2])
T.nnet.crossentropy_softmax_1hot(x, i[:2])
T.nnet.crossentropy_softmax_1hot_with_bias(x, v, i[:2])
T.nnet.crossentropy_softmax_argmax_1hot_with_bias(x, v, i[:2])
T.nnet.crossentropy_categorical_1hot(p, i[:2])
T.grad(T.nnet.categorical_crossentropy(T.nnet.softmax(x), i[:2]).mean(), x)
T.grad(T.nnet.categorical_crossentropy(T.nnet.softmax(x), p).mean(), x)
T.grad(T.nnet.binary_crossentropy(T.nnet.sigmoid(x), p).mean(), x)
T.grad(T.nnet.sigmoid_binary_crossentropy(x, p).mean(), x)
T.grad(T.nnet.relu(x * 0).sum(), x)
T.grad(T.nnet.relu(x, 0.1).sum(), x)
T.nnet.confusion_matrix(i, i)
T.nnet.h_softmax(x, 2, 4, 2, 2, m[:, :2], v[:2], T.stack([m[:, :2], m[:, 1:]]), m[:2, :2])
T.nnet.conv2d(f, k)
T.nnet.conv2d(f, k, border_mode='full')
T.nnet.conv2d(f, k, border_mode='half')
T.nnet.conv2d(f, k, border_mode=(1, 0))
T.nnet.conv2d(f, k, border_mode=1)
T.nnet.conv2d(f, k, border_mode='same')
T.nnet.conv2d(f, k, border_mode=((1, 0), (0, 1)))
T.nnet.conv2d(f, k, subsample=(2, 1))
T.nnet.conv2d(f, k, filter_flip=False)
T.nnet.conv2d(f, k, filter_dilation=(2, 2))
T.nnet.conv2d(f, k, input_shape=(2, 2, 4, 5), filter_shape=(3, 2, 2, 2))
T.nnet.conv2d(f, k, input_shape=(2, 2, 4, 6))
T.nnet.conv2d(f, k, image_shape=(2, 2, 4, 5))
T.nnet.conv2d(f, k[:2, :1], num_groups=2)
T.nnet.conv2d(f, k[:, :1])
T.nnet.conv2d(f, k[:, :, :1, :1])
T.nnet.conv2d(f, x)
T.nnet.conv2d(f.astype('float64'), k)
T.nnet.conv2d(T.cast(f, 'int32'), k)
conv.conv2d(f, k)
conv.conv2d(f, k, border_mode='full')
T.nnet.conv3d(g, h)
T.nnet.conv3d(g, h, border_mode='half')
T.nnet.abstract_conv.conv2d_grad_wrt_inputs(f, k[:2], (2, 2, 5, 6))
T.nnet.abstract_conv.conv2d_grad_wrt_weights(f, f[:, :, 1:, 1:], (2, 2, 2, 2))
T.nnet.abstract_conv.bilinear_upsampling(f, 2)
T.nnet.abstract_conv.get_conv_output_shape((2, 2, 4, 5), (3, 2, 2, 2), 'valid', (2, 1))
T.grad(T.nnet.conv2d(f, k).sum(), [f, k])
T.grad((T.nnet.conv2d(f, k, border_mode='half', subsample=(2, 2)) ** 2).sum(), k)
T.grad((T.nnet.conv3d(g, h) ** 2).sum(), [g, h])
T.signal.conv.conv2d(x, m[:2, :2])
pool.pool_2d(f, (2, 2))
pool.pool_2d(f, (2, 2), ignore_border=True)
pool.pool_2d(f, (2, 2), ignore_border=False)
pool.pool_2d(f, 2, ignore_border=True)
pool.pool_2d(f, (3, 2), ignore_border=True, stride=(1, 1))
pool.pool_2d(f, (3, 3), ignore_border=False, stride=(2, 2))
pool.pool_2d(f, (2, 2), ignore_border=True, pad=(1, 1))
pool.pool_2d(f, (2, 2), ignore_border=False, pad=(1, 1))
pool.pool_2d(f, (2, 2), ignore_border=True, mode='sum')
pool.pool_2d(f, (2, 2), ignore_border=True, mode='average_inc_pad', pad=(1, 1))
pool.pool_2d(f, (2, 2), ignore_border=True, mode='average_exc_pad', pad=(1, 1))
pool.pool_2d(f, (2, 2), ignore_border=False, mode='average_exc_pad')
pool.pool_2d(f, (2, 2), ignore_border=True, mode='average')
pool.pool_2d(f, (5, 5), ignore_border=True)
pool.pool_2d(x, (2, 2), ignore_border=True)
pool.pool_2d(t, (2, 2), ignore_border=True)
pool.pool_2d(v, (2, 2), ignore_border=True)
pool.pool_2d(f, ws=i[:2] + 1, ignore_border=True)
pool.pool_2d(f, ds=(2, 2), st=(1, 1), ignore_border=True)
pool.max_pool_2d_same_size(f, (2, 2))
pool.pool_3d(g, (2, 2, 2), ignore_border=True)
T.grad(pool.pool_2d(f, (2, 2), ignore_border=True).sum(), f)
T.grad((pool.pool_2d(f, (3, 3), ignore_border=True, stride=(1, 1)) ** 2).sum(), f)
T.grad(pool.pool_2d(f, (2, 2), ignore_border=True, mode='average_exc_pad', pad=(1, 1)).sum(), f)
neighbours.images2neibs(f[:, :, :, :4], (2, 2))
neighbours.images2neibs(f, (2, 2), mode='ignore_borders')
neighbours.neibs2images(neighbours.images2neibs(f[:, :, :, :4], (2, 2)), (2, 2), (2, 2, 4, 4))
T.nnet.bn.batch_normalization(x, v, v, x.mean(0), x.std(0))
T.nnet.bn.batch_normalization_train(x, r, r)
T.nnet.bn.batch_normalization_train(f, f[:1, :, :1, :1], f[:1, :, :1, :1], axes='spatial')[0]
T.nnet.bn.batch_normalization_test(x, r, r, r, r ** 2)
scan(lambda a: a * 2, sequences=x)
scan(lambda a: a * 2, sequences=x, go_backwards=True)
scan(lambda a, b: a + b, sequences=[x, w])
scan(lambda a, b: a + b, sequences=[v, w])
scan(lambda a, h: a + h, sequences=x, outputs_info=T.zeros_like(v))
scan(lambda a, h: a + h, sequences=x, outputs_info=T.zeros(3))
scan(lambda h: h * 2, outputs_info=s, n_steps=4)
scan(lambda h: h * 2, outputs_info=s, n_steps=n)
scan(lambda h: h * 2, outputs_info=s, n_steps=1)
scan(lambda h: h * 2, outputs_info=s, n_steps=0)
scan(lambda h: h * 2, outputs_info=s)
scan(lambda h: h * 2.0, outputs_info=T.constant(1), n_steps=3)
scan(lambda h: h + d[0, 0], outputs_info=s, n_steps=3)
scan(lambda h, a: h * a, outputs_info=s, non_sequences=v, n_steps=3)
scan(lambda a, h: h * a, sequences=v, outputs_info=s, non_sequences=[])
scan(lambda a, b: a + b, outputs_info=dict(initial=v[:2], taps=[-2, -1]), n_steps=4)
scan(lambda a, b: a + b, outputs_info=dict(initial=v[:2], taps=[-1, -2]), n_steps=4)
scan(lambda a, b: a - b, outputs_info=dict(initial=v, taps=[-3, -1]), n_steps=3)
scan(lambda a, b: a * b, sequences=dict(input=v, taps=[-1, 0]))
scan(lambda a, b: a * b, sequences=dict(input=v, taps=[0, 1]))
scan(lambda a, h, g: [h + a, g * a], sequences=v, outputs_info=[s, T.ones_like(s)])
scan(lambda a, h: [h + a, a * 2], sequences=v, outputs_info=[s, None])
scan(lambda a: [a, a * 2], sequences=v)
scan(lambda a: {}, sequences=v)
scan(lambda a, h: h + a, sequences=v, outputs_info=s, go_backwards=True)
scan(lambda a: a + 1, sequences=v, n_steps=2)
scan(lambda a: a + 1, sequences=v, n_steps=5)
scan(lambda h: (h * 2, until(h > 8)), outputs_info=s, n_steps=10)
scan(lambda h: (h * 2, {}, until(h > 8)), outputs_info=s, n_steps=10)
scan(lambda h: (h * 2, until(h > 1e9)), outputs_info=s, n_steps=3)
scan(lambda row: scan(lambda a, h: a + h, sequences=row, outputs_info=s), sequences=x)
scan(lambda row: scan(lambda a: a * row, sequences=row).sum(0), sequences=x)
scan(lambda a: a, sequences=e)
scan(lambda a, h: h + a.sum(), sequences=e, outputs_info=s)
scan(lambda a: T.switch(a > 0, a, 0), sequences=v)
scan(lambda a: a.sum(), sequences=b)
scan(lambda a, h: h + a, sequences=b, outputs_info=T.constant(np.int8(0)))
scan(lambda j, a: a[j], sequences=T.arange(2), non_sequences=x)
scan(lambda j: x[j] * s, sequences=T.arange(x.shape[0]))
scan(lambda a, h: T.tanh(T.dot(h, m) + a), sequences=x, outputs_info=v)[-1]
scan(lambda a, h: T.tanh(T.dot(h, m) + a), sequences=x, outputs_info=v, strict=True)[-1]
scan(lambda a, h, m: T.dot(h, m) + a, sequences=x, outputs_info=v, non_sequences=m, strict=True)[-1]
theano.map(lambda a: a ** 2, v)[0]
theano.map(lambda a, b: a + b, [v, v * 2])[0]
theano.reduce(lambda a, h: a + h, v, s)[0]
theano.foldl(lambda a, h: a - h, v, s)[0]
theano.foldr(lambda a, h: a - h, v, s)[0]
T.grad(scan(lambda a: a ** 2, sequences=v).sum(), v)
T.grad(scan(lambda a, h: h * a, sequences=v, outputs_info=s)[-1], [v, s])
T.grad(scan(lambda a, h: T.tanh(T.dot(h, m) + a), sequences=x, outputs_info=v)[-1].sum(), [x, v, m])
T.grad(scan(lambda h: h * s, outputs_info=s, n_steps=3)[-1], s)
T.grad(scan(lambda a, b: a * b, outputs_info=dict(initial=v[:2], taps=[-2, -1]), n_steps=3).sum(), v)
T.grad(scan(lambda a, h: h * a, sequences=v, outputs_info=s, truncate_gradient=2)[-1], [v, s])
T.grad(scan(lambda a, h: h * a, sequences=v, outputs_info=s, truncate_gradient=1).sum(), [v, s])
T.grad(scan(lambda a, h: h * a, sequences=v, outputs_info=s, go_backwards=True)[-1], v)
T.grad(scan(lambda row: scan(lambda a, h: a * h, row, s)[-1], x).sum(), [x, s])
T.grad(scan(lambda h: (h * 2, until(h > 8)), outputs_info=s, n_steps=10)[-1], s)
T.jacobian(scan(lambda a, h: h * a, sequences=v, outputs_info=s), v)
T.Rop(scan(lambda a: a ** 2, sequences=v), v, v)
powers(v)
T.grad(powers(v)[-1].sum(), v)
theano.ifelse.ifelse(s > 0, x, y)
theano.ifelse.ifelse(s < 0, [x, v], [y, v * 2])
theano.ifelse.ifelse(s > 0, x, v)
T.grad(theano.ifelse.ifelse(s > 0, x * 2, y).sum(), [x, y])
theano.clone(x * y, replace={y: x})
theano.clone(x * y, {y: v})
theano.tensor.as_tensor_variable(3)
theano.tensor.as_tensor_variable(3.5)
theano.tensor.as_tensor_variable([1, 2])
theano.tensor.as_tensor_variable([1.5, 2])
theano.tensor.as_tensor_variable([s, s])
theano.tensor.as_tensor_variable(True)
theano.tensor.as_tensor_variable(np.float32(2))
theano.tensor.as_tensor_variable(1000)
theano.tensor.as_tensor_variable(2 ** 40)
theano.tensor.as_tensor_variable('a')
theano.tensor.as_tensor_variable([[1], [2]])
theano.tensor.as_tensor_variable(np.ones((1, 2)))
T.constant(3)
T.constant(3.0)
T.constant([1, 2, 3])
T.constant(np.ones((1, 2)))
theano.shared(3)
theano.shared(3.0)
theano.shared(np.ones((1, 2)))
theano.shared(np.float32(1))
theano.shared([1, 2])
theano.shared(True)
theano.shared(np.ones((1, 2)), broadcastable=(True, False)) + x
theano.shared(x)
T.opt.Assert()(x, T.eq(x.shape[0], 2))
T.opt.Assert('no')(x, T.eq(x.shape[0], 3))
T.specify_shape(x, (2, 3))
T.specify_shape(x, (3, 3))
T.scalar() * x
T.complex(v, v)
T.complex_from_polar(v, v)
T.real(T.complex(v, v))
T.inverse_permutation(i)
T.permute_row_elements(x, i)
T.smallest(x, y)
T.largest(x, y)
T.add(x, y, x)
T.mul(x, 2, y)
T.square(x)
T.power(x, 2)
T.ceil_intdiv(l, 2)
T.floor_div(x, 2)
T.divmod(l, 2)
divmod(l, 2)
T.true_div(1, l)
T.logaddexp(x, y)
T.logsumexp(x, axis=1)
T.addbroadcast(r, 0).sum(0)
T.autocast_int(3)
T.sum([x, y])
T.sum(2.0)
T.exp(1)
T.max([1, 2])
T.dot(np.ones((2, 2)), x)
T.dot([1, 2], w)
T.mean([v, v])
T.sqrt(2)
x + [1, 2, 3]
x * (1, 2, 3)
x + 'a'
x + None
len(x)
list(v)
float(s)
x[0] if x else None
bool(x)
bool(x > 0)
T.fft.rfft(r)
T.fft.irfft(T.fft.rfft(r.repeat(2, 1)))
theano.printing.Print('x')(n) * 0
""".strip().splitlines()


def program_default_update_advances():
    c = theano.shared(np.int64(0))
    c.default_update = c + 1
    f = theano.function([], c * 1)
    return [f(), f(), c.get_value()]


def program_default_update_is_left_out():
    c = theano.shared(np.int64(0))
    c.default_update = c + 1
    f = theano.function([], c * 1, no_default_updates=True)
    g = theano.function([], c * 1, no_default_updates=[c])
    return [f(), g(), c.get_value()]


def program_default_update_gives_way_to_updates():
    c = theano.shared(np.int64(0))
    c.default_update = c + 1
    f = theano.function([], c * 1, updates={c: c + 10})
    return [f(), f(), c.get_value()]


def program_default_update_in_scan():
    c = theano.shared(np.int64(0))
    c.default_update = c + 1
    outputs, updates = theano.scan(lambda: c * 1, n_steps=3)
    f = theano.function([], outputs, updates=updates)
    return [f(), f(), c.get_value()]


def program_default_update_in_scan_without_updates():
    c = theano.shared(np.int64(0))
    c.default_update = c + 1
    outputs, _ = theano.scan(lambda: c * 1, n_steps=3)
    f = theano.function([], outputs)
    return [f(), f(), c.get_value()]


def program_updates_returned_by_a_step():
    c = theano.shared(np.float32(1))
    outputs, updates = theano.scan(lambda: (c * 1, {c: c * 2}), n_steps=3)
    f = theano.function([], outputs, updates=updates)
    return [f(), f(), c.get_value(), type(updates).__name__, len(updates)]


def program_updates_of_a_step_beside_a_state():
    c, x = theano.shared(np.float32(1)), T.fvector()
    outputs, updates = theano.scan(
        lambda a, h: (h + a * c, {c: c + 1}), sequences=x, outputs_info=T.constant(np.float32(0))
    )
    f = theano.function([x], outputs[-1], updates=updates)
    return [f(VALUES["v"]), f(VALUES["v"]), c.get_value()]


def program_updates_all_see_the_values_before():
    a, b = theano.shared(np.float32(1)), theano.shared(np.float32(2))
    f = theano.function([], [a, b], updates=[(a, b), (b, a)])
    return f() + f() + [a.get_value(), b.get_value()]


def program_update_of_another_type():
    a = theano.shared(np.float32(1))
    return [theano.function([], a, updates={a: a * np.float64(2)})()]


def program_update_of_integers_by_floats():
    a = theano.shared(np.int64(1))
    return [theano.function([], a, updates={a: a * 0.5})()]


def program_update_twice():
    a = theano.shared(np.float32(1))
    return [theano.function([], a, updates=[(a, a + 1), (a, a + 2)])()]


def program_update_of_what_is_not_shared():
    x = T.fscalar()
    return [theano.function([x], x, updates=[(x, x + 1)])(1)]


def program_update_by_a_number():
    a = theano.shared(np.float32(1))
    f = theano.function([], a, updates={a: 3})
    return [f(), f()]


def program_update_changes_the_shape():
    a = theano.shared(VALUES["v"])
    f = theano.function([], a.sum(), updates={a: T.concatenate([a, a])})
    return [f(), f(), a.get_value()]


def program_givens():
    x, y = T.fvectors(2)
    f = theano.function([y], x * 2, givens={x: y + 1})
    return [f(VALUES["v"])]


def program_givens_of_a_shared_variable():
    a, y = theano.shared(VALUES["v"]), T.fvector()
    return [theano.function([y], a * 2, givens={a: y})(VALUES["w"])]


def program_givens_of_an_intermediate():
    x = T.fvector()
    y = x * 2
    return [theano.function([x], y + x, givens={y: x * 100})(VALUES["v"])]


def program_givens_are_not_chained():
    x, y, z = T.fvectors(3)
    return [theano.function([z], x + 1, givens=[(x, y * 2), (y, z)])(VALUES["v"])]


def program_givens_of_another_type():
    x, y = T.fvector(), T.dvector()
    return [theano.function([y], x * 2, givens={x: y})(VALUES["v"].astype("float64"))]


def program_givens_with_updates():
    x, a, data = T.fvector(), theano.shared(np.float32(0)), theano.shared(VALUES["x"])
    index = T.lscalar()
    f = theano.function([index], a, updates={a: a + x.sum()}, givens={x: data[index]})
    return [f(0), f(1), a.get_value()]


def program_inputs_by_name():
    x, y = T.fscalar("x"), T.fscalar("y")
    f = theano.function([x, y], x - y)
    return [f(y=1, x=5), f(5, y=1)]


def program_input_with_a_value():
    x, y = T.fscalars("x", "y")
    f = theano.function([x, theano.In(y, value=3)], x - y)
    return [f(5), f(5, 1), f(5)]


def program_input_with_an_update():
    x, state = T.iscalar("x"), T.iscalar("state")
    f = theano.function([x, theano.In(state, value=0, update=state + x)], state)
    return [f(2), f(3), f(4), f[state]]


def program_input_by_a_name_it_has_not():
    x = T.fscalar("x")
    return [theano.function([x], x)(y=1)]


def program_input_left_out():
    x = T.fscalar("x")
    return [theano.function([x], x)()]


def program_input_too_many():
    x = T.fscalar("x")
    return [theano.function([x], x)(1, 2)]


def program_input_unused():
    x, y = T.fscalars("x", "y")
    return [theano.function([x, y], x)(1, 2)]


def program_input_unused_ignored():
    x, y = T.fscalars("x", "y")
    return [theano.function([x, y], x, on_unused_input="ignore")(1, 2)]


def program_input_missing():
    x, y = T.fscalars("x", "y")
    return [theano.function([x], x * y)(1)]


def program_input_given_twice():
    x = T.fscalar("x")
    return [theano.function([x, x], x)(1, 2)]


def program_input_that_is_shared():
    a = theano.shared(np.float32(1))
    return [theano.function([a], a)(1)]


def program_input_of_an_intermediate():
    x = T.fscalar()
    y = x * 2
    return [theano.function([y], y + 1)(5)]


def program_input_of_more_precision():
    x = T.fvector()
    return [theano.function([x], x)(np.ones(2))]


def program_input_of_more_precision_that_is_exact():
    x = T.fscalar()
    return [theano.function([x], x)(0.1)]


def program_input_of_more_precision_allowed():
    x = T.fvector()
    return [theano.function([x], x, allow_input_downcast=True)(np.ones(2))]


def program_input_of_a_list():
    x = T.fvector()
    return [theano.function([x], x)([1, 2])]


def program_input_of_integers():
    x = T.fvector()
    return [theano.function([x], x)(np.array([1, 2], "int8"))]


def program_input_of_floats_for_integers():
    x = T.ivector()
    return [theano.function([x], x)([1.5, 2])]


def program_input_of_a_float_for_an_integer():
    x = T.lscalar()
    return [theano.function([x], x)(1.5)]


def program_input_that_overflows():
    x = T.bscalar()
    return [theano.function([x], x)(300)]


def program_input_of_too_few_axes():
    x = T.fmatrix()
    return [theano.function([x], x)(VALUES["v"])]


def program_input_that_does_not_broadcast():
    x = T.frow()
    return [theano.function([x], x)(VALUES["x"])]


def program_input_of_none():
    x = T.fvector()
    return [theano.function([x], x)(None)]


def program_input_strict():
    x = T.fvector()
    return [theano.function([theano.In(x, strict=True)], x)([1.0, 2.0])]


def program_outputs_as_a_dict():
    x = T.fscalar()
    result = theano.function([x], {"b": x, "a": x * 2})(3)
    return [result["a"], result["b"], len(result)]


def program_outputs_none():
    a = theano.shared(np.float32(1))
    result = theano.function([], updates={a: a + 1})()
    return [repr(result), a.get_value()]


def program_outputs_constant():
    return [theano.function([], T.constant(3))(), theano.function([], [])()]


def program_outputs_of_a_number():
    return [theano.function([], 3)()]


def program_output_is_the_callers_own():
    a = theano.shared(VALUES["v"])
    f = theano.function([], a)
    result = f()
    result[0] = 100
    return [f(), a.get_value()]


def program_shared_value_is_a_copy():
    value = np.array([1, 2], "float32")
    a = theano.shared(value)
    value[0] = 100
    got = a.get_value()
    got[1] = 100
    return [a.get_value()]


def program_shared_value_of_another_type():
    a = theano.shared(VALUES["v"])
    a.set_value(np.ones(2))
    return [a.get_value()]


def program_shared_value_of_other_axes():
    a = theano.shared(VALUES["v"])
    a.set_value(VALUES["x"])
    return [a.get_value()]


def program_shared_value_of_another_shape():
    a = theano.shared(VALUES["v"])
    f = theano.function([], a.sum())
    before = f()
    a.set_value(VALUES["w"])
    return [before, f()]


def program_shared_value_that_is_no_array():
    a = theano.shared(np.float32(1))
    a.set_value("text")
    return [a.get_value()]


def program_shared_by_attributes():
    a = theano.shared(VALUES["v"], name="a")
    return [a.name, a.dtype, a.ndim, a.broadcastable, str(a), a.get_value(borrow=True)]


def program_copy_with_swap():
    a, b, x = theano.shared(np.float32(1)), theano.shared(np.float32(10)), T.fscalar()
    f = theano.function([x], [x + a], updates={a: a + 1})
    g, h = f.copy(swap={a: b}), f.copy(delete_updates=True)
    return f(0) + g(0) + h(0) + [a.get_value(), b.get_value()]


def program_eval():
    x, a = T.fvector(), theano.shared(np.float32(2))
    return [(x * a).eval({x: VALUES["v"]}), (a * 3).eval(), T.constant(2).eval()]


def program_eval_without_a_value():
    return [(T.fvector() * 2).eval()]


def program_index_out_of_range():
    x, i = T.fvector(), T.lscalar()
    return [theano.function([x, i], x[i])(VALUES["v"], 3)]


def program_indices_out_of_range():
    x, i = T.fmatrix(), T.lvector()
    return [theano.function([x, i], x[i])(VALUES["x"], [0, 2])]


def program_shapes_do_not_fit():
    x, y = T.fmatrix(), T.fmatrix()
    return [theano.function([x, y], x + y)(VALUES["x"], VALUES["m"])]


def program_a_column_is_not_broadcast():
    x, y = T.fmatrix(), T.fmatrix()
    return [theano.function([x, y], x + y)(VALUES["x"], VALUES["c"])]


def program_product_of_shapes_that_do_not_fit():
    x, y = T.fmatrix(), T.fmatrix()
    return [theano.function([x, y], T.dot(x, y))(VALUES["x"], VALUES["y"])]


def program_gradient_to_a_sequence_of_a_stopped_loop():
    x = T.fvector()
    outputs, _ = theano.scan(
        lambda a, h: (h + a, theano.scan_module.until(h + a > 1)),
        sequences=x,
        outputs_info=T.constant(np.float32(0)),
    )
    f = theano.function([x], [outputs, T.grad(outputs[-1], x)])
    return f(np.array([0.5, 0.75, 3.0, 4.0], "float32"))


def program_scan_of_a_shared_matrix():
    W, x = theano.shared(VALUES["m"]), T.fvector()
    outputs, updates = theano.scan(lambda h: T.tanh(T.dot(h, W)), outputs_info=x, n_steps=3)
    f = theano.function([x], [outputs, T.grad(outputs.sum(), W)], updates=updates)
    return f(VALUES["v"]) + [len(updates)]


def program_scan_with_taps_of_sequences_and_states():
    x, h = T.fvector(), T.fvector()
    outputs, _ = theano.scan(
        lambda a, b, g, k: a * b + g - k,
        sequences=dict(input=x, taps=[-1, 1]),
        outputs_info=dict(initial=h, taps=[-2, -1]),
    )
    return [theano.function([x, h], outputs)(np.arange(6, dtype="float32"), VALUES["w"])]


def program_random_numbers_differ_from_call_to_call():
    found = []
    for streams in (MRG_RandomStreams(1), RandomStreams(1)):
        f = theano.function([], streams.uniform((2, 3)))
        a, b = f(), f()
        found += [a.shape, str(a.dtype), bool((a != b).all()), bool(((a >= 0) & (a < 1)).all())]
    return found


def program_random_numbers_in_a_scan():
    found = []
    for streams in (MRG_RandomStreams(1), RandomStreams(1)):
        x = T.fvector()
        outputs, updates = theano.scan(lambda v, s=streams: v * s.uniform((3,)), sequences=x)
        f = theano.function([x], outputs, updates=updates)
        draws = [f(np.ones(4, "float32")) for _ in range(2)]
        found += [draws[0].shape, len(np.unique(draws))]
    return found


def program_random_types():
    streams, plain = MRG_RandomStreams(1), RandomStreams(1)
    p = T.as_tensor_variable(VALUES["p"])
    drawn = [
        streams.uniform((2, 1)),
        streams.normal((2,)),
        streams.normal((2,), dtype="float64"),
        streams.binomial((2,), p=0.3),
        streams.binomial((2,), p=0.3, dtype="float32"),
        streams.multinomial(pvals=p),
        streams.multinomial(n=4, pvals=p),
        streams.choice(size=2, p=p, replace=False),
        streams.uniform(p.shape, p, p + 1, ndim=2),
        streams.normal(size=p.shape, ndim=2),
        plain.uniform((2, 1)),
        plain.normal((2,)),
        plain.binomial((2,)),
        plain.random_integers((2,), 0, 5),
        plain.permutation(n=4),
        plain.choice((2,), 5),
        plain.poisson((2,), 3.0),
        plain.multinomial((2,), pvals=[0.5, 0.5]),
        plain.shuffle_row_elements(p),
    ]
    shapes = [tuple(r.shape) for r in theano.function([], drawn)()]
    return [[v.dtype, v.ndim, s] for v, s in [(v, shapes[n]) for n, v in enumerate(drawn)]]


def program_random_seed_repeats():
    streams = MRG_RandomStreams(7)
    f = theano.function([], streams.uniform((3,)))
    first = f()
    streams.seed(7)
    return [bool((f() == first).all())]


def program_op_from_graph():
    x, y = T.fvectors(2)
    op = theano.OpFromGraph([x, y], [x * y + 1])
    z = op(x, y)
    return theano.function([x, y], [z, T.grad(z.sum(), x)])(VALUES["v"], VALUES["v"])


def program_as_op():
    @theano.compile.ops.as_op(itypes=[T.fvector], otypes=[T.fvector], infer_shape=lambda node, s: s)
    def double(x):
        return x * 2

    x = T.fvector()
    return [theano.function([x], double(x) + 1)(VALUES["v"])]


def program_op_that_raises():
    class Refuse(theano.Op):
        __props__ = ()

        def make_node(self, x):
            return theano.Apply(self, [x], [x.type()])

        def perform(self, node, inputs, outputs):
            raise KeyError("no")

        def infer_shape(self, node, shapes):
            return shapes

    x = T.fvector()
    return [theano.function([x], Refuse()(x))(VALUES["v"])]


def program_op_with_a_gradient():
    class Triple(theano.Op):
        __props__ = ()

        def make_node(self, x):
            return theano.Apply(self, [x], [x.type()])

        def perform(self, node, inputs, outputs):
            outputs[0][0] = inputs[0] * 3

        def infer_shape(self, node, shapes):
            return shapes

        def grad(self, inputs, gradients):
            return [gradients[0] * 3]

    x = T.fvector()
    y = Triple()(x)
    return theano.function([x], [y, T.grad((y * x).sum(), x)])(VALUES["v"])


def program_names_and_owners():
    x = T.fmatrix("x")
    y = x + 1
    return [
        x.name,
        str(x),
        y.name,
        len(y.owner.inputs),
        y.owner.inputs[0] is x,
        str(x.type.dtype),
        x.owner is None,
    ]


def program_graph_inputs():
    x, a = T.fvector("x"), theano.shared(np.float32(1), "a")
    found = theano.gof.graph.inputs([x * a + 2])
    return [sorted(str(v) for v in found if v.name)]


def program_constants_fold_to_their_types():
    f = theano.function([], [T.constant(2) + 3, T.constant(2) * 1.5, T.constant(np.int8(2)) + np.int8(3)])
    return f()


def program_values_are_equal_as_types_are():
    return [
        T.fmatrix() == T.fmatrix(),
        T.fmatrix == T.TensorType("float32", (False, False)),
        T.frow != T.fcol,
    ]


def program_of_verify_grad():
    T.verify_grad(lambda x: T.tanh(x).sum(), [np.array([0.5, -0.25])], rng=np.random.RandomState(0))
    return [True]


PROGRAMS = {name[len("program_") :]: f for name, f in list(globals().items()) if name.startswith("program_")}


def variables():
    """A variable for each of ``VALUES``."""
    known = {"r": (True, False), "c": (False, True)}
    return {
        name: T.TensorType(value.dtype.name, known.get(name, (False,) * value.ndim))(name)
        for name, value in VALUES.items()
    }


def build(expression, named):
    """Leaves of an expression's value: variables, and whatever else."""
    return flat(eval(expression, dict(globals(), **named)))


def flat(value):
    if isinstance(value, (list, tuple)):
        return list(itertools.chain.from_iterable(map(flat, value)))
    return [value]


def answers(expressions, together=(), mode=None):
    """What expressions give, or the error that they end in.

    Parameters
    ----------
    expressions : list of str
    together : set of str
        Those that may be compiled into one function, which takes less time.
    mode : str, optional
        For ``theano.function``.

    Returns
    -------
    dict
        Of each expression, a list of what :func:`describe` gives, or ``{"error": kinds}``, with the names of
        the exception's class and of its bases.
    """
    named = variables()
    found, built = {}, {}
    for expression in expressions:
        try:
            built[expression] = build(expression, named)
        except Exception as error:
            found[expression] = kinds(error)
    groups = [[e for e in built if e in together]] + [[e] for e in built if e not in together]
    while groups:
        group = groups.pop()
        leaves = [leaf for e in group for leaf in built[e]]
        symbolic = [leaf for leaf in leaves if isinstance(leaf, theano.Variable)]
        try:
            inputs = [named[n] for n in sorted(named)]
            values = [VALUES[n] for n in sorted(named)]
            f = theano.function(inputs, symbolic, mode=mode, on_unused_input="ignore")
            results = iter(f(*values))
        except Exception as error:
            if len(group) > 1:
                print(f"one by one, since together: {error!r:.300}", file=sys.stderr)
                groups += [[e] for e in group]
            else:
                found[group[0]] = kinds(error)
            continue
        for e in group:
            found[e] = [
                describe(next(results), leaf.type) if isinstance(leaf, theano.Variable) else describe(leaf)
                for leaf in built[e]
            ]
    return found


def answers_of_programs(names):
    """What programs give, as :func:`answers`."""
    found = {}
    for name in names:
        try:
            found[name] = [describe(r) for r in PROGRAMS[name]()]
        except Exception as error:
            found[name] = kinds(error)
    return found


def kinds(error):
    return {"error": [c.__name__ for c in type(error).__mro__[:-2]]}


def describe(value, declared=None):
    """An array as ``[dtype, broadcastable axes, shape, numbers]``, and anything else as text."""
    if not isinstance(value, (np.ndarray, np.generic)):
        return str(value)
    value = np.asarray(value)
    dtype = value.dtype.name
    if declared is not None and declared.dtype != dtype:
        dtype += " for " + declared.dtype
    numbers = value.ravel()
    if numbers.dtype.kind == "c":
        numbers = numbers.view(numbers.real.dtype)
    if numbers.dtype.kind == "f":
        numbers = [float(f"{n:.7g}") for n in numbers]
    else:
        numbers = [int(n) for n in numbers]
    axes = "".join("1" if b else "n" for b in declared.broadcastable) if declared is not None else ""
    return [dtype, axes, list(value.shape), numbers]


def difference(theirs, ours):
    """The difference between two answers, in words, or None."""
    if isinstance(theirs, dict) or isinstance(ours, dict):
        if isinstance(theirs, dict) and isinstance(ours, dict):
            same = theirs["error"][0] in ours["error"] or ours["error"][0] in theirs["error"]
            return None if same else "{} here, {} there".format(ours["error"][0], theirs["error"][0])
        return "{} here, {} there".format(
            *(a["error"][0] if isinstance(a, dict) else brief(a) for a in (ours, theirs))
        )
    if len(theirs) != len(ours):
        return f"{len(ours)} results here, {len(theirs)} there"
    for n, a in enumerate(theirs):
        b = ours[n]
        if isinstance(a, str) or isinstance(b, str):
            same = a == b
        else:
            same = a[:3] == b[:3] and all(map(close, a[3], b[3]))
        if not same:
            return f"{brief([b])} here, {brief([a])} there"
    return None


def brief(answer):
    return "; ".join(str(a)[:90] for a in answer)


def close(a, b):
    return a == b or (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=2e-5, abs_tol=2e-6)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("file", help="JSON file with the answers of Theano 1.0.5, written or compared with")
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--mode", help="for theano.function, as FAST_COMPILE")
    parser.add_argument("--only", default="", help="text in the expressions and programs to run")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    expressions = [e for e in dict.fromkeys(EXPRESSIONS) if options.only in e]
    names = [n for n in PROGRAMS if options.only in n]
    if not options.compare:
        found = dict(answers(expressions, mode=options.mode), **answers_of_programs(names))
        with open(options.file, "w") as file:
            file.write(
                "{\n" + ",\n".join(json.dumps(k) + ": " + json.dumps(v) for k, v in found.items()) + "\n}\n"
            )
        return
    with open(options.file) as file:
        theirs = json.load(file)
    together = {e for e in expressions if isinstance(theirs.get(e), list)}
    ours = dict(answers(expressions, together, options.mode), **answers_of_programs(names))
    differences = {e: difference(theirs[e], a) for e, a in ours.items() if e in theirs}
    for e, what in differences.items():
        if what:
            print(f"{e}: {what}")
    same = sum(d is None for d in differences.values())
    print(f"{same} of {len(differences)} programs give what Theano 1.0.5 gives")


if __name__ == "__main__":
    main()
