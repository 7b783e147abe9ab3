/* The kernels, and the order in which layers run: always the last one that can. */
#define TABLES
#include "model.h"

static COUNT have[TENSORS];   /* rows in memory or gone from it, with the padding's */
static uint8_t pooled[TENSORS]; /* how many rows went into the last of them, if it wants more */
static COUNT done[LAYERS];    /* rows that were computed */

/* The first of the rows in memory is number `have - keep`. */
static int8_t *row_of(uint8_t tensor, COUNT row)
{
    const FLASH struct tensor *t = &tensors[tensor];
    return memory + t->place + (SIZE)(row + t->keep - have[tensor]) * t->width * t->channels;
}

static void fill(int8_t *to, int8_t value, SIZE size)
{
    while (size--)
        *to++ = value;
}

/* Makes room for a row and returns it; what stands in it is an old row, padding included. */
static int8_t *open_row(uint8_t tensor)
{
    const FLASH struct tensor *t = &tensors[tensor];
    SIZE size = (SIZE)t->width * t->channels, left = (t->keep - 1) * size;
    int8_t *to = memory + t->place;
    for (; left--; to++)
        *to = to[size];
    have[tensor]++;
    return to;
}

/* Whether the rows of a tensor before number `end` have arrived; the padding's come by themselves. */
static uint8_t arrived(uint8_t tensor, COUNT end)
{
    const FLASH struct tensor *t = &tensors[tensor];
    while (have[tensor] < end) {
        if (have[tensor] < t->top + t->height)
            return 0;
        fill(open_row(tensor), t->zero, (SIZE)t->width * t->channels);
    }
    return !pooled[tensor] || have[tensor] > end;
}

/* x times multiplier / 2^31 times 2^shift, as TFLite Micro rounds it: twice. */
static int32_t scaled(int32_t x, int32_t multiplier, int8_t shift)
{
    int32_t half;
    if (shift > 0) {
        x = (int32_t)((uint32_t)x << shift);
        shift = 0;
    }
#if NARROW && !defined(__wasm__) /* |x| < 2^16: no product of 64 bits is needed */
    uint16_t upper = (uint32_t)multiplier >> 16, lower = (uint16_t)multiplier;
    int32_t high = (int16_t)(x >> 16), low = (uint16_t)x;
    uint32_t product = (uint32_t)(high * multiplier) + (uint32_t)low * upper;
    product += ((uint32_t)low * lower) >> 16;
    x = ((int32_t)product + 0x4000) >> 15;
#else
    x = (int32_t)(((int64_t)x * multiplier + ((int64_t)1 << 30)) >> 31);
#endif
    if (shift == 0)
        return x;
    half = (int32_t)1 << (-shift - 1);
    return (x + half - (x < 0)) >> -shift;
}

static int8_t clipped(int32_t x, const struct layer *l)
{
    x += l->zero;
    return x < l->low ? l->low : x > l->high ? l->high : (int8_t)x;
}

/* Adds weight times a line of inputs to the sums of a row. */
static inline void add_line(ACC *sum, const int8_t *in, int8_t weight, DIM columns, uint8_t right)
{
#ifndef __OPTIMIZE_SIZE__
    if (right == 1) {
        do
            *sum++ += (ACC)weight * *in++;
        while (--columns);
        return;
    }
#endif
    do {
        *sum++ += (ACC)weight * *in;
        in += right;
    } while (--columns);
}

#if USES(DENSE) || USES(NIBBLES)
static const FLASH int8_t *dense(ACC *sum, const int8_t *in, const struct layer *l,
                                 const FLASH int8_t *weights)
{
    DIM columns = l->columns, width = l->width, line, x;
    uint8_t right = l->right, odd = 0;
    for (line = l->lines; line; line--, in += l->step)
        for (x = 0; x < width; x++) {
            int8_t weight;
            if (USES(NIBBLES) && l->code == NIBBLES) {
                weight = (int8_t)(odd ? *weights++ : *weights * 16) >> 4;
                odd ^= 1;
            } else {
                weight = *weights++;
            }
            add_line(sum, in + x, weight, columns, right);
        }
    return weights + odd;
}
#endif

#if USES(PAIRS) || USES(RUNS)
/* How many zeros to skip, then a weight: a byte each, or a nibble each. Both 0: the end. */
static const FLASH int8_t *sparse(ACC *sum, const int8_t *in, const struct layer *l,
                                  const FLASH int8_t *weights)
{
    DIM columns = l->columns, width = l->width;
    SIZE step = l->step, x = 0;
    uint8_t right = l->right;
    for (;;) {
        int8_t code = *weights++, weight;
        uint8_t zeros;
        if (USES(RUNS) && (!USES(PAIRS) || l->code == RUNS)) {
            zeros = (uint8_t)code >> 4;
            weight = (int8_t)((uint8_t)code << 4) >> 4;
        } else {
            zeros = (uint8_t)code;
            weight = *weights++;
        }
        if (!(zeros | weight))
            return weights;
        for (x += zeros; x >= width; x -= width)
            in += step;
        if (weight)
            add_line(sum, in + x, weight, columns, right);
        x++;
    }
}
#endif

#if USES(SIGNS)
/* Two nibbles a byte: three bits say how many zeros to skip, the fourth the sign of a one; 7 are
   seven zeros, 15 is the end. */
static const FLASH int8_t *signs(ACC *sum, const int8_t *in, const struct layer *l,
                                 const FLASH int8_t *weights)
{
    DIM columns = l->columns, width = l->width;
    SIZE step = l->step, x = 0;
    uint8_t right = l->right;
    for (;;) {
        uint8_t codes = *weights++, left;
        for (left = 2; left; left--, codes >>= 4) {
            uint8_t code = codes & 15;
            if (code == 15)
                return weights;
            for (x += code & 7; x >= width; x -= width)
                in += step;
            if (code == 7)
                continue;
            add_line(sum, in + x, code & 8 ? -1 : 1, columns, right);
            x++;
        }
    }
}
#endif

/* A row of a convolution, of all channels; its sums are pooled as soon as they are scaled. */
static void conv(const struct layer *l, const int8_t *window, int8_t *out, DIM width,
                 uint8_t fresh)
{
    const FLASH int8_t *weights = l->weights;
    DIM channels = tensors[l->out].channels, columns = l->columns, channel, x;
    uint8_t wide = l->wide, same = l->each;
    for (channel = 0; channel < channels; channel++, out += width) {
        int32_t multiplier = l->multiplier[l->scales ? channel : 0];
        int8_t shift = l->shift[l->scales ? channel : 0];
        int32_t bias = l->bias ? l->bias[channel] : 0;
        int8_t *to = out;
        uint8_t phase = 0;
        for (x = 0; x < columns; x++)
            sums[x] = 0;
#if USES(SIGNS)
        if (l->code == SIGNS)
            weights = signs(sums, window, l, weights);
#endif
#if USES(PAIRS) || USES(RUNS)
        if (l->code == PAIRS || l->code == RUNS)
            weights = sparse(sums, window, l, weights);
#endif
#if USES(DENSE) || USES(NIBBLES)
        if (l->code == DENSE || l->code == NIBBLES)
            weights = dense(sums, window, l, weights);
#endif
        for (x = 0; x < columns; x++) {
            int8_t value = clipped(scaled(sums[x] + bias, multiplier, shift), l);
            if ((fresh && !phase) || value > *to)
                *to = value;
            if (++phase == wide) {
                phase = 0;
                to++;
            }
        }
        if (--same == 0) {
            same = l->each;
            window += l->start;
        }
    }
}

#if USES(POOL)
/* A row of pooling by windows; `row` and `column` may begin in the padding, which does not count. */
static void pool(const struct layer *l, COUNT first, int8_t *out, DIM width)
{
    const FLASH struct tensor *t = &tensors[l->in];
    DIM channel, x, y, k;
    for (channel = 0; channel < t->channels; channel++, out += width)
        for (x = 0; x < l->columns; x++) {
            int32_t sum = 0, count = 0;
            int8_t most = INT8_MIN;
            for (y = first; y < first + l->height; y++) {
                const int8_t *line = row_of(l->in, y) + (SIZE)channel * t->width;
                if (y < t->top || y >= t->top + t->height)
                    continue;
                for (k = l->column + x * l->right; k < l->column + x * l->right + l->width; k++) {
                    if (k < t->left || k >= t->left + l->lines)
                        continue;
                    sum += line[k];
                    count++;
                    if (line[k] > most)
                        most = line[k];
                }
            }
            if (USES(AVERAGE) && l->pooling == AVERAGE)
                most = clipped((sum + (sum > 0 ? count / 2 : -(count / 2))) / count, l);
            out[x] = clipped(most, l);
        }
}
#endif

#if USES(GLOBAL)
/* One more row of what is pooled over all rows and columns. */
static void pool_all(const struct layer *l, const int8_t *in, ACC *sum, uint8_t first,
                     int8_t *out)
{
    const FLASH struct tensor *t = &tensors[l->in];
    int32_t count = (int32_t)l->rows * l->columns;
    DIM channel, x;
    for (channel = 0; channel < t->channels; channel++, in += t->width) {
        ACC total = first ? 0 : sum[channel];
        int8_t most = first ? INT8_MIN : (int8_t)total;
        for (x = 0; x < l->columns; x++) {
            total += in[x];
            if (in[x] > most)
                most = in[x];
        }
        if (USES(MAXIMUM) && l->pooling == MAXIMUM)
            total = most;
        sum[channel] = total;
        if (!out)
            continue;
        if (USES(MEAN) && l->pooling == MEAN)
            out[channel] = clipped(
                scaled(total - count * t->zero, l->multiplier[0], l->shift[0]), l);
        else if (USES(AVERAGE) && l->pooling == AVERAGE)
            out[channel] = clipped((total + (total > 0 ? count / 2 : -(count / 2))) / count, l);
        else
            out[channel] = (int8_t)total;
    }
}
#endif

#if USES(ADD)
static void add(const struct layer *l, const int8_t *a, const int8_t *b, int8_t *out,
                DIM width)
{
    const FLASH struct tensor *ta = &tensors[l->in], *tb = &tensors[l->in2];
    DIM channel, x;
    for (channel = 0; channel < ta->channels; channel++) {
        for (x = 0; x < l->columns; x++) {
            int32_t one = ((int32_t)a[x] - ta->zero) * ((int32_t)1 << 20);
            int32_t two = ((int32_t)b[x] - tb->zero) * ((int32_t)1 << 20);
            int32_t sum = scaled(one, l->multiplier[0], l->shift[0]) +
                          scaled(two, l->multiplier[1], l->shift[1]);
            out[x] = clipped(scaled(sum, l->multiplier[2], l->shift[2]), l);
        }
        a += ta->width;
        b += tb->width;
        out += width;
    }
}
#endif

#if USES(JOIN)
/* The channels of one tensor, then those of another. */
static void join(uint8_t tensor, const int8_t *in, DIM columns, int8_t *out, DIM width)
{
    DIM channel, x;
    for (channel = 0; channel < tensors[tensor].channels; channel++) {
        for (x = 0; x < columns; x++)
            out[x] = in[x];
        in += tensors[tensor].width;
        out += width;
    }
}
#endif

/* A layer's table in memory from which it is read fastest. */
static const struct layer *table_of(uint8_t number)
{
#ifdef __AVR__
    static struct layer copy;
    const FLASH uint8_t *from = (const FLASH uint8_t *)&layers[number];
    uint8_t *to = (uint8_t *)&copy, left = sizeof copy;
    do
        *to++ = *from++;
    while (--left);
    return &copy;
#else
    return &layers[number];
#endif
}

/* Computes a row of a layer if it can. */
static uint8_t step(uint8_t number)
{
    const struct layer *l = table_of(number);
    const FLASH struct tensor *t = &tensors[l->out];
    COUNT row = done[number];
    COUNT first = l->row + row * l->down;
    uint8_t fresh = !pooled[l->out];
    int8_t *out = 0;
    if (row == l->rows || !arrived(l->in, first + l->height))
        return 0;
#if USES(ADD) || USES(JOIN)
    COUNT second = row + tensors[l->in2].top;
    if ((l->kind == ADD || l->kind == JOIN) && !arrived(l->in2, second + 1))
        return 0;
#endif
    done[number] = row + 1;
    if (l->kind == GLOBAL)
        fresh = row + 1 == l->rows;
    else if (++pooled[l->out] == l->deep)
        pooled[l->out] = 0;
    if (l->kind != GLOBAL || fresh)
        out = (fresh ? open_row(l->out) : row_of(l->out, have[l->out] - 1)) + t->left;
    const int8_t *in = row_of(l->in, first) + l->column;
    switch (l->kind) {
#if USES(POOL)
    case POOL:
        pool(l, first, out, t->width);
        break;
#endif
#if USES(GLOBAL)
    case GLOBAL:
        pool_all(l, in, totals + l->start, row == 0, out);
        break;
#endif
#if USES(ADD)
    case ADD:
        add(l, in, row_of(l->in2, second) + tensors[l->in2].left, out, t->width);
        break;
#endif
#if USES(JOIN)
    case JOIN:
        join(l->in, in, l->columns, out, t->width);
        join(l->in2, row_of(l->in2, second) + tensors[l->in2].left, l->columns,
             out + (SIZE)tensors[l->in].channels * t->width, t->width);
        break;
#endif
    default:
        conv(l, in, out, t->width, fresh);
    }
    return 1;
}

void network_begin(void)
{
    uint8_t i;
    for (i = 0; i < TENSORS; i++) {
        const FLASH struct tensor *t = &tensors[i];
        have[i] = t->top;
        pooled[i] = 0;
        fill(memory + t->place, t->zero, (SIZE)t->keep * t->width * t->channels);
    }
    for (i = 0; i < LAYERS; i++)
        done[i] = 0;
}

void network_row(const int8_t *pixels)
{
    const FLASH struct tensor *t = &tensors[0];
    int8_t *line = open_row(0) + t->left;
    DIM channel, x;
    uint8_t i;
    for (channel = 0; channel < t->channels; channel++, line += t->width)
        for (x = 0; x < PIXELS; x++)
            line[x] = pixels[x * t->channels + channel];
    for (i = LAYERS; i;)
        i = step(i - 1) ? LAYERS : i - 1;
}

const int8_t *network_scores(void)
{
    return row_of(layers[LAYERS - 1].out, 0);
}
