/* The runtime of programs at EL1: start, page tables, switching the MMU and caches on and off. */

#include "machine.h"

#define MAIR (0x44 << (8 * MT_NC) | 0xff << (8 * MT_WB))
#define TCR_WALKS_UNCACHED (31 | 1 << 23) /* 8 GiB */
#define TCR (TCR_WALKS_UNCACHED | 1 << 8 | 1 << 10 | 3 << 12) /* walks Write-Back, Inner Shareable */
#define SCTLR_OFF 0x30d00800
#define SCTLR_ON  (SCTLR_OFF | 1 | 1 << 2 | 1 << 12) /* M, C, I */

    .globl _start, mmu_on, mmu_on_with, mmu_on_walks_uncached, mmu_off, clean_levels, tables, turn

_start:
    bl      mmu_on
    b       program

/* Switch MMU and caches on; clobbers x11 to x13. The other two: with the tables at x11. */
mmu_on:
    ldr     x11, =tables
mmu_on_with:
    ldr     x13, =TCR
    b       1f
mmu_on_walks_uncached:
    ldr     x13, =TCR_WALKS_UNCACHED
1:  ldr     x12, =MAIR
    msr     mair_el1, x12
    msr     tcr_el1, x13
    msr     ttbr0_el1, x11
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    ldr     x12, =SCTLR_ON
    msr     sctlr_el1, x12
    isb
    ret

/* Switch MMU and caches off, without any maintenance. */
mmu_off:
    ldr     x12, =SCTLR_OFF
    msr     sctlr_el1, x12
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    ret

/* Clean and invalidate the first x0 levels of this PE's caches by set and way; clobbers x1 to x8. */
clean_levels:
    dsb     sy
    mov     x1, #0
1:  cmp     x1, x0
    b.hs    4f
    lsl     x2, x1, #1
    msr     csselr_el1, x2
    isb
    mrs     x3, ccsidr_el1
    and     x4, x3, #7
    add     x4, x4, #4              /* log2 of the line */
    ubfx    x5, x3, #3, #10         /* ways - 1 */
    clz     w6, w5
2:  ubfx    x7, x3, #13, #15        /* sets - 1 */
3:  lsl     w8, w5, w6
    orr     x8, x8, x2
    lsl     x9, x7, x4
    orr     x8, x8, x9
    dc      cisw, x8
    subs    x7, x7, #1
    b.ge    3b
    subs    x5, x5, #1
    b.ge    2b
    add     x1, x1, #1
    b       1b
4:  dsb     sy
    isb
    ret

    .ltorg

    .data
    .balign 4096
tables: /* of level 1, 1 GiB each */
    .quad   BLOCK(0x00000000, MT_DEVICE) | 1 << 54
    .quad   BLOCK(0x40000000, MT_WB)
    .quad   BLOCK(0x40000000, MT_NC)
    .quad   BLOCK(0x40000000, MT_DEVICE) | 1 << 54
    .quad   BLOCK(0x40000000, MT_WB)
    .quad   0, 0, 0
    .balign 4096
turn:
    .quad   0, 0, 0, 0, 0, 0, 0, 0
    .balign 4096
