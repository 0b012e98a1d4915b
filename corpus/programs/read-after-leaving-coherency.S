/* A PE switches its caches off to leave the coherent domain, and then reads what it wrote through them. */

#include "machine.h"

    .globl program
program:
    mov     x2, #42
    address x1, shared
    str     x2, [x1]
#if FIXED
    ldr     x0, [x1]
#endif
    bl      mmu_off
#if !FIXED
    address x1, shared
    ldr     x0, [x1]
#endif
    power_off
    .ltorg

    a_line shared
