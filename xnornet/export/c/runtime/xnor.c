/* Kernels of exported XNOR-Nets; xnor.h says what they compute. */
#include "xnor.h"

#include <string.h>

/* Filters at a time: as many as a word has signs. */
#define BLOCK 32

/* Windows at a time, so that each weight is loaded once for all of them. */
#define WINDOWS 2

static int32_t smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* Rounded half to even. No number here reaches 2**62, and none below 0 is shifted to the right: how that ends is
 * the compiler's choice in C. */
static int16_t rounded(int64_t n, const struct xnor_rounding *rounding)
{
    const uint64_t zero = (uint64_t)1 << 62;
    int32_t shift = rounding->shift;
    if (shift > 62) {
        n = 0;
    } else if (shift > 0) {
        uint64_t moved = (uint64_t)n + zero, whole = moved >> shift;
        uint64_t rest = moved - (whole << shift), odd = (whole - (zero >> shift)) & 1;
        n = (int64_t)whole - (int64_t)(zero >> shift) + (rest + odd > (uint64_t)1 << (shift - 1));
    }
    return (int16_t)(n < rounding->low ? rounding->low : n > rounding->high ? rounding->high : n);
}

static int64_t shifted(int16_t n, int32_t shift)
{
    return (int64_t)n * ((int64_t)1 << shift);
}

/* ---- bits ---------------------------------------------------------------------------------------------------- */

static uint32_t low_bits(int32_t count)
{
    return count >= 32 ? 0xffffffffu : ((uint32_t)1 << count) - 1;
}

/* Up to 32 bits from a place in a stream. */
static uint32_t get_bits(const uint32_t *x, int32_t from, int32_t count)
{
    int32_t word = from >> 5, skipped = from & 31;
    uint32_t bits = x[word] >> skipped;
    if (skipped + count > 32)
        bits |= x[word + 1] << (32 - skipped);
    return bits & low_bits(count);
}

/* Turn those of up to 32 bits of a stream that are set in `bits`. */
static void turn_bits(uint32_t *y, int32_t to, uint32_t bits, int32_t count)
{
    int32_t word = to >> 5, skipped = to & 31;
    y[word] ^= bits << skipped;
    if (skipped + count > 32)
        y[word + 1] ^= bits >> (32 - skipped);
}

/* Set those of up to 32 bits of a stream that are set in `bits`. */
static void set_bits(uint32_t *y, int32_t to, uint32_t bits, int32_t count)
{
    int32_t word = to >> 5, skipped = to & 31;
    y[word] |= bits << skipped;
    if (skipped + count > 32)
        y[word + 1] |= bits >> (32 - skipped);
}

/* Copy bits to where all are 0; without x, ones. */
static void copy_bits(uint32_t *y, int32_t to, const uint32_t *x, int32_t from, int32_t count)
{
    if (x && ((to | from | count) & 31) == 0) {
        memcpy(y + (to >> 5), x + (from >> 5), (size_t)count / 8);
        return;
    }
    while (count > 0) {
        int32_t now = smaller(count, 32);
        set_bits(y, to, x ? get_bits(x, from, now) : low_bits(now), now);
        to += now;
        from += now;
        count -= now;
    }
}

static int32_t words(int32_t bits)
{
    return (bits + 31) >> 5;
}

/* Turn the signs of a map where its channel's flip says so. */
static void turn_channels(const struct xnor_shape *shape, const uint32_t *flips, uint32_t *y)
{
    int32_t pixel, k;
    for (pixel = 0; flips && pixel < shape->rows * shape->columns; pixel++)
        for (k = 0; k < shape->channels; k += 32)
            turn_bits(y, pixel * shape->channels + k, flips[k >> 5], smaller(32, shape->channels - k));
}

/* ---- counts of differing signs ------------------------------------------------------------------------------- */

static uint32_t popcount(uint32_t n)
{
    n -= (n >> 1) & 0x55555555u;
    n = (n & 0x33333333u) + ((n >> 2) & 0x33333333u);
    n = (n + (n >> 4)) & 0x0f0f0f0fu;
    return (n * 0x01010101u) >> 24;
}

static int32_t differences(const uint32_t *x, const uint32_t *w, const uint32_t *mask, int32_t length)
{
    uint32_t count = 0;
    int32_t i;
    for (i = 0; i < length; i++)
        count += popcount((x[i] ^ w[i]) & (mask ? mask[i] : 0xffffffffu));
    return (int32_t)count;
}

/* ---- layers with weights ------------------------------------------------------------------------------------- */

/* A place of the window, and what it meets there. */
struct meeting {
    const void *x;        /* signs or numbers, of the filters' length */
    const uint32_t *mask; /* signs that are on the image, or null where all are */
    int32_t taps;         /* numbers on the image */
    int32_t pixel, out;   /* of the grid and of the output */
    int64_t sum;          /* S */
};

/* Taps of an axis that are on the image: from `first` to before `last`. */
static void taps_on_image(const struct xnor_window *window, int axis, int32_t length, int32_t start, int32_t *first,
                          int32_t *last)
{
    int32_t dilation = window->dilation[axis];
    *first = start < 0 ? (-start + dilation - 1) / dilation : 0;
    *last = start < length ? smaller(window->size[axis], (length - 1 - start) / dilation + 1) : 0;
    *last = larger(*first, *last);
}

/* Collect what a window meets in one piece, with zeros where it meets no image. */
static void meet(const struct xnor_filter *f, const void *x, const int16_t *magnitudes, int32_t group, int32_t row,
                 int32_t column, uint32_t *scratch, struct meeting *m)
{
    const struct xnor_window *window = &f->window;
    int32_t columns = f->in.columns, channels = f->in.channels, own = channels / f->groups;
    int32_t top = row * window->stride[0] - window->pad[0], left = column * window->stride[1] - window->pad[1];
    int32_t first_row, last_row, first, last, i, j, k;
    int32_t binary = f->signs != 0, size = binary ? f->length : (f->length + 1) / 2;
    uint32_t *mask = scratch + size;
    taps_on_image(window, 0, f->in.rows, top, &first_row, &last_row);
    taps_on_image(window, 1, columns, left, &first, &last);
    m->taps = (last_row - first_row) * (last - first) * own;
    m->mask = 0;
    m->sum = 1;
    if (f->scaled) {
        m->sum = 0;
        for (i = first_row; i < last_row; i++)
            for (j = first; j < last; j++) {
                int32_t at = (top + i * window->dilation[0]) * columns + left + j * window->dilation[1];
                const int16_t *n = magnitudes + at * channels + group * own;
                for (k = 0; k < own; k++)
                    m->sum += n[k] < 0 ? -n[k] : n[k];
            }
    }
    if (f->direct) {
        int32_t at = (top * columns + left) * channels;
        m->x = binary ? (const void *)((const uint32_t *)x + (at >> 5)) : (const void *)((const int16_t *)x + at);
        return;
    }
    memset(scratch, 0, sizeof(uint32_t) * (size_t)size);
    m->x = scratch;
    if (binary && m->taps < window->size[0] * window->size[1] * own) {
        memset(mask, 0, sizeof(uint32_t) * (size_t)size);
        m->mask = mask;
    }
    for (i = first_row; i < last_row; i++) {
        /* Taps that are neighbours are copied together. */
        int32_t together = f->groups == 1 && window->dilation[1] == 1 ? last - first : 1;
        for (j = first; j < last; j += together) {
            int32_t at = (top + i * window->dilation[0]) * columns + left + j * window->dilation[1];
            int32_t from = at * channels + group * own, to = (i * window->size[1] + j) * own;
            if (binary) {
                copy_bits(scratch, to, (const uint32_t *)x, from, together * own);
                if (m->mask)
                    copy_bits(mask, to, 0, 0, together * own);
            } else {
                memcpy((int16_t *)scratch + to, (const int16_t *)x + from,
                       sizeof(int16_t) * (size_t)(together * own));
            }
        }
    }
}

static int32_t dot(const int16_t *x, const int16_t *w, int32_t length)
{
    int32_t sum = 0, i;
    for (i = 0; i < length; i++)
        sum += (int32_t)x[i] * w[i];
    return sum;
}

static int64_t wide_dot(const int16_t *x, const int16_t *w, int32_t length)
{
    int64_t sum = 0;
    int32_t i;
    for (i = 0; i < length; i++)
        sum += (int32_t)x[i] * w[i];
    return sum;
}

/* The product of a window and filter k. */
static int64_t product(const struct xnor_filter *f, const struct meeting *m, int32_t k)
{
    if (f->signs)
        return m->taps - 2 * differences((const uint32_t *)m->x, f->signs + k * f->length, m->mask, f->length);
    if (f->wide)
        return wide_dot((const int16_t *)m->x, f->weights + k * f->length, f->length);
    return dot((const int16_t *)m->x, f->weights + k * f->length, f->length);
}

static int64_t threshold(const struct xnor_filter *f, int32_t i)
{
    return f->t16 ? f->t16[i] : f->t32 ? f->t32[i] : f->t64[i];
}

static int16_t number(const struct xnor_filter *f, const struct meeting *m, int32_t k, int64_t p)
{
    if (f->alpha)
        p *= f->alpha[k];
    if (f->c)
        p += shifted(f->c[k], f->c_shift);
    p *= m->sum;
    if (f->b)
        p += shifted(f->b[f->b_each ? m->pixel * f->grid.channels + k : k], f->b_shift);
    return rounded(p, &f->rounding);
}

/* Filters of a group on what a window meets. */
static void filter_window(const struct xnor_filter *f, const struct meeting *m, int32_t group, void *y)
{
    int32_t filters = f->grid.channels / f->groups, k = group * filters, end = k + filters, i;
    int32_t gives_signs = f->t16 || f->t32 || f->t64;
    while (k < end) {
        int32_t count = smaller(BLOCK, end - k);
        uint32_t bits = 0;
        for (i = 0; i < count; i++) {
            int64_t p = product(f, m, k + i);
            if (gives_signs) {
                int64_t t = threshold(f, f->t_each ? m->pixel * f->grid.channels + k + i : k + i);
                bits |= (uint32_t)(p >= t) << i;
            } else {
                int16_t *place = (int16_t *)y + m->out * f->grid.channels + k + i, n = number(f, m, k + i, p);
                *place = n > *place ? n : *place;
            }
        }
        if (gives_signs)
            set_bits((uint32_t *)y, m->out * f->grid.channels + k, bits, count);
        k += count;
    }
}

void xnor_filter(const struct xnor_filter *f, const void *x, const int16_t *magnitudes, void *y, void *scratch)
{
    const struct xnor_window *pool = &f->pool;
    int32_t total = f->out.rows * f->out.columns * f->out.channels, group, row, column, i, j;
    if (f->t16 || f->t32 || f->t64)
        memset(y, 0, sizeof(uint32_t) * (size_t)words(total));
    else
        for (i = 0; i < total; i++)
            ((int16_t *)y)[i] = -32768;
    for (group = 0; group < f->groups; group++)
        for (row = 0; row < f->out.rows; row++)
            for (column = 0; column < f->out.columns; column++)
                for (i = 0; i < pool->size[0]; i++)
                    for (j = 0; j < pool->size[1]; j++) {
                        int32_t r = row * pool->stride[0] - pool->pad[0] + i;
                        int32_t c = column * pool->stride[1] - pool->pad[1] + j;
                        struct meeting m;
                        if (r < 0 || c < 0 || r >= f->grid.rows || c >= f->grid.columns)
                            continue;
                        m.pixel = r * f->grid.columns + c;
                        m.out = row * f->out.columns + column;
                        meet(f, x, magnitudes, group, r, c, (uint32_t *)scratch, &m);
                        filter_window(f, &m, group, y);
                    }
    turn_channels(&f->out, f->flips, (uint32_t *)y);
}

/* ---- the other layers ---------------------------------------------------------------------------------------- */

void xnor_quantize(const int16_t *table, int32_t count, const uint8_t *pixels, int16_t *y)
{
    int32_t i;
    for (i = 0; i < count; i++)
        y[i] = table[pixels[i]];
}

void xnor_pack(const struct xnor_shape *in, const int16_t *t, const uint32_t *flips, const int16_t *x, uint32_t *y)
{
    int32_t pixels = in->rows * in->columns, channels = in->channels, pixel, k;
    memset(y, 0, sizeof(uint32_t) * (size_t)words(pixels * channels));
    for (pixel = 0; pixel < pixels; pixel++)
        for (k = 0; k < channels; k++, x++) {
            int32_t to = pixel * channels + k;
            y[to >> 5] |= (uint32_t)(*x >= (t ? t[k] : 0)) << (to & 31);
        }
    turn_channels(in, flips, y);
}

void xnor_max_pool(const struct xnor_shape *in, const struct xnor_window *pool, const struct xnor_shape *out,
                   const int16_t *x, int16_t *y)
{
    int32_t row, column, channel, i, j, first_row, last_row, first, last;
    for (row = 0; row < out->rows; row++)
        for (column = 0; column < out->columns; column++) {
            int32_t top = row * pool->stride[0] - pool->pad[0], left = column * pool->stride[1] - pool->pad[1];
            taps_on_image(pool, 0, in->rows, top, &first_row, &last_row);
            taps_on_image(pool, 1, in->columns, left, &first, &last);
            for (channel = 0; channel < in->channels; channel++) {
                int16_t most = -32768;
                for (i = first_row; i < last_row; i++)
                    for (j = first; j < last; j++) {
                        int16_t n = x[((top + i) * in->columns + left + j) * in->channels + channel];
                        most = n > most ? n : most;
                    }
                *y++ = most;
            }
        }
}

void xnor_max_pool_signs(const struct xnor_shape *in, const struct xnor_window *pool, const struct xnor_shape *out,
                         const uint32_t *flips, const uint32_t *x, uint32_t *y)
{
    int32_t row, column, channel, i, j, first_row, last_row, first, last, channels = in->channels;
    memset(y, 0, sizeof(uint32_t) * (size_t)words(out->rows * out->columns * channels));
    for (row = 0; row < out->rows; row++)
        for (column = 0; column < out->columns; column++) {
            int32_t top = row * pool->stride[0] - pool->pad[0], left = column * pool->stride[1] - pool->pad[1];
            int32_t to = (row * out->columns + column) * channels;
            taps_on_image(pool, 0, in->rows, top, &first_row, &last_row);
            taps_on_image(pool, 1, in->columns, left, &first, &last);
            for (channel = 0; channel < channels; channel += 32) {
                int32_t count = smaller(32, channels - channel);
                uint32_t bits = 0;
                for (i = first_row; i < last_row; i++)
                    for (j = first; j < last; j++)
                        bits |= get_bits(x, ((top + i) * in->columns + left + j) * channels + channel, count);
                set_bits(y, to + channel, bits, count);
            }
        }
    turn_channels(out, flips, y);
}

void xnor_average_pool(const struct xnor_shape *in, const struct xnor_window *pool, const struct xnor_shape *out,
                       const int16_t *factors, int32_t factor_each, const struct xnor_rounding *rounding,
                       const int16_t *x, int16_t *y)
{
    int32_t row, column, channel, i, j, first_row, last_row, first, last;
    for (row = 0; row < out->rows; row++)
        for (column = 0; column < out->columns; column++) {
            int32_t top = row * pool->stride[0] - pool->pad[0], left = column * pool->stride[1] - pool->pad[1];
            taps_on_image(pool, 0, in->rows, top, &first_row, &last_row);
            taps_on_image(pool, 1, in->columns, left, &first, &last);
            for (channel = 0; channel < in->channels; channel++) {
                int64_t sum = 0;
                for (i = first_row; i < last_row; i++)
                    for (j = first; j < last; j++)
                        sum += x[((top + i) * in->columns + left + j) * in->channels + channel];
                *y++ = rounded(sum * *factors, rounding);
            }
            factors += factor_each;
        }
}

void xnor_affine(const struct xnor_shape *in, const int16_t *scale, const int16_t *b, int32_t b_shift,
                 const struct xnor_rounding *rounding, const int16_t *x, int16_t *y)
{
    int32_t pixel, k;
    for (pixel = 0; pixel < in->rows * in->columns; pixel++)
        for (k = 0; k < in->channels; k++)
            *y++ = rounded((int64_t)*x++ * scale[k] + shifted(b[k], b_shift), rounding);
}

void xnor_pointwise(int32_t count, int64_t positive, int64_t negative, const struct xnor_rounding *rounding,
                    const int16_t *x, int16_t *y)
{
    int32_t i;
    for (i = 0; i < count; i++)
        y[i] = rounded(x[i] * (x[i] >= 0 ? positive : negative), rounding);
}

void xnor_add(int32_t count, int32_t inputs, const int64_t *factors, const struct xnor_rounding *rounding,
              const int16_t *const *x, int16_t *y)
{
    int32_t i, k;
    for (i = 0; i < count; i++) {
        int64_t sum = 0;
        for (k = 0; k < inputs; k++)
            sum += x[k][i] * factors[k];
        y[i] = rounded(sum, rounding);
    }
}

void xnor_move(const int32_t *count, const struct xnor_place *from, const struct xnor_place *to, const int16_t *x,
               int16_t *y)
{
    int32_t i, j, k;
    for (i = 0; i < count[0]; i++)
        for (j = 0; j < count[1]; j++)
            for (k = 0; k < count[2]; k++)
                y[to->offset + i * to->steps[0] + j * to->steps[1] + k * to->steps[2]] =
                    x[from->offset + i * from->steps[0] + j * from->steps[1] + k * from->steps[2]];
}

void xnor_move_signs(const int32_t *count, const struct xnor_place *from, const struct xnor_place *to,
                     const uint32_t *x, uint32_t *y)
{
    int32_t i, j, k;
    for (i = 0; i < count[0]; i++)
        for (j = 0; j < count[1]; j++)
            for (k = 0; k < count[2]; k++) {
                int32_t source = from->offset + i * from->steps[0] + j * from->steps[1] + k * from->steps[2];
                int32_t place = to->offset + i * to->steps[0] + j * to->steps[1] + k * to->steps[2];
                uint32_t bit = (uint32_t)1 << (place & 31);
                y[place >> 5] = (x[source >> 5] >> (source & 31)) & 1 ? y[place >> 5] | bit : y[place >> 5] & ~bit;
            }
}

void xnor_zero(int32_t count, int16_t *y)
{
    memset(y, 0, sizeof(int16_t) * (size_t)count);
}

void xnor_zero_signs(int32_t count, int32_t sign, uint32_t *y)
{
    memset(y, 0, sizeof(uint32_t) * (size_t)words(count));
    if (sign)
        copy_bits(y, 0, 0, 0, count);
}

void xnor_scores(const struct xnor_shape *in, const int16_t *x, int64_t *scores)
{
    int32_t pixels = in->rows * in->columns, channel, pixel;
    for (channel = 0; channel < in->channels; channel++)
        for (pixel = 0; pixel < pixels; pixel++)
            *scores++ = x[pixel * in->channels + channel];
}

int xnor_largest(int32_t count, const int64_t *scores)
{
    int32_t i, best = 0;
    for (i = 1; i < count; i++)
        if (scores[i] > scores[best])
            best = i;
    return (int)best;
}
