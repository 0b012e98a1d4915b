/* A range is cleaned by a line size that is a constant and too large. */

#include "machine.h"

#if FIXED
#define STRIDE LINE
#else
#define STRIDE (2 * LINE)
#endif

    .globl program
program:
    mov     x2, #42
    address x1, shared
    str     x2, [x1]
    str     x2, [x1, #LINE]
    maintain dc, cvac, shared, 2 * LINE, STRIDE
    dsb     sy
    start_second second
    await   1, DEV
    power_off

second:
    address x1, shared
    ldr     x0, [x1]
    ldr     x0, [x1, #LINE]
    tell    1, 0
    b       .
    .ltorg

    a_line shared
