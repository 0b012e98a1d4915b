/* Instruction caches are invalidated, and nobody waits until they are. */

#include "machine.h"

    .globl program
program:
    bl      victim
    address x1, victim
    ldr     w2, =NEW_INSTRUCTION
    str     w2, [x1]
    dc      cvau, x1
    dsb     ish
    ic      ialluis
#if FIXED
    dsb     ish
    isb
#endif
    bl      victim
    power_off
    .ltorg

    a_victim
