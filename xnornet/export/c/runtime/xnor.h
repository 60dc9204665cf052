/* Kernels of exported XNOR-Nets: C99, integers only, no heap, no library but <stdint.h> and <string.h>.
 *
 * An image in the arena is rows x columns pixels of some channels, channels last. As numbers it is an array of
 * int16_t. As signs it is a stream of bits without gaps, 1 for a number of at least 0: the sign of number i is bit
 * i % 32 of word i / 32, and bits behind the last are 0. Nothing depends on the order of bytes.
 *
 * Each result is the exact value of its formula, rounded once, half to even.
 */
#ifndef XNOR_H
#define XNOR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct xnor_shape {
    int32_t rows, columns, channels;
};

/* A window that moves over an image; [0] is of rows, [1] of columns. */
struct xnor_window {
    int32_t size[2], stride[2], pad[2], dilation[2];
};

/* n becomes min(max(round(n / 2**shift), low), high); no n reaches 2**31 where `narrow`. */
struct xnor_rounding {
    int32_t shift, low, high, narrow;
};

/* A layer with weights: a convolution, or a dense layer, whose window is its whole input.
 *
 * Binary:  p = sum(sign(I) * B) over the taps on the image,   from signs
 * Real:    p = sum(I * W),                                    from numbers
 *
 * It gives signs, p >= t, where `t16`, `t32` or `t64` is there, and else numbers,
 * ((p * alpha + c * 2**c_shift) * S + b * 2**b_shift), rounded. S is the sum of |I| over the taps on the image
 * where `scaled`, else 1. Then the largest of each window of `pool` is taken, and the signs of `flips` are turned.
 */
struct xnor_filter {
    struct xnor_shape in;
    struct xnor_window window;
    struct xnor_shape grid; /* where the window stands; channels: the filters */
    struct xnor_window pool;
    struct xnor_shape out;
    int32_t groups;         /* of channels, filtered apart */
    int32_t length;         /* of a filter in the arrays below: words of signs, or numbers */
    int32_t direct;         /* what a window meets lies in one piece in the input */
    int32_t borders[2];     /* positions beside the left and the right border whose corrections are kept */
    const uint32_t *signs;  /* B, a filter after the other, rows, columns and channels of each; or */
    const int16_t *weights; /* W, likewise */
    const int16_t *t16;
    const int32_t *t32;
    const int64_t *t64;     /* of products that need 64 bits */
    const uint32_t *flips;
    const int16_t *alpha, *c, *b;
    int32_t c_shift, b_shift;
    int32_t wide;           /* the product needs 64 bits */
    int32_t scaled;
    int32_t b_each;         /* b has a number for each pixel of the grid and filter, and not for each filter */
    struct xnor_rounding rounding;
};

/* Where the numbers of an image are taken from, or put to: number (i, j, k) of `count` at
 * offset + i * steps[0] + j * steps[1] + k * steps[2]. */
struct xnor_place {
    int32_t offset, steps[3];
};

/* `scratch` has a window of int16_t, or two of signs, each a whole number of words, and for each of `borders` an int16_t
 * for each filter of a group. */
void xnor_filter(const struct xnor_filter *f, const void *x, const int16_t *magnitudes, void *y, void *scratch);

/* Pixels by a table of what each of their 256 values becomes. */
void xnor_quantize(const int16_t *table, int32_t count, const uint8_t *pixels, int16_t *y);

/* Signs of numbers: I >= t for each channel, turned where `flips` says so. */
void xnor_pack(const struct xnor_shape *in, const int16_t *t, const uint32_t *flips, const int16_t *x, uint32_t *y);

/* The largest number, or sign, of each window; signs are turned afterwards where `flips` says so. */
void xnor_max_pool(const struct xnor_shape *in, const struct xnor_window *pool, const struct xnor_shape *out,
                   const int16_t *x, int16_t *y);
void xnor_max_pool_signs(const struct xnor_shape *in, const struct xnor_window *pool, const struct xnor_shape *out,
                         const uint32_t *flips, const uint32_t *x, uint32_t *y);

/* sum(I) * factor over each window; one factor, or one for each pixel of the output. */
void xnor_average_pool(const struct xnor_shape *in, const struct xnor_window *pool, const struct xnor_shape *out,
                       const int16_t *factors, int32_t factor_each, const struct xnor_rounding *rounding,
                       const int16_t *x, int16_t *y);

/* I * scale + b * 2**b_shift, one of each for every channel. x and y may be the same. */
void xnor_affine(const struct xnor_shape *in, const int16_t *scale, const int16_t *b, int32_t b_shift,
                 const struct xnor_rounding *rounding, const int16_t *x, int16_t *y);

/* I * positive where I >= 0, else I * negative. x and y may be the same. */
void xnor_pointwise(int32_t count, int64_t positive, int64_t negative, const struct xnor_rounding *rounding,
                    const int16_t *x, int16_t *y);

/* Sum of inputs, each times its factor. */
void xnor_add(int32_t count, int32_t inputs, const int64_t *factors, const struct xnor_rounding *rounding,
              const int16_t *const *x, int16_t *y);

/* Copy numbers, or signs, from places to places. */
void xnor_move(const int32_t *count, const struct xnor_place *from, const struct xnor_place *to, const int16_t *x,
               int16_t *y);
void xnor_move_signs(const int32_t *count, const struct xnor_place *from, const struct xnor_place *to,
                     const uint32_t *x, uint32_t *y);

/* Set numbers to 0, and signs to that of 0, which is 1, or to nothing, which is 0. */
void xnor_zero(int32_t count, int16_t *y);
void xnor_zero_signs(int32_t count, int32_t sign, uint32_t *y);

/* Numbers as scores, channels first. */
void xnor_scores(const struct xnor_shape *in, const int16_t *x, int64_t *scores);

/* The first of the largest scores. */
int xnor_largest(int32_t count, const int64_t *scores);

#ifdef __cplusplus
}
#endif

#endif
