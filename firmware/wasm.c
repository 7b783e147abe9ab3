/* What a page calls: a place for an int8 image, and its scores. */
#include "model.h"

static int8_t image[ROWS * ROW];

__attribute__((export_name("image"))) int8_t *image_at(void)
{
    return image;
}

__attribute__((export_name("scores"))) const int8_t *scores(void)
{
    DIM y;
    network_begin();
    for (y = 0; y < ROWS; y++)
        network_row(image + y * ROW);
    return network_scores();
}
