/*
 * Which A64 instructions matter to the caches, from the 32-bit encoding alone.
 *
 * Encodings: Arm ARM (DDI 0487), "System instruction class encoding overview" and "Barriers". Whether
 * an instruction traps depends on registers and is `pw_trapped`. DC instructions on Allocation Tags
 * alone are not classified (they move no data); those on data and tags act as the ones on data.
 */
#ifndef POCWATCH_DECODE_H
#define POCWATCH_DECODE_H

#include <stdbool.h>
#include <stdint.h>
#include "walk.h"

enum pw_class {
    PW_CLASS_NONE,
    PW_CLASS_DC_VA,
    PW_CLASS_DC_SW,
    PW_CLASS_DC_ZVA,
    PW_CLASS_IC_VA,
    PW_CLASS_IC_ALL,
    PW_CLASS_BARRIER, /* op: DMB, DSB or ISB */
    PW_CLASS_ERET,
    PW_CLASS_TLBI,
    PW_CLASS_MSR,     /* of a register that translation or exception entry depends on */
    PW_CLASS_MRS,     /* of an identification register that QEMU does not show otherwise */
};

/* Registers whose MSR is of interest, as bits of a set; EL12 names mean the EL1 register. */
enum pw_sysreg {
    PW_SCTLR_EL1, PW_TCR_EL1, PW_TTBR0_EL1, PW_TTBR1_EL1, PW_MAIR_EL1, PW_VBAR_EL1,
    PW_SCTLR_EL2, PW_TCR_EL2, PW_TTBR0_EL2, PW_TTBR1_EL2, PW_MAIR_EL2, PW_VBAR_EL2,
    PW_SCTLR_EL3, PW_TCR_EL3, PW_TTBR0_EL3, PW_MAIR_EL3, PW_VBAR_EL3,
    PW_HCR_EL2, PW_VTCR_EL2, PW_VTTBR_EL2, PW_SCR_EL3, PW_HFGITR_EL2,
    PW_N_SYSREGS,
    PW_MIDR_EL1 = PW_N_SYSREGS, PW_DCZID_EL0,
};

enum pw_tlbi { PW_TLBI_ALL, PW_TLBI_VA, PW_TLBI_ASID }; /* VA: the half that Xt[43] names */

struct pw_insn {
    uint8_t class_; /* enum pw_class */
    uint8_t op;     /* PW_OP_* of DC, IC and barriers, enum pw_tlbi of TLBI */
    uint8_t rt;
    uint8_t sysreg; /* enum pw_sysreg of MSR and MRS */
    uint8_t el12;   /* MSR by an EL12 name: no redirection under HCR_EL2.E2H */
    uint8_t all_pes; /* TLBI and IC: broadcast by itself */
    uint8_t full;   /* barrier orders loads and stores with loads and stores */
    uint8_t fgt;    /* HFGITR_EL2 bit that traps it at EL1 and EL0, 0xff if none */
};

PW_API void pw_decode(uint32_t encoding, struct pw_insn *out);
/* Whether the encoding may access memory as a load or store (a superset). */
PW_API int pw_may_access(uint32_t encoding);
/* Whether `insn` at `regs->el` traps or is UNDEFINED instead of doing its work; DC and IC only.
 * `hfgitr` is 0 where FEAT_FGT is absent or not enabled. */
PW_API int pw_trapped(const struct pw_insn *insn, const struct pw_regs *regs, uint64_t hfgitr);

/* Whether instructions behind this one count as fetched after it, not with it. */
static inline bool pw_synchronises(const struct pw_insn *insn)
{
    return insn->class_ != PW_CLASS_NONE && insn->class_ != PW_CLASS_MRS;
}

#endif
