/* Which A64 instructions matter to the caches; see decode.h. */
#include "decode.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define SYS(op1, crn, crm, op2) ((op1) << 11 | (crn) << 7 | (crm) << 3 | (op2))

struct row {
    uint16_t key;
    uint8_t class_, op, fgt;
};

/* DC and IC: SYS #op1, Cn, Cm, #op2; the bit of HFGITR_EL2 that traps each. */
static const struct row maintenance[] = {
    {SYS(0, 7, 6, 1), PW_CLASS_DC_VA, PW_OP_DC_IVAC, 3},
    {SYS(0, 7, 6, 5), PW_CLASS_DC_VA, PW_OP_DC_IVAC, 3},    /* IGDVAC */
    {SYS(0, 7, 6, 2), PW_CLASS_DC_SW, PW_OP_DC_ISW, 4},
    {SYS(0, 7, 6, 6), PW_CLASS_DC_SW, PW_OP_DC_ISW, 4},     /* IGDSW */
    {SYS(0, 7, 10, 2), PW_CLASS_DC_SW, PW_OP_DC_CSW, 5},
    {SYS(0, 7, 10, 6), PW_CLASS_DC_SW, PW_OP_DC_CSW, 5},    /* CGDSW */
    {SYS(0, 7, 14, 2), PW_CLASS_DC_SW, PW_OP_DC_CISW, 6},
    {SYS(0, 7, 14, 6), PW_CLASS_DC_SW, PW_OP_DC_CISW, 6},   /* CIGDSW */
    {SYS(3, 7, 4, 1), PW_CLASS_DC_ZVA, PW_OP_DC_ZVA, 11},
    {SYS(3, 7, 4, 4), PW_CLASS_DC_ZVA, PW_OP_DC_ZVA, 11},   /* GZVA */
    {SYS(3, 7, 10, 1), PW_CLASS_DC_VA, PW_OP_DC_CVAC, 54},
    {SYS(3, 7, 10, 5), PW_CLASS_DC_VA, PW_OP_DC_CVAC, 54},  /* CGDVAC */
    {SYS(3, 7, 11, 1), PW_CLASS_DC_VA, PW_OP_DC_CVAU, 7},
    {SYS(3, 7, 12, 1), PW_CLASS_DC_VA, PW_OP_DC_CVAP, 8},
    {SYS(3, 7, 12, 5), PW_CLASS_DC_VA, PW_OP_DC_CVAP, 8},   /* CGDVAP */
    {SYS(3, 7, 13, 1), PW_CLASS_DC_VA, PW_OP_DC_CVAP, 9},   /* CVADP */
    {SYS(3, 7, 13, 5), PW_CLASS_DC_VA, PW_OP_DC_CVAP, 9},   /* CGDVADP */
    {SYS(3, 7, 14, 1), PW_CLASS_DC_VA, PW_OP_DC_CIVAC, 10},
    {SYS(3, 7, 14, 5), PW_CLASS_DC_VA, PW_OP_DC_CIVAC, 10}, /* CIGDVAC */
    {SYS(0, 7, 1, 0), PW_CLASS_IC_ALL, PW_OP_IC_IALLUIS, 0},
    {SYS(0, 7, 5, 0), PW_CLASS_IC_ALL, PW_OP_IC_IALLU, 1},
    {SYS(3, 7, 5, 1), PW_CLASS_IC_VA, PW_OP_IC_IVAU, 2},
};

struct sysreg {
    uint16_t key; /* without op1 */
    uint8_t el1, el2, el3;
};

#define NOT PW_N_SYSREGS /* no such register of interest at that EL */

/* Written by MSR; op0 is 3, and op1 0, 4, 5 or 6 choose EL1, EL2, EL12 or EL3. */
static const struct sysreg sysregs[] = {
    {SYS(0, 1, 0, 0), PW_SCTLR_EL1, PW_SCTLR_EL2, PW_SCTLR_EL3},
    {SYS(0, 2, 0, 0), PW_TTBR0_EL1, PW_TTBR0_EL2, PW_TTBR0_EL3},
    {SYS(0, 2, 0, 1), PW_TTBR1_EL1, PW_TTBR1_EL2, NOT},
    {SYS(0, 2, 0, 2), PW_TCR_EL1, PW_TCR_EL2, PW_TCR_EL3},
    {SYS(0, 10, 2, 0), PW_MAIR_EL1, PW_MAIR_EL2, PW_MAIR_EL3},
    {SYS(0, 12, 0, 0), PW_VBAR_EL1, PW_VBAR_EL2, PW_VBAR_EL3},
    {SYS(0, 1, 1, 0), NOT, PW_HCR_EL2, PW_SCR_EL3},
    {SYS(0, 1, 1, 6), NOT, PW_HFGITR_EL2, NOT},
    {SYS(0, 2, 1, 0), NOT, PW_VTTBR_EL2, NOT},
    {SYS(0, 2, 1, 2), NOT, PW_VTCR_EL2, NOT},
};

static void decode_sys(uint32_t key, struct pw_insn *out)
{
    unsigned crn = key >> 7 & 15, crm = key >> 3 & 15, op2 = key & 7;
    if (crn == 8 || crn == 9) { /* TLBI, and its nXS forms */
        out->class_ = PW_CLASS_TLBI;
        /* CRm 7 and 6 (by range) are local, and 4 with these op2 (by IPA); all others broadcast. */
        out->all_pes = !(crm == 7 || crm == 6 || (crm == 4 && (op2 & 3) != 0 && (op2 & 3) != 3));
        if ((key >> 11 & 7) == 0 && (crm == 1 || crm == 3 || crm == 7)) { /* EL1, one address */
            out->op = op2 & 1 ? PW_TLBI_VA : op2 == 2 ? PW_TLBI_ASID : PW_TLBI_ALL;
        }
        return;
    }
    for (size_t i = 0; i < sizeof maintenance / sizeof *maintenance; i++) {
        if (maintenance[i].key == key) {
            out->class_ = maintenance[i].class_;
            out->op = maintenance[i].op;
            out->fgt = maintenance[i].fgt;
            out->all_pes = out->op == PW_OP_IC_IALLUIS || out->op == PW_OP_IC_IVAU;
            return;
        }
    }
}

static void decode_msr(uint32_t key, struct pw_insn *out)
{
    unsigned op1 = key >> 11 & 7;
    for (size_t i = 0; i < sizeof sysregs / sizeof *sysregs; i++) {
        const struct sysreg *s = &sysregs[i];
        if (s->key != (key & 0x7ff)) {
            continue;
        }
        unsigned reg = op1 == 0 || op1 == 5 ? s->el1 : op1 == 4 ? s->el2 : op1 == 6 ? s->el3 : NOT;
        if (reg != NOT) {
            out->class_ = PW_CLASS_MSR;
            out->sysreg = (uint8_t)reg;
            out->el12 = op1 == 5;
        }
        return;
    }
}

static void decode_barrier(uint32_t encoding, struct pw_insn *out)
{
    unsigned crm = encoding >> 8 & 15, op2 = encoding >> 5 & 7;
    bool limited = (crm & 3) == 1 || (crm & 3) == 2; /* loads only, stores only */
    switch (op2) {
    case 1: /* DSB nXS: CRm xx10 */
        if ((crm & 3) == 2) {
            out->class_ = PW_CLASS_BARRIER;
            out->op = PW_OP_DSB;
            out->full = 1;
        }
        return;
    case 4:
        if (crm == 0 || crm == 4) { /* SSBB, PSSBB */
            return;
        }
        out->class_ = PW_CLASS_BARRIER;
        out->op = PW_OP_DSB;
        out->full = !limited;
        return;
    case 5:
        out->class_ = PW_CLASS_BARRIER;
        out->op = PW_OP_DMB;
        out->full = !limited;
        return;
    case 6:
        out->class_ = PW_CLASS_BARRIER;
        out->op = PW_OP_ISB;
        out->full = 1;
    }
}

void pw_decode(uint32_t encoding, struct pw_insn *out)
{
    memset(out, 0, sizeof *out);
    out->rt = encoding & 31;
    out->fgt = 0xff;
    uint32_t key = encoding >> 5 & 0x3fff;
    if ((encoding & 0xfff80000) == 0xd5080000) {
        decode_sys(key, out);
    } else if ((encoding & 0xfff80000) == 0xd5180000) {
        decode_msr(key, out);
    } else if ((encoding & 0xfffff01f) == 0xd503301f) {
        decode_barrier(encoding, out);
    } else if (encoding == 0xd69f03e0 || encoding == 0xd69f0bff || encoding == 0xd69f0fff) {
        out->class_ = PW_CLASS_ERET; /* ERET, ERETAA, ERETAB */
    } else if ((encoding & 0xfff80000) == 0xd5380000) {
        if (key == SYS(0, 0, 0, 0) || key == SYS(3, 0, 0, 7)) {
            out->class_ = PW_CLASS_MRS;
            out->sysreg = key ? PW_DCZID_EL0 : PW_MIDR_EL1;
        }
    }
}

int pw_may_access(uint32_t encoding)
{
    switch (encoding >> 25 & 15) { /* "Top-level encodings for A64", op0 */
    case 0x4: case 0x6: case 0xc: case 0xe: /* loads and stores */
    case 0x0: case 0x2:                     /* SME, SVE */
        return 1;
    default:
        return 0;
    }
}

static bool bit(uint64_t value, unsigned n)
{
    return value >> n & 1;
}

int pw_trapped(const struct pw_insn *insn, const struct pw_regs *r, uint64_t hfgitr)
{
    enum { TSW = 22, TPC = 23, TPU = 24, TGE = 27, TDZ = 28, E2H = 34, TICAB = 50, TOCU = 52 };
    enum { DZE = 14, UCI = 26 };
    uint64_t hcr = pw_hcr_effective(r);
    bool host_el0 = r->el == 0 && bit(hcr, E2H) && bit(hcr, TGE);
    bool zva = insn->class_ == PW_CLASS_DC_ZVA;

    if (r->el == 0) {
        uint64_t sctlr = host_el0 ? r->sctlr_el2 : r->sctlr_el1;
        bool privileged = insn->class_ == PW_CLASS_DC_SW || insn->class_ == PW_CLASS_IC_ALL ||
                          insn->op == PW_OP_DC_IVAC;
        if (privileged || !bit(sctlr, zva ? DZE : UCI)) {
            return 1;
        }
    }
    if (r->el >= 2 || host_el0) {
        return 0;
    }
    if (insn->fgt < 64 && bit(hfgitr, insn->fgt)) {
        return 1;
    }
    switch (insn->op) {
    case PW_OP_DC_ZVA:
        return bit(hcr, TDZ);
    case PW_OP_DC_CSW:
    case PW_OP_DC_CISW:
    case PW_OP_DC_ISW:
        return bit(hcr, TSW);
    case PW_OP_DC_CVAU:
    case PW_OP_IC_IVAU:
    case PW_OP_IC_IALLU:
        return bit(hcr, TPU) || bit(hcr, TOCU);
    case PW_OP_IC_IALLUIS:
        return bit(hcr, TPU) || bit(hcr, TICAB);
    default: /* to the Point of Coherency */
        return bit(hcr, TPC);
    }
}
