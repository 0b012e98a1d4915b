/* The range to clean is taken from variables before the loader has set them: the old place is cleaned. */

#include "machine.h"

    .globl program
program:
    address x4, where
#if !FIXED
    ldr     x5, [x4]            /* start of what will be cleaned: the default */
#endif
    address x1, loaded
    str     x1, [x4]            /* the image has a place of its own */
    mov     x2, #42
    str     x2, [x1]
#if FIXED
    ldr     x5, [x4]
#endif
    dc      civac, x5
    dsb     sy
    start_second second
    await   1, DEV
    power_off

second:
    address x1, loaded
    ldr     x0, [x1]
    tell    1, 0
    b       .
    .ltorg

    a_line default_place
    a_line loaded
    .balign 4096
where:
    .quad   default_place
    .balign 4096
