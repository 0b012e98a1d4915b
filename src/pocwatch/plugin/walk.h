/*
 * One address translation, stage 1 and stage 2, from the architecture's rules: no QEMU, no state.
 *
 * Follows the Arm ARM (DDI 0487), "The AArch64 Virtual Memory System Architecture": granules of 4, 16
 * and 64 KiB, every block size, concatenated stage-2 tables, 52-bit addresses (FEAT_LPA, FEAT_LVA,
 * FEAT_LPA2), regimes EL1&0, EL2, EL2&0 and EL3, and what SCTLR_ELx.{M,C,I} and HCR_EL2.{VM,DC,CD,ID,
 * TGE,E2H} make of the attributes (facts C12, C13).
 *
 * Left out: AArch32 regimes, Secure stage 2 (VSTTBR_EL2), permission indirection and overlay
 * (FEAT_S1PIE, FEAT_S1POE), 128-bit descriptors, granule protection checks, PSTATE.PAN.
 */
#ifndef POCWATCH_WALK_H
#define POCWATCH_WALK_H

#include <stdint.h>
#include "generated.h"

#define PW_API __attribute__((visibility("default")))

/* What a translation depends on. Registers that the PE does not implement are 0. */
struct pw_regs {
    uint64_t el; /* 0..3: of the access */
    uint64_t has_el2, has_el3;
    uint64_t sctlr_el1, tcr_el1, ttbr0_el1, ttbr1_el1, mair_el1;
    uint64_t sctlr_el2, tcr_el2, ttbr0_el2, ttbr1_el2, mair_el2;
    uint64_t sctlr_el3, tcr_el3, ttbr0_el3, mair_el3, scr_el3;
    uint64_t hcr_el2, vtcr_el2, vttbr_el2;
    uint64_t id_aa64mmfr0, id_aa64mmfr1, id_aa64mmfr2;
};

enum pw_regime { PW_REGIME_EL10, PW_REGIME_EL2, PW_REGIME_EL20, PW_REGIME_EL3 };

enum pw_fault {
    PW_FAULT_NONE,
    PW_FAULT_ADDRESS_SIZE,
    PW_FAULT_TRANSLATION,
    PW_FAULT_ACCESS_FLAG,
    PW_FAULT_PERMISSION,  /* only of a stage-1 walk's own read at stage 2 (HCR_EL2.PTW) */
    PW_FAULT_EXTERNAL,    /* the descriptor is not in readable memory */
};

enum { PW_PERM_R = 1, PW_PERM_W = 2, PW_PERM_X = 4 };

/* A descriptor that the walk read, in order. */
struct pw_descriptor {
    uint64_t pa;
    uint64_t ipa;   /* PW_NO_ADDRESS for stage-2 descriptors and without stage 2 */
    uint64_t value;
    uint16_t why;   /* PW_WHY_* */
    uint8_t kind;   /* PW_KIND_* of the read */
    uint8_t stage;  /* 1 or 2 */
    int8_t level;   /* -1..3 */
    uint8_t reserved[3];
};

#define PW_MAX_DESCRIPTORS 40 /* 5 levels, each with a stage-2 walk of up to 5, and a last one */

struct pw_translation {
    uint64_t pa;    /* of the byte at VA */
    uint64_t ipa;   /* PW_NO_ADDRESS when stage 2 is off */
    uint64_t size;  /* bytes that one TLB entry may cover around VA: the smaller stage's block */
    uint16_t why;   /* PW_WHY_* */
    uint8_t kind;   /* PW_KIND_* */
    uint8_t s1_mair;
    uint8_t s2_attr;
    uint8_t mmu_on; /* stage 1 enabled */
    uint8_t perm;   /* PW_PERM_* at this EL, both stages */
    uint8_t fault;  /* enum pw_fault; on a fault only the descriptors are meaningful */
    uint8_t fault_stage;
    int8_t fault_level;
    uint8_t not_global;
    uint8_t n_descriptors;
    uint8_t s1_shift; /* log2 of stage 1's own block; 48 when stage 1 is off */
    uint8_t reserved[3];
    struct pw_descriptor descriptors[PW_MAX_DESCRIPTORS];
};

/* Read the 8 bytes at `pa`, little-endian; return 0 if they are not readable memory. */
typedef int (*pw_read64)(void *opaque, uint64_t pa, uint64_t *value);

PW_API enum pw_regime pw_regime_of(const struct pw_regs *regs);
/* HCR_EL2 as it counts in the current Security state: 0 when EL2 is not implemented or not enabled. */
PW_API uint64_t pw_hcr_effective(const struct pw_regs *regs);
/* Whether stage 2 applies to `regs->el`: EL1&0 under HCR_EL2.VM or DC. */
PW_API int pw_stage2_on(const struct pw_regs *regs);
/* Whether the stage 1 of the regime of `regs->el` is enabled. */
PW_API int pw_stage1_on(const struct pw_regs *regs);
/* Translate `va` for a data access (fetch 0) or an instruction fetch (fetch 1) at `regs->el`. */
PW_API enum pw_fault pw_translate(const struct pw_regs *regs, uint64_t va, int fetch,
                                  pw_read64 read, void *opaque, struct pw_translation *out);
/* Sizes for callers that mirror the structures. */
PW_API unsigned pw_sizeof_regs(void);
PW_API unsigned pw_sizeof_translation(void);

#endif
