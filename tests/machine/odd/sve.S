/* SVE: vectors over several lines, first-fault and gather loads, scattered stores, all lanes or few. What
 * they write is read past the caches, after its maintenance or without.
 */
#include "machine.h"

    .arch   armv8.2-a+sve
    .globl program
program:
    mov     x0, #3 << 20 | 3 << 16  /* FPEN, ZEN */
    msr     cpacr_el1, x0
    isb
    mov     x0, #15
    msr     zcr_el1, x0             /* 2048 bits, or what there is */
    isb
    ptrue   p0.d
    address x1, area + 40           /* no line's start */
    ld1d    {z0.d}, p0/z, [x1]
    setffr
    ldff1d  {z1.d}, p0/z, [x1]
    rdffr   p1.b
    mov     x9, #64
    index   z2.d, #0, x9
    ld1d    {z3.d}, p0/z, [x1, z2.d]
    st1d    {z2.d}, p0, [x1]
    ptrue   p2.d, vl2
    st1d    {z2.d}, p2, [x1, z2.d]  /* two lanes, two lines */
    st2d    {z2.d, z3.d}, p0, [x1]
    pfalse  p3.b
    address x2, untouched
    st1d    {z2.d}, p3, [x2]        /* no lane: nothing is written */
#if FIXED
    maintain dc, civac, area, 4096
    dsb     sy
#endif
    address x3, area + 40, NC
    ld1d    {z4.d}, p0/z, [x3]
    address x2, untouched, NC
    ldr     x4, [x2]
    power_off
    .ltorg

    .data
    .balign 4096
area:   .fill 512, 8, 0
    a_line untouched
