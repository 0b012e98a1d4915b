/* One vCPU's translation state; see regime.h. */
#include "regime.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "dma.h"
#include "events.h"
#include "history.h"
#include "qemu_api.h"

enum { HCR_VM = 0, HCR_DC = 12, HCR_TGE = 27, HCR_E2H = 34 };

static bool bit(uint64_t value, unsigned n)
{
    return value >> n & 1;
}

/* ------------------------------------------------------------------ registers */

/* Where the snapshot keeps each register; NULL where it is kept elsewhere. */
static uint64_t *slot(struct vcpu *v, unsigned reg)
{
    struct pw_regs *r = &v->regs;
    switch (reg) {
    case PW_SCTLR_EL1: return &r->sctlr_el1;
    case PW_TCR_EL1: return &r->tcr_el1;
    case PW_TTBR0_EL1: return &r->ttbr0_el1;
    case PW_TTBR1_EL1: return &r->ttbr1_el1;
    case PW_MAIR_EL1: return &r->mair_el1;
    case PW_VBAR_EL1: return &v->vbar[1];
    case PW_SCTLR_EL2: return &r->sctlr_el2;
    case PW_TCR_EL2: return &r->tcr_el2;
    case PW_TTBR0_EL2: return &r->ttbr0_el2;
    case PW_TTBR1_EL2: return &r->ttbr1_el2;
    case PW_MAIR_EL2: return &r->mair_el2;
    case PW_VBAR_EL2: return &v->vbar[2];
    case PW_SCTLR_EL3: return &r->sctlr_el3;
    case PW_TCR_EL3: return &r->tcr_el3;
    case PW_TTBR0_EL3: return &r->ttbr0_el3;
    case PW_MAIR_EL3: return &r->mair_el3;
    case PW_VBAR_EL3: return &v->vbar[3];
    case PW_HCR_EL2: return &r->hcr_el2;
    case PW_VTCR_EL2: return &r->vtcr_el2;
    case PW_VTTBR_EL2: return &r->vttbr_el2;
    case PW_SCR_EL3: return &r->scr_el3;
    case PW_HFGITR_EL2: return &v->hfgitr;
    default: return NULL;
    }
}

/* The EL2 register that an EL1 name means at EL2 under HCR_EL2.E2H. */
static unsigned redirected(unsigned reg)
{
    switch (reg) {
    case PW_SCTLR_EL1: return PW_SCTLR_EL2;
    case PW_TCR_EL1: return PW_TCR_EL2;
    case PW_TTBR0_EL1: return PW_TTBR0_EL2;
    case PW_TTBR1_EL1: return PW_TTBR1_EL2;
    case PW_MAIR_EL1: return PW_MAIR_EL2;
    case PW_VBAR_EL1: return PW_VBAR_EL2;
    default: return reg;
    }
}

void pw_vcpu_msr(struct vcpu *v, const struct pw_insn *insn)
{
    /* Which of the two it is depends on EL and E2H, and under nested virtualisation on more: read
     * both. A trapped MSR changes nothing, and reading then costs little. */
    v->dirty |= 1u << insn->sysreg | (insn->el12 ? 0 : 1u << redirected(insn->sysreg));
    pw_vcpu_attend(v, ATTENTION_REGISTERS);
}

void pw_vcpu_attend(struct vcpu *v, unsigned reasons)
{
    atomic_fetch_or(&v->attention, reasons);
    atomic_store(&v->fetch_id, NO_FETCH); /* after the reason: see pw_vcpu_sync */
}

/* ------------------------------------------------------------------ banks */

/* A flush changes the generation; when generations wrap, old tags must go. */
static void flush_half(struct vcpu *v, unsigned half)
{
    if (++v->data[half].generation < GENERATIONS) {
        return;
    }
    v->data[half].generation = 1;
    for (unsigned i = 0; i < BANKS; i++) {
        if (v->banks[i]) {
            memset(v->banks[i]->data, 0, sizeof v->banks[i]->data);
        }
    }
    memset(v->fetch, 0, sizeof v->fetch);
}

static void flush(struct vcpu *v, unsigned halves)
{
    v->flushes++;
    if (v->low_code && (halves & 1)) {
        halves |= 2; /* its fetch entries are of the high generation */
    }
    if (halves & 1) {
        flush_half(v, 0);
    }
    if (halves & 2) {
        flush_half(v, 1);
    }
    for (unsigned half = 0; half < 2; half++) {
        if (halves >> half & 1) {
            memset(v->covered[half], 0, sizeof v->covered[half]);
        }
    }
    if (halves == 3) {
        v->low_code = false;
        v->high_not_global = false;
    }
}

/*
 * A TLBI of one address invalidates the whole block that holds it, and entries are of 4 KiB. So what
 * larger blocks cover is marked in a hashed bitmap by 2 MiB region; so are pages with fetch entries,
 * which cannot be found by VA. An unmarked address needs one data entry per bank invalidated.
 */
static unsigned cover_bit(uint64_t number)
{
    return (unsigned)(number * UINT64_C(0x9e3779b97f4a7c15) >> 52) % COVER_BITS;
}

static void mark(struct vcpu *v, unsigned half, uint64_t number)
{
    unsigned n = cover_bit(number);
    v->covered[half][n / 64] |= UINT64_C(1) << n % 64;
}

static bool marked(const struct vcpu *v, unsigned half, uint64_t number)
{
    unsigned n = cover_bit(number);
    return v->covered[half][n / 64] >> n % 64 & 1;
}

#define VA_PAGE(va) ((va) >> 12 & UINT64_C(0xfffffffffff))
#define REGION(page) ((page) >> 9 | UINT64_C(1) << 62) /* apart from page numbers */

static void cover(struct vcpu *v, uint64_t va, const struct pw_translation *t, bool fetch)
{
    unsigned half = va >> 55 & 1;
    if (fetch) {
        mark(v, half, VA_PAGE(va));
    }
    uint64_t size = UINT64_C(1) << t->s1_shift;
    if (size > UINT64_C(1) << 30) {
        memset(v->covered[half], 0xff, sizeof v->covered[half]);
    } else if (size > PW_PAGE) {
        uint64_t first = va & ~(size - 1);
        for (uint64_t at = first; at - first < size; at += UINT64_C(2) << 20) {
            mark(v, half, REGION(VA_PAGE(at)));
        }
    }
}

void pw_vcpu_tlbi(struct vcpu *v, const struct pw_insn *insn, uint64_t xt)
{
    unsigned halves = 3;
    v->tlbi.others |= insn->all_pes || bit(pw_hcr_effective(&v->regs), 9); /* FB */
    if (insn->op == PW_TLBI_VA) {
        uint64_t page = xt & UINT64_C(0xfffffffffff);
        unsigned half = page >> 43 & 1;
        halves = 1u << half;
        if (v->tlbi.n < TLBI_PAGES && !marked(v, half, page) && !marked(v, half, REGION(page))) {
            v->tlbi.pages[v->tlbi.n++] = page;
            v->tlbi.all_halves |= halves;
            return;
        }
    } else if (insn->op == PW_TLBI_ASID && !v->high_not_global) {
        halves = 1;
    }
    v->tlbi.halves |= halves;
    v->tlbi.all_halves |= halves;
}

unsigned pw_vcpu_complete(struct vcpu *v)
{
    unsigned others = v->tlbi.others ? v->tlbi.all_halves : 0;
    if (!v->tlbi.all_halves) {
        return 0;
    }
    for (unsigned i = 0; i < v->tlbi.n; i++) {
        uint64_t page = v->tlbi.pages[i];
        for (unsigned b = 0; b < BANKS && v->banks[b]; b++) {
            struct entry *entries = v->banks[b]->data;
            struct entry *both[] = {&entries[page % DATA_ENTRIES], victim_entry(entries, page)};
            for (unsigned k = 0; k < 2; k++) {
                if (VA_PAGE(both[k]->tag) == page) {
                    both[k]->tag = 0;
                }
            }
        }
    }
    if (v->tlbi.halves) {
        pw_vcpu_attend(v, v->tlbi.halves);
        pw_vcpu_sync(v, (unsigned)v->el); /* the rest of the block is to see it */
    }
    memset(&v->tlbi, 0, sizeof v->tlbi);
    return others;
}

static void make_key(const struct vcpu *v, enum pw_regime regime, unsigned half,
                     struct bank_key *key)
{
    const uint64_t sctlr_bits = 1 << 0 | 1 << 2 | 1 << 12 | 1 << 25;         /* M C I EE */
    const uint64_t hcr_bits = 1 << HCR_VM | 1 << 2 | 1 << HCR_DC | 1 << HCR_TGE /* VM PTW DC TGE */
                              | UINT64_C(3) << 32 | UINT64_C(1) << HCR_E2H | UINT64_C(1) << 46;
    const uint64_t base = UINT64_C(0x0000fffffffffffe); /* without ASID, VMID and CnP */
    const struct pw_regs *r = &v->regs;

    memset(key, 0, sizeof *key);
    key->regime = regime;
    key->half = half;
    switch (regime) {
    case PW_REGIME_EL10:
        key->sctlr = r->sctlr_el1 & sctlr_bits;
        key->tcr = r->tcr_el1;
        key->ttbr = half ? r->ttbr1_el1 : r->ttbr0_el1;
        key->asid = (bit(r->tcr_el1, 22) ? r->ttbr1_el1 : r->ttbr0_el1) >> 48;
        key->mair = r->mair_el1;
        key->hcr = pw_hcr_effective(r) & hcr_bits;
        if (pw_stage2_on(r)) {
            key->vtcr = r->vtcr_el2;
            key->vttbr = r->vttbr_el2;
        }
        break;
    case PW_REGIME_EL20:
        key->asid = (bit(r->tcr_el2, 22) ? r->ttbr1_el2 : r->ttbr0_el2) >> 48;
        /* fall through */
    case PW_REGIME_EL2:
        key->sctlr = r->sctlr_el2 & sctlr_bits;
        key->tcr = r->tcr_el2;
        key->ttbr = half ? r->ttbr1_el2 : r->ttbr0_el2;
        key->mair = r->mair_el2;
        break;
    case PW_REGIME_EL3:
        key->sctlr = r->sctlr_el3 & sctlr_bits;
        key->tcr = r->tcr_el3;
        key->ttbr = r->ttbr0_el3;
        key->mair = r->mair_el3;
        break;
    }
    key->ttbr &= base;
    if (half) {
        key->asid = 0; /* the upper half is global by convention; its nG pages need a TLBI too */
    }
}

static unsigned find_bank(struct vcpu *v, enum pw_regime regime, unsigned half)
{
    struct bank_key key;
    unsigned oldest = 0;
    make_key(v, regime, half, &key);
    v->clock++;
    for (unsigned i = 0; i < BANKS; i++) {
        if (!v->banks[i]) {
            v->banks[i] = calloc(1, sizeof *v->banks[i]);
            if (!v->banks[i]) {
                abort();
            }
            oldest = i;
            goto claim;
        }
        if (!memcmp(&v->banks[i]->key, &key, sizeof key)) {
            v->banks[i]->used = v->clock;
            return i;
        }
        if (v->banks[i]->used < v->banks[oldest]->used) {
            oldest = i;
        }
    }
    memset(v->banks[oldest]->data, 0, sizeof v->banks[oldest]->data);
    /* Fetch entries name banks by number: those of the old owner must not be found again. */
    for (unsigned i = 0; i < FETCH_ENTRIES; i++) {
        if ((v->fetch[i].tag >> FETCH_BANK_SHIFT & (BANKS - 1)) == oldest) {
            v->fetch[i].tag = 0;
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        if (v->selected[i].bank[0] == oldest || v->selected[i].bank[1] == oldest) {
            v->selected[i].valid = false;
        }
    }
claim:
    v->banks[oldest]->key = key;
    v->banks[oldest]->used = v->clock;
    return oldest;
}

/* ------------------------------------------------------------------ the state judge sees */

static struct {
    pthread_mutex_t lock;
    uint64_t tables[65536];
    unsigned n;
} vms = {.lock = PTHREAD_MUTEX_INITIALIZER};

uint16_t pw_vm_number(uint64_t vttbr, bool make)
{
    uint64_t table = vttbr & UINT64_C(0x0000fffffffffffe);
    unsigned i;
    pthread_mutex_lock(&vms.lock);
    for (i = 0; i < vms.n && vms.tables[i] != table; i++) {
    }
    bool known = i < vms.n;
    if (!known && make && vms.n < 65534) {
        vms.tables[vms.n++] = table;
    }
    pthread_mutex_unlock(&vms.lock);
    return known || make ? (uint16_t)(i + 1) : 0;
}

/* The fill switch: lines may be allocated through the mappings of the current and of higher
 * Exception levels (fact C3), if their MMU and caches are on. */
static bool caches_on(const struct pw_regs *r)
{
    const uint64_t on = 1 << 0 | 1 << 2;
    uint64_t hcr = pw_hcr_effective(r);
    if (r->has_el3 && (r->sctlr_el3 & on) == on) {
        return true;
    }
    if (r->el <= 2 && r->has_el2 && (r->sctlr_el2 & on) == on) {
        return true;
    }
    return r->el <= 1 && (bit(hcr, HCR_DC) || (pw_stage1_on(r) && (r->sctlr_el1 & on) == on));
}

static void select_banks(struct vcpu *v)
{
    unsigned el = (unsigned)v->el;
    enum pw_regime regime = pw_regime_of(&v->regs);
    bool two = regime == PW_REGIME_EL10 || regime == PW_REGIME_EL20;
    if (!v->selected[el].valid) {
        v->selections++;
        unsigned low = find_bank(v, regime, 0), high = find_bank(v, regime, 1);
        v->selected[el].bank[0] = low;
        v->selected[el].bank[1] = high;
        v->selected[el].valid = true;
    }
    for (unsigned half = 0; half < 2; half++) {
        v->data[half].entries = v->banks[v->selected[el].bank[half]]->data;
    }
    unsigned half = two && el;
    v->next_fetch_id = (uint64_t)v->selected[el].bank[half] << FETCH_BANK_SHIFT |
                       v->data[half].generation;
    v->cpu.vm = (uint8_t)(pw_stage2_on(&v->regs) && !bit(pw_hcr_effective(&v->regs), HCR_TGE));
    v->cpu.vm_id = v->cpu.vm ? pw_vm_number(v->regs.vttbr_el2, true) : 0;
    static const struct pw_site nobody;
    v->cpu.who = pw_who_of(&v->cpu, &nobody, PW_KIND_WB, false);
    int on = caches_on(&v->regs);
    if (on != v->caches_on) {
        v->caches_on = on;
        pw_mmu(&v->cpu, on);
    }
}

static void attend(struct vcpu *v, unsigned attention)
{
    if (attention & ATTENTION_RESET) {
        v->dirty = (1u << PW_N_SYSREGS) - 1;
    }
    if (attention & ATTENTION_FLUSH) {
        flush(v, attention & ATTENTION_FLUSH);
    }
    bool changed = false;
    if (v->dirty) {
        for (unsigned reg = 0; reg < PW_N_SYSREGS; reg++) {
            if (v->dirty >> reg & 1) {
                uint64_t value = pw_read_sysreg(reg);
                changed |= value != *slot(v, reg);
                *slot(v, reg) = value;
                v->register_reads++;
            }
        }
        v->dirty = 0;
        for (unsigned i = 0; i < 4; i++) {
            v->selected[i].valid = false;
        }
    }
    if ((attention & ATTENTION_RESET) && changed) {
        flush(v, 3); /* a reset, and not just the end of a WFI */
    }
}

void pw_vcpu_sync(struct vcpu *v, unsigned el)
{
    v->el = el;
    v->regs.el = el;
    do {
        attend(v, atomic_exchange(&v->attention, 0));
        select_banks(v);
        atomic_store(&v->fetch_id, v->next_fetch_id);
        /* A reason that came meanwhile may have spoilt the fetch_id that was just replaced. */
    } while (atomic_load(&v->attention));
}

void pw_vcpu_init(struct vcpu *v, unsigned index)
{
    memset(v, 0, sizeof *v);
    v->present = true;
    v->cpu.pe = (uint8_t)index;
    v->cpu.fetch_ipa = PW_NO_ADDRESS;
    v->data[0].generation = v->data[1].generation = 1;
    v->caches_on = -1;
}

/* ------------------------------------------------------------------ translations */

static _Thread_local GByteArray *outside;

/* A descriptor: from the watched RAM, or through QEMU where that is possible. */
int pw_read_ram(void *opaque, uint64_t pa, uint64_t *value)
{
    (void)opaque;
    const uint64_t *p = pw_ram(pa, 8);
    if (p) {
        *value = __atomic_load_n(p, __ATOMIC_RELAXED);
        return 1;
    }
    if (qemu_plugin_read_memory_hwaddr && g_byte_array_new) {
        if (!outside) {
            outside = g_byte_array_new();
        }
        if (qemu_plugin_read_memory_hwaddr(pa, outside, 8) == 0 && outside->len == 8) {
            memcpy(value, outside->data, 8);
            return 1;
        }
    }
    return 0;
}

enum pw_fault pw_probe(struct vcpu *v, uint64_t va, int fetch, struct pw_translation *out)
{
    return pw_translate(&v->regs, va, fetch, pw_read_ram, NULL, out);
}

static enum pw_fault walk(struct vcpu *v, const struct pw_site *site, uint64_t va, int fetch,
                          struct pw_translation *t)
{
    v->misses++;
    enum pw_fault fault = pw_probe(v, va, fetch, t);
    v->walks += t->n_descriptors;
    for (unsigned i = 0; i < t->n_descriptors; i++) {
        const struct pw_descriptor *d = &t->descriptors[i];
        if (pw_ram(d->pa, 8)) {
            pw_walk(&v->cpu, site, d->pa, d->kind, d->why, va);
        }
    }
    if (fault) {
        v->faults++;
    }
    if (pw_recording && v->cpu.vm) {
        pw_events_walk(v, t, va, fetch);
    }
    return fault;
}

static void fill(struct entry *e, uint64_t tag, const struct pw_translation *t, uint64_t el)
{
    bool in_ram = pw_ram(t->pa & PW_PAGE_MASK, PW_PAGE) != NULL;
    e->tag = tag | (in_ram && !pw_dma_watches(t->pa & PW_PAGE_MASK) ? 0 : NOT_RAM);
    e->page = (struct pw_page){
        .pa = t->pa & PW_PAGE_MASK,
        .ipa = t->ipa == PW_NO_ADDRESS ? t->ipa : t->ipa & PW_PAGE_MASK,
        .why = t->why,
        .kind = t->kind,
        .s1_mair = t->s1_mair,
        .s2_attr = t->s2_attr,
        .mmu_on = t->mmu_on,
        .in_ram = in_ram,
        .perm = pw_permissions(t, el),
    };
}

struct entry *pw_data_miss(struct vcpu *v, const struct pw_site *site, uint64_t va)
{
    struct pw_translation t;
    struct entry *e = data_entry(v, va), *entries = v->data[va >> 55 & 1].entries;
    struct entry *victim = victim_entry(entries, VA_PAGE(va)), pushed_out = *e;
    if ((victim->tag & ~(uint64_t)NOT_RAM) == data_tag(v, va)) {
        *e = *victim;
        victim->tag = 0;
    } else if (walk(v, site, va, 0, &t)) {
        return NULL;
    } else {
        fill(e, data_tag(v, va), &t, v->el);
        cover(v, va, &t, false);
        v->high_not_global |= t.not_global && va >> 55 & 1;
    }
    if ((pushed_out.tag & (NOT_RAM - 1)) == v->data[va >> 55 & 1].generation) {
        *victim_entry(entries, VA_PAGE(pushed_out.tag)) = pushed_out;
    }
    return e;
}

struct entry *pw_fetch_miss(struct vcpu *v, const struct pw_site *site, uint64_t va, uint64_t pa)
{
    struct pw_translation t;
    if (walk(v, site, va, 1, &t)) {
        return NULL;
    }
    if ((t.pa ^ pa) & PW_PAGE_MASK) {
        v->mismatches++;
        return NULL;
    }
    cover(v, va, &t, true);
    v->high_not_global |= t.not_global && va >> 55 & 1;
    v->low_code |= v->el && !(va >> 55 & 1);
    uint64_t tag = fetch_tag(pa, (unsigned)v->el);
    struct entry *e = fetch_entry(v, tag);
    fill(e, tag | atomic_load_explicit(&v->fetch_id, memory_order_relaxed), &t, v->el);
    return e;
}
