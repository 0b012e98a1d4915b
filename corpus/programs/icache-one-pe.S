/* One PE writes instructions and invalidates its own instruction cache; another PE runs them. */

#include "machine.h"

    .globl program
program:
    start_second second
    await   1, DEV
    address x1, victim
    ldr     w2, =NEW_INSTRUCTION
    str     w2, [x1]
    dc      cvau, x1
    dsb     ish
#if FIXED
    ic      ialluis
#else
    ic      iallu
#endif
    dsb     ish
    isb
    tell    2, DEV
    await   3, DEV
    power_off

second:
    bl      mmu_on
    bl      victim
    tell    1, DEV
    await   2, DEV
    isb
    bl      victim
    tell    3, DEV
    b       .
    .ltorg

    a_victim
