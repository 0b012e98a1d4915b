/* The line that is cleaned is that of a pointer; what it points to stays in the caches. */

#include "machine.h"

    .globl program
program:
    address x1, pointer
    address x2, pointee
    str     x2, [x1]
    mov     x3, #42
    str     x3, [x2]
#if FIXED
    dc      civac, x2
#else
    dc      civac, x1
#endif
    dsb     sy
    start_second second
    await   1, DEV
    power_off

second: /* knows the address from a register, as PSCI's context */
    address x2, pointee
    ldr     x0, [x2]
    tell    1, 0
    b       .
    .ltorg

    a_line pointer
    a_line pointee
