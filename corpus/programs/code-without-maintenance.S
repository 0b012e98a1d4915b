/* New instructions are written and called; FIXED makes them visible to instruction fetches first. */

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
    isb
#endif
    bl      victim
    power_off
    .ltorg

    a_victim
