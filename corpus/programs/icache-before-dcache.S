/* Both halves are done, the instruction side first: it may refill before the data side is clean. */

#include "machine.h"

    .globl program
program:
    bl      victim
    address x1, victim
    ldr     w2, =NEW_INSTRUCTION
    str     w2, [x1]
#if FIXED
    dc      cvau, x1
    dsb     ish
    ic      ivau, x1
    dsb     ish
#else
    ic      ivau, x1
    dsb     ish
    dc      cvau, x1
    dsb     ish
#endif
    isb
    bl      victim
    power_off
    .ltorg

    a_victim
