/* Start-up of a Cortex-M and a run over images; tells the ticks of each and its scores by
   semihosting, then how many bytes the stack took. Needs no library. */
#include "model.h"
#include "images.h"

#define SYSTICK ((volatile uint32_t *)0xE000E010)
#define PAINT 0xA5
#define PAINTED 2048

extern uint8_t stack_top[], bss_start[], bss_end[];
void reset(void);

__attribute__((section(".vectors"), used)) static const void *const vectors[] = {stack_top, reset};

static void host(uint32_t call, const void *what)
{
    register uint32_t r0 __asm__("r0") = call;
    register const void *r1 __asm__("r1") = what;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

static void tell(uint32_t number, char after)
{
    char text[10];
    uint8_t i;
    for (i = 0; i < 8; i++, number <<= 4)
        text[i] = "0123456789abcdef"[number >> 28];
    text[8] = after;
    text[9] = 0;
    host(4, text);
}

static __attribute__((noinline)) void run(void)
{
    uint32_t i, y, start;
    for (i = 0; i < IMAGES; i++) {
        SYSTICK[2] = 0;
        start = SYSTICK[2];
        network_begin();
        for (y = 0; y < ROWS; y++)
            network_row(images + (i * ROWS + y) * ROW);
        tell((start - SYSTICK[2]) & 0xFFFFFF, ' ');
        for (y = 0; y < SCORES; y++)
            tell((uint8_t)network_scores()[y], y + 1 < SCORES ? ' ' : '\n');
    }
}

void reset(void)
{
    uint8_t *byte;
    for (byte = bss_start; byte < bss_end; byte++)
        *byte = 0;
    for (byte = stack_top - PAINTED; byte < (uint8_t *)__builtin_frame_address(0) - 64; byte++)
        *byte = PAINT;
    SYSTICK[1] = 0xFFFFFF;
    SYSTICK[0] = 5; /* counts the processor's clock down */
    run();
    for (byte = stack_top - PAINTED; *byte == PAINT; byte++)
        ;
    tell((uint32_t)(stack_top - byte), '\n');
    host(0x18, (const void *)0x20026); /* the end, without an error */
    for (;;)
        ;
}
