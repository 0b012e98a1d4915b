/* The MMU goes on with tables that map nothing: every fetch faults, that of the vectors too, for ever. */
#include "machine.h"

    .globl program
program:
    address x0, vectors
    msr     vbar_el1, x0
    address x0, empty
    msr     ttbr0_el1, x0
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    b       .
    .ltorg
    .balign 2048
vectors:
    .fill   512, 4, 0x14000000      /* b . */

    .data
    .balign 4096
empty:  .fill 512, 8, 0
