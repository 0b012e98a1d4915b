/* Maintenance of a range stops at its second page, and the caller is not told. */

#include "machine.h"

    .globl program
program:
    bl      victim
    bl      victim + 4096
    ldr     w2, =NEW_INSTRUCTION
    address x1, victim
    str     w2, [x1]
    address x1, victim + 4096
    str     w2, [x1]
#if FIXED
    maintain dc, cvau, victim, 8192
    dsb     ish
    maintain ic, ivau, victim, 8192
#else
    maintain dc, cvau, victim, 4096
    dsb     ish
    maintain ic, ivau, victim, 4096
#endif
    dsb     ish
    isb
    bl      victim
    bl      victim + 4096
    power_off
    .ltorg

    .balign 4096
victim:
    mov     w0, #1
    ret
    .balign 4096
    mov     w0, #1
    ret
    .balign 4096
