/* A guest has run code that its toolstack then patches: memory is cleaned to the PoC, the instruction
 * caches keep what they have.
 */

#include "machine.h"

    .globl program, guest, hypercall
program:
    b       enter_guest

hypercall: /* stands for the toolstack: Write-Back, as from another domain */
    ldr     w2, =NEW_INSTRUCTION
    address x1, victim
    str     w2, [x1]
    dc      civac, x1
    dsb     sy
#if FIXED
    ic      ialluis
    dsb     sy
    isb
#endif
    eret
    .ltorg

guest:
    bl      victim
    hvc     #0
    bl      victim
    power_off
    .ltorg

    a_victim
