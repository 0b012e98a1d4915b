/*
 * The callers of an instruction, from frame records: no QEMU, no state.
 *
 * AAPCS64, "The Frame Pointer": x29 points to two doublewords, the caller's x29 and the return address;
 * the last record holds zero. Read through a translation as the PE would, never trusted: a record that
 * is misaligned, not mapped, or not further up the stack ends the walk, as does a return address at
 * which there can be no code.
 *
 * Left out: big-endian data, shadow stacks (FEAT_GCS), callers inlined by a compiler.
 */
#ifndef POCWATCH_UNWIND_H
#define POCWATCH_UNWIND_H

#include "walk.h"

/* One caller. */
struct pw_caller {
    uint64_t pc;     /* the return address */
    uint64_t pa;     /* of `pc` */
    uint64_t ipa;    /* PW_NO_ADDRESS when stage 2 is off */
    uint64_t record; /* PA of the frame record it was read from; PW_NO_ADDRESS for the link register */
    uint64_t fp, lr; /* the record's doublewords, as they are in memory */
};

/*
 * The callers of an instruction, innermost first, at most `max`; returns how many.
 *
 * `lr` comes first, if it is not the first record's and follows a call: the return address of a function
 * that makes no record, or has not yet. In one that has, and has called others, it is where the last of
 * them returned to, which is the function itself: who knows the functions' extents has to tell the two
 * apart.
 */
PW_API unsigned pw_unwind(const struct pw_regs *regs, uint64_t fp, uint64_t lr, pw_read64 read,
                          void *opaque, struct pw_caller callers[], unsigned max);

/* A return address without its pointer authentication code (FEAT_PAuth: XPACI), at `regs->el`. */
PW_API uint64_t pw_strip_pac(const struct pw_regs *regs, uint64_t address);

#endif
