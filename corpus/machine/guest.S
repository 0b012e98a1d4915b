/* The runtime of programs with a hypervisor: `program` runs at EL2 with MMU and caches on. `enter_guest`
 * goes to `guest` at EL1 with its MMU off, in RAM that stage 2 maps Write-Back; HVC comes back to
 * `hypercall`, which ends with `return_to_guest`.
 */

#include "machine.h"

#define MAIR  (0x44 << (8 * MT_NC) | 0xff << (8 * MT_WB))
#define TCR   (31 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 1 << 31)
#define VTCR  (31 | 1 << 6 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 31)
#define SCTLR_EL2_ON  (0x30c50830 | 1 | 1 << 2 | 1 << 12)
#define SCTLR_EL1_OFF 0x30d00800
#define HCR   (1 << 31 | 1)             /* RW, VM */
#define EL1H  0x3c5

    .globl _start, enter_guest

_start:
    ldr     x11, =tables
    msr     ttbr0_el2, x11
    ldr     x11, =MAIR
    msr     mair_el2, x11
    ldr     x11, =TCR
    msr     tcr_el2, x11
    adr     x11, vectors
    msr     vbar_el2, x11
    isb
    tlbi    alle2
    dsb     nsh
    isb
    ldr     x11, =SCTLR_EL2_ON
    msr     sctlr_el2, x11
    isb
    b       program

enter_guest:
    ldr     x11, =stage2
    msr     vttbr_el2, x11
    ldr     x11, =VTCR
    msr     vtcr_el2, x11
    ldr     x11, =HCR
    msr     hcr_el2, x11
    ldr     x11, =SCTLR_EL1_OFF
    msr     sctlr_el1, x11
    ldr     x11, =EL1H
    msr     spsr_el2, x11
    ldr     x11, =guest
    msr     elr_el2, x11
    isb
    tlbi    vmalls12e1
    dsb     nsh
    isb
    eret
    .ltorg

    .balign 2048
vectors:
    .fill   256, 4, 0
    b       hypercall           /* synchronous, from a lower level in AArch64 */
    .balign 2048

    .data
    .balign 4096
tables:
    .quad   BLOCK(0x00000000, MT_DEVICE) | 1 << 54
    .quad   BLOCK(0x40000000, MT_WB)
    .quad   BLOCK(0x40000000, MT_NC)
    .quad   BLOCK(0x40000000, MT_DEVICE) | 1 << 54
    .quad   BLOCK(0x40000000, MT_WB)
    .quad   0, 0, 0
    .balign 4096
stage2: /* read and write, Normal Write-Back, AF */
    .quad   0
    .quad   0x40000000 | 0x7fd
    .quad   0, 0, 0, 0, 0, 0
    .balign 4096
