/* One address translation from the architecture's rules; see walk.h. */
#include "walk.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum {
    SCTLR_M = 0,
    SCTLR_C = 2,
    SCTLR_I = 12,
    SCTLR_WXN = 19,
    SCTLR_EE = 25,
};
enum {
    HCR_VM = 0,
    HCR_PTW = 2,
    HCR_DC = 12,
    HCR_TGE = 27,
    HCR_CD = 32,
    HCR_ID = 33,
    HCR_E2H = 34,
    HCR_FWB = 46,
};

static uint64_t bits(uint64_t value, unsigned high, unsigned low)
{
    unsigned width = high - low + 1;
    return (value >> low) & (width == 64 ? UINT64_MAX : (UINT64_C(1) << width) - 1);
}

static bool bit(uint64_t value, unsigned n)
{
    return value >> n & 1;
}

/* `value` with bits below `low` and from `end` upwards cleared. */
static uint64_t keep(uint64_t value, unsigned end, unsigned low)
{
    return bits(value, end - 1, low) << low;
}

/* ------------------------------------------------------------------ regimes */

static uint64_t hcr_effective(const struct pw_regs *r)
{
    if (!r->has_el2) {
        return 0;
    }
    bool secure = r->has_el3 && !bit(r->scr_el3, 0);
    if (secure && !bit(r->scr_el3, 18)) { /* SCR_EL3.EEL2 */
        return 0;
    }
    return r->hcr_el2;
}

static enum pw_regime regime_of(const struct pw_regs *r)
{
    uint64_t hcr = hcr_effective(r);
    switch (r->el) {
    case 3:
        return PW_REGIME_EL3;
    case 2:
        return bit(hcr, HCR_E2H) ? PW_REGIME_EL20 : PW_REGIME_EL2;
    case 0:
        return bit(hcr, HCR_E2H) && bit(hcr, HCR_TGE) ? PW_REGIME_EL20 : PW_REGIME_EL10;
    default:
        return PW_REGIME_EL10;
    }
}

static bool stage2_on(const struct pw_regs *r)
{
    uint64_t hcr = hcr_effective(r);
    return regime_of(r) == PW_REGIME_EL10 && (bit(hcr, HCR_VM) || bit(hcr, HCR_DC)) &&
           !(bit(hcr, HCR_E2H) && bit(hcr, HCR_TGE));
}

static uint64_t regime_sctlr(const struct pw_regs *r, enum pw_regime regime)
{
    switch (regime) {
    case PW_REGIME_EL3:
        return r->sctlr_el3;
    case PW_REGIME_EL2:
    case PW_REGIME_EL20:
        return r->sctlr_el2;
    default:
        return r->sctlr_el1;
    }
}

static bool stage1_on(const struct pw_regs *r)
{
    enum pw_regime regime = regime_of(r);
    if (regime == PW_REGIME_EL10) {
        uint64_t hcr = hcr_effective(r);
        if (bit(hcr, HCR_TGE) || bit(hcr, HCR_DC)) { /* SCTLR_EL1.M is treated as 0 */
            return 0;
        }
    }
    return bit(regime_sctlr(r, regime), SCTLR_M);
}

/* ------------------------------------------------------------------ attributes */

/* Kinds are ordered by restrictiveness, so combining two is taking the greater (fact C13). */
_Static_assert(PW_KIND_WB < PW_KIND_WT && PW_KIND_WT < PW_KIND_NC && PW_KIND_NC < PW_KIND_DEV,
               "kinds are ordered");

static unsigned stricter(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

static unsigned mair_half(unsigned nibble)
{
    if (nibble == 4) {
        return PW_KIND_NC;
    }
    return bit(nibble, 2) ? PW_KIND_WB : PW_KIND_WT; /* 01RW and 11RW, 00RW and 10RW */
}

/* MAIR_ELx attribute byte; inner and outer cacheability collapse to the stricter one. */
static unsigned mair_kind(unsigned attr)
{
    unsigned outer = attr >> 4, inner = attr & 15;
    if (outer == 0) {
        return PW_KIND_DEV;
    }
    if (inner == 0) { /* 0x40 NC, 0xa0 WT, 0xf0 Tagged WB; the rest is reserved */
        return mair_half(outer);
    }
    return stricter(mair_half(outer), mair_half(inner));
}

/* A 2-bit cacheability field of TCR_ELx and VTCR_EL2: NC, WB WA, WT, WB no WA. */
static unsigned rgn_kind(unsigned irgn, unsigned orgn)
{
    static const uint8_t kinds[] = {PW_KIND_NC, PW_KIND_WB, PW_KIND_WT, PW_KIND_WB};
    return stricter(kinds[irgn], kinds[orgn]);
}

/* Stage-2 MemAttr[3:0] without FEAT_S2FWB. */
static unsigned s2_kind(unsigned attr)
{
    static const uint8_t halves[] = {PW_KIND_NC, PW_KIND_NC, PW_KIND_WT, PW_KIND_WB};
    if (attr >> 2 == 0) {
        return PW_KIND_DEV;
    }
    return stricter(halves[attr >> 2], halves[attr & 3]);
}

/* Stage-2 MemAttr[2:0] under HCR_EL2.FWB, over what stage 1 gave. */
static unsigned fwb_kind(unsigned attr, unsigned s1)
{
    switch (attr & 7) {
    case 7:
        return s1;
    case 6:
        return PW_KIND_WB;
    case 5:
    case 4: /* reserved */
        return s1 == PW_KIND_DEV ? PW_KIND_DEV : PW_KIND_NC;
    default:
        return PW_KIND_DEV;
    }
}

/* ------------------------------------------------------------------ table geometry */

struct geometry {
    unsigned granule; /* log2 of bytes */
    unsigned iasize;  /* input address bits */
    unsigned oasize;  /* output address bits, for the address size fault */
    int start;        /* first level */
    bool ds;          /* 52-bit descriptors of FEAT_LPA2 */
    bool lpa;         /* 52-bit descriptors of FEAT_LPA (64 KiB granule) */
    bool big_endian;
};

static unsigned level_shift(const struct geometry *g, int level)
{
    return g->granule + (g->granule - 3) * (unsigned)(3 - level);
}

static unsigned pa_bits(unsigned range)
{
    static const uint8_t sizes[] = {32, 36, 40, 42, 44, 48, 52, 52};
    return sizes[range & 7];
}

static bool lpa2(const struct pw_regs *r, unsigned granule, int stage)
{
    unsigned s1_4k = bits(r->id_aa64mmfr0, 31, 28), s1_16k = bits(r->id_aa64mmfr0, 23, 20);
    unsigned s2_4k = bits(r->id_aa64mmfr0, 43, 40), s2_16k = bits(r->id_aa64mmfr0, 35, 32);
    switch (granule) {
    case 12:
        return stage == 1 || s2_4k == 0 ? s1_4k == 1 : s2_4k == 3;
    case 14:
        return stage == 1 || s2_16k == 0 ? s1_16k == 2 : s2_16k == 3;
    default:
        return false;
    }
}

/* Fill what both stages derive from TxSZ, TG, PS and DS; false when TxSZ is out of range. */
static bool geometry_init(struct geometry *g, const struct pw_regs *r, unsigned granule,
                          unsigned txsz, unsigned ps, bool ds, int stage)
{
    unsigned pa_max = pa_bits(bits(r->id_aa64mmfr0, 3, 0));
    bool lva = bits(r->id_aa64mmfr2, 19, 16) != 0;
    bool small = bits(r->id_aa64mmfr2, 31, 28) != 0; /* FEAT_TTST */
    g->granule = granule;
    g->ds = ds && lpa2(r, granule, stage);
    g->lpa = granule == 16 && pa_max == 52;
    g->oasize = pa_bits(ps);
    if (g->oasize > pa_max) {
        g->oasize = pa_max;
    }
    if (g->oasize > 48 && !g->ds && !g->lpa) {
        g->oasize = 48;
    }
    g->iasize = 64 - txsz;
    unsigned min = 16, max = small ? (granule == 16 ? 47 : 48) : 39;
    if (g->ds || (granule == 16 && (stage == 1 ? lva : g->lpa))) {
        min = 12;
    }
    return txsz >= min && txsz <= max;
}

/* The address bits of a descriptor: of a table if `shift` is the granule, else of a block. */
static uint64_t descriptor_address(const struct geometry *g, uint64_t desc, unsigned shift)
{
    if (g->ds) {
        return keep(desc, 50, shift) | bits(desc, 9, 8) << 50;
    }
    if (g->lpa) {
        return keep(desc, 48, shift) | bits(desc, 15, 12) << 48;
    }
    return keep(desc, 48, shift);
}

/* TTBR's base address; tables of `index_bits` entries are aligned to their size. */
static uint64_t table_base(const struct geometry *g, uint64_t ttbr, unsigned index_bits)
{
    unsigned align = index_bits + 3;
    if ((g->ds || g->lpa) && g->oasize == 52) {
        if (align < 6) {
            align = 6;
        }
        return keep(ttbr, 48, align) | bits(ttbr, 5, 2) << 48;
    }
    if (align < 4) {
        align = 4;
    }
    return keep(ttbr, 48, align);
}

static bool block_allowed(const struct geometry *g, int level)
{
    switch (g->granule) {
    case 12:
        return level == 1 || level == 2 || (level == 0 && g->ds);
    case 14:
        return level == 2 || (level == 1 && g->ds);
    default:
        return level == 2 || (level == 1 && g->lpa);
    }
}

/* ------------------------------------------------------------------ walks */

struct walk {
    const struct pw_regs *r;
    uint64_t hcr;
    pw_read64 read;
    void *opaque;
    struct pw_translation *out;
};

/* What a stage said of an address. */
struct leaf {
    uint64_t address;
    unsigned shift; /* log2 of the block */
    unsigned perm;
    unsigned kind;
    unsigned attr; /* MAIR byte or MemAttr */
    uint16_t why;
};

enum access { ACCESS_DATA, ACCESS_FETCH, ACCESS_WALK };

static enum pw_fault fail(struct walk *w, enum pw_fault fault, int stage, int level)
{
    w->out->fault = (uint8_t)fault;
    w->out->fault_stage = (uint8_t)stage;
    w->out->fault_level = (int8_t)level;
    return fault;
}

static bool read_descriptor(struct walk *w, const struct geometry *g, struct pw_descriptor at,
                            uint64_t *value)
{
    if (!w->read(w->opaque, at.pa, value)) {
        return false;
    }
    if (g->big_endian) {
        *value = __builtin_bswap64(*value);
    }
    at.value = *value;
    if (w->out->n_descriptors < PW_MAX_DESCRIPTORS) {
        w->out->descriptors[w->out->n_descriptors++] = at;
    }
    return true;
}

static unsigned s2_permissions(const struct pw_regs *r, uint64_t desc)
{
    unsigned perm = bits(desc, 7, 6); /* S2AP: bit 0 read, bit 1 write, as PW_PERM_* */
    bool xn;
    if (bits(r->id_aa64mmfr1, 31, 28)) { /* FEAT_XNX: 00 all, 01 EL0 only, 10 none, 11 EL1 only */
        unsigned field = bits(desc, 54, 53);
        xn = r->el == 0 ? field >= 2 : field == 1 || field == 2;
    } else {
        xn = bit(desc, 54);
    }
    return perm | (xn ? 0 : PW_PERM_X);
}

/* Stage 2 of `ipa`, whose stage-1 kind is `s1`. */
static enum pw_fault stage2(struct walk *w, uint64_t ipa, enum access access, unsigned s1,
                            struct leaf *leaf)
{
    static const uint8_t granules[] = {12, 16, 14, 12};
    static const int8_t start_4k[] = {2, 1, 0, 3}, start_16k[] = {3, 2, 1, 0};
    const struct pw_regs *r = w->r;
    uint64_t vtcr = r->vtcr_el2;
    struct geometry g = {.big_endian = bit(r->sctlr_el2, SCTLR_EE)};
    unsigned sl0 = bits(vtcr, 7, 6), granule = granules[bits(vtcr, 15, 14)];

    leaf->why = PW_WHY_S2_ON;
    leaf->attr = 0xff;
    if (!bit(w->hcr, HCR_VM) && !bit(w->hcr, HCR_DC)) {
        return PW_FAULT_NONE;
    }
    if (!geometry_init(&g, r, granule, bits(vtcr, 5, 0), bits(vtcr, 18, 16), bit(vtcr, 32), 2)) {
        return fail(w, PW_FAULT_TRANSLATION, 2, 0);
    }
    /* VTCR_EL2.{SL2,SL0}; 4: reserved or not implemented, a level 0 translation fault. */
    unsigned pa_max = pa_bits(bits(r->id_aa64mmfr0, 3, 0));
    switch (granule) {
    case 12:
        g.start = g.ds && bit(vtcr, 33) ? (sl0 == 0 ? -1 : 4) : start_4k[sl0];
        if ((g.start == 0 && pa_max < 44) || (g.start == 3 && !bits(r->id_aa64mmfr2, 31, 28))) {
            g.start = 4;
        }
        break;
    case 14:
        g.start = start_16k[sl0];
        if ((g.start == 1 && pa_max < 42) || (g.start == 0 && !g.ds)) {
            g.start = 4;
        }
        break;
    default:
        g.start = sl0 == 3 || (sl0 == 2 && pa_max < 44) ? 4 : 3 - (int)sl0;
    }
    if (g.start == 4) {
        return fail(w, PW_FAULT_TRANSLATION, 2, 0);
    }
    unsigned first = level_shift(&g, g.start);
    if (g.iasize <= first || g.iasize - first > granule - 3 + 4 || ipa >> g.iasize) {
        return fail(w, PW_FAULT_TRANSLATION, 2, 0);
    }

    unsigned kind = rgn_kind(bits(vtcr, 9, 8), bits(vtcr, 11, 10));
    struct pw_descriptor at = {.ipa = PW_NO_ADDRESS, .stage = 2, .why = PW_WHY_TCR_WALK};
    if (bit(w->hcr, HCR_CD)) {
        kind = PW_KIND_NC;
        at.why |= PW_WHY_HCR_CD;
    }
    at.kind = (uint8_t)kind;

    uint64_t base = table_base(&g, r->vttbr_el2, g.iasize - first);
    uint64_t desc;
    int level;
    unsigned shift;
    for (level = g.start;; level++) {
        shift = level_shift(&g, level);
        unsigned top = level == g.start ? g.iasize : shift + granule - 3;
        at.pa = base + bits(ipa, top - 1, shift) * 8;
        at.level = (int8_t)level;
        if (!read_descriptor(w, &g, at, &desc)) {
            return fail(w, PW_FAULT_EXTERNAL, 2, level);
        }
        bool table = bit(desc, 1);
        if (!bit(desc, 0) || (level == 3 ? !table : !table && !block_allowed(&g, level))) {
            return fail(w, PW_FAULT_TRANSLATION, 2, level);
        }
        bool last = level == 3 || !table;
        base = descriptor_address(&g, desc, last ? shift : granule);
        if (g.oasize < 52 && base >> g.oasize) {
            return fail(w, PW_FAULT_ADDRESS_SIZE, 2, level);
        }
        if (last) {
            break;
        }
    }
    if (!bit(desc, 10) && !bit(vtcr, 21)) {
        return fail(w, PW_FAULT_ACCESS_FLAG, 2, level);
    }

    leaf->address = base | keep(ipa, shift, 0);
    leaf->shift = shift;
    leaf->perm = s2_permissions(r, desc);
    leaf->attr = bits(desc, 5, 2);
    bool fwb = bit(w->hcr, HCR_FWB);
    bool device = fwb ? !bit(leaf->attr, 2) : leaf->attr >> 2 == 0;
    if (access == ACCESS_WALK && device && bit(w->hcr, HCR_PTW)) {
        return fail(w, PW_FAULT_PERMISSION, 2, level);
    }
    if (access == ACCESS_WALK && !(leaf->perm & PW_PERM_R)) {
        return fail(w, PW_FAULT_PERMISSION, 2, level);
    }
    unsigned own = fwb ? fwb_kind(leaf->attr, s1) : s2_kind(leaf->attr);
    if (access == ACCESS_WALK && device) {
        own = PW_KIND_NC; /* PTW is 0: as if Normal Non-cacheable */
    } else if (access == ACCESS_FETCH && (device || bit(w->hcr, HCR_ID))) {
        own = PW_KIND_NC;
        leaf->why |= bit(w->hcr, HCR_ID) ? PW_WHY_HCR_ID : 0;
    } else if (access != ACCESS_FETCH && !device && bit(w->hcr, HCR_CD)) {
        own = fwb && s1 == PW_KIND_DEV && leaf->attr != 6 ? PW_KIND_DEV : PW_KIND_NC;
        leaf->why |= PW_WHY_HCR_CD;
    }
    leaf->kind = fwb ? own : stricter(s1, own);
    leaf->why |= fwb ? PW_WHY_FWB : 0;
    leaf->why |= leaf->kind != s1 ? PW_WHY_S2_DECIDED : 0;
    return PW_FAULT_NONE;
}

/* Stage-1 controls of the half of the address space that `va` lies in. */
struct half {
    uint64_t ttbr;
    unsigned granule, txsz, ps, irgn, orgn;
    bool upper, two_ranges, epd, tbi, ha, hpd, ds;
};

static void select_half(struct half *h, const struct pw_regs *r, enum pw_regime regime, uint64_t va,
                        int fetch)
{
    static const uint8_t tg0[] = {12, 16, 14, 12}, tg1[] = {12, 14, 12, 16};
    uint64_t tcr = regime == PW_REGIME_EL10  ? r->tcr_el1
                   : regime == PW_REGIME_EL3 ? r->tcr_el3
                                             : r->tcr_el2;
    memset(h, 0, sizeof *h);
    h->two_ranges = regime == PW_REGIME_EL10 || regime == PW_REGIME_EL20;
    if (!h->two_ranges) {
        h->ttbr = regime == PW_REGIME_EL3 ? r->ttbr0_el3 : r->ttbr0_el2;
        h->granule = tg0[bits(tcr, 15, 14)];
        h->txsz = bits(tcr, 5, 0);
        h->ps = bits(tcr, 18, 16);
        h->irgn = bits(tcr, 9, 8);
        h->orgn = bits(tcr, 11, 10);
        h->tbi = bit(tcr, 20) && !(fetch && bit(tcr, 29));
        h->ha = bit(tcr, 21);
        h->hpd = bit(tcr, 24);
        h->ds = bit(tcr, 32);
        return;
    }
    h->upper = bit(va, 55);
    h->ps = bits(tcr, 34, 32);
    h->ha = bit(tcr, 39);
    h->ds = bit(tcr, 59);
    h->tbi = bit(tcr, 37 + h->upper) && !(fetch && bit(tcr, 51 + h->upper));
    h->hpd = bit(tcr, 41 + h->upper);
    h->epd = bit(tcr, h->upper ? 23 : 7) || (r->el == 0 && bit(tcr, 55 + h->upper));
    if (h->upper) {
        h->ttbr = regime == PW_REGIME_EL10 ? r->ttbr1_el1 : r->ttbr1_el2;
        h->granule = tg1[bits(tcr, 31, 30)];
        h->txsz = bits(tcr, 21, 16);
        h->irgn = bits(tcr, 25, 24);
        h->orgn = bits(tcr, 27, 26);
    } else {
        h->ttbr = regime == PW_REGIME_EL10 ? r->ttbr0_el1 : r->ttbr0_el2;
        h->granule = tg0[bits(tcr, 15, 14)];
        h->txsz = bits(tcr, 5, 0);
        h->irgn = bits(tcr, 9, 8);
        h->orgn = bits(tcr, 11, 10);
    }
}

/* `tables` is the OR of the table descriptors' attributes on the way. */
static unsigned s1_permissions(const struct half *h, uint64_t desc, uint64_t tables, bool wxn,
                               unsigned el)
{
    bool read_only = bit(desc, 7), el0 = bit(desc, 6);
    bool uxn = bit(desc, 54), pxn = bit(desc, 53);
    if (!h->hpd) {
        read_only |= bit(tables, 62);
        el0 &= !bit(tables, 61);
        uxn |= bit(tables, 60);
        pxn |= bit(tables, 59);
    }
    unsigned perm = PW_PERM_R | (read_only ? 0 : PW_PERM_W);
    bool execute;
    if (!h->two_ranges) {
        execute = !uxn;
    } else if (el == 0) {
        perm = el0 ? perm : 0;
        execute = !uxn;
    } else {
        execute = !pxn && !(el0 && !read_only);
    }
    if (wxn && (perm & PW_PERM_W)) {
        execute = false;
    }
    return perm | (execute ? PW_PERM_X : 0);
}

static enum pw_fault stage1(struct walk *w, uint64_t va, int fetch, enum pw_regime regime,
                            struct leaf *leaf)
{
    const struct pw_regs *r = w->r;
    uint64_t sctlr = regime_sctlr(r, regime);
    bool s2 = stage2_on(r);
    struct half h;
    struct geometry g = {.big_endian = bit(sctlr, SCTLR_EE)};

    select_half(&h, r, regime, va, fetch);
    if (!geometry_init(&g, r, h.granule, h.txsz, h.ps, h.ds, 1) || h.epd) {
        return fail(w, PW_FAULT_TRANSLATION, 1, 0);
    }
    unsigned top = h.tbi ? 55 : 63;
    uint64_t above = bits(va, top, g.iasize);
    if (above != (h.upper ? bits(UINT64_MAX, top, g.iasize) : 0)) {
        return fail(w, PW_FAULT_TRANSLATION, 1, 0);
    }
    unsigned stride = h.granule - 3;
    g.start = 4 - (int)((g.iasize - h.granule + stride - 1) / stride);

    unsigned walk_kind = rgn_kind(h.irgn, h.orgn);
    uint16_t walk_why = PW_WHY_TCR_WALK;
    if (!bit(sctlr, SCTLR_C)) {
        walk_kind = PW_KIND_NC;
        walk_why |= PW_WHY_C_CLEAR;
    }

    unsigned shift = level_shift(&g, g.start);
    uint64_t base = table_base(&g, h.ttbr, g.iasize - shift), desc, tables = 0;
    if (g.oasize < 52 && base >> g.oasize) {
        return fail(w, PW_FAULT_ADDRESS_SIZE, 1, 0);
    }
    int level;
    for (level = g.start;; level++) {
        shift = level_shift(&g, level);
        unsigned end = level == g.start ? g.iasize : shift + stride;
        struct pw_descriptor at = {
            .pa = base + bits(va, end - 1, shift) * 8,
            .ipa = PW_NO_ADDRESS,
            .stage = 1,
            .level = (int8_t)level,
            .kind = (uint8_t)walk_kind,
            .why = walk_why,
        };
        if (s2) {
            struct leaf table = {.address = at.pa, .kind = walk_kind};
            enum pw_fault fault = stage2(w, at.pa, ACCESS_WALK, walk_kind, &table);
            if (fault) {
                return fault;
            }
            at.ipa = at.pa;
            at.pa = table.address;
            at.kind = (uint8_t)table.kind;
            at.why |= table.why;
        }
        if (!read_descriptor(w, &g, at, &desc)) {
            return fail(w, PW_FAULT_EXTERNAL, 1, level);
        }
        bool table = bit(desc, 1);
        if (!bit(desc, 0) || (level == 3 ? !table : !table && !block_allowed(&g, level))) {
            return fail(w, PW_FAULT_TRANSLATION, 1, level);
        }
        bool last = level == 3 || !table;
        base = descriptor_address(&g, desc, last ? shift : h.granule);
        if (g.oasize < 52 && base >> g.oasize) {
            return fail(w, PW_FAULT_ADDRESS_SIZE, 1, level);
        }
        if (last) {
            break;
        }
        tables |= desc;
    }
    if (!bit(desc, 10) && !h.ha) {
        return fail(w, PW_FAULT_ACCESS_FLAG, 1, level);
    }

    uint64_t mair = regime == PW_REGIME_EL10  ? r->mair_el1
                    : regime == PW_REGIME_EL3 ? r->mair_el3
                                              : r->mair_el2;
    leaf->address = base | keep(va, shift, 0);
    leaf->shift = shift;
    leaf->attr = mair >> (8 * bits(desc, 4, 2)) & 0xff;
    leaf->kind = mair_kind(leaf->attr);
    leaf->why = PW_WHY_S1_PAGE;
    leaf->perm = s1_permissions(&h, desc, tables, bit(sctlr, SCTLR_WXN), (unsigned)r->el);
    w->out->not_global = h.two_ranges && bit(desc, 11);
    if (fetch && (leaf->kind == PW_KIND_DEV || !bit(sctlr, SCTLR_I))) {
        leaf->why |= bit(sctlr, SCTLR_I) ? 0 : PW_WHY_I_CLEAR;
        leaf->kind = PW_KIND_NC;
    } else if (!fetch && leaf->kind != PW_KIND_DEV && !bit(sctlr, SCTLR_C)) {
        leaf->why |= PW_WHY_C_CLEAR;
        leaf->kind = PW_KIND_NC;
    }
    return PW_FAULT_NONE;
}

/* Stage 1 disabled: a flat map with the attributes of fact C12. */
static enum pw_fault stage1_off(struct walk *w, uint64_t va, int fetch, enum pw_regime regime,
                                struct leaf *leaf)
{
    const struct pw_regs *r = w->r;
    unsigned pa_max = pa_bits(bits(r->id_aa64mmfr0, 3, 0));
    struct half h;
    select_half(&h, r, regime, va, fetch);
    if (bits(va, h.tbi ? 55 : 63, pa_max)) {
        return fail(w, PW_FAULT_ADDRESS_SIZE, 1, 0);
    }
    leaf->address = keep(va, pa_max, 0);
    leaf->shift = 48;
    leaf->attr = 0;
    leaf->perm = PW_PERM_R | PW_PERM_W | PW_PERM_X;
    leaf->why = PW_WHY_S1_OFF;
    if (regime == PW_REGIME_EL10 && bit(w->hcr, HCR_DC)) {
        leaf->kind = PW_KIND_WB;
        leaf->why |= PW_WHY_HCR_DC;
    } else if (!fetch) {
        leaf->kind = PW_KIND_DEV;
    } else if (bit(regime_sctlr(r, regime), SCTLR_I)) {
        leaf->kind = PW_KIND_WT;
    } else {
        leaf->kind = PW_KIND_NC;
        leaf->why |= PW_WHY_I_CLEAR;
    }
    return PW_FAULT_NONE;
}

enum pw_fault pw_translate(const struct pw_regs *regs, uint64_t va, int fetch, pw_read64 read,
                           void *opaque, struct pw_translation *out)
{
    struct walk w = {regs, hcr_effective(regs), read, opaque, out};
    enum pw_regime regime = regime_of(regs);
    bool on = stage1_on(regs);
    struct leaf leaf = {0};

    memset(out, 0, offsetof(struct pw_translation, descriptors));
    out->mmu_on = on;
    out->ipa = PW_NO_ADDRESS;
    out->s2_attr = 0xff;
    enum pw_fault fault = on ? stage1(&w, va, fetch, regime, &leaf)
                             : stage1_off(&w, va, fetch, regime, &leaf);
    if (fault) {
        return fault;
    }
    out->s1_mair = (uint8_t)leaf.attr;
    out->pa = leaf.address;
    out->perm = (uint8_t)leaf.perm;
    out->kind = (uint8_t)leaf.kind;
    out->why = leaf.why;
    unsigned shift = leaf.shift;
    out->s1_shift = (uint8_t)shift;
    if (stage2_on(regs)) {
        struct leaf second = {.address = out->pa, .kind = leaf.kind};
        fault = stage2(&w, out->pa, fetch ? ACCESS_FETCH : ACCESS_DATA, leaf.kind, &second);
        if (fault) {
            return fault;
        }
        out->ipa = out->pa;
        out->pa = second.address;
        out->kind = (uint8_t)second.kind;
        out->perm &= (uint8_t)second.perm;
        out->s2_attr = (uint8_t)second.attr;
        out->why |= second.why;
        shift = second.shift < shift ? second.shift : shift;
    }
    out->size = UINT64_C(1) << shift;
    return PW_FAULT_NONE;
}

/* Exported names are apart from the functions used here: calls stay direct. */
uint64_t pw_hcr_effective(const struct pw_regs *regs)
{
    return hcr_effective(regs);
}

enum pw_regime pw_regime_of(const struct pw_regs *regs)
{
    return regime_of(regs);
}

int pw_stage2_on(const struct pw_regs *regs)
{
    return stage2_on(regs);
}

int pw_stage1_on(const struct pw_regs *regs)
{
    return stage1_on(regs);
}

unsigned pw_sizeof_regs(void)
{
    return sizeof(struct pw_regs);
}

unsigned pw_sizeof_translation(void)
{
    return sizeof(struct pw_translation);
}
