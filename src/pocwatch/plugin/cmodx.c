/* See cmodx.h. */
#include "cmodx.h"

#define EXPORT __attribute__((visibility("default")))

/* A conditional branch's target field: offset in instructions and the rest of the word. */
struct branch {
    bool conditional;
    int32_t offset;
    uint32_t condition;
};

static struct branch branch_of(uint32_t insn, unsigned width)
{
    uint32_t field = ((1u << width) - 1) << 5;
    int32_t offset = (int32_t)((insn & field) << (27 - width)) >> (32 - width);

    return (struct branch){ true, offset, insn & ~field };
}

/* Whether `insn` is of the set; if so describes it. */
static bool decode(uint32_t insn, struct branch *branch)
{
    *branch = (struct branch){ 0 };
    switch (insn >> 24 & 0x7f) {
    case 0x34: /* CBZ */
    case 0x35: /* CBNZ */
        *branch = branch_of(insn, 19);
        return true;
    case 0x36: /* TBZ */
    case 0x37: /* TBNZ */
        *branch = branch_of(insn, 14);
        return true;
    case 0x74: { /* CB<cc>, CBB<cc>, CBH<cc> (register) */
        unsigned size = insn >> 14 & 3, condition = insn >> 21 & 7;

        *branch = branch_of(insn, 9);
        return condition != 4 && condition != 5 && size != 1 && (size == 0 || !(insn >> 31));
    }
    case 0x75: { /* CB<cc> (immediate) */
        unsigned condition = insn >> 21 & 7;

        *branch = branch_of(insn, 9);
        return condition != 4 && condition != 5 && !(insn & 0x4000);
    }
    }
    switch (insn >> 24) {
    case 0x54: /* B.cond; with bit 4 set BC.cond, which is not of the set */
        *branch = branch_of(insn, 19);
        return !(insn & 0x10);
    case 0xd4: /* SVC, HVC, SMC, BRK */
        return (insn & 0x00e0001c) == 0 ? (insn & 3) != 0 : (insn & 0x00e0001f) == 0x00200000;
    case 0xd5: /* NOP, ISB, TRCIT */
        return insn == 0xd503201f || (insn & 0xfffff0ff) == 0xd50330df ||
               (insn & 0xffffffe0) == 0xd50b72e0;
    case 0x00: /* UDF */
        return (insn & 0xffff0000) == 0;
    }
    return (insn & 0x7c000000) == 0x14000000; /* B, BL */
}

EXPORT bool pw_cmodx(uint32_t insn)
{
    struct branch ignored;

    return decode(insn, &ignored);
}

EXPORT bool pw_cmodx_pair(uint32_t before, uint32_t after)
{
    struct branch from, to;

    if (!decode(before, &from) || !decode(after, &to))
        return false;
    if (!from.conditional || !to.conditional)
        return true;
    return from.offset == to.offset || from.condition == to.condition;
}
