"""Random graphs of every operation, with branches, groups, dilation and odd shapes, and images for them."""

import numpy as np
from hypothesis import strategies as st

from xnornet.graph import (
    XNOR,
    Add,
    Affine,
    AveragePool,
    Clip,
    Concatenate,
    Flatten,
    Formats,
    Graph,
    LeakyRectify,
    Linear,
    MaxPool,
    Node,
    Pad,
    Quantize,
    Rectify,
    Reshape,
    ScaledBias,
    Signs,
    Slice,
    Upscale,
    Window,
)
from xnornet.quantization import quantize

__all__ = ["draw_graph", "draw_model", "draw_quantized", "formats"]

NO_PAD = ((0, 0), (0, 0))
small = st.integers(1, 3)
SHORT = st.integers(2, 6)

formats = st.builds(
    Formats,
    st.sampled_from([7, 1, 15]),
    st.sampled_from([15, 3, 8]),
    st.sampled_from([15, 2, 8]),
)


class Builder:
    """A graph in the making, its nodes' shapes, and numbers for its parameters."""

    def __init__(self, draw, shape, channels, exponents):
        self.draw, self.channels, self.exponents = draw, channels, exponents
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32)))
        self.input_shape, self.nodes, self.shapes = shape, [Node(Quantize())], [shape]

    def put(self, operation, *inputs):
        """Add a node, on the last one if nothing else is said; returns its number."""
        inputs = inputs or (len(self.nodes) - 1,)
        self.nodes.append(Node(operation, inputs))
        self.shapes.append(operation.shape(*(self.shapes[k] for k in inputs)))
        return len(self.nodes) - 1

    def numbers(self, *shape):
        return self.rng.uniform(-1, 1, shape) * 2.0 ** self.draw(st.sampled_from(self.exponents))

    def signs(self, *shape):
        return Signs.pack(self.rng.choice([-1, 1], shape).astype(np.int8))

    def window(self, shape, keep=False):
        """A convolution's window, one that keeps rows and columns if it should."""
        size, dilation, pads = [], [], []
        for n in shape[1:]:
            k, d = self.draw(st.integers(1, 3)), self.draw(st.sampled_from([1, 1, 2]))
            extent = (k - 1) * d + 1
            if keep:
                pads.append((extent // 2, (extent - 1) // 2))
            else:
                before, after = self.draw(st.integers(0, 2)), self.draw(st.integers(0, 2))
                pads.append((before, max(after, extent - n - before)))
            size.append(k)
            dilation.append(d)
        stride = (1, 1) if keep else self.draw(st.tuples(*[st.sampled_from([1, 1, 2, 3])] * 2))
        return Window(tuple(size), stride, tuple(pads), tuple(dilation))

    def filter(self, source=None, keep=False, outputs=None, binary=None):
        source = len(self.nodes) - 1 if source is None else source
        shape, draw = self.shapes[source], self.draw
        binary = draw(st.booleans()) if binary is None else binary
        dense = len(shape) != 3 or (not keep and draw(st.integers(0, 5)) == 0)
        outputs = outputs or draw(self.channels)
        window, groups = None, 1
        if not dense:
            window = self.window(shape, keep)
            common = [g for g in range(1, shape[0] + 1) if shape[0] % g == 0 and outputs % g == 0]
            groups = draw(st.sampled_from([1, *common]))
        weights = (outputs, int(np.prod(shape))) if dense else (outputs, shape[0] // groups, *window.size)
        grid = () if dense else window.grid(shape[1:])
        b = draw(st.sampled_from(["none", "tied", "untied"]))
        b = None if b == "none" else self.numbers(outputs, *(grid if b == "untied" else ()))
        if not binary:
            return self.put(Linear(self.numbers(*weights), None, b, None, window, None, None, groups), source)
        alpha, signs = abs(self.numbers(outputs)), self.signs(*weights)
        if dense and draw(st.integers(0, 2)) == 0:
            return self.put(ScaledBias(signs, alpha, None, self.numbers(outputs), None, None, None), source)
        operation = XNOR(signs, alpha, None, b, None, draw(st.booleans()), window, None, None, groups)
        return self.put(operation, source)

    def plain_filter(self):
        """A filter without groups or dilation."""
        self.filter()
        node = self.nodes[-1]
        window = node.operation.window
        if node.operation.groups > 1 or (window and window.dilation != (1, 1)):
            self.nodes.pop()
            self.shapes.pop()

    def pool(self):
        shape, draw = self.shapes[-1], self.draw
        size = tuple(draw(st.integers(1, min(3, n))) for n in shape[1:])
        whole = draw(st.booleans())
        pads = tuple((draw(st.integers(0, k - 1)), draw(st.integers(0, k - 1))) for k in size)
        window = Window(size, draw(st.tuples(small, small)), pads if whole else NO_PAD)
        if draw(st.booleans()):
            return self.put(MaxPool(window, whole))
        return self.put(AveragePool.of(window, whole, shape[1:], draw(st.booleans())))

    def affine(self):
        channels = self.shapes[-1][0]
        scale = self.numbers(channels)
        scale[self.rng.random(channels) < 0.1] = 0
        return self.put(Affine(scale, None, self.numbers(channels), None, None, None))

    def pointwise(self):
        low, high = sorted(self.numbers(2))
        slope = abs(self.numbers(1)) if self.draw(st.booleans()) else -abs(self.numbers(1))
        return self.put(
            self.draw(st.sampled_from([Rectify(), Clip(np.array([low, high])), LeakyRectify(slope)]))
        )

    def add(self):
        """The sum of the last node, others of its shape, and perhaps itself again."""
        last = len(self.nodes) - 1
        alike = [k for k, shape in enumerate(self.shapes) if shape == self.shapes[-1] and k]
        others = self.draw(st.lists(st.sampled_from(alike or [last]), min_size=1, max_size=2))
        count = len(others) + 1
        coefficients = np.ones(count) if self.draw(st.booleans()) else self.numbers(count)
        return self.put(Add(coefficients), last, *others)

    def residual(self):
        """The sum of a filter's output and of its input."""
        last = len(self.nodes) - 1
        shape = self.shapes[last]
        if len(shape) == 2:
            return self.affine()
        found = self.filter(last, keep=len(shape) == 3, outputs=shape[0])
        return self.put(Add(np.ones(2)), last, found)

    def concatenate(self):
        last = len(self.nodes) - 1
        if len(self.shapes[last]) != 3:
            return self.put(Concatenate(), last, last)
        branches = [self.filter(last, keep=True) for _ in range(self.draw(st.integers(1, 2)))]
        return self.put(Concatenate(), *branches, last)

    def move(self):
        shape, draw = self.shapes[-1], self.draw
        axis = draw(st.integers(0, len(shape) - 1))
        start = draw(st.integers(0, shape[axis] - 1))
        choices = [Slice(axis, start, draw(st.integers(start + 1, shape[axis])), draw(small))]
        widths = [tuple(draw(st.integers(0, 2)) for _ in shape) for _ in range(2)]
        choices += [Pad(*widths), Reshape(shape[::-1]), Flatten()]
        if len(shape) == 3:
            choices += [Upscale(draw(st.tuples(st.integers(1, 2), st.integers(1, 2))), draw(st.booleans()))]
        return self.put(draw(st.sampled_from(choices)))

    def step(self):
        image = len(self.shapes[-1]) == 3
        kinds = [self.affine, self.affine, self.pointwise, self.add, self.concatenate, self.move]
        kinds += [self.filter, self.filter, self.residual, self.residual]
        kinds += [self.pool] * 2 * image
        if len(self.shapes[-1]) == 2:
            kinds = [self.move, self.pointwise, self.filter]
        self.draw(st.sampled_from(kinds))()


@st.composite
def draw_graph(draw, channels=small, lengths=SHORT, steps=6, exponents=(0,)):
    """A graph of real parameters, and images that cover the range of its input."""
    shape = (draw(channels), draw(lengths), draw(lengths))
    builder = Builder(draw, shape, channels, exponents)
    for _ in range(draw(st.integers(1, steps))):
        if np.prod(builder.shapes[-1]) > 3000:
            break
        builder.step()
    if draw(st.booleans()):
        builder.filter()
    images = builder.rng.integers(-300, 301, (draw(st.integers(1, 3)), *shape)) / 256
    return Graph(shape, tuple(builder.nodes)), images.astype("float32")


@st.composite
def draw_quantized(draw, **options):
    """A graph in integers, whose data may saturate, and images. Nothing is compiled."""
    graph, images = draw(draw_graph(**options))
    share = np.float32(draw(st.sampled_from([1, 1, 0.3])))
    values = graph.evaluate(lambda operation, *x: operation.real(np, *x), images * share)
    magnitudes = [float(np.abs(v).max()) for v in values]
    return quantize(graph, None, draw(st.just(Formats()) | formats), magnitudes=magnitudes), images


EXPONENTS = (-20, -3, 0, 0, 0, 3, 12)


@st.composite
def draw_model(draw, branches=True):
    """A graph in integers: magnitudes are drawn, not measured."""
    graph, _ = draw(draw_graph(exponents=EXPONENTS) if branches else draw_chain())
    count = len(graph.nodes)
    magnitudes = draw(st.lists(st.floats(0, 2**30), min_size=count, max_size=count))
    return quantize(graph, None, draw(st.just(Formats()) | formats), magnitudes=magnitudes)


@st.composite
def draw_chain(draw):
    """Of the operations that packed files of version 1 may hold."""
    builder = Builder(draw, (draw(small), draw(SHORT), draw(SHORT)), small, EXPONENTS)
    for _ in range(draw(st.integers(1, 4))):
        shape = builder.shapes[-1]
        if len(shape) == 3:
            window = Window((1, min(2, shape[2])), (1, 1), NO_PAD)
            kinds = [MaxPool(window, True), Rectify(), Flatten()]
            builder.put(draw(st.sampled_from(kinds)))
        draw(st.sampled_from([builder.plain_filter, builder.affine]))()
    return Graph(builder.input_shape, tuple(builder.nodes)), None
