/* Something is written through the caches for a PE that reads it before it has its own on. */

#include "machine.h"

    .globl program
program:
    mov     x2, #42
    address x1, shared
    str     x2, [x1]
#if FIXED
    dc      civac, x1
#endif
    dsb     sy
    start_second second
    await   1, DEV
    power_off

second:
    address x1, shared
    ldr     x0, [x1]
    tell    1, 0
    b       .
    .ltorg

    a_line shared
