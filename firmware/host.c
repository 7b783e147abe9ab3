/* Scores of images: reads int8 images from stdin, writes int8 scores to stdout. */
#include <stdio.h>

#include "model.h"

int main(void)
{
    int8_t row[ROW];
    size_t rows = 0;
    network_begin();
    while (fread(row, 1, ROW, stdin) == ROW) {
        network_row(row);
        if (++rows == ROWS) {
            fwrite(network_scores(), 1, SCORES, stdout);
            network_begin();
            rows = 0;
        }
    }
    return 0;
}
