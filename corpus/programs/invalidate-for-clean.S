/* Code is invalidated on the data side, where it had to be cleaned: it may be discarded. */

#include "machine.h"

    .globl program
program:
    bl      victim
    address x1, victim
    ldr     w2, =NEW_INSTRUCTION
    str     w2, [x1]
#if FIXED
    dc      cvac, x1
#else
    dc      ivac, x1
#endif
    dsb     ish
    ic      ivau, x1
    dsb     ish
    isb
    bl      victim
    power_off
    .ltorg

    a_victim
