/* Callers from frame records; see unwind.h. */
#include "unwind.h"

#include <stdbool.h>

enum { MAX_STACKS = 4 }; /* one may go on on another: interrupts, emergencies */

struct reader {
    const struct pw_regs *regs;
    pw_read64 read;
    void *opaque;
};

/*
 * Arm ARM (DDI 0487), "System register control of pointer authentication": the code lies between the top
 * of the VA and bit 55, which says what all these bits are without it. TxSZ below its smallest value
 * counts as that (16, with FEAT_LVA or FEAT_LPA2 12): then there are fewer bits of code.
 */
uint64_t pw_strip_pac(const struct pw_regs *r, uint64_t address)
{
    bool high = address >> 55 & 1;
    enum pw_regime regime = pw_regime_of(r);
    uint64_t tcr = regime == PW_REGIME_EL10  ? r->tcr_el1
                   : regime == PW_REGIME_EL3 ? r->tcr_el3
                                             : r->tcr_el2;
    bool two = regime == PW_REGIME_EL10 || regime == PW_REGIME_EL20;
    unsigned txsz = tcr >> (two && high ? 16 : 0) & 63;
    unsigned smallest = (r->id_aa64mmfr2 >> 16 & 15) || (r->id_aa64mmfr0 & 15) == 6 ? 12 : 16;
    unsigned largest = r->id_aa64mmfr2 >> 28 & 15 ? 48 : 39; /* FEAT_TTST */
    txsz = txsz < smallest ? smallest : txsz > largest ? largest : txsz;
    uint64_t mask = UINT64_MAX << (64 - txsz);
    return high ? address | mask : address & ~mask;
}

static bool read_at(const struct reader *r, uint64_t va, bool fetch, struct pw_translation *t,
                    uint64_t *value)
{
    uint64_t word;
    if (pw_translate(r->regs, va, fetch, r->read, r->opaque, t) != PW_FAULT_NONE ||
        !r->read(r->opaque, t->pa & ~UINT64_C(7), &word)) {
        return false;
    }
    *value = t->pa & 4 ? word >> 32 : word;
    return true;
}

/* Fill in where the code at `pc` is; false if there cannot be any. */
static bool is_code(const struct reader *r, uint64_t pc, struct pw_caller *out)
{
    struct pw_translation t;
    uint64_t instruction;
    if (!pc || pc % 4 || !read_at(r, pc, true, &t, &instruction) || !(t.perm & PW_PERM_X) ||
        !(uint32_t)instruction) { /* UDF #0: empty memory */
        return false;
    }
    out->pc = pc;
    out->pa = t.pa;
    out->ipa = t.ipa;
    return true;
}

/* BL; BLR, BLRAA and their like. */
static bool follows_a_call(const struct reader *r, uint64_t pc)
{
    struct pw_translation t;
    uint64_t word;
    if (!read_at(r, pc - 4, true, &t, &word)) {
        return false;
    }
    return (word & 0xfc000000) == 0x94000000 || (word & 0xfefff000) == 0xd63f0000;
}

static bool read_record(const struct reader *r, uint64_t fp, struct pw_caller *out)
{
    struct pw_translation t;
    if (fp % 8 || !read_at(r, fp, false, &t, &out->fp)) {
        return false;
    }
    out->record = t.pa;
    if ((fp + 8) % 4096) {
        return r->read(r->opaque, t.pa + 8, &out->lr);
    }
    return read_at(r, fp + 8, false, &t, &out->lr);
}

unsigned pw_unwind(const struct pw_regs *regs, uint64_t fp, uint64_t lr, pw_read64 read,
                   void *opaque, struct pw_caller callers[], unsigned max)
{
    struct reader r = {.regs = regs, .read = read, .opaque = opaque};
    uint64_t lowest = fp, ceiling = UINT64_MAX;
    unsigned n = 0, stacks = 1;
    lr = pw_strip_pac(regs, lr);
    if (max && is_code(&r, lr, &callers[0]) && follows_a_call(&r, lr)) {
        callers[n++].record = PW_NO_ADDRESS;
    }
    while (n < max && fp) {
        struct pw_caller *c = &callers[n];
        if (!read_record(&r, fp, c) || !is_code(&r, pw_strip_pac(regs, c->lr), c)) {
            break;
        }
        if (n == 1 && callers[0].record == PW_NO_ADDRESS && callers[0].pc == c->pc) {
            callers[0] = *c; /* the link register is still the record's */
        } else {
            n++;
        }
        /* Up the stack, or to another one that lies below all seen so far, and then not up to those
         * again: so there is no going in circles. */
        uint64_t next = callers[n - 1].fp;
        if (next >= ceiling || (next <= fp && (next >= lowest || ++stacks > MAX_STACKS))) {
            break;
        }
        if (next < lowest) {
            ceiling = lowest;
            lowest = next;
        }
        fp = next;
    }
    return n;
}
