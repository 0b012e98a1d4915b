/* Code is patched through one mapping of its page and runs through another. */

#include "machine.h"

    .globl program
program:
    bl      victim
    address x1, victim, WB2
    ldr     w2, =NEW_INSTRUCTION
    str     w2, [x1]
#if FIXED
    address x1, victim
    dc      cvau, x1
    dsb     ish
    ic      ivau, x1
    dsb     ish
    isb
#endif
    bl      victim
    power_off
    .ltorg

    a_victim
