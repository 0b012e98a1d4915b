/* A hypervisor copies a kernel into guest memory through its caches, and the guest starts without. */

#include "machine.h"

    .globl program, guest, hypercall
program:
    ldr     w2, =NEW_INSTRUCTION
    address x1, guest
    str     w2, [x1]
#if FIXED
    dc      civac, x1
#endif
    dsb     sy
    ic      ialluis
    dsb     sy
    isb
    b       enter_guest

hypercall:
    b       .
    .ltorg

    .balign 4096
guest:
    mov     w0, #1
    power_off
    .ltorg
    .balign 4096
