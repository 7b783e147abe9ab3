/* A run over images on an ATmega328P; tells by UART the time of each in 1,024 cycles and its
   scores, then how many bytes the stack took. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>

#include "model.h"
#include "images.h"

#define PAINT 0xA5

extern uint8_t _end;

static void tell(uint16_t number, char after)
{
    uint8_t i;
    for (i = 0; i < 4; i++, number <<= 4)
        UDR0 = (number >> 12) + ((number >> 12) < 10 ? '0' : 'a' - 10);
    UDR0 = after;
}

int main(void)
{
    uint8_t *byte, i, y, x;
    const FLASH int8_t *pixels = images;
    int8_t row[ROW];
    for (byte = &_end; byte < (uint8_t *)SP - 2; byte++)
        *byte = PAINT;
    UCSR0B = 1 << TXEN0;
    for (i = 0; i < IMAGES; i++) {
        TCCR1B = 0;
        TCNT1 = 0;
        TCCR1B = 5; /* counts every 1,024th cycle */
        network_begin();
        for (y = 0; y < ROWS; y++) {
            for (x = 0; x < ROW; x++)
                row[x] = *pixels++;
            network_row(row);
        }
        tell(TCNT1, ' ');
        for (y = 0; y < SCORES; y++)
            tell((uint8_t)network_scores()[y], y + 1 < SCORES ? ' ' : '\n');
    }
    for (byte = &_end; *byte == PAINT; byte++)
        ;
    tell((uint16_t)((uint8_t *)RAMEND - byte + 1), '\n');
    cli();
    sleep_mode(); /* for good */
    return 0;
}
