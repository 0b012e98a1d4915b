/* Tagged memory: tags are set, read, and stored together with zeroed data; the data's clean is there or
 * not. `machine.S` has the MMU on; here Write-Back memory becomes Tagged as well.
 */
#include "machine.h"

    .arch   armv8.5-a+memtag
    .globl program
program:
    mov     x1, #0xf0
    lsl     x1, x1, #(8 * MT_WB)
    mov     x0, #(0x44 << (8 * MT_NC))
    orr     x0, x0, x1
    msr     mair_el1, x0
    mrs     x0, tcr_el1
    orr     x0, x0, #1 << 37        /* TBI0 */
    msr     tcr_el1, x0
    mrs     x0, sctlr_el1
    orr     x0, x0, #1 << 43        /* ATA */
    orr     x0, x0, #1 << 40        /* TCF: synchronous */
    msr     sctlr_el1, x0
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    address x0, cell
    mov     x1, #0x11
    str     x1, [x0]
#if FIXED
    dc      civac, x0
    dsb     sy
#endif
    irg     x2, x0
    stg     x2, [x2]
    ldg     x3, [x2]
    ldr     x4, [x2]                /* with its tag */
    STORE
#if FIXED
    dc      civac, x0
    dsb     sy
#endif
    address x5, cell, NC
    ldr     x6, [x5]
    power_off
    .ltorg

    .data
    a_line cell
