/* An image is made fit for fetches with caches on, and the caches are swept by set and way; then the
 * same PE enters the image with its MMU and caches off.
 */

#include "machine.h"

    .globl program
program:
    ldr     w2, =NEW_INSTRUCTION
    address x1, image
    str     w2, [x1]
    address x3, image_data
    mov     x4, #42
    str     x4, [x3]
#if FIXED
    dc      cvac, x1
    dc      cvac, x3
#else
    dc      cvau, x1
    dc      cvau, x3
#endif
    dsb     sy
    ic      ialluis
    dsb     sy
    isb
    mrs     x0, clidr_el1
    ubfx    x0, x0, #24, #3     /* LoC */
    bl      clean_levels
    bl      mmu_off
    b       image
    .ltorg

    .balign 4096
image:
    mov     w0, #1
    address x3, image_data
    ldr     x4, [x3]
    power_off
    .ltorg

    a_line image_data
