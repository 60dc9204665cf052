/* What a program needs on an emulated RISC-V: where it starts, and calls of the emulator. */
#include <stdint.h>

/* The pattern of these three instructions distinguishes them from a breakpoint; they must be in one page. */
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

