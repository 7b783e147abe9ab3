/* What the generator writes down of a network, and the three calls that run it.

   Activations are int8. A row of a tensor holds one line for each channel, `width` cells with
   those of the padding at both ends, which hold the zero point; of a tensor the last `keep` rows
   are in memory. Row numbers count the padding's rows. */
#ifndef NETWORK_H
#define NETWORK_H

#include <stdint.h>

#ifdef __AVR__
#define FLASH __flash /* an address space of its own */
#else
#define FLASH
#endif

struct tensor {
    DIM height, width, channels; /* height without padding */
    DIM keep;                    /* rows in memory */
    DIM top, left;               /* padding before the first row and the first column */
    int8_t zero;                 /* zero point */
    SIZE place;                  /* in memory[] */
};

enum kind { CONV, POOL, GLOBAL, ADD, JOIN };
enum code { DENSE, NIBBLES, PAIRS, RUNS, SIGNS }; /* of weights, see network.c */
enum pooling { MAXIMUM, AVERAGE, MEAN };

struct layer {
    uint8_t kind, code, pooling;
    uint8_t in, in2, out;        /* tensors */
    DIM rows, columns;           /* that it computes; of GLOBAL those that it reads */
    DIM row, column;             /* where its first window starts in the tensor `in` */
    DIM height, width;           /* of the window */
    uint8_t down, right;         /* strides */
    uint8_t deep, wide;          /* size of the max pooling that is done on the way; 1: none */
    DIM lines;                   /* of weights for an output channel; of POOL, columns to read */
    SIZE step;                   /* from one of these lines to the next, in cells */
    SIZE start;                  /* from one output channel's first line to the next one's; of
                                    GLOBAL, place of its sums in totals[] */
    uint8_t each;                /* output channels with the same first line */
    uint8_t scales;              /* 1: a multiplier for each channel, 0: one for all */
    int8_t zero, low, high;      /* of the output */
    const FLASH int8_t *weights;
    const FLASH BIAS *bias;
    const FLASH int32_t *multiplier;
    const FLASH int8_t *shift;
};

void network_begin(void);                /* before an image */
void network_row(const int8_t *pixels);  /* each row of it, the channels of a pixel together */
const int8_t *network_scores(void);      /* after the last one */

#endif
