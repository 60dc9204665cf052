/* What a program needs on any emulated board: a reset that calls main, and printing by semihosting. */
#include <stdint.h>

extern int main(void);
extern int32_t semihosting(int32_t operation, const void *argument);
extern uint32_t zeros_start[], zeros_end[];

int puts(const char *text)
{
    semihosting(4, text);
    return semihosting(4, "\n");
}

void reset(void)
{
    uint32_t status[2] = {0x20026, 1}, *word;
    for (word = zeros_start; word < zeros_end; word++)
        *word = 0;
    status[1] = (uint32_t)main();
    semihosting(0x20, status);
    for (;;)
        ;
}
