/* Kernels of exported XNOR-Nets; xnor.h says what they compute. */
#include "xnor.h"

#include <string.h>

/* Instructions of a Cortex-M4, M7 or M33 that work on parts of a word. */
#if defined(__ARM_FEATURE_SIMD32) && defined(__thumb2__)
#include <arm_acle.h>
#define HAS_PARTS 1
#else
#define HAS_PARTS 0
#endif

/* Filters at a time: as many as a word has signs. */
#define BLOCK 32

static int32_t smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* Rounded half to even. No number here reaches 2**62, or 2**31, and none below 0 is shifted to the right: how that ends
 * is the compiler's choice in C. */
static int16_t rounded_64(int64_t n, const struct xnor_rounding *rounding)
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

static int16_t rounded_32(int32_t n, const struct xnor_rounding *rounding)
{
    const uint32_t zero = (uint32_t)1 << 31;
    int32_t shift = rounding->shift;
    if (shift > 0) {
        uint32_t moved = (uint32_t)n + zero, whole = moved >> shift;
        uint32_t rest = moved - (whole << shift), odd = (whole - (zero >> shift)) & 1;
        n = (int32_t)whole - (int32_t)(zero >> shift) + (rest + odd > (uint32_t)1 << (shift - 1));
    }
    return (int16_t)(n < rounding->low ? rounding->low : n > rounding->high ? rounding->high : n);
}

static int16_t rounded(int64_t n, const struct xnor_rounding *rounding)
{
    return rounding->narrow ? rounded_32((int32_t)n, rounding) : rounded_64(n, rounding);
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

/* The counting is compiled twice, with masks and without, each in a function that has all registers to itself. */
#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))
#else
#define INLINE static inline
#define NOINLINE static
#endif

/* Where a processor counts the ones of a word, or of bytes side by side, by one instruction, it does. */
#if defined(__aarch64__) && defined(__ARM_NEON)

#include <arm_neon.h>

INLINE int32_t differing(const uint32_t *x, const uint32_t *w, const uint32_t *mask, int masked, int32_t length)
{
    int32_t count = 0, i = 0;
    while (length - i >= 4) {
        /* Each byte grows by up to 8. */
        int32_t steps = smaller((length - i) / 4, 31);
        uint8x16_t bytes = vdupq_n_u8(0);
        for (; steps > 0; steps--, i += 4) {
            uint32x4_t differ = veorq_u32(vld1q_u32(x + i), vld1q_u32(w + i));
            if (masked)
                differ = vandq_u32(differ, vld1q_u32(mask + i));
            bytes = vaddq_u8(bytes, vcntq_u8(vreinterpretq_u8_u32(differ)));
        }
        count += vaddlvq_u8(bytes);
    }
    for (; i < length; i++)
        count += __builtin_popcount(masked ? (x[i] ^ w[i]) & mask[i] : x[i] ^ w[i]);
    return count;
}

#elif defined(__riscv_zbb) || defined(__POPCNT__) || defined(__wasm__)

INLINE int32_t differing(const uint32_t *x, const uint32_t *w, const uint32_t *mask, int masked, int32_t length)
{
    int32_t count = 0, i = 0;
#ifdef __riscv_zbb
    for (; !masked && i + 4 <= length; i += 4, x += 4, w += 4)
        count += __builtin_popcount(x[0] ^ w[0]) + __builtin_popcount(x[1] ^ w[1]) +
                 __builtin_popcount(x[2] ^ w[2]) + __builtin_popcount(x[3] ^ w[3]);
    length -= i;
    i = 0;
#endif
#ifdef __x86_64__
    for (; i + 2 <= length; i += 2) {
        uint64_t differ, other;
        memcpy(&differ, x + i, sizeof differ);
        memcpy(&other, w + i, sizeof other);
        differ ^= other;
        if (masked) {
            memcpy(&other, mask + i, sizeof other);
            differ &= other;
        }
        count += __builtin_popcountll(differ);
    }
#endif
    for (; i < length; i++)
        count += __builtin_popcount(masked ? (x[i] ^ w[i]) & mask[i] : x[i] ^ w[i]);
    return count;
}

#else

/* In each of the 32 places, a + b + sum: its lower bit becomes the sum, its higher one is returned. */
INLINE uint32_t carry(uint32_t *sum, uint32_t a, uint32_t b)
{
    uint32_t differ = a ^ b, both = (a & b) | (differ & *sum);
    *sum ^= differ;
    return both;
}

/* Ones of each nibble in n. */
INLINE uint32_t in_nibbles(uint32_t n)
{
    n -= (n >> 1) & 0x55555555u;
    return (n & 0x33333333u) + ((n >> 2) & 0x33333333u);
}

/* Numbers in nibbles, added in pairs to numbers in bytes. */
INLINE uint32_t in_bytes(uint32_t n)
{
    return (n & 0x0f0f0f0fu) + ((n >> 4) & 0x0f0f0f0fu);
}

/* Sum of four bytes. */
INLINE uint32_t sum_of_bytes(uint32_t n)
{
#if HAS_PARTS
    return __usad8(n, 0);
#else
    n = (n & 0x00ff00ffu) + ((n >> 8) & 0x00ff00ffu);
    return (n + (n >> 16)) & 0xffffu;
#endif
}

struct signs {
    const uint32_t *x, *w, *mask;
};

/* The next word. */
INLINE uint32_t next(const uint32_t **x)
{
    return *(*x)++;
}

/* The next two words. A Cortex-M loads them by one instruction, which compilers seldom find here; and it stays where
 * it is: what is loaded early takes registers that the counters need. */
INLINE void next_2(const uint32_t **x, uint32_t *a, uint32_t *b)
{
#if defined(__GNUC__) && defined(__thumb2__) && __ARM_ARCH_PROFILE == 'M'
    uint32_t first, second;
    __asm__ volatile("ldrd %0, %1, [%2], #8" : "=&r"(first), "=&r"(second), "+r"(*x) : : "memory");
    *a = first;
    *b = second;
#else
    *a = next(x);
    *b = next(x);
#endif
}

/* Carries of 2, 4, 8 and 16 words into the places of 2, 4, 8 and 16. */
INLINE uint32_t carry_2(struct signs *s, int masked, uint32_t *ones)
{
    uint32_t a, b, c, d;
    next_2(&s->x, &a, &b);
    next_2(&s->w, &c, &d);
    a ^= c;
    b ^= d;
    if (masked) {
        next_2(&s->mask, &c, &d);
        a &= c;
        b &= d;
    }
    return carry(ones, a, b);
}

INLINE uint32_t carry_4(struct signs *s, int masked, uint32_t *ones, uint32_t *twos)
{
    uint32_t a = carry_2(s, masked, ones), b = carry_2(s, masked, ones);
    return carry(twos, a, b);
}

INLINE uint32_t carry_8(struct signs *s, int masked, uint32_t *ones, uint32_t *twos, uint32_t *fours)
{
    uint32_t a = carry_4(s, masked, ones, twos), b = carry_4(s, masked, ones, twos);
    return carry(fours, a, b);
}

/* Differing signs, counted by carry-save adders (Harley and Seal): bit i of `ones`, `twos`, `fours` and `eights` is a
 * number of four bits, how many of the words so far have a one in place i. What becomes 16 is counted at once. */
INLINE int32_t differing(const uint32_t *x, const uint32_t *w, const uint32_t *mask, int masked, int32_t length)
{
    struct signs s = {x, w, mask};
    uint32_t ones = 0, twos = 0, fours = 0, eights = 0, sixteens = 0, count = 0;
    int32_t blocks;
    if (length & 1) {
        ones = next(&s.x) ^ next(&s.w);
        ones = masked ? ones & next(&s.mask) : ones;
    }
    if (length & 2)
        twos = carry_2(&s, masked, &ones);
    if (length & 4)
        fours = carry_4(&s, masked, &ones, &twos);
    if (length & 8)
        eights = carry_8(&s, masked, &ones, &twos, &fours);
    for (blocks = length >> 4; blocks > 0; blocks--) {
        uint32_t a = carry_8(&s, masked, &ones, &twos, &fours);
        uint32_t b = carry_8(&s, masked, &ones, &twos, &fours);
        sixteens += in_bytes(in_nibbles(carry(&eights, a, b)));
        /* Each byte grew by up to 8. */
        if ((blocks & 15) == 0) {
            count += sum_of_bytes(sixteens);
            sixteens = 0;
        }
    }
    /* Up to 4 + 2 * 4 in each nibble, 24 + 4 * 24 in each byte, and 16 * 8 more of a single block. */
    ones = in_bytes(in_nibbles(ones) + 2 * in_nibbles(twos));
    fours = in_bytes(in_nibbles(fours) + 2 * in_nibbles(eights));
    if (length < 32)
        return (int32_t)sum_of_bytes(ones + 4 * fours + 16 * sixteens);
    return (int32_t)(16 * (count + sum_of_bytes(sixteens)) + sum_of_bytes(ones + 4 * fours));
}

#endif

/* ---- layers with weights ------------------------------------------------------------------------------------- */

/* A place of the window, and what it meets there. */
struct meeting {
    const void *x;        /* signs or numbers, of the filters' length */
    uint32_t *mask;       /* signs that are on the image, or null where all are */
    int32_t border;       /* which border's corrections are kept, or -1 */
    const int16_t *correction; /* of the first filter's product and those behind it, or null */
    int32_t skipped;      /* words of each filter before those that meet x, all beside the image */
    int32_t length;       /* words that meet x */
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

/* Collect what a window meets in one piece, with zeros where it meets no image. Corrections of borders are `known`. */
static void meet(const struct xnor_filter *f, const void *x, const int16_t *magnitudes, int32_t group, int32_t row,
                 int32_t column, uint32_t known, uint32_t *scratch, struct meeting *m)
{
    const struct xnor_window *window = &f->window;
    int32_t columns = f->in.columns, channels = f->in.channels, own = channels / f->groups;
    int32_t top = row * window->stride[0] - window->pad[0], left = column * window->stride[1] - window->pad[1];
    int32_t first_row, last_row, first, last, i, j, k;
    int32_t binary = f->signs != 0, size = binary ? f->length : (f->length + 1) / 2;
    int32_t rows = window->size[0], skipped_rows = 0;
    taps_on_image(window, 0, f->in.rows, top, &first_row, &last_row);
    taps_on_image(window, 1, columns, left, &first, &last);
    m->taps = (last_row - first_row) * (last - first) * own;
    m->mask = 0;
    m->border = -1;
    m->correction = 0;
    m->sum = 1;
    m->skipped = 0;
    m->length = f->length;
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
    m->x = scratch;
    if (binary && (window->size[1] * own & 31) == 0) {
        /* Rows of whole words: those beside the image are left out. */
        int32_t row_words = window->size[1] * own >> 5;
        m->skipped = first_row * row_words;
        m->length = size = (last_row - first_row) * row_words;
        skipped_rows = first_row;
        rows = last_row - first_row;
    }
    memset(scratch, 0, sizeof(uint32_t) * (size_t)size);
    if (binary && m->taps < rows * window->size[1] * own) {
        /* Beside columns of the border alone, filters differ from zeros as often in each row. */
        if (last_row - first_row == window->size[0]) {
            if (last == window->size[1] && first <= f->borders[0])
                m->border = first - 1;
            else if (first == 0 && window->size[1] - last <= f->borders[1])
                m->border = f->borders[0] + window->size[1] - last - 1;
        }
        if (m->border < 0 || !(known >> m->border & 1)) {
            m->mask = scratch + size;
            memset(m->mask, 0, sizeof(uint32_t) * (size_t)size);
        }
    }
    for (i = first_row; i < last_row; i++) {
        /* Taps that are neighbours are copied together. */
        int32_t together = f->groups == 1 && window->dilation[1] == 1 ? last - first : 1;
        for (j = first; j < last; j += together) {
            int32_t at = (top + i * window->dilation[0]) * columns + left + j * window->dilation[1];
            int32_t from = at * channels + group * own, to = ((i - skipped_rows) * window->size[1] + j) * own;
            if (binary) {
                copy_bits(scratch, to, (const uint32_t *)x, from, together * own);
                if (m->mask)
                    copy_bits(m->mask, to, 0, 0, together * own);
            } else {
                for (k = 0; k < together * own; k++)
                    ((int16_t *)scratch)[to + k] = ((const int16_t *)x)[from + k];
            }
        }
    }
}

#if HAS_PARTS
/* Two numbers side by side, as a word in the processor's order. */
INLINE int32_t pair(const int16_t *x)
{
    int32_t two;
    memcpy(&two, x, sizeof two);
    return two;
}
#endif

#ifdef __SSE2__
#include <emmintrin.h>
#define EIGHT(x) _mm_loadu_si128((const __m128i *)(x))
#endif

/* Products of a window and four filters, so that what it meets is loaded once for all of them. */
NOINLINE void dot_4(const int16_t *x, const int16_t *const *filters, int32_t length, int32_t *products)
{
    const int16_t *w0 = filters[0], *w1 = filters[1], *w2 = filters[2], *w3 = filters[3];
    int32_t a = 0, b = 0, c = 0, d = 0;
#if HAS_PARTS
    for (; length >= 2; length -= 2, x += 2, w0 += 2, w1 += 2, w2 += 2, w3 += 2) {
        int32_t n = pair(x);
        a = __smlad(n, pair(w0), a);
        b = __smlad(n, pair(w1), b);
        c = __smlad(n, pair(w2), c);
        d = __smlad(n, pair(w3), d);
    }
#elif defined(__SSE2__)
    __m128i sums[4], ab, cd, n;
    memset(sums, 0, sizeof sums);
    for (; length >= 8; length -= 8, x += 8, w0 += 8, w1 += 8, w2 += 8, w3 += 8) {
        n = EIGHT(x);
        sums[0] = _mm_add_epi32(sums[0], _mm_madd_epi16(n, EIGHT(w0)));
        sums[1] = _mm_add_epi32(sums[1], _mm_madd_epi16(n, EIGHT(w1)));
        sums[2] = _mm_add_epi32(sums[2], _mm_madd_epi16(n, EIGHT(w2)));
        sums[3] = _mm_add_epi32(sums[3], _mm_madd_epi16(n, EIGHT(w3)));
    }
    ab = _mm_add_epi32(_mm_unpacklo_epi32(sums[0], sums[1]), _mm_unpackhi_epi32(sums[0], sums[1]));
    cd = _mm_add_epi32(_mm_unpacklo_epi32(sums[2], sums[3]), _mm_unpackhi_epi32(sums[2], sums[3]));
    n = _mm_add_epi32(_mm_unpacklo_epi64(ab, cd), _mm_unpackhi_epi64(ab, cd));
    _mm_storeu_si128((__m128i *)products, n);
    a = products[0], b = products[1], c = products[2], d = products[3];
#elif defined(__riscv)
    /* Where no load moves its pointer on, that is shared by some. */
#pragma GCC unroll 4
#endif
    for (; length > 0; length--) {
        int32_t n = *x++;
        a += n * *w0++;
        b += n * *w1++;
        c += n * *w2++;
        d += n * *w3++;
    }
    products[0] = a;
    products[1] = b;
    products[2] = c;
    products[3] = d;
}

/* A product that needs 64 bits; those of two numbers of 15 bits and their signs fit 32. */
NOINLINE int64_t wide_dot(const int16_t *x, const int16_t *w, int32_t length)
{
    int64_t sum = 0;
    for (; length >= 2; length -= 2, x += 2, w += 2)
#if HAS_PARTS
        sum = __smlald(pair(x), pair(w), sum);
#else
        sum += x[0] * w[0] + x[1] * w[1];
#endif
    return length ? sum + *x * *w : sum;
}

/* Products of a window and `count` filters that lie `step` words apart. */
NOINLINE void multiply_signs(const struct meeting *m, const uint32_t *w, int32_t step, int32_t count,
                             int32_t *products)
{
    const uint32_t *x = (const uint32_t *)m->x;
    int32_t taps = m->taps, length = m->length;
    for (; count > 0; count--, w += step)
        *products++ = taps - 2 * differing(x, w, 0, 0, length);
}

NOINLINE void multiply_masked(const struct meeting *m, const uint32_t *w, int32_t step, int32_t count,
                              int32_t *products)
{
    const uint32_t *x = (const uint32_t *)m->x, *mask = m->mask;
    int32_t taps = m->taps, length = m->length;
    for (; count > 0; count--, w += step)
        *products++ = taps - 2 * differing(x, w, mask, 1, length);
}

union products {
    int32_t narrow[BLOCK];
    int64_t wide[BLOCK];
};

/* The same of 256 inputs and of usual windows, 3x3 of 32, 64 and 128 channels and 5x5 of 32: where the number of words is
 * known, no time goes into finding it out. A compiler that is to save space leaves them out. */
#ifndef __OPTIMIZE_SIZE__
INLINE void multiply_known(const struct meeting *m, const uint32_t *w, int32_t length, int32_t count,
                           int32_t *products)
{
    const uint32_t *x = (const uint32_t *)m->x;
    int32_t taps = m->taps;
    for (; count > 0; count--, w += length)
        *products++ = taps - 2 * differing(x, w, 0, 0, length);
}

NOINLINE void multiply_8(const struct meeting *m, const uint32_t *w, int32_t count, int32_t *products)
{
    multiply_known(m, w, 8, count, products);
}

NOINLINE void multiply_9(const struct meeting *m, const uint32_t *w, int32_t count, int32_t *products)
{
    multiply_known(m, w, 9, count, products);
}

NOINLINE void multiply_18(const struct meeting *m, const uint32_t *w, int32_t count, int32_t *products)
{
    multiply_known(m, w, 18, count, products);
}

NOINLINE void multiply_25(const struct meeting *m, const uint32_t *w, int32_t count, int32_t *products)
{
    multiply_known(m, w, 25, count, products);
}

NOINLINE void multiply_36(const struct meeting *m, const uint32_t *w, int32_t count, int32_t *products)
{
    multiply_known(m, w, 36, count, products);
}
#endif

/* Products of a window and `count` filters from k on. */
static void multiply(const struct xnor_filter *f, const struct meeting *m, int32_t k, int32_t count,
                     union products *p)
{
    int32_t i, length = f->length, first = k % (f->grid.channels / f->groups);
    if (f->signs) {
        const uint32_t *w = f->signs + k * length + m->skipped;
        if (m->mask)
            multiply_masked(m, w, length, count, p->narrow);
#ifndef __OPTIMIZE_SIZE__
        else if (m->length == 8 && length == 8)
            multiply_8(m, w, count, p->narrow);
        else if (m->length == 9 && length == 9)
            multiply_9(m, w, count, p->narrow);
        else if (m->length == 18 && length == 18)
            multiply_18(m, w, count, p->narrow);
        else if (m->length == 25 && length == 25)
            multiply_25(m, w, count, p->narrow);
        else if (m->length == 36 && length == 36)
            multiply_36(m, w, count, p->narrow);
#endif
        else
            multiply_signs(m, w, length, count, p->narrow);
        for (i = 0; m->correction && i < count; i++)
            p->narrow[i] += m->correction[first + i];
    } else {
        const int16_t *x = (const int16_t *)m->x, *w = f->weights + k * length;
        if (f->wide)
            for (i = 0; i < count; i++)
                p->wide[i] = wide_dot(x, w + i * length, length);
        else
            for (i = 0; i < count; i += 4) {
                /* The last filter is taken again where there are fewer. */
                const int16_t *filters[4];
                for (k = 0; k < 4; k++)
                    filters[k] = w + smaller(i + k, count - 1) * length;
                dot_4(x, filters, length, p->narrow + i);
            }
    }
}

/* Make `bit` the i-th of `bits`, for all i: with vectors by shifting each to its place, else from the last one on. */
#if defined(__AVX2__) || defined(__aarch64__)
#define SET_EACH(bit) \
    for (i = 0; i < count; i++) \
    bits |= (uint32_t)(bit) << i
#else
#define SET_EACH(bit) \
    for (i = count - 1; i >= 0; i--) \
    bits = bits << 1 | (bit)
#endif

/* Signs of products: p >= t. */
static uint32_t compare(const struct xnor_filter *f, int32_t first, int32_t count, const union products *p)
{
    uint32_t bits = 0;
    int32_t i;
    if (f->t16) {
        const int16_t *t = f->t16 + first;
        /* The difference of numbers of 24 bits has a sign. */
        SET_EACH((uint32_t)(t[i] - 1 - p->narrow[i]) >> 31);
    } else if (f->t32) {
        const int32_t *t = f->t32 + first;
        SET_EACH(p->narrow[i] >= t[i]);
    } else {
        SET_EACH(p->wide[i] >= f->t64[first + i]);
    }
    return bits;
}

static int16_t number(const struct xnor_filter *f, const struct meeting *m, int32_t k, int64_t p)
{
    int32_t b = f->b ? f->b[f->b_each ? m->pixel * f->grid.channels + k : k] : 0;
    if (f->rounding.narrow) {
        int32_t n = (int32_t)p * (f->alpha ? f->alpha[k] : 1);
        return rounded_32(n + b * ((int32_t)1 << f->b_shift), &f->rounding);
    }
    if (f->alpha)
        p *= f->alpha[k];
    if (f->c)
        p += shifted(f->c[k], f->c_shift);
    return rounded_64(p * m->sum + shifted((int16_t)b, f->b_shift), &f->rounding);
}

/* Find the corrections of a border: what is counted where a window meets no image, but zeros. */
static void correct(const struct xnor_filter *f, struct meeting *m, int32_t group, int16_t *correction)
{
    int32_t filters = f->grid.channels / f->groups, first = group * filters, k, i;
    for (i = 0; i < m->length; i++)
        m->mask[i] = ~m->mask[i];
    for (k = 0; k < filters; k += BLOCK) {
        int32_t count = smaller(BLOCK, filters - k);
        union products p;
        multiply_masked(m, f->signs + (first + k) * f->length, f->length, count, p.narrow);
        for (i = 0; i < count; i++)
            correction[k + i] = (int16_t)(m->taps - p.narrow[i]);
    }
    m->mask = 0;
}

/* Filters of a group on what a window meets. */
static void filter_window(const struct xnor_filter *f, const struct meeting *m, int32_t group, void *y)
{
    int32_t filters = f->grid.channels / f->groups, k = group * filters, end = k + filters, i;
    union products p;
    while (k < end) {
        int32_t count = smaller(BLOCK, end - k), to = m->out * f->grid.channels + k;
        multiply(f, m, k, count, &p);
        if (f->t16 || f->t32 || f->t64) {
            set_bits((uint32_t *)y, to, compare(f, k, count, &p), count);
        } else {
            int16_t *place = (int16_t *)y + to;
            for (i = 0; i < count; i++) {
                int16_t n = number(f, m, k + i, f->wide ? p.wide[i] : p.narrow[i]);
                place[i] = n > place[i] ? n : place[i];
            }
        }
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
    for (group = 0; group < f->groups; group++) {
        int32_t filters = f->grid.channels / f->groups;
        uint32_t known = 0;
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
                        meet(f, x, magnitudes, group, r, c, known, (uint32_t *)scratch, &m);
                        if (m.border >= 0) {
                            int16_t *kept = (int16_t *)((uint32_t *)scratch + 2 * f->length) + m.border * filters;
                            if (m.mask)
                                correct(f, &m, group, kept);
                            known |= (uint32_t)1 << m.border;
                            m.correction = kept;
                        }
                        filter_window(f, &m, group, y);
                    }
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
