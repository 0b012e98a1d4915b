/* An engine writes a buffer past the caches. What is invalidated is the place on the stack that holds
 * the buffer's address, not the buffer.
 */

#include "machine.h"

    .globl program
program:
    address x1, stack
    address x2, buffer
    str     x2, [x1]
    dc      civac, x2
    dsb     sy
    start_second engine
    await   1, DEV
    address x1, stack
    address x2, buffer
#if FIXED
    dc      ivac, x2
#else
    dc      ivac, x1
#endif
    dsb     sy
    ldr     x2, [x1]
    ldr     x0, [x2]
    power_off

engine: /* a PE with its MMU off stands for it */
    address x2, buffer
    mov     x3, #42
    str     x3, [x2]
    tell    1, 0
    b       .
    .ltorg

    a_line stack
    a_line buffer
