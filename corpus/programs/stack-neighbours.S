/* A structure on the stack is invalidated, and what lies beside it in its line is lost with it. */

#include "machine.h"

    .globl program
program:
    address x1, stack
    str     x30, [x1, #8]       /* the return address, saved beside the structure */
    mov     x2, #42
    str     x2, [x1]
#if !FIXED
    dc      ivac, x1
    dsb     sy
#endif
    ldr     x30, [x1, #8]
    power_off
    .ltorg

    a_line stack
