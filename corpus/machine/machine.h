/* What the corpus's programs are written with: a small machine without an operating system.
 *
 * QEMU's `virt`, RAM at 1 GiB. The runtime (machine.S) starts PE 0 at EL1, switches its MMU and caches
 * on and branches to `program`, which ends with `power_off`. There is no stack; x9 to x15 belong to
 * the macros. FIXED is 0 or 1: the sequence with the bug, or the one that was put in its place.
 *
 * RAM is mapped once for each memory type, at these distances:
 */
#define NC   0x40000000 /* Normal Non-cacheable */
#define DEV  0x80000000 /* Device-nGnRnE */
#define WB2 0x0c0000000 /* Normal Write-Back once more: another address for the same memory */

#define LINE 64         /* bytes; QEMU's CPUs have lines of this size */
#define NEW_INSTRUCTION 0x52800040 /* mov w0, #2: what is written over the first one of `victim` */

/* MAIR indices of the mappings. */
#define MT_DEVICE 0
#define MT_NC     1
#define MT_WB     4

/* A block of 1 GiB at `address`: valid, AF, Inner Shareable. */
#define BLOCK(address, index) ((address) | 0x701 | ((index) << 2))

/* Load the address of a symbol, at a distance if one is given. */
.macro address register, symbol, distance=0
    ldr     \register, =(\symbol + \distance)
.endm

/* Do `dc` or `ic` operations for `bytes` from `symbol` on, one every `stride` bytes. */
.macro maintain class, operation, symbol, bytes, stride=LINE
    ldr     x9, =\symbol
    ldr     x10, =(\symbol + \bytes)
9:  \class  \operation, x9
    add     x9, x9, #\stride
    cmp     x9, x10
    b.lo    9b
.endm

/* What another PE waits for: a counter that every PE uses as Device memory. DISTANCE is DEV for a PE
 * with its MMU on and 0 for one with its MMU off. The DMB orders accesses; it completes no
 * maintenance.
 */
.macro tell value, distance
    dmb     osh
    address x9, turn, \distance
    mov     w10, #\value
    str     w10, [x9]
.endm

.macro await value, distance
    address x9, turn, \distance
9:  ldr     w10, [x9]
    cmp     w10, #\value
    b.lo    9b
    dmb     osh
.endm

/* PSCI. The conduit is HVC, or SMC on a machine with EL2. */
.macro psci function
    ldr     x0, =\function
#ifdef GUEST
    smc     #0
#else
    hvc     #0
#endif
.endm

.macro power_off
    psci    0x84000008
.endm

/* Start PE 1 at `entry`, its MMU and caches off. */
.macro start_second entry
    mov     x1, #1
    ldr     x2, =\entry
    mov     x3, #0
    psci    0xc4000003
.endm

/* A function to be patched, alone in its lines. */
.macro a_victim
    .balign 4096
victim:
    mov     w0, #1
    ret
    .balign 4096
.endm

/* Cells of data, each on a line of its own. */
.macro a_line name
    .balign 4096
\name:
    .quad   0, 0, 0, 0, 0, 0, 0, 0
.endm
