/* What a program needs on an emulated Cortex-M: vectors, and calls of the emulator. */
#include <stdint.h>

extern uint32_t stack_top[];
extern void reset(void);
extern int puts(const char *text);

int32_t semihosting(int32_t operation, const void *argument)
{
    register int32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
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
