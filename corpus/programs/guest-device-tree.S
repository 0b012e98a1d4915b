/* A hypervisor writes the device tree for a guest that reads it with its MMU off. */

#include "machine.h"

    .globl program, guest, hypercall
program:
    mov     x2, #42
    address x1, device_tree
    str     x2, [x1]
#if FIXED
    dc      civac, x1
#endif
    dsb     sy
    b       enter_guest

hypercall:
    b       .

guest:
    address x1, device_tree
    ldr     x0, [x1]
    power_off
    .ltorg

    a_line device_tree
