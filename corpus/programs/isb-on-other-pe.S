/* One PE compiles and does all the maintenance; another runs the code without an ISB of its own. */

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
    ic      ivau, x1
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
#if FIXED
    isb     /* membarrier(..._SYNC_CORE) makes the kernel do one on every PE that runs the process */
#endif
    bl      victim
    tell    3, DEV
    b       .
    .ltorg

    a_victim
