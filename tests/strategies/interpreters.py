"""Interpreters of graphs in exact fractions: plain loops over one sample, slow and clear."""

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
    """Runs a graph on one sample: the exact value of each formula, rounded once.

    An image is an array of Python integers, ``(channels, rows, columns)``, a vector ``(features,)``.
    """

    def unit_of_data(self, q):
        """What one unit of data of format ``q`` stands for."""
        return unit(q)

    def finish(self, x, q):
        """What becomes of an exact result whose format is ``q``."""
        return rounded(x, q)

    def run(self, graph, image):
        """Output of each node."""
        outputs, formats = [], []
        for node in graph.nodes:
            operation, name = node.operation, type(node.operation).__name__
            self.operation = operation
            q = [formats[k] for k in node.inputs]
            values = [outputs[k] for k in node.inputs] or [image]
            if name in ("Add", "Concatenate"):
                outputs.append(getattr(self, name)(operation, values, q))
            else:
                outputs.append(getattr(self, name)(operation, *values, q[0] if q else None))
            formats.append(getattr(operation, "q_out", q[0] if q else None))
        assert formats[-1] == graph.q_out
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

    def AveragePool(self, operation, n, q):
        assert operation.q_in == q
        (ph, _), (pw, _) = operation.window.pad
        rows, columns = (
            list(self.pooled(length, *axis, operation.ignore_border))
            for length, axis in zip(n.shape[1:], self.axes(operation.window), strict=True)
        )
        factor = np.broadcast_to(operation.factor, (len(rows), len(columns)))

        def value(c, y, x):
            total = sum(n[c, u, v] for u in rows[y] for v in columns[x]) * self.unit_of_data(q)
            return self.finish(total * int(factor[y, x]) * unit(operation.q_factor), operation.q_out)

        return self.each(lambda i: value(*i), (len(n), len(rows), len(columns)))

    def Clip(self, operation, n, q):
        low, high = (int(limit) * (unit(q) / self.unit_of_data(q)) for limit in operation.limits)
        return self.each(lambda i: min(max(n[i], low), high), n.shape)

    def LeakyRectify(self, operation, n, q):
        assert operation.q_in == q
        slope = int(operation.slope[0]) * unit(operation.q_slope)

        def value(x):
            return self.finish((x if x >= 0 else x * slope) * self.unit_of_data(q), operation.q_out)

        return self.each(lambda i: value(n[i]), n.shape)

    def Add(self, operation, values, formats):
        coefficients = [int(c) * unit(operation.q_coefficients) for c in operation.coefficients]

        def value(i):
            terms = zip(values, formats, coefficients, strict=True)
            return self.finish(sum(n[i] * self.unit_of_data(q) * c for n, q, c in terms), operation.q_out)

        return self.each(value, values[0].shape)

    def Concatenate(self, operation, values, formats):
        assert len(set(formats)) == 1
        return np.array([plane for n in values for plane in n], object)

    def Requantize(self, operation, n, q):
        assert operation.q_in == q
        return self.each(lambda i: self.finish(n[i] * self.unit_of_data(q), operation.q_out), n.shape)

    def Reshape(self, operation, n, q):
        return n.reshape(operation.lengths)

    def Slice(self, operation, n, q):
        picked = range(operation.start, operation.stop, operation.step)
        return np.take(n, list(picked), axis=operation.axis)

    def Pad(self, operation, n, q):
        shape = [b + k + a for b, k, a in zip(operation.before, n.shape, operation.after, strict=True)]

        def value(i):
            place = tuple(k - b for k, b in zip(i, operation.before, strict=True))
            return n[place] if all(0 <= k < m for k, m in zip(place, n.shape, strict=True)) else 0

        return self.each(value, shape)

    def Upscale(self, operation, n, q):
        rows, columns = operation.scale

        def value(c, y, x):
            first = y % rows == x % columns == 0
            return n[c, y // rows, x // columns] if operation.repeat or first else 0

        return self.each(lambda i: value(*i), (len(n), n.shape[1] * rows, n.shape[2] * columns))

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
            return product * int(record.alpha[o]) * unit(record.q_alpha) * sums

        return self.filtered(record, n, integers(record.B), value)

    def ScaledBias(self, record, n, q):
        assert record.q_in == q
        n = n.reshape(-1)
        sums = sum(abs(x) for x in n) * self.unit_of_data(q)

        def value(o):
            product = sum(int(w) if x >= 0 else -int(w) for w, x in zip(record.B[o], n, strict=True))
            scaled = product * int(record.alpha[o]) * unit(record.q_alpha)
            return self.finish((scaled + int(record.b[o]) * unit(record.q_b)) * sums, record.q_out)

        return self.each(lambda i: value(*i), (len(record.B),))

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
                (y, x): [
                    ((c, i, j), (c, u, v)) for c in range(weights.shape[1]) for i, u in ys for j, v in xs
                ]
                for (y, ys), (x, xs) in itertools.product(rows, columns)
            }

        def biased(index):
            o, *position = index
            # The first channel of the group that the output is of.
            first = o // (len(weights) // record.groups) * weights.shape[1]
            pairs = [(weights[o][w], n[(first + x[0], *x[1:])]) for w, x in taps[tuple(position)]]
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
        return zip(window.size, window.stride, window.pad, window.dilation, strict=True)

    @staticmethod
    def slid(length, size, stride, pad, dilation):
        """For each whole window on a padded axis: pairs of an index in it and one of the image."""
        before, after = pad
        for start in range(-before, length + after - (size - 1) * dilation, stride):
            taps = ((i, start + i * dilation) for i in range(size))
            yield [(i, place) for i, place in taps if 0 <= place < length]

    @staticmethod
    def pooled(length, size, stride, pad, dilation, ignore_border):
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
