/* The data side is cleaned; the function for the instruction side does nothing. */

#include "machine.h"

    .globl program
program:
    bl      victim
    address x1, victim
    ldr     w2, =NEW_INSTRUCTION
    str     w2, [x1]
    dc      cvac, x1
    dsb     ish
    bl      invalidate_icache
    bl      victim
    power_off

invalidate_icache:
#if FIXED
    ic      ivau, x1
    dsb     ish
    isb
#endif
    ret
    .ltorg

    a_victim
