/* Maintenance by a line size that is not the smallest of the system: every other line is left out. */

#include "machine.h"

#if FIXED
#define STRIDE LINE
#else
#define STRIDE (2 * LINE)
#endif

    .globl program
program:
    bl      victim
    bl      victim + LINE
    ldr     w2, =NEW_INSTRUCTION
    address x1, victim
    str     w2, [x1]
    str     w2, [x1, #LINE]
    maintain dc, cvau, victim, 2 * LINE, STRIDE
    dsb     ish
    maintain ic, ivau, victim, 2 * LINE, STRIDE
    dsb     ish
    isb
    bl      victim
    bl      victim + LINE
    power_off
    .ltorg

    .balign 4096
victim:
    mov     w0, #1
    ret
    .balign LINE
    mov     w0, #1
    ret
    .balign 4096
