/* The address where a PE shall start is written through the caches; the PE looks it up without any. */

#include "machine.h"

    .globl program
program:
    adr     x2, woken
    address x1, mailbox
    str     x2, [x1]
#if FIXED
    dc      cvac, x1
#endif
    dsb     sy
    start_second second
    await   1, DEV
    power_off

second:
    address x1, mailbox
    ldr     x0, [x1]
    br      x0
woken:
    tell    1, 0
    b       .
    .ltorg

    a_line mailbox
