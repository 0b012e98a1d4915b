/* Before it is powered down a PE sweeps its caches, up to the level that CLIDR_EL1.LoUIS says. That is
 * 0 where the PoU needs no clean: the sweep does nothing. LoC is the last level.
 */

#include "machine.h"

    .globl program
program:
    mov     x2, #42
    address x1, shared
    str     x2, [x1]
    dsb     sy
    mrs     x0, clidr_el1
#if FIXED
    ubfx    x0, x0, #24, #3     /* LoC */
#else
    ubfx    x0, x0, #21, #3     /* LoUIS */
#endif
    bl      clean_levels
    bl      mmu_off
    address x1, shared
    ldr     x0, [x1]
    power_off
    .ltorg

    a_line shared
