"""Products of bytes in the matrix registers of newer Xeons (Intel's AMX), for kernels.

A register holds 16 rows of 64 bytes. An instruction multiplies a register of 16 rows of 64 numbers by one of
64 rows of 16 numbers, in groups of four beneath each other, and adds the products to 16x16 sums of 32 bits. A
number of 16 bits is multiplied as two bytes: the upper is signed, the lower is not.

Linux lets a process use these registers once it has asked. Nothing here checks bounds.
"""

import ctypes
import platform
import sys
from functools import cache

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from xnornet.vectors import INT8, INT32, INT64, at, data_of, splat, store

__all__ = ["BYTES", "SIDE", "add_products", "available", "configure", "group_rows", "release", "round_rows"]

# Rows of a register, and the bytes of a row.
SIDE, BYTES = 16, 64

# Linux's call by which a process asks for the registers, on x86-64.
ARCH_PRCTL, REQUEST, REGISTERS = 158, 0x1023, 18

NUMBERS = ir.VectorType(INT32, SIDE)


@cache
def available():
    """Whether Numba compiles for a processor with these registers, and Linux lets this process use them."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    features = cpu_target.target_context.codegen().magic_tuple()[2].split(",")
    if not {"+amx-int8", "+avx512bw"} <= set(features):
        return False
    return ctypes.CDLL(None).syscall(ARCH_PRCTL, REQUEST, REGISTERS) == 0


def _call(builder, name, *values):
    signature = ir.FunctionType(ir.VoidType(), [value.type for value in values])
    builder.call(cgutils.get_or_insert_function(builder.module, signature, f"llvm.x86.{name}"), values)


def _register(i):
    return ir.Constant(INT8, i)


@intrinsic
def configure(typing_context):
    """Set all eight registers of this thread to their full size, until :func:`release`."""
    shapes = bytearray(64)
    shapes[0] = 1
    for i in range(8):
        shapes[16 + 2 * i], shapes[48 + i] = BYTES, SIDE

    def generate(context, builder, signature, arguments):
        constant = ir.Constant(ir.ArrayType(INT8, len(shapes)), shapes)
        pointer = cgutils.alloca_once_value(builder, constant)
        _call(builder, "ldtilecfg", builder.bitcast(pointer, INT8.as_pointer()))
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def release(typing_context):
    """End the use of the registers in this thread."""

    def generate(context, builder, signature, arguments):
        _call(builder, "tilerelease")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def add_products(
    typing_context,
    high,
    low,
    first,
    apart,
    w,
    w_first,
    w_apart,
    shape,
    strides,
    scale,
    sums,
    sums_first,
    sums_apart,
):
    """Add ``scale`` times products of 16 rows of 16-bit numbers and 32 columns of bytes to ``sums``.

    Parameters
    ----------
    high, low : int8 array
        The numbers' bytes; the lower are read as unsigned.
    first, apart : int
        First number in these flat arrays, and the distance of rows.
    w : int8 array
        Columns, ``SIDE`` beside each other, in groups of four rows: registers of 1,024 bytes.
    w_first, w_apart : int
        First byte of the flat ``w``, and the distance of the second 16 columns.
    shape : tuple of int
        ``(outer, inner, length)``: a row consists of ``outer * inner`` runs of ``length * BYTES`` numbers. A
        sum of products is to fit in 32 bits.
    strides : tuple of int
        Distances of runs in the outer and in the inner loop, in the numbers and then in ``w``.
    scale : float32
    sums : float32 array
        32 sums of each row, at the flat ``sums_first`` and every ``sums_apart`` from there.
    sums_first, sums_apart : int
    """

    def generate(context, builder, signature, arguments):
        high, low, w, sums = (data_of(context, builder, signature, arguments, i) for i in (0, 1, 4, 10))
        first, apart, w_first, w_apart = (arguments[i] for i in (2, 3, 5, 6))
        outer, inner, length = cgutils.unpack_tuple(builder, arguments[7])
        strides = cgutils.unpack_tuple(builder, arguments[8])
        row = INT64(BYTES)

        def load(register, pointer, place, distance):
            _call(builder, "tileloadd64", _register(register), at(builder, pointer, INT8, place), distance)

        def place_of(begin, a, b, k, outer_stride, inner_stride, size):
            """Where a run's part lies."""
            for index, stride in ((a, outer_stride), (b, inner_stride), (k, INT64(size))):
                begin = builder.add(begin, builder.mul(index, stride))
            return begin

        for i in range(4):
            _call(builder, "tilezero", _register(i))
        with (
            cgutils.for_range(builder, outer) as a,
            cgutils.for_range(builder, inner) as b,
            cgutils.for_range(builder, length) as k,
        ):
            indices = a.index, b.index, k.index
            place = place_of(first, *indices, *strides[:2], BYTES)
            w_place = place_of(w_first, *indices, *strides[2:], SIDE * BYTES)
            load(4, high, place, apart)
            load(6, w, w_place, row)
            _call(builder, "tdpbssd", *map(_register, (0, 4, 6)))
            load(5, low, place, apart)
            _call(builder, "tdpbusd", *map(_register, (1, 5, 6)))
            load(7, w, builder.add(w_place, w_apart), row)
            _call(builder, "tdpbssd", *map(_register, (2, 4, 7)))
            _call(builder, "tdpbusd", *map(_register, (3, 5, 7)))
        stored = cgutils.alloca_once(builder, NUMBERS, 4 * SIDE)
        for i in range(4):
            pointer = builder.bitcast(at(builder, stored, NUMBERS, INT64(i * SIDE)), INT8.as_pointer())
            _call(builder, "tilestored64", _register(i), pointer, row)
        real = ir.VectorType(ir.FloatType(), SIDE)
        factor = splat(builder, arguments[9], SIDE)
        with cgutils.for_range(builder, INT64(SIDE)) as r:
            to = builder.add(arguments[11], builder.mul(r.index, arguments[12]))
            for half in range(2):
                upper, lower = (
                    builder.load(
                        at(builder, stored, NUMBERS, builder.add(r.index, INT64((2 * half + i) * SIDE))),
                        typ=NUMBERS,
                    )
                    for i in range(2)
                )
                total = builder.add(builder.shl(upper, _all(8)), lower)
                pointer = at(builder, sums, real.element, builder.add(to, INT64(half * SIDE)))
                scaled = builder.fmul(builder.sitofp(total, real), factor)
                before = builder.load(pointer, typ=real, align=4)
                store(builder, builder.fadd(before, scaled), pointer)
        return context.get_dummy_value()

    integer = types.intp
    kinds = high, low, integer, integer, w, integer, integer, types.UniTuple(integer, 3)
    kinds += types.UniTuple(integer, 4), types.float32, sums, integer, integer
    return types.void(*kinds), generate


@intrinsic
def group_rows(typing_context, x, first, apart, to, to_first, to_apart):
    """Write four rows of 64 bytes as four blocks of 16 columns, in which a column's four bytes are adjacent.

    Parameters
    ----------
    x, to : int8 array
    first, apart : int
        First byte of the first row in the flat ``x``, and the distance of rows.
    to_first, to_apart : int
        Where the first block begins, and the distance of blocks.
    """

    def generate(context, builder, signature, arguments):
        x, to = (data_of(context, builder, signature, arguments, i) for i in (0, 3))
        bytes_ = ir.VectorType(INT8, BYTES)
        rows = [
            builder.load(
                at(builder, x, INT8, builder.add(arguments[1], builder.mul(arguments[2], INT64(i)))),
                typ=bytes_,
                align=1,
            )
            for i in range(4)
        ]

        def interleave(a, b, width):
            """Both halves of numbers of ``width`` bytes, in turns from ``a`` and ``b``."""
            kind = ir.VectorType(ir.IntType(8 * width), BYTES // width)
            a, b = (builder.bitcast(v, kind) for v in (a, b))
            for half in range(2):
                lanes = range(half * kind.count // 2, (half + 1) * kind.count // 2)
                order = [place for lane in lanes for place in (lane, lane + kind.count)]
                yield builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(INT32, kind.count), order))

        pairs = zip(interleave(*rows[:2], 1), interleave(*rows[2:], 1), strict=True)
        blocks = [block for a, b in pairs for block in interleave(a, b, 2)]
        for i, block in enumerate(blocks):
            place = builder.add(arguments[4], builder.mul(arguments[5], INT64(i)))
            store(builder, block, at(builder, to, INT8, place), align=1)
        return context.get_dummy_value()

    integer = types.intp
    return types.void(x, integer, integer, to, integer, integer), generate


@intrinsic
def round_rows(typing_context, x, first, apart, scale, high, low, place):
    """Round four rows of 16 numbers; a column's four upper bytes become adjacent, and its lower bytes.

    Parameters
    ----------
    x : float32 array
    first, apart : int
        First number of the first row in the flat ``x``, and the distance of rows.
    scale : float32
        Numbers are multiplied by it and rounded to the nearest of 16 bits; NaN gives 0.
    high, low : int32 array
        16 words of four bytes, at the flat ``place``.
    place : int
    """

    def generate(context, builder, signature, arguments):
        x, high, low = (data_of(context, builder, signature, arguments, i) for i in (0, 4, 5))
        real = ir.VectorType(ir.FloatType(), SIDE)
        rint = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(real, [real]), f"llvm.rint.v{SIDE}f32"
        )
        factor = splat(builder, arguments[3], SIDE)
        words = [ir.Constant(NUMBERS, None)] * 2
        for i in range(4):
            pointer = at(
                builder, x, real.element, builder.add(arguments[1], builder.mul(arguments[2], INT64(i)))
            )
            nearest = builder.call(rint, [builder.fmul(builder.load(pointer, typ=real, align=4), factor)])
            is_number = builder.fcmp_ordered("ord", nearest, nearest)
            nearest = builder.select(is_number, nearest, ir.Constant(real, None))
            number = builder.fptosi(nearest, NUMBERS)
            for k, shift in enumerate((8, 0)):
                byte = builder.and_(builder.ashr(number, _all(shift)), _all(255))
                words[k] = builder.or_(words[k], builder.shl(byte, _all(8 * i)))
        for word, pointer in zip(words, (high, low), strict=True):
            store(builder, word, at(builder, pointer, INT32, arguments[6]))
        return context.get_dummy_value()

    integer = types.intp
    return types.void(x, integer, integer, types.float32, high, low, integer), generate


def _all(value):
    return ir.Constant(NUMBERS, [value] * SIDE)
