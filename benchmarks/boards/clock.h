/* Instructions under QEMU with `-icount shift=0`: SysTick's ticks on Cortex-M, the counter of instructions on RISC-V. */
#include <stdint.h>

int puts(const char *text);

#ifdef __riscv
static uint32_t now(void)
{
    uint32_t n;
    __asm__ volatile(".option push\n.option arch, +zicsr\ncsrr %0, minstret\n.option pop" : "=r"(n));
    return n;
}
#define SINCE(n) (now() - (n))
#define START_CLOCK()
#else
static volatile uint32_t *const systick = (volatile uint32_t *)0xe000e010u;
static uint32_t now(void)
{
    return systick[2];
}
#define SINCE(n) ((((n) - now()) & 0xffffffu) * TICK)
#define START_CLOCK() (systick[1] = 0xffffffu, systick[0] = 5)
#endif

static void print(uint32_t n)
{
    char text[] = "0000000000";
    int k;
    for (k = 9; k >= 0; k--, n /= 10)
        text[k] = (char)('0' + n % 10);
    puts(text);
}
