/*
 * The QEMU side: instruments translated code and says what happens, in judge's terms.
 *
 * One callback per translation block stands for all its fetches up to the next barrier or maintenance
 * instruction: that is straight-line code, and the architecture lets instructions be fetched early.
 * One callback per load and per store, one per instruction of interest (decode.h). The state behind
 * them is in regime.h.
 *
 * Left out: AArch32 EL1 and above, hardware updates of Access flags and dirty state (QEMU does them
 * unseen), speculative walks. QEMU may run a block translated at one VA at another VA of the same
 * physical page; PCs are then those of the translation.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "events.h"
#include "fast.h"
#include "judge.h"
#include "places.h"
#include "qemu_api.h"
#include "regime.h"
#include "stream.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

PW_API int qemu_plugin_version = PW_QEMU_API_VERSION;

static struct vcpu vcpus[PW_MAX_PES];
static _Thread_local struct vcpu *self; /* the vCPU whose thread this is */
static unsigned dc_zva_block = 64;
static const char *stream_path; /* where the access stream goes, if anywhere */
static const char *events_path; /* and the event recording */
static bool debug; /* compare every translation with QEMU's; print counters at exit */

static inline struct vcpu *vcpu_at(unsigned index)
{
    struct vcpu *v = &vcpus[index];
    __asm__("" : "+r"(v)); /* one address, not one per member: the callbacks are hot */
    return v;
}

/* ------------------------------------------------------------------ QEMU's registers */

struct handle {
    const char *name, *alias; /* QEMU names some EL1 registers as AArch32 does */
    struct qemu_plugin_register *handle;
};

static struct handle sysreg_handles[PW_N_SYSREGS] = {
    [PW_SCTLR_EL1] = {"SCTLR_EL1", "SCTLR", NULL},
    [PW_TCR_EL1] = {"TCR_EL1", NULL, NULL},
    [PW_TTBR0_EL1] = {"TTBR0_EL1", NULL, NULL},
    [PW_TTBR1_EL1] = {"TTBR1_EL1", NULL, NULL},
    [PW_MAIR_EL1] = {"MAIR_EL1", NULL, NULL},
    [PW_VBAR_EL1] = {"VBAR_EL1", "VBAR", NULL},
    [PW_SCTLR_EL2] = {"SCTLR_EL2", NULL, NULL},
    [PW_TCR_EL2] = {"TCR_EL2", NULL, NULL},
    [PW_TTBR0_EL2] = {"TTBR0_EL2", NULL, NULL},
    [PW_TTBR1_EL2] = {"TTBR1_EL2", NULL, NULL},
    [PW_MAIR_EL2] = {"MAIR_EL2", NULL, NULL},
    [PW_VBAR_EL2] = {"VBAR_EL2", NULL, NULL},
    [PW_SCTLR_EL3] = {"SCTLR_EL3", NULL, NULL},
    [PW_TCR_EL3] = {"TCR_EL3", NULL, NULL},
    [PW_TTBR0_EL3] = {"TTBR0_EL3", NULL, NULL},
    [PW_MAIR_EL3] = {"MAIR_EL3", NULL, NULL},
    [PW_VBAR_EL3] = {"VBAR_EL3", NULL, NULL},
    [PW_HCR_EL2] = {"HCR_EL2", NULL, NULL},
    [PW_VTCR_EL2] = {"VTCR_EL2", NULL, NULL},
    [PW_VTTBR_EL2] = {"VTTBR_EL2", NULL, NULL},
    [PW_SCR_EL3] = {"SCR_EL3", NULL, NULL},
    [PW_HFGITR_EL2] = {"HFGITR_EL2", NULL, NULL},
};
static struct handle cpsr = {"cpsr", NULL, NULL}, pc = {"pc", NULL, NULL};
static struct handle ctr = {"CTR_EL0", NULL, NULL}, clidr = {"CLIDR_EL1", "CLIDR", NULL};
static struct handle midr = {"MIDR_EL1", "VPIDR_EL2", NULL}, dczid = {"DCZID_EL0", NULL, NULL};
static struct handle mmfr0 = {"ID_AA64MMFR0_EL1", NULL, NULL};
static struct handle mmfr1 = {"ID_AA64MMFR1_EL1", NULL, NULL};
static struct handle mmfr2 = {"ID_AA64MMFR2_EL1", NULL, NULL};
static struct handle esr_el2 = {"ESR_EL2", NULL, NULL}, far_el2 = {"FAR_EL2", NULL, NULL};
static struct handle hpfar_el2 = {"HPFAR_EL2", NULL, NULL}, vmpidr_el2 = {"VMPIDR_EL2", NULL, NULL};
static struct handle general[31];

static void find_register(GArray *registers, struct handle *h)
{
    const qemu_plugin_reg_descriptor *d = (const void *)registers->data;
    for (unsigned pass = 0; pass < 2 && !h->handle; pass++) {
        const char *name = pass ? h->alias : h->name;
        for (unsigned i = 0; name && i < registers->len; i++) {
            if (!strcmp(d[i].name, name)) {
                h->handle = d[i].handle;
                break;
            }
        }
    }
}

static void find_registers(void)
{
    static char names[31][4];
    struct handle *others[] = {&cpsr,  &pc,    &ctr,     &clidr,   &midr,      &dczid,     &mmfr0,
                               &mmfr1, &mmfr2, &esr_el2, &far_el2, &hpfar_el2, &vmpidr_el2};
    GArray *registers = qemu_plugin_get_registers();
    for (unsigned i = 0; i < PW_N_SYSREGS; i++) {
        find_register(registers, &sysreg_handles[i]);
    }
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++) {
        find_register(registers, others[i]);
    }
    for (unsigned i = 0; i < 31; i++) {
        snprintf(names[i], sizeof names[i], "x%u", i);
        general[i].name = names[i];
        find_register(registers, &general[i]);
    }
    g_array_free(registers, 1);
}

static uint64_t read_handle(const struct handle *h)
{
    static _Thread_local GByteArray *buffer;
    uint64_t value = 0;
    if (!h->handle) {
        return 0;
    }
    if (!buffer) {
        buffer = g_byte_array_new();
    }
    g_byte_array_set_size(buffer, 0);
    qemu_plugin_read_register(h->handle, buffer);
    memcpy(&value, buffer->data, buffer->len < 8 ? buffer->len : 8);
    return value;
}

uint64_t pw_read_sysreg(unsigned reg)
{
    return read_handle(&sysreg_handles[reg]);
}

static uint64_t read_general(unsigned rt)
{
    return rt == 31 ? 0 : read_handle(&general[rt]);
}

/* ------------------------------------------------------------------ counters */

static void publish(const struct vcpu *v)
{
    struct pw_runheader *h = pw_run_header();
    if (h) {
        h->instructions[v->cpu.pe] = v->instructions;
        h->accesses[v->cpu.pe] = v->accesses;
        h->fetches[v->cpu.pe] = v->fetches;
        h->walks[v->cpu.pe] = v->walks;
    }
}

static void fatal(const char *message)
{
    struct pw_runheader *h = pw_run_header();
    if (h) {
        snprintf(h->error, sizeof h->error, "%s", message);
    }
    fprintf(stderr, "pocwatch: %s\n", message);
    exit(1);
}

static void set_midr(uint64_t value)
{
    pw_run_header()->midr = value;
    /* QEMU does not show DCZID_EL0: 64 bytes but for `max` and A64FX, until the guest reads it. */
    unsigned part = value >> 4 & 0xfff, implementer = value >> 24 & 0xff;
    dc_zva_block = implementer == 0 && part == 0x051       ? 512
                   : implementer == 0x46 && part == 0x001 ? 256
                                                          : 64;
}

static void set_dczid(uint64_t value)
{
    dc_zva_block = 4u << (value & 15);
}

/* ------------------------------------------------------------------ data accesses */

/* Sizes of accesses by meminfo: few values occur, so remember them. Entries are info << 8 | bytes. */
static _Atomic uint64_t sizes[64];

static inline _Atomic uint64_t *size_memo(qemu_plugin_meminfo_t info)
{
    return &sizes[info * 0x9e3779b1u >> 26];
}

/* Our PA against QEMU's for an access that QEMU has just made. */
static void check_pa(struct vcpu *v, const struct pw_site *site, qemu_plugin_meminfo_t info, uint64_t va,
                     const struct entry *e)
{
    struct qemu_plugin_hwaddr *hw = qemu_plugin_get_hwaddr(info, va);
    if (!hw || qemu_plugin_hwaddr_is_io(hw)) {
        return;
    }
    uint64_t pa = qemu_plugin_hwaddr_phys_addr(hw);
    if (e && !((e->page.pa ^ pa) & PW_PAGE_MASK)) {
        return;
    }
    if (v->mismatches++ < 10 && debug) {
        struct pw_translation t;
        pw_probe(v, va, 0, &t);
        fprintf(stderr,
                "pocwatch: PE%u EL%u pc %#" PRIx64 " va %#" PRIx64 ": QEMU's pa %#" PRIx64
                ", ours %#" PRIx64 ", a new walk's %#" PRIx64 " fault %u at stage %u level %d\n",
                v->cpu.pe, site->el, site->pc, va, pa, e ? e->page.pa : 0, t.pa, t.fault,
                t.fault_stage, t.fault_level);
    }
}

static void data_in_page(struct vcpu *v, const struct pw_site *site, const struct entry *e,
                         uint64_t va, unsigned size, unsigned op)
{
    if (!e || !e->page.in_ram) {
        return;
    }
    if (pw_streaming) {
        pw_stream_put(v->cpu.pe, op, e->page.kind, e->page.pa | (va & ~PW_PAGE_MASK), size);
    }
    pw_data(&v->cpu, site, &e->page, va, size, op);
}

/* Accesses that miss, cross a page, are not to RAM, or of which the size is not remembered. */
static void __attribute__((noinline)) access_slow(struct vcpu *v, const struct pw_site *site,
                                                  qemu_plugin_meminfo_t info, uint64_t va,
                                                  unsigned op)
{
    unsigned size = 1u << qemu_plugin_mem_size_shift(info);
    atomic_store_explicit(size_memo(info), (uint64_t)info << 8 | size, memory_order_relaxed);
    unsigned left = (unsigned)(PW_PAGE - va % PW_PAGE);
    unsigned n = size < left ? size : left;
    struct entry *e = data_entry(v, va);
    if ((e->tag & ~(uint64_t)NOT_RAM) != data_tag(v, va)) {
        e = pw_data_miss(v, site, va);
        check_pa(v, site, info, va, e);
    } else if (debug) {
        check_pa(v, site, info, va, e);
    }
    data_in_page(v, site, e, va, n, op);
    if (n < size) {
        va += n;
        data_in_page(v, site, find_data(v, site, va), va, size - n, op);
    }
}

static inline void access(unsigned index, qemu_plugin_meminfo_t info, uint64_t va, void *userdata,
                          unsigned op, bool streamed)
{
    struct vcpu *v = vcpu_at(index);
    const struct pw_site *site = userdata;
    uint64_t memo = atomic_load_explicit(size_memo(info), memory_order_relaxed);
    unsigned size = memo & 0xff;
    const struct half *h = &v->data[va >> 55 & 1];
    const struct entry *e = &h->entries[va / PW_PAGE % DATA_ENTRIES];
    v->accesses++;
    /* The tag of the last byte's page: differs from the entry's when the access crosses pages. */
    if (likely(e->tag == (((va + size - 1) & PW_PAGE_MASK) | h->generation) && memo >> 8 == info)) {
        if (streamed) {
            pw_stream_put(v->cpu.pe, op, e->page.kind, e->page.pa | (va & ~PW_PAGE_MASK), size);
        }
        pw_data(&v->cpu, site, &e->page, va, size, op);
        return;
    }
    access_slow(v, site, info, va, op);
}

static void on_load(unsigned index, qemu_plugin_meminfo_t info, uint64_t va, void *userdata)
{
    access(index, info, va, userdata, PW_OP_LD, false);
}

static void on_store(unsigned index, qemu_plugin_meminfo_t info, uint64_t va, void *userdata)
{
    access(index, info, va, userdata, PW_OP_ST, false);
}

static void on_load_streamed(unsigned index, qemu_plugin_meminfo_t info, uint64_t va, void *userdata)
{
    access(index, info, va, userdata, PW_OP_LD, true);
}

static void on_store_streamed(unsigned index, qemu_plugin_meminfo_t info, uint64_t va, void *userdata)
{
    access(index, info, va, userdata, PW_OP_ST, true);
}

static bool of_user_space(const struct vcpu *v, uint64_t va)
{
    return !(va >> 55 & 1) && !v->cpu.vm && (v->el < 2 || pw_regime_of(&v->regs) == PW_REGIME_EL20);
}

static void on_store_recorded(unsigned index, qemu_plugin_meminfo_t info, uint64_t va, void *userdata)
{
    struct vcpu *v = vcpu_at(index);
    access(index, info, va, userdata, PW_OP_ST, pw_streaming);
    if (of_user_space(v, va)) {
        const struct entry *e = find_data(v, userdata, va);
        if (e && e->page.in_ram && e->page.mmu_on) {
            pw_events_store(v, e->page.pa, va, 1u << qemu_plugin_mem_size_shift(info));
        }
    }
}

static void on_load_debug(unsigned index, qemu_plugin_meminfo_t info, uint64_t va, void *userdata)
{
    vcpus[index].accesses++;
    access_slow(&vcpus[index], userdata, info, va, PW_OP_LD);
}

static void on_store_debug(unsigned index, qemu_plugin_meminfo_t info, uint64_t va, void *userdata)
{
    vcpus[index].accesses++;
    access_slow(&vcpus[index], userdata, info, va, PW_OP_ST);
}

/* ------------------------------------------------------------------ fetches */

/* Move the counts of the last blocks to the totals, now and then out to the run file. */
static void __attribute__((noinline)) drain(struct vcpu *v)
{
    v->instructions += (uint32_t)v->pending;
    v->fetches += v->pending >> 32;
    v->pending = 0;
    publish(v);
}

/* An exception that was taken to EL2 from guest `vm`: its registers. */
static void record_exception(struct vcpu *v, unsigned vm, uint64_t vector)
{
    enum { LOWER_EL = 0x400, TRAPPED_REGISTER = 0x18 };
    if (!vm || (vector & 0x7ff) < LOWER_EL) {
        return;
    }
    struct pw_syndrome s = {.esr = read_handle(&esr_el2), .far = read_handle(&far_el2),
                            .hpfar = read_handle(&hpfar_el2)};
    if ((s.esr >> 26 & 63) == TRAPPED_REGISTER) {
        s.xt = read_general(s.esr >> 5 & 31);
    }
    pw_events_exception(v, vm, vector >> 7 & 3, &s);
}

static void record_change(struct vcpu *v, unsigned before, unsigned vm)
{
    if (v->el == 2 && before < 2) {
        record_exception(v, vm, read_handle(&pc));
    } else if (before == 2 && v->el < 2) {
        pw_events_entry(v, v->cpu.vm_id, read_handle(&vmpidr_el2));
    }
}

/* A guest was entered, and left before it executed anything. */
static void record_nothing_executed(struct vcpu *v, uint64_t vector)
{
    uint64_t hcr = v->regs.hcr_el2;
    if (v->el == 2 && (vector & 0x7ff) >= 0x400 && (hcr & 1) && !(hcr >> 27 & 1)) {
        unsigned vm = pw_vm_number(v->regs.vttbr_el2, true);
        pw_events_entry(v, vm, read_handle(&vmpidr_el2));
        record_exception(v, vm, vector);
    }
}

/* Anything but a hit: EL or registers changed, a TLBI, a page not yet walked. */
static struct entry *__attribute__((noinline)) block_slow(struct vcpu *v, const struct block *b)
{
    unsigned before = (unsigned)v->el;
    if (before != b->el || atomic_load(&v->attention) || !atomic_load(&v->fetch_id)) {
        unsigned vm = v->cpu.vm_id;
        pw_vcpu_sync(v, b->el);
        if (pw_recording && before != b->el) {
            record_change(v, before, vm);
        }
        /* Exception entry is a context synchronisation event; ERET is seen as an instruction. */
        if (b->el > before && v->up) {
            pw_barrier(&v->cpu, b->lines[0].site, PW_OP_ISB);
        }
        v->up = true;
    }
    if (b->pa == PW_NO_ADDRESS) {
        return NULL;
    }
    struct entry *e = fetch_entry(v, b->tag);
    if (e->tag == (b->tag | atomic_load(&v->fetch_id))) {
        return e;
    }
    /* Where the PE really is: a block may run at another VA than it was translated at. */
    return pw_fetch_miss(v, b->lines[0].site, read_handle(&pc), b->pa);
}

static inline void fetch_line(struct vcpu *v, const struct line *l, const struct pw_page *page,
                              bool streamed)
{
    if (streamed) {
        pw_stream_put(v->cpu.pe, PW_OP_IF, page->kind, page->pa | (l->va & ~PW_PAGE_MASK), 4u * l->n);
    }
    pw_fetch_line(&v->cpu, l->site, page, l->shadow, l->va, l->n);
}

static inline void fetch_lines(struct vcpu *v, const struct block *b, const struct pw_page *page,
                               bool streamed)
{
    const struct line *l = b->lines, *end = l + b->n_at_entry;
    v->cpu.fetch_ipa = page->ipa;
    do {
        fetch_line(v, l, page, streamed);
    } while (++l < end);
}

static void __attribute__((noinline)) run_block_slow(struct vcpu *v, const struct block *b)
{
    drain(v);
    const struct entry *e = block_slow(v, b);
    if (e) {
        fetch_lines(v, b, &e->page, pw_streaming);
    } else {
        v->cpu.fetch_ipa = PW_NO_ADDRESS;
    }
}

/* Count, and find the block's page; NULL when the slow path has done all that was to do. */
static inline const struct entry *enter_block(struct vcpu *v, const struct block *b)
{
    const struct entry *e = fetch_entry(v, b->tag);
    v->pending += b->counts;
    uint64_t id = atomic_load_explicit(&v->fetch_id, memory_order_relaxed);
    if (unlikely((e->tag ^ (b->tag | id)) | (v->pending & 0x10000))) {
        run_block_slow(v, b);
        return NULL;
    }
    return e;
}

static void on_block(unsigned index, void *userdata)
{
    struct vcpu *v = vcpu_at(index);
    const struct block *b = userdata;
    const struct entry *e = enter_block(v, b);
    if (likely(e)) {
        v->cpu.fetch_ipa = e->page.ipa;
        fetch_line(v, b->lines, &e->page, false);
    }
}

static inline void long_block(unsigned index, void *userdata, bool streamed)
{
    struct vcpu *v = vcpu_at(index);
    const struct block *b = userdata;
    const struct entry *e = enter_block(v, b);
    if (likely(e)) {
        fetch_lines(v, b, &e->page, streamed);
    }
}

/* A block of several lines. */
static void on_long_block(unsigned index, void *userdata)
{
    long_block(index, userdata, false);
}

/* A block of any number of lines. */
static void on_block_streamed(unsigned index, void *userdata)
{
    long_block(index, userdata, true);
}

/* The instructions behind a barrier or maintenance instruction of the block. */
static inline void later_lines(unsigned index, void *userdata, bool streamed)
{
    struct vcpu *v = vcpu_at(index);
    const struct line *l = userdata;
    const struct block *b = (const void *)((const char *)(l - l->index) - offsetof(struct block, lines));
    const struct entry *e = fetch_entry(v, b->tag);
    if (unlikely(e->tag != (b->tag | atomic_load_explicit(&v->fetch_id, memory_order_relaxed)))) {
        e = block_slow(v, b);
    }
    if (e) {
        v->cpu.fetch_ipa = e->page.ipa;
        fetch_line(v, l, &e->page, streamed);
    }
}

static void on_later_lines(unsigned index, void *userdata)
{
    later_lines(index, userdata, false);
}

static void on_later_lines_streamed(unsigned index, void *userdata)
{
    later_lines(index, userdata, true);
}

/* A block that may be an exception vector; an exception taken to the same EL shows only here. */
static inline void vector_block(unsigned index, void *userdata, bool streamed)
{
    struct vcpu *v = vcpu_at(index);
    const struct block *b = userdata;
    if (v->el == b->el && (b->va & ~UINT64_C(0x7ff)) == v->vbar[b->el]) {
        pw_barrier(&v->cpu, b->lines[0].site, PW_OP_ISB);
        if (pw_recording) {
            pw_vcpu_sync(v, b->el);
            record_nothing_executed(v, b->va);
        }
    }
    long_block(index, userdata, streamed);
}

static void on_vector_block(unsigned index, void *userdata)
{
    vector_block(index, userdata, false);
}

static void on_vector_block_streamed(unsigned index, void *userdata)
{
    vector_block(index, userdata, true);
}

/* A block outside the watched RAM. */
static void on_other_block(unsigned index, void *userdata)
{
    struct vcpu *v = &vcpus[index];
    const struct block *b = userdata;
    v->pending += (uint32_t)b->counts;
    if (unlikely(v->pending & 0x10000)) {
        drain(v);
    }
    if (unlikely(b->el != v->el || !atomic_load_explicit(&v->fetch_id, memory_order_relaxed))) {
        block_slow(v, b);
    }
    v->cpu.fetch_ipa = PW_NO_ADDRESS;
}

/* ------------------------------------------------------------------ system instructions */

static void flush_others(const struct vcpu *v, unsigned halves)
{
    for (unsigned i = 0; halves && i < PW_MAX_PES; i++) {
        if (&vcpus[i] != v && vcpus[i].present) {
            pw_vcpu_attend(&vcpus[i], halves);
        }
    }
}

static uint64_t effective_hfgitr(const struct vcpu *v)
{
    bool fgt = v->regs.id_aa64mmfr0 >> 56 & 15;
    bool enabled = !v->regs.has_el3 || (v->regs.scr_el3 >> 27 & 1);
    return fgt && enabled && v->regs.has_el2 ? v->hfgitr : 0;
}

/*
 * Whether an operation on `va`, of which `e` is the page, passes the permission checks (fact C8). What
 * the entry allows stands until a TLBI; what it forbids, at another EL or since it was made, may be
 * allowed by now: permissions can be widened without a TLBI.
 */
static bool permitted(struct vcpu *v, struct entry *e, uint64_t va, unsigned op)
{
    struct pw_translation t;
    unsigned need = op == PW_OP_DC_IVAC || op == PW_OP_DC_ZVA ? PW_PERM_W
                    : v->el == 0                              ? PW_PERM_R
                                                              : 0;
    if (!need || (e->page.perm >> 4 == v->el && (e->page.perm & need))) {
        return true;
    }
    if (pw_probe(v, va, 0, &t) != PW_FAULT_NONE) {
        return false;
    }
    e->page.perm = pw_permissions(&t, v->el);
    return t.perm & need;
}

static void maintain(struct vcpu *v, const struct place *p)
{
    enum { SWIO = 1, FB = 9 };
    unsigned op = p->insn.op, flags = 0;
    uint64_t hcr = pw_hcr_effective(&v->regs);
    bool upgrade = v->el == 1 && pw_stage2_on(&v->regs);
    if (pw_trapped(&p->insn, &v->regs, effective_hfgitr(v))) {
        return;
    }
    if (p->insn.class_ == PW_CLASS_IC_ALL) {
        pw_ic(&v->cpu, &p->site, NULL, 0, op, p->insn.all_pes || (v->el == 1 && (hcr >> FB & 1)));
        return;
    }
    uint64_t va = read_general(p->insn.rt);
    if (p->insn.class_ == PW_CLASS_DC_SW) {
        if (op == PW_OP_DC_ISW && v->el == 1 && (upgrade || (hcr >> SWIO & 1))) {
            op = PW_OP_DC_CISW;
            flags = PW_FLAG_UPGRADED;
        }
        pw_dc(&v->cpu, &p->site, NULL, va, op, flags);
        return;
    }
    struct entry *e = find_data(v, &p->site, va);
    if (!e || !e->page.in_ram || !permitted(v, e, va, op)) {
        return;
    }
    switch (p->insn.class_) {
    case PW_CLASS_DC_ZVA:
        if (e->page.kind != PW_KIND_DEV) { /* faults on Device memory */
            unsigned block = dc_zva_block;
            pw_zva(&v->cpu, &p->site, &e->page, va & ~(uint64_t)(block - 1), block);
            if (pw_recording && !v->cpu.vm) {
                pw_events_zero(v, e->page.pa | (va & (PW_PAGE - 1) & ~(uint64_t)(block - 1)), va, block);
            }
        }
        break;
    case PW_CLASS_IC_VA:
        pw_ic(&v->cpu, &p->site, &e->page, va, op, true);
        break;
    default:
        if (op == PW_OP_DC_IVAC && upgrade) {
            op = PW_OP_DC_CIVAC;
            flags = PW_FLAG_UPGRADED;
        }
        pw_dc(&v->cpu, &p->site, &e->page, va, op, flags);
    }
}

static void on_system(unsigned index, void *userdata)
{
    struct vcpu *v = &vcpus[index];
    const struct place *p = userdata;
    switch (p->insn.class_) {
    case PW_CLASS_MSR:
        pw_vcpu_msr(v, &p->insn);
        break;
    case PW_CLASS_TLBI:
        pw_vcpu_tlbi(v, &p->insn, p->insn.op == PW_TLBI_VA ? read_general(p->insn.rt) : 0);
        if (pw_recording) {
            pw_events_tlbi(v, p->site.insn, read_general(p->site.insn & 31));
        }
        break;
    case PW_CLASS_BARRIER:
        /* Only barriers on loads and stores both order and complete maintenance (fact C9). Any
         * shareability domain will do: the PE's own operations complete even for NSH. */
        if (p->insn.op == PW_OP_DSB) {
            flush_others(v, pw_vcpu_complete(v));
            if (pw_streaming) {
                pw_stream_put(v->cpu.pe, PW_OP_DSB, PW_KIND_WB, 0, 0);
            }
            if (pw_recording) {
                pw_events_dsb(v);
            }
        }
        if (p->insn.full) {
            pw_barrier(&v->cpu, &p->site, p->insn.op);
        }
        break;
    case PW_CLASS_ERET:
        flush_others(v, pw_vcpu_complete(v)); /* in case a DSB was forgotten: QEMU needs none */
        pw_barrier(&v->cpu, &p->site, PW_OP_ISB);
        break;
    default:
        maintain(v, p);
    }
}

/* The instruction after an MRS of a constant that QEMU does not show otherwise. */
static void on_identification(unsigned index, void *userdata)
{
    const struct place *p = userdata;
    (void)index;
    uint64_t value = read_general(p->insn.rt);
    if (p->insn.sysreg == PW_DCZID_EL0) {
        set_dczid(value);
    } else if (!pw_run_header()->midr) {
        set_midr(value);
    }
}

/* ------------------------------------------------------------------ translation */

static void instrument(struct qemu_plugin_insn *insn, struct place *p, bool aarch64)
{
    if (!aarch64 || pw_may_access(p->site.insn)) {
        qemu_plugin_mem_cb load = debug ? on_load_debug : pw_streaming ? on_load_streamed : on_load;
        qemu_plugin_mem_cb store = debug          ? on_store_debug
                                   : pw_recording ? on_store_recorded
                                   : pw_streaming ? on_store_streamed
                                                  : on_store;
        qemu_plugin_register_vcpu_mem_cb(insn, load, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_R,
                                         &p->site);
        qemu_plugin_register_vcpu_mem_cb(insn, store, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_W,
                                         &p->site);
    }
    if (aarch64 && pw_synchronises(&p->insn)) {
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_system, QEMU_PLUGIN_CB_R_REGS, p);
    }
}

/*
 * Cut the block into groups of instructions that are fetched together. `places` gets those of the
 * instructions that callbacks name: accesses, system instructions, the first of each group; else NULL.
 */
static void describe_block(struct qemu_plugin_tb *tb, struct block *b, unsigned max_lines,
                           struct place **places, bool aarch64)
{
    size_t n = qemu_plugin_tb_n_insns(tb);
    struct line *l = NULL;
    struct pw_insn decoded = {.class_ = PW_CLASS_NONE};
    bool behind = false; /* a system instruction of this block, or its line */
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint64_t va = qemu_plugin_insn_vaddr(insn);
        uint64_t pa = b->pa == PW_NO_ADDRESS ? b->pa : b->pa + (va - b->va);
        uint32_t encoding = 0;
        bool after = pw_synchronises(&decoded);
        bool joins = l && !after && !((l->va ^ va) & ~UINT64_C(63));
        qemu_plugin_insn_data(insn, &encoding, sizeof encoding);
        pw_decode(encoding, &decoded);
        places[i] = NULL;
        if (!joins || !aarch64 || decoded.class_ != PW_CLASS_NONE || pw_may_access(encoding)) {
            places[i] = place_intern(va, pa, encoding, b->el);
        }
        behind |= after;
        if (joins) {
            l->n++;
        } else if (b->n_lines < max_lines) {
            l = &b->lines[b->n_lines];
            *l = (struct line){.site = &places[i]->site, .va = va, .n = 1, .first = (uint16_t)i,
                               .index = b->n_lines++};
            if (pa != PW_NO_ADDRESS) {
                l->shadow = &pw_lines[(pa - pw_ram_base) / PW_LINE_BYTES];
            }
            b->n_at_entry += !behind;
        }
    }
    b->counts = (uint64_t)b->n_lines << 32 | n;
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    enum { MAX_INSTRUCTIONS = 1024 };
    struct { struct block b; struct line lines[MAX_INSTRUCTIONS]; } made;
    struct place *places[MAX_INSTRUCTIONS];
    struct vcpu *v = self;
    struct pw_translation t;
    size_t n = qemu_plugin_tb_n_insns(tb);
    uint64_t state = read_handle(&cpsr);
    bool aarch64 = !(state >> 4 & 1);
    unsigned el = aarch64 ? state >> 2 & 3 : (state & 15) != 0;
    (void)id;
    if (!v || !n || n > MAX_INSTRUCTIONS) {
        return;
    }
    if (atomic_load_explicit(&v->attention, memory_order_relaxed)) {
        pw_vcpu_sync(v, (unsigned)v->el);
    }
    v->regs.el = el; /* for the probe only: the block's own callback is to see the change of EL */
    memset(&made.b, 0, sizeof made.b);
    made.b.va = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0));
    made.b.pa = PW_NO_ADDRESS;
    if (pw_probe(v, made.b.va, 1, &t) == PW_FAULT_NONE && pw_ram(t.pa & PW_PAGE_MASK, PW_PAGE)) {
        made.b.pa = t.pa;
    }
    v->regs.el = v->el;
    made.b.tag = fetch_tag(made.b.pa, el);
    made.b.el = el;
    describe_block(tb, &made.b, MAX_INSTRUCTIONS, places, aarch64);
    const struct block *b = block_intern(&made.b);
    for (size_t i = 0, group = b->n_at_entry; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        if (i && aarch64 && places[i - 1] && places[i - 1]->insn.class_ == PW_CLASS_MRS) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_identification, QEMU_PLUGIN_CB_R_REGS,
                                                   places[i - 1]);
        }
        if (b->pa != PW_NO_ADDRESS && group < b->n_lines && b->lines[group].first == i) {
            qemu_plugin_register_vcpu_insn_exec_cb(
                insn, pw_streaming ? on_later_lines_streamed : on_later_lines, QEMU_PLUGIN_CB_R_REGS,
                (void *)&b->lines[group++]);
        }
        if (places[i]) {
            instrument(insn, places[i], aarch64);
        }
    }
    bool vector = el && b->va % 0x80 == 0;
    qemu_plugin_register_vcpu_tb_exec_cb(
        tb,
        b->pa == PW_NO_ADDRESS ? on_other_block
        : pw_streaming         ? (vector ? on_vector_block_streamed : on_block_streamed)
        : vector               ? on_vector_block
        : b->n_at_entry > 1    ? on_long_block
                               : on_block,
        QEMU_PLUGIN_CB_R_REGS, (void *)b);
}

/* ------------------------------------------------------------------ life */

static void on_vcpu_init(qemu_plugin_id_t id, unsigned index)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    (void)id;
    if (index >= PW_MAX_PES) {
        fatal("more vCPUs than pocwatch watches (64)");
    }
    pthread_mutex_lock(&lock);
    struct vcpu *v = &vcpus[index];
    struct pw_runheader *h = pw_run_header();
    if (self && self != v) {
        fatal("several vCPUs on one thread: start QEMU with -accel tcg,thread=multi");
    }
    if (!cpsr.handle) {
        find_registers();
        h->ctr = read_handle(&ctr);
        h->clidr = read_handle(&clidr);
        set_midr(read_handle(&midr));
        if (dczid.handle) {
            set_dczid(read_handle(&dczid));
        }
        if (pw_recording) {
            pw_events_start(h->n_pes, h->ctr, h->clidr);
        }
    }
    if (!v->present) {
        pw_vcpu_init(v, index);
    }
    self = v;
    v->regs.has_el2 = sysreg_handles[PW_HCR_EL2].handle != NULL;
    v->regs.has_el3 = sysreg_handles[PW_SCR_EL3].handle != NULL;
    v->regs.id_aa64mmfr0 = read_handle(&mmfr0);
    v->regs.id_aa64mmfr1 = read_handle(&mmfr1);
    v->regs.id_aa64mmfr2 = read_handle(&mmfr2);
    pw_vcpu_attend(v, ATTENTION_RESET);
    pw_vcpu_sync(v, read_handle(&cpsr) >> 2 & 3);
    h->started = 1;
    pthread_mutex_unlock(&lock);
}

static void on_vcpu_idle(qemu_plugin_id_t id, unsigned index)
{
    (void)id;
    if (index < PW_MAX_PES) {
        pw_stream_flush(index);
    }
}

/* A halted vCPU may have been reset (PSCI CPU_ON, system reset): no MSR tells. */
static void on_vcpu_resume(qemu_plugin_id_t id, unsigned index)
{
    (void)id;
    if (index < PW_MAX_PES && vcpus[index].present) {
        pw_vcpu_attend(&vcpus[index], ATTENTION_RESET);
    }
}

static void print_counters(const struct vcpu *v)
{
    fprintf(stderr,
            "pocwatch: PE%u: %" PRIu64 " instructions, %" PRIu64 " accesses, %"
            PRIu64 " fetches, %" PRIu64 " walks, %" PRIu64 " misses, %" PRIu64 " faults, %" PRIu64
            " mismatches, %" PRIu64 " flushes, %" PRIu64 " selections, %" PRIu64 " register reads\n",
            v->cpu.pe, v->instructions, v->accesses, v->fetches, v->walks, v->misses,
            v->faults, v->mismatches, v->flushes, v->selections, v->register_reads);
}

static void on_exit_cb(qemu_plugin_id_t id, void *userdata)
{
    (void)id;
    (void)userdata;
    bool print = debug || getenv("POCWATCH_COUNTERS");
    if (print) {
        fprintf(stderr, "pocwatch: DC ZVA block %u bytes\n", dc_zva_block);
    }
    for (unsigned i = 0; i < PW_MAX_PES; i++) {
        if (vcpus[i].present) {
            drain(&vcpus[i]);
            if (print) {
                print_counters(&vcpus[i]);
            }
        }
    }
    pw_stream_close();
    pw_events_close(&vcpus[0]);
    struct pw_runheader *h = pw_run_header();
    if (h) {
        h->finished = 1;
    }
    pw_judge_close();
}

/* ------------------------------------------------------------------ install */

static bool parse_switch(const char *value, bool *out)
{
    *out = !strcmp(value, "on");
    return *out || !strcmp(value, "off");
}

static bool parse_number(const char *value, uint64_t *out)
{
    char *end;
    *out = strtoull(value, &end, 0);
    return *value && !*end;
}

/* One `name=value`; false if the name is unknown or the value is not of its form. */
static bool parse_argument(const char *argument, struct pw_config *config)
{
    const char *equals = strchr(argument, '=');
    if (!equals) {
        return false;
    }
    size_t length = (size_t)(equals - argument);
    const char *value = equals + 1;
#define IS(name) (length == sizeof(name) - 1 && !strncmp(argument, name, length))
    if (IS("run")) {
        config->run_path = value;
    } else if (IS("ram")) {
        config->ram_path = value;
    } else if (IS("table")) {
        config->table_path = value;
    } else if (IS("rules")) {
        config->rules_path = value;
    } else if (IS("rambase")) {
        return parse_number(value, &config->ram_base);
    } else if (IS("ramsize")) {
        return parse_number(value, &config->ram_size);
    } else if (IS("stream")) {
        stream_path = value;
    } else if (IS("events")) {
        events_path = value;
    } else if (IS("unsynced")) {
        return parse_switch(value, &config->report_unsynced);
    } else if (IS("redundant")) {
        return parse_switch(value, &config->track_redundant);
    } else if (IS("debug")) {
        return parse_switch(value, &debug);
    } else {
        return false;
    }
#undef IS
    return true;
}

PW_API int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    struct pw_config config = {0};
    char error[256] = "";
    if (!info->system_emulation || strcmp(info->target_name, "aarch64")) {
        fprintf(stderr, "pocwatch: this is QEMU for %s%s: needs qemu-system-aarch64\n",
                info->target_name, info->system_emulation ? "" : " (user mode)");
        return 1;
    }
    if (info->version.cur < PW_QEMU_API_VERSION || info->version.cur >= PW_QEMU_API_TOO_NEW) {
        fprintf(stderr, "pocwatch: this QEMU has plugin API version %d: accepted are %d to %d\n",
                info->version.cur, PW_QEMU_API_VERSION, PW_QEMU_API_TOO_NEW - 1);
        return 1;
    }
    if (info->system.smp_vcpus > PW_MAX_PES) {
        fprintf(stderr, "pocwatch: %d vCPUs: at most %d are watched\n", info->system.smp_vcpus,
                PW_MAX_PES);
        return 1;
    }
    for (int i = 0; i < argc; i++) {
        if (!parse_argument(argv[i], &config)) {
            fprintf(stderr, "pocwatch: plugin was given '%s' but takes run=, ram=, rambase=, "
                            "ramsize=, table=, rules=, unsynced=on|off, redundant=on|off, "
                            "stream=, events=, debug=on|off\n", argv[i]);
            return 1;
        }
    }
    if (!config.run_path || !config.ram_path || !config.table_path || !config.ram_size) {
        fprintf(stderr, "pocwatch: plugin needs run=, ram=, rambase=, ramsize= and table=\n");
        return 1;
    }
    if (!pw_judge_open(&config, error, sizeof error)) {
        fprintf(stderr, "pocwatch: %s\n", error);
        return 1;
    }
    pw_run_header()->n_pes = (uint32_t)info->system.smp_vcpus;
    pw_run_header()->ram_base = config.ram_base;
    pw_run_header()->ram_size = config.ram_size;
    if (stream_path) {
        if (!pw_stream_open(stream_path, (unsigned)info->system.smp_vcpus, error, sizeof error)) {
            fprintf(stderr, "pocwatch: %s\n", error);
            return 1;
        }
        qemu_plugin_register_vcpu_idle_cb(id, on_vcpu_idle);
    }
    if (events_path &&
        !pw_events_open(events_path, config.ram_base, config.ram_size, error, sizeof error)) {
        fprintf(stderr, "pocwatch: %s\n", error);
        return 1;
    }
    qemu_plugin_register_vcpu_init_cb(id, on_vcpu_init);
    qemu_plugin_register_vcpu_resume_cb(id, on_vcpu_resume);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    qemu_plugin_register_atexit_cb(id, on_exit_cb, NULL);
    return 0;
}
