"""Rounding to few bits: at random, up or down, so that it is right in the mean, and to bfloat16."""

import jax
import jax.numpy as jnp
import numpy as np

from xnornet.ops.kernels import SMALLEST

__all__ = ["round_at_random", "round_to_bfloat16"]

# Largest whole number that a real one is rounded to.
LEVELS = 127


def round_at_random(g):
    """Round to multiples of a step of which the largest magnitude has 127: a sign and 7 bits.

    A number between two of them becomes the upper one with the probability that leaves its mean as it is
    (stochastic rounding: Gupta et al., arXiv 1502.02551). Chance comes from a hash of the number and its
    place, so nothing is kept between steps, and a run that is repeated rounds alike.

    Parameters
    ----------
    g : float32 array

    Returns
    -------
    float32 array of the same shape
        Not a number everywhere, if not all are finite.
    """
    largest = jnp.abs(g).max(initial=0)
    step = largest / LEVELS
    levels = jnp.floor(g / step + _uniform(g))
    # The largest may be a last bit above its level.
    rounded = jnp.clip(levels, -LEVELS, LEVELS) * step
    return jnp.where(largest < SMALLEST, 0, rounded)


def _uniform(g):
    """Numbers in [0, 1), by the 32-bit mixer of MurmurHash3 (A. Appleby, public domain)."""
    place = jax.lax.iota(jnp.uint32, g.size).reshape(g.shape)
    bits = jax.lax.bitcast_convert_type(g, jnp.uint32) ^ place * np.uint32(0x9E3779B9)
    bits = (bits ^ bits >> 16) * np.uint32(0x85EBCA6B)
    bits = (bits ^ bits >> 13) * np.uint32(0xC2B2AE35)
    return ((bits ^ bits >> 16) >> 8).astype(jnp.float32) * np.float32(2.0**-24)


def round_to_bfloat16(x):
    """Round float32 to the 8 bits of bfloat16, and leave it float32.

    Not by conversions there and back, which XLA may leave out.
    """
    return jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=7)
