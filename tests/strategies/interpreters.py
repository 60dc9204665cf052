"""Interpreters of quantized models in exact fractions: plain loops over one sample, slow and clear."""

import itertools
from fractions import Fraction

import numpy as np

__all__ = ["Interpreter", "RealInterpreter"]


def unit(q):
    return Fraction(2) ** (q.int_bits - q.bits)


def rounded(x, q):
    """The integer nearest to an exact number, half to even, saturated."""
    limit = 2**q.bits - 1
    return max(-limit, min(limit, round(x / unit(q))))


def integers(array):
    """NumPy's integers as Python's."""
    return array.astype(object)


class Interpreter:
    """Runs records on one sample: the exact value of each formula, rounded once.

    An image is an array of Python integers, ``(channels, rows, columns)``, a vector ``(features,)``.
    """

    def unit_of_data(self, q):
        """What one unit of data of format ``q`` stands for."""
        return unit(q)

    def finish(self, x, q):
        """What becomes of an exact result whose format is ``q``."""
        return rounded(x, q)

    def run(self, model, image):
        """Output of each record."""
        outputs, values, q = [], image, None
        for record in model.layers:
            values = getattr(self, type(record).__name__)(record, values, q)
            q = getattr(record, "q_out", q)
            outputs.append(values)
        assert q == model.q_out
        return outputs

    def Quantize(self, record, x, q):
        return self.each(lambda i: self.finish(Fraction(float(x[i])), record.q_out), x.shape)

    def Flatten(self, record, n, q):
        return n.reshape(-1)

    def Rectify(self, record, n, q):
        return self.each(lambda i: max(n[i], 0), n.shape)

    def MaxPool(self, record, n, q):
        (ph, _), (pw, _) = record.window.pad
        rows, columns = (
            list(self.pooled(length, *axis, record.ignore_border))
            for length, axis in zip(n.shape[1:], self.axes(record.window), strict=True)
        )
        shape = (len(n), len(rows), len(columns))
        return self.each(lambda i: max(n[i[0], u, v] for u in rows[i[1]] for v in columns[i[2]]), shape)

    def Affine(self, record, n, q):
        assert record.q_in == q

        def value(i):
            x = n[i] * self.unit_of_data(q)
            return x * int(record.scale[i[0]]) * unit(record.q_scale) + int(record.b[i[0]]) * unit(record.q_b)

        return self.each(lambda i: self.finish(value(i), record.q_out), n.shape)

    def Linear(self, record, n, q):
        assert record.q_in == q

        def value(o, pairs):
            return sum(w * x for w, x in pairs) * unit(record.q_W) * self.unit_of_data(q)

        return self.filtered(record, n, integers(record.W), value)

    def XNOR(self, record, n, q):
        assert record.q_in == q

        def value(o, pairs):
            product = sum(w if x >= 0 else -w for w, x in pairs)
            sums = sum(abs(x) for _, x in pairs) * self.unit_of_data(q) if record.scale_inputs else 1
            scaled = product * int(record.alpha[o]) * unit(record.q_alpha)
            if record.scale_inputs and record.c is not None:
                scaled += int(record.c[o]) * unit(record.q_c)
            return scaled * sums

        return self.filtered(record, n, integers(record.B), value)

    def filtered(self, record, n, weights, value):
        """``value`` of each output and its pairs of a weight and an integer, plus the bias, rounded."""
        if record.window is None:
            n = n.reshape(-1)
            taps = {(): [((k,), (k,)) for k in range(n.size)]}
        else:
            rows, columns = (
                enumerate(self.slid(length, *axis))
                for length, axis in zip(n.shape[1:], self.axes(record.window), strict=True)
            )
            taps = {
                (y, x): [((c, i, j), (c, u, v)) for c in range(len(n)) for i, u in ys for j, v in xs]
                for (y, ys), (x, xs) in itertools.product(rows, columns)
            }

        def biased(index):
            o, *position = index
            pairs = [(weights[o][w], n[x]) for w, x in taps[tuple(position)]]
            b = 0
            if record.b is not None:
                b = int(record.b[index if record.b.ndim > 1 else o]) * unit(record.q_b)
            return self.finish(value(o, pairs) + b, record.q_out)

        lengths = [max(axis) + 1 for axis in zip(*taps, strict=True)]
        return self.each(biased, (len(weights), *lengths))

    @staticmethod
    def each(value, shape):
        out = np.empty(shape, object)
        for i in np.ndindex(*shape):
            out[i] = value(i)
        return out

    @staticmethod
    def axes(window):
        return zip(window.size, window.stride, window.pad, strict=True)

    @staticmethod
    def slid(length, size, stride, pad):
        """For each whole window on a padded axis: pairs of an index in it and one of the image."""
        before, after = pad
        for start in range(-before, length + after - size + 1, stride):
            yield [(i, start + i) for i in range(size) if 0 <= start + i < length]

    @staticmethod
    def pooled(length, size, stride, pad, ignore_border):
        """For each pooling window on an axis: the image's indices in it."""
        before, after = pad
        start, covered = -before, 0
        while start + size <= length + after:
            yield [k for k in range(start, start + size) if 0 <= k < length]
            start, covered = start + stride, start + size
        if not ignore_border and covered < length and start < length:
            yield list(range(start, length))


class RealInterpreter(Interpreter):
    """Runs the records on real numbers: data is fractions, which are never rounded."""

    def unit_of_data(self, q):
        return 1

    def finish(self, x, q):
        return x
