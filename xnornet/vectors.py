"""Register tiles and bit masks in LLVM's vectors, for kernels: what Numba's loops do not vectorize well.

A tile is the inner loop of a matrix product: a few rows of the input against ``BLOCK`` outputs, whose weights
lie beside each other, so that one vector holds as many outputs and no sum across a vector is ever needed.
How much of a tile is summed up at a time, and by which instructions, depends on the processor. The sums do
not: they are exact integers.

Nothing here checks bounds; who calls has laid out the arrays.
"""

import re
from contextlib import contextmanager
from functools import cache, reduce
from typing import NamedTuple

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

__all__ = [
    "ALIGNED",
    "BLOCK",
    "PAIR_BLOCK",
    "TILE",
    "copy_64",
    "fence",
    "instruction_set",
    "pack_at_most",
    "pack_nonnegative",
    "pack_positive",
    "pair_16",
    "pair_tile",
    "scale_64",
    "stream_64",
    "sum_64",
    "tile",
]

# Bytes that an address has to be a multiple of to be stored to past the caches.
ALIGNED = 64

# Outputs of a tile, and of a tile of pairs.
BLOCK = 32
PAIR_BLOCK = 64

# Rows of the input that the kernels give to a tile, where they have as many.
TILE = 4

# Words whose differing bits a byte holds, each of them 8 at the most.
WORDS_OF_BYTES = 30

# Words of a row from which on it pays to count their bits in bytes.
LONG = 16

INT8, INT16, INT32, INT64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))


class _Processor(NamedTuple):
    """What the code of tiles depends on.

    Attributes
    ----------
    name : str
        Of the instruction set.
    bits, registers : int
        Size and number of the registers for vectors.
    counts_words : bool
        Whether one instruction counts the bits of each word of a vector.
    sum_bytes : str or None
        LLVM's name for x86's ``psadbw`` on such vectors.
    """

    name: str
    bits: int
    registers: int
    counts_words: bool = False
    sum_bytes: str | None = None

    @property
    def multiplies_pairs(self):
        """Whether it has x86's instructions."""
        return self.sum_bytes is not None


# LLVM's names for x86's ``pmaddwd``, by the bits of the vectors.
MULTIPLY_PAIRS = {
    128: "llvm.x86.sse2.pmadd.wd",
    256: "llvm.x86.avx2.pmadd.wd",
    512: "llvm.x86.avx512.pmaddw.d.512",
}


# Functions whose machine code shows what LLVM may use.
ADD = """define <{n} x i8> @add(<{n} x i8> %x, <{n} x i8> %y) {{
  %sum = add <{n} x i8> %x, %y
  ret <{n} x i8> %sum
}}"""
COUNT = """declare <8 x i64> @llvm.ctpop.v8i64(<8 x i64>)
define <8 x i64> @count(<8 x i64> %x) {
  %bits = call <8 x i64> @llvm.ctpop.v8i64(<8 x i64> %x)
  ret <8 x i64> %bits
}"""
MULTIPLY = """declare <8 x i32> @llvm.x86.avx2.pmadd.wd(<16 x i16>, <16 x i16>)
define <8 x i32> @multiply(<8 x i32> %sum, <16 x i16> %x, <16 x i16> %y) {
  %product = call <8 x i32> @llvm.x86.avx2.pmadd.wd(<16 x i16> %x, <16 x i16> %y)
  %next = add <8 x i32> %sum, %product
  ret <8 x i32> %next
}"""


@cache
def _processor():
    """The processor that Numba compiles for; its settings may ask for less than there is.

    What Numba compiles for is private to it, as of version 0.68, and so is what a name stands for to LLVM.
    """
    triple, cpu, features = cpu_target.target_context.codegen().magic_tuple()
    architecture = triple.partition("-")[0]
    if architecture != "x86_64":
        arm = architecture in ("aarch64", "arm64")
        return _Processor("NEON" if arm else architecture, 128, 32 if arm else 16)
    machine = binding.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features)

    def emits(instruction, text):
        module = binding.parse_assembly(f'target triple = "{triple}"\n{text}')
        return re.search(instruction, machine.emit_assembly(module)) is not None

    if not emits(r"vpaddb\s.*ymm", ADD.format(n=32)):
        return _Processor("SSE2", 128, 16, False, "llvm.x86.sse2.psad.bw")
    vnni = " VNNI" * emits("vpdpwssd", MULTIPLY)
    if not emits(r"vpaddb\s.*zmm", ADD.format(n=64)):
        return _Processor("AVX2" + vnni, 256, 16, False, "llvm.x86.avx2.psad.bw")
    counts = emits("vpopcntq", COUNT)
    return _Processor("AVX-512" + vnni, 512, 32, counts, "llvm.x86.avx512.psad.bw.512")


def instruction_set():
    """Name of the instruction set that kernels are compiled for."""
    return _processor().name


@intrinsic
def tile(typing_context, x, firsts, runs, length, apart, w, w_first, sums, sums_first, sums_apart):
    """Sums over the elements of a few rows of the input and of a block of weights.

    The type of the arrays decides what is summed: differing bits of uint64 words as int32, or products of
    int16 numbers as int32 or int64. Those are summed by pairs: the weights of two numbers beside each other
    are one int32. The last pair of a run of odd length is its last two numbers, the first with a weight of 0.

    Parameters
    ----------
    x : uint64 or int16 array
    firsts : tuple of int
        First element of each row in the flat ``x``.
    runs, apart : int, or pair of int
        A row consists of ``runs`` runs, which begin ``apart`` elements from each other; pairs: of two levels.
    length : int
        Elements of a run: at least one, or two numbers.
    w : uint64 or int32 array
        ``BLOCK`` weights for each element, or pair, of a row, beginning at the flat ``w_first``.
    w_first : int
    sums : int32 or int64 array
        ``BLOCK`` sums of each row, at the flat ``sums_first`` and every ``sums_apart`` from there.
    sums_first, sums_apart : int
    """
    written = ir.IntType(sums.dtype.bitwidth)
    counted, registers = x.dtype == types.uint64, _processor().registers
    in_bytes = counted and not _processor().counts_words
    kind = _vectors(INT64 if counted else written)
    step = _count_differences if counted else _multiply_add_pairs
    counts = runs

    def generate(context, builder, signature, arguments):
        x, w, sums = (data_of(context, builder, signature, arguments, i) for i in (0, 5, 7))
        firsts = cgutils.unpack_tuple(builder, arguments[1])
        runs, length, apart = arguments[2:5]
        if isinstance(counts, types.BaseTuple):
            runs, apart = (cgutils.unpack_tuple(builder, pair) for pair in (runs, apart))
        else:
            runs, apart = [runs], [apart]
        operands = _Operands(builder, INT64 if counted else INT32, kind, x, w, arguments[6], BLOCK)
        operands.lie(runs, length, apart, pairs=not counted)

        def write(total, place):
            total = total if kind.element == written else builder.trunc(total, _like(kind, written))
            place = builder.add(place, arguments[8])
            store(builder, total, at(builder, sums, written, place))

        def add_up(rows, place, count):
            return _add_up(operands, rows, place, count, step)

        def count_in_bytes(rows, place, count):
            return [_count_in_bytes(operands, row, place, count) for row in rows]

        if in_bytes:
            words = reduce(builder.mul, runs, length)
            with builder.if_else(builder.icmp_signed("<", words, INT64(LONG))) as (short, long):
                with short:
                    _by_parts(operands, firsts, arguments[9], (1, registers // 2), add_up, write)
                with long:
                    _by_parts(operands, firsts, arguments[9], (1, registers // 4), count_in_bytes, write)
        else:
            _by_parts(operands, firsts, arguments[9], (TILE, registers // 8), add_up, write)
        return context.get_dummy_value()

    integer = types.intp
    return types.void(x, firsts, runs, integer, apart, w, integer, sums, integer, integer), generate


@intrinsic
def pair_tile(typing_context, x, firsts, step, shape, w, w_first, scale, sums, sums_first, sums_apart):
    """Add ``scale`` times sums of products of pairs, of a few rows of the input and ``PAIR_BLOCK`` outputs.

    An element is two int16 in an int32; the product of two elements is the sum of both numbers' products.

    Parameters
    ----------
    x : int32 array
    firsts : tuple of int
        First element of each row in the flat ``x``.
    step : int
        From one element of a row to the next.
    shape : tuple of int
        ``(outer, inner, length, outer_apart, inner_apart)``: a row consists of ``outer * inner`` runs of
        ``length`` elements, at least one of each; they begin ``outer_apart`` elements from each other in the
        outer loop, and ``inner_apart`` in the inner.
    w : int32 array
        ``PAIR_BLOCK`` elements for each element of a row, beginning at the flat ``w_first``.
    w_first : int
    scale : float32
    sums : float32 array
        ``PAIR_BLOCK`` sums of each row, at the flat ``sums_first`` and every ``sums_apart`` from there.
    sums_first, sums_apart : int
    """
    kind = _vectors(INT32)
    real = _like(kind, ir.FloatType())

    def generate(context, builder, signature, arguments):
        x, w, sums = (data_of(context, builder, signature, arguments, i) for i in (0, 4, 7))
        firsts, shape = (cgutils.unpack_tuple(builder, arguments[i]) for i in (1, 3))
        outer, inner, length, *apart = shape
        operands = _Operands(builder, INT32, kind, x, w, arguments[5], PAIR_BLOCK)
        operands.lie([outer, inner], length, apart, step=arguments[2])
        scale = splat(builder, arguments[6], kind.count)

        def add_up(rows, place, count):
            return _add_up(operands, rows, place, count, _multiply_add_pairs)

        def write(total, place):
            pointer = at(builder, sums, real.element, builder.add(place, arguments[8]))
            scaled = builder.fmul(builder.sitofp(total, real), scale)
            before = builder.load(pointer, typ=real, align=4)
            store(builder, builder.fadd(before, scaled), pointer)

        at_once = TILE, _processor().registers // 8
        _by_parts(operands, firsts, arguments[9], at_once, add_up, write)
        return context.get_dummy_value()

    integer = types.intp
    shape = types.UniTuple(integer, 5)
    return types.void(x, firsts, integer, shape, w, integer, types.float32, sums, integer, integer), generate


class _Operands:
    """What a tile multiplies, as code that loads it.

    Parameters
    ----------
    builder : IRBuilder
    element : Type
        Of both arrays, but that ``x`` may be of halves of it.
    kind : VectorType
        Of sums: as many weights are loaded at once.
    x, w : pointer
    w_first : value
    outputs : int
    """

    def __init__(self, builder, element, kind, x, w, w_first, outputs):
        self.builder, self.element, self.kind = builder, element, kind
        self.x, self.w, self.outputs = x, at(builder, w, element, w_first), outputs

    def lie(self, runs, length, apart, step=None, pairs=False):
        """Say how elements lie in a row.

        Parameters
        ----------
        runs, apart : list of values
            How many runs there are, and the distance of two runs' beginnings in ``x``; in one or two loops.
        length : value
            Of a run.
        step : value, optional
            From one element of ``x`` to the next, if that is not 1.
        pairs : bool
            ``x`` is of halves of elements, two of which are loaded at once; the length counts them.
        """
        builder = self.builder
        self.runs, self.apart, self.step, self.last = runs, apart, step or INT64(1), None
        self.length, self.counted = length, ir.IntType(self.element.width // (2 if pairs else 1))
        if pairs:
            self.length = builder.lshr(builder.add(length, INT64(1)), INT64(1))
            self.step, self.last = INT64(2), builder.sub(length, INT64(2))

    @contextmanager
    def each_run(self):
        """A loop over runs: where a run begins in its row, and which of the row's weights is its first.

        Runs in nested loops are one loop to the processor, which has the sums of tiles in its registers.
        """
        builder, zero = self.builder, INT64(0)
        inner, apart = self.runs[-1], self.apart[-1]
        place, number = (cgutils.alloca_once_value(builder, zero) for _ in range(2))
        # From the last run of an inner loop to the first of the next.
        back = apart
        if len(self.runs) > 1:
            back = builder.sub(self.apart[0], builder.mul(builder.sub(inner, INT64(1)), apart))
        with cgutils.for_range(builder, reduce(builder.mul, self.runs)) as loop:
            begin, k = builder.load(place), builder.add(builder.load(number), INT64(1))
            yield begin, builder.mul(loop.index, self.length)
            is_last = builder.icmp_signed("==", k, inner)
            builder.store(builder.select(is_last, zero, k), number)
            builder.store(builder.add(begin, builder.select(is_last, back, apart)), place)

    def input(self, first, k):
        """An element of the run that begins there."""
        builder, place = self.builder, self.builder.mul(k, self.step)
        if self.last is not None:
            place = builder.select(builder.icmp_signed("<", place, self.last), place, self.last)
        pointer = at(builder, self.x, self.counted, builder.add(first, place))
        return builder.load(pointer, typ=self.element, align=self.counted.width // 8)

    def weights(self, place, number, count):
        """Vectors of an element's weights for outputs from ``place`` on."""
        builder, lanes = self.builder, self.kind.count
        pointer = at(
            builder, self.w, self.element, builder.add(builder.mul(number, INT64(self.outputs)), place)
        )
        pointers = [at(builder, pointer, self.element, INT64(v * lanes)) for v in range(count)]
        return [builder.load(p, typ=_like(self.kind, self.element), align=2) for p in pointers]


def _vectors(element):
    """Vectors as long as registers."""
    return ir.VectorType(element, _processor().bits // element.width)


def _like(kind, element):
    return ir.VectorType(element, kind.count)


def data_of(context, builder, signature, arguments, i):
    return context.make_array(signature.args[i])(context, builder, arguments[i]).data


def store(builder, vector, pointer, align=4):
    # llvmlite up to 0.50 compares a pointer's type, which LLVM no longer has, with the value's.
    builder.store(vector, builder.bitcast(pointer, vector.type.as_pointer()), align=align)


def at(builder, pointer, element, place):
    return builder.gep(pointer, [place], source_etype=element)


def _by_parts(operands, firsts, apart, at_once, add_up, write):
    """Add up and write as many sums at once as registers hold.

    Parameters
    ----------
    operands : _Operands
    firsts : list of values
        Where rows begin.
    apart : value
        Distance of two rows' sums.
    at_once : pair of int
        Rows, and vectors of outputs, at the most.
    add_up : function
        From rows, the first output and the number of vectors to a list of vectors for each row.
    write : function
        Takes a vector, and where it begins.
    """
    builder, lanes = operands.builder, operands.kind.count
    rows_at_once, count = at_once[0], min(at_once[1], operands.outputs // lanes)

    def part(rows, row, place):
        for r, vectors in enumerate(add_up(rows, place, count)):
            begin = builder.add(builder.mul(apart, builder.add(row, INT64(r))), place)
            for v, total in enumerate(vectors):
                write(total, builder.add(begin, INT64(v * lanes)))

    def outputs(rows, row):
        if count * lanes == operands.outputs:
            part(rows, row, INT64(0))
        else:
            with cgutils.for_range(builder, INT64(operands.outputs // lanes // count)) as loop:
                part(rows, row, builder.mul(loop.index, INT64(count * lanes)))

    if len(firsts) <= rows_at_once:
        outputs(firsts, INT64(0))
    else:
        array = cgutils.pack_array(builder, firsts)
        pointer = cgutils.alloca_once_value(builder, array)
        with cgutils.for_range(builder, INT64(len(firsts))) as loop:
            first = builder.load(at(builder, pointer, INT64, loop.index), typ=INT64)
            outputs([first], loop.index)


def _add_up(operands, rows, place, count, step):
    """Sums of a part of a tile, a list of vectors for each row; ``step`` adds an element's product to one."""
    builder = operands.builder
    zero = ir.Constant(operands.kind, None)
    sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(count)] for _ in rows]
    with operands.each_run() as (begin, first), cgutils.for_range(builder, operands.length) as k:
        weights = operands.weights(place, builder.add(first, k.index), count)
        for row, line in zip(rows, sums, strict=True):
            x = operands.input(builder.add(row, begin), k.index)
            for total, w in zip(line, weights, strict=True):
                builder.store(step(builder, builder.load(total), x, w), total)
    return [[builder.load(total) for total in line] for line in sums]


def _count_in_bytes(operands, row, place, count):
    """Numbers of differing bits of a part of a row, first counted in bytes.

    Where x86 counts the bits of a byte by six instructions, two words and the bits that were left over before
    them become one word of bits that count twice, and a word of bits that are left over (a carry-save adder).
    """
    builder, kind = operands.builder, operands.kind
    carry = _processor().sum_bytes is not None
    each = 1 + carry
    zero, none = ir.Constant(kind, None), ir.Constant(_bytes_of(kind), None)
    sums, counts, rest = (
        [cgutils.alloca_once_value(builder, value) for _ in range(count)] for value in (zero, none, zero)
    )

    def differences(run, k):
        begin, first = run
        x = splat(builder, operands.input(builder.add(row, begin), k), kind.count)
        return [builder.xor(x, w) for w in operands.weights(place, builder.add(first, k), count)]

    def count_bits(words):
        for total, word in zip(counts, words, strict=True):
            builder.store(builder.add(builder.load(total), _count_bytes(builder, word)), total)

    def add_two(run, k):
        words = []
        for left, a, b in zip(
            rest, differences(run, k), differences(run, builder.add(k, INT64(1))), strict=True
        ):
            either = builder.xor(a, b)
            before = builder.load(left)
            words.append(builder.or_(builder.and_(a, b), builder.and_(either, before)))
            builder.store(builder.xor(either, before), left)
        count_bits(words)

    def add_one(run, k):
        words = differences(run, k)
        if carry:
            before = [builder.load(left) for left in rest]
            for left, value, word in zip(rest, before, words, strict=True):
                builder.store(builder.xor(value, word), left)
            words = [builder.and_(value, word) for value, word in zip(before, words, strict=True)]
        count_bits(words)

    limit = INT64(each * WORDS_OF_BYTES)
    with operands.each_run() as run:
        with cgutils.for_range_slice(builder, INT64(0), operands.length, limit) as (first, _):
            left_over = builder.sub(operands.length, first)
            whole = builder.select(builder.icmp_signed("<", left_over, limit), left_over, limit)
            if carry:
                with cgutils.for_range(builder, builder.lshr(whole, INT64(1))) as pair:
                    add_two(run, builder.add(first, builder.shl(pair.index, INT64(1))))
                with builder.if_then(builder.trunc(whole, ir.IntType(1))):
                    add_one(run, builder.sub(builder.add(first, whole), INT64(1)))
            else:
                with cgutils.for_range(builder, whole) as k:
                    add_one(run, builder.add(first, k.index))
            for total, bytes_ in zip(sums, counts, strict=True):
                builder.store(
                    builder.add(builder.load(total), _sum_bytes(builder, builder.load(bytes_), kind)), total
                )
                builder.store(none, bytes_)
    totals = [builder.load(total) for total in sums]
    if carry:
        left = [_sum_bytes(builder, _count_bytes(builder, builder.load(word)), kind) for word in rest]
        totals = [
            builder.add(builder.add(total, total), last) for total, last in zip(totals, left, strict=True)
        ]
    return totals


def _bytes_of(kind):
    return ir.VectorType(INT8, 8 * kind.count)


def _count_bytes(builder, words):
    """Numbers of bits of each byte."""
    kind = _bytes_of(words.type)
    return _call(builder, f"llvm.ctpop.v{kind.count}i8", kind, builder.bitcast(words, kind))


def _sum_bytes(builder, numbers, kind):
    """Sum of the bytes of each word."""
    if name := _processor().sum_bytes:
        return _call(builder, name, kind, numbers, ir.Constant(numbers.type, None))
    total = builder.bitcast(numbers, kind)
    # Neighbours meet in 16 bits, which hold the sums of all.
    mask = _constant(kind, 0x00FF00FF00FF00FF)
    total = builder.add(
        builder.and_(total, mask), builder.and_(builder.lshr(total, _constant(kind, 8)), mask)
    )
    for distance in (32, 16):
        total = builder.add(total, builder.lshr(total, _constant(kind, distance)))
    return builder.and_(total, _constant(kind, 0xFFFF))


def _constant(kind, value):
    return ir.Constant(kind, [value] * kind.count)


def _call(builder, name, result, *values):
    signature = ir.FunctionType(result, [value.type for value in values])
    return builder.call(cgutils.get_or_insert_function(builder.module, signature, name), values)


def splat(builder, value, lanes):
    """A vector of ``lanes`` times the value."""
    undefined = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    single = builder.insert_element(undefined, value, INT32(0))
    return builder.shuffle_vector(single, undefined, ir.Constant(ir.VectorType(INT32, lanes), [0] * lanes))


def _count_differences(builder, total, signs, weights):
    kind = total.type
    differing = builder.xor(splat(builder, signs, kind.count), weights)
    return builder.add(total, _call(builder, f"llvm.ctpop.v{kind.count}i64", kind, differing))


def _multiply_add_pairs(builder, total, x, weights):
    """Sums of products of pairs added to sums of 32 bits, or 64: two products are below ``2**31``."""
    kind = weights.type
    bits = kind.count * kind.element.width
    if _processor().multiplies_pairs and bits in MULTIPLY_PAIRS:
        numbers = ir.VectorType(INT16, 2 * kind.count)
        pairs = [builder.bitcast(v, numbers) for v in (splat(builder, x, kind.count), weights)]
        product = _call(builder, MULTIPLY_PAIRS[bits], kind, *pairs)
        return builder.add(total, builder.sext(product, total.type))
    for half in (_low, _high):
        product = builder.mul(splat(builder, half(builder, x), kind.count), half(builder, weights))
        total = builder.add(total, builder.sext(product, total.type))
    return total


def _low(builder, pairs):
    sixteen = _sixteen(pairs)
    return builder.ashr(builder.shl(pairs, sixteen), sixteen)


def _high(builder, pairs):
    return builder.ashr(pairs, _sixteen(pairs))


def _sixteen(pairs):
    return INT32(16) if pairs.type == INT32 else _constant(pairs.type, 16)


@intrinsic
def pack_nonnegative(typing_context, n, first):
    """``n >= 0`` for 64 int16 from the flat ``first`` on, as bits of a word, the first number's lowest."""

    def generate(context, builder, signature, arguments):
        numbers = _load(context, builder, signature.args[0], *arguments)
        return builder.bitcast(builder.icmp_signed(">=", numbers, ir.Constant(numbers.type, [0] * 64)), INT64)

    return types.uint64(n, types.intp), generate


@intrinsic
def pack_positive(typing_context, n, first):
    """``n > 0`` for 64 int8, as :func:`pack_nonnegative`."""

    def generate(context, builder, signature, arguments):
        numbers = _load(context, builder, signature.args[0], *arguments, align=1)
        return builder.bitcast(builder.icmp_signed(">", numbers, ir.Constant(numbers.type, [0] * 64)), INT64)

    return types.uint64(n, types.intp), generate


@intrinsic
def pack_at_most(typing_context, n, first, limits, limits_first):
    """``n <= limits`` for 64 int32 of each, as the bits of a word, the first pair's lowest."""

    def generate(context, builder, signature, arguments):
        numbers = _load(context, builder, signature.args[0], *arguments[:2])
        bounds = _load(context, builder, signature.args[2], *arguments[2:])
        return builder.bitcast(builder.icmp_signed("<=", numbers, bounds), INT64)

    return types.uint64(n, types.intp, limits, types.intp), generate


def _load(context, builder, kind, array, first, count=64, align=2):
    """Numbers of an array, from a flat place on."""
    data = context.make_array(kind)(context, builder, array).data
    element = ir.IntType(kind.dtype.bitwidth)
    pointer = at(builder, data, element, first)
    return builder.load(pointer, typ=ir.VectorType(element, count), align=align)


@intrinsic
def pair_16(typing_context, low, low_first, high, high_first, to, to_first):
    """16 int8 of each, from flat places on, as the halves of 16 int32."""

    def generate(context, builder, signature, arguments):
        kinds, wide = signature.args, ir.VectorType(INT32, 16)
        halves = (_load(context, builder, kinds[i], *arguments[i : i + 2], 16, 1) for i in (0, 2))
        lows, highs = (builder.sext(half, wide) for half in halves)
        lows = builder.and_(lows, _constant(wide, 0xFFFF))
        pairs = builder.or_(lows, builder.shl(highs, _sixteen(highs)))
        _store(context, builder, kinds[4], *arguments[4:], pairs)
        return context.get_dummy_value()

    return types.void(low, types.intp, high, types.intp, to, types.intp), generate


@intrinsic
def copy_64(typing_context, n, first, to, to_first):
    """Copy 64 numbers from one flat place to another.

    This and what follows is what Numba's loops do, which begin by looking whether arrays overlap: for so few
    numbers that takes longer than the rest.
    """

    def generate(context, builder, signature, arguments):
        numbers = _load(context, builder, signature.args[0], *arguments[:2])
        _store(context, builder, signature.args[2], *arguments[2:], numbers)
        return context.get_dummy_value()

    return types.void(n, types.intp, to, types.intp), generate


@intrinsic
def stream_64(typing_context, n, first, to, to_first):
    """:func:`copy_64` to a place whose address is a multiple of ``ALIGNED``, past the caches.

    What is not read again soon so costs one passage to memory, where a usual store first reads what it
    overwrites. Other threads see it after :func:`fence`.
    """

    def generate(context, builder, signature, arguments):
        numbers = _load(context, builder, signature.args[0], *arguments[:2])
        once = builder.module.add_metadata([INT32(1)])
        store = _store(context, builder, signature.args[2], *arguments[2:], numbers, align=ALIGNED)
        store.set_metadata("nontemporal", once)
        return context.get_dummy_value()

    return types.void(n, types.intp, to, types.intp), generate


@intrinsic
def fence(typing_context):
    """Let other threads see what was stored before, past the caches too."""

    def generate(context, builder, signature, arguments):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def scale_64(typing_context, n, first, scale, b, place, shift, low, high):
    """``n = clip(round_half_even((n * scale + b) * 2**-shift), low, high)`` for 64 numbers.

    Parameters
    ----------
    n : int16 array
        From the flat ``first`` on.
    scale, b : int32 or int64 array
        From the flat ``place`` on. No product with its offset, and half a unit, is beyond their bits.
    shift, low, high : int
    """

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        a, offset = (_load(context, builder, kinds[i], arguments[i], arguments[4]) for i in (2, 3))
        numbers = builder.sext(_load(context, builder, kinds[0], *arguments[:2]), a.type)
        total = builder.add(builder.mul(numbers, a), offset)
        _store(context, builder, kinds[0], *arguments[:2], _rounded(builder, total, *arguments[5:]))
        return context.get_dummy_value()

    integer = types.intp
    return types.void(n, integer, scale, b, integer, integer, integer, integer), generate


@intrinsic
def sum_64(typing_context, n, first, other, place, factors, shift, low, high):
    """As :func:`scale_64`, ``n * factors[0] + other * factors[1]`` before it is rounded.

    Parameters
    ----------
    n : int16 array
        From the flat ``first`` on.
    other : int16 or int64 array
        From the flat ``place`` on.
    factors : int32 or int64 array
        No sum of products, and half a unit, is beyond its bits.
    shift, low, high : int
    """

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        kind = ir.VectorType(ir.IntType(kinds[4].dtype.bitwidth), 64)
        data = context.make_array(kinds[4])(context, builder, arguments[4]).data
        total = ir.Constant(kind, None)
        for i in (0, 1):
            factor = builder.load(at(builder, data, kind.element, INT64(i)), typ=kind.element)
            numbers = _load(context, builder, kinds[2 * i], *arguments[2 * i : 2 * i + 2])
            product = builder.mul(builder.sext(numbers, kind), splat(builder, factor, 64))
            total = builder.add(total, product)
        _store(context, builder, kinds[0], *arguments[:2], _rounded(builder, total, *arguments[5:]))
        return context.get_dummy_value()

    integer = types.intp
    return types.void(n, integer, other, integer, factors, integer, integer, integer), generate


def _rounded(builder, n, shift, low, high):
    """``clip(round_half_even(n * 2**-shift), low, high)`` of a vector, for integers of 64 bits."""
    element = n.type.element
    zero, one = INT64(0), INT64(1)
    is_shifted = builder.icmp_signed(">", shift, zero)
    before = builder.select(is_shifted, builder.sub(shift, one), zero)
    half = builder.sub(builder.shl(one, before), one)
    odd = builder.select(is_shifted, one, zero)
    half, odd, shift, low, high = (
        splat(builder, v if v.type == element else builder.trunc(v, element), 64)
        for v in (half, odd, shift, low, high)
    )
    odd = builder.and_(builder.ashr(n, shift), odd)
    n = builder.ashr(builder.add(builder.add(n, half), odd), shift)
    n = builder.select(builder.icmp_signed("<", n, low), low, n)
    return builder.select(builder.icmp_signed(">", n, high), high, n)


def _store(context, builder, kind, array, first, numbers, align=2):
    data = context.make_array(kind)(context, builder, array).data
    element = ir.IntType(kind.dtype.bitwidth)
    pointer = at(builder, data, element, first)
    if numbers.type.element != element:
        numbers = builder.trunc(numbers, ir.VectorType(element, numbers.type.count))
    return builder.store(numbers, builder.bitcast(pointer, numbers.type.as_pointer()), align=align)
