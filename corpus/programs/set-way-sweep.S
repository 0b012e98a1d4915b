/* A guest without trapping of set/way operations sweeps its caches before it goes on with its MMU off,
 * on a machine with several PEs and a system cache. FIXED is what a hypervisor does that traps them:
 * clean by VA what the guest has mapped.
 */

#include "machine.h"

    .globl program
program:
    mov     x2, #42
    address x1, shared
    str     x2, [x1]
    dsb     sy
    mrs     x0, clidr_el1
    ubfx    x0, x0, #24, #3     /* LoC */
    bl      clean_levels
#if FIXED
    maintain dc, civac, shared, 4096
    dsb     sy
#endif
    bl      mmu_off
    address x1, shared
    ldr     x0, [x1]
    power_off
    .ltorg

    a_line shared
