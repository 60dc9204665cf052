/* What a program needs on an emulated RISC-V: a start that calls main, and printing by semihosting. */
#include <stdint.h>

extern int main(void);
extern uint32_t zeros_start[], zeros_end[];

/* The three instructions are told from a breakpoint by their pattern, which has to lie in one page. */
__asm__(".section .vectors, \"ax\"\n"
        ".globl _start\n"
        "_start:\n"
        "    la sp, stack_top\n"
        "    j reset\n"
        ".balign 16\n"
        ".globl semihosting\n"
        "semihosting:\n"
        ".option push\n"
        ".option norvc\n"
        "    slli x0, x0, 0x1f\n"
        "    ebreak\n"
        "    srai x0, x0, 7\n"
        ".option pop\n"
        "    ret\n"
        ".text\n");

extern int32_t semihosting(int32_t operation, const void *argument);

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
