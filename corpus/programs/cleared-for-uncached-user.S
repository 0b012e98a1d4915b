/* A frame is cleared and cleaned to the Point of Unification, and given to a user who maps it
 * Non-cacheable.
 */

#include "machine.h"

    .globl program
program:
    address x1, frame
    str     xzr, [x1]
#if FIXED
    dc      civac, x1
#else
    dc      cvau, x1
#endif
    dsb     ish
    address x1, frame, NC
    ldr     x0, [x1]
    power_off
    .ltorg

    a_line frame
