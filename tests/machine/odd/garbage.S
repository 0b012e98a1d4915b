/* EL0 jumps into random words, one after the other, until all were tried: EL1 takes every exception.
 *
 * The garbage is mapped read-only for EL0 and all else is EL1's, so whatever it does it does not write.
 * Branches are left out (test_odd_machines.py makes the words): a loop would never end. The last jumps
 * are to an address that is not aligned, to one that is not mapped and to a device.
 */
#include "machine.h"

#define GARBAGE_VA 0x140000000
#define JUMPS (GARBAGE_WORDS + 3)

    .globl program
program:
    address x0, vectors
    msr     vbar_el1, x0
    mov     x0, #3 << 20            /* FPEN */
    msr     cpacr_el1, x0
    address x0, tables
    address x1, level2 + 3
    str     x1, [x0, #5 * 8]
    address x0, level2
    address x1, level3 + 3
    str     x1, [x0]
    address x0, level3
    ldr     x1, =(garbage + 0x7c3 + (MT_WB << 2)) /* AF, ISH, read-only, EL0; a page */
    orr     x1, x1, #1 << 53        /* PXN */
    str     x1, [x0]
    dsb     ish
    msr     tpidr_el1, xzr
next:
    mrs     x0, tpidr_el1
    ldr     x1, =JUMPS
    cmp     x0, x1
    b.hs    off
    add     x1, x0, #1
    msr     tpidr_el1, x1
    ldr     x2, =GARBAGE_VA
    add     x2, x2, x0, lsl #2
    ldr     x3, =GARBAGE_WORDS
    subs    x3, x0, x3
    b.lo    1f
    address x2, odd_places
    ldr     x2, [x2, x3, lsl #3]
1:  msr     elr_el1, x2
    msr     spsr_el1, xzr           /* EL0 */
    isb
    eret
off:
    power_off
    .ltorg

    .balign 2048
vectors:
    .rept 16
    b       next
    .balign 128
    .endr

    .data
odd_places:
    .quad   GARBAGE_VA + 2, 0x1c0000000, 0x09000000
    .balign 4096
level2: .fill 512, 8, 0
level3: .fill 512, 8, 0
garbage:
#include "garbage.inc"
    .balign 4096
