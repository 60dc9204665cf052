/* What a program needs on an emulated Cortex-M: vectors, a reset that calls main, and printing by semihosting. */
#include <stdint.h>

extern int main(void);
extern uint32_t stack_top[], zeros_start[], zeros_end[];

static int32_t semihosting(int32_t operation, const void *argument)
{
    register int32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

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

void fault(void)
{
    uint32_t status[2] = {0x20026, 99};
    puts("fault");
    semihosting(0x20, status);
    for (;;)
        ;
}

__attribute__((section(".vectors"), used)) static const void *vectors[16] = {
    stack_top, (void *)reset, (void *)fault, (void *)fault, (void *)fault, (void *)fault, (void *)fault,
};
