/* Loads and stores as QEMU tells them: found in the soft TLB, and passed on by page. */
#include "observe.h"

#include <inttypes.h>
#include <stdio.h>

#include "dma.h"
#include "events.h"
#include "fast.h"
#include "stream.h"

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

/* What was loaded or stored: its low 8 bytes. */
static uint64_t value_of(qemu_plugin_meminfo_t info)
{
    static const uint64_t masks[] = {0xff, 0xffff, 0xffffffff};
    unsigned shift = qemu_plugin_mem_size_shift(info);
    uint64_t low = qemu_plugin_mem_get_value(info).data.u64;
    return shift < 3 ? low & masks[shift] : low;
}

void pw_dma_more_pages(void)
{
    for (unsigned i = 0; i < PW_MAX_PES; i++) {
        if (vcpus[i].present) {
            pw_vcpu_attend(&vcpus[i], ATTENTION_FLUSH);
        }
    }
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
    if (unlikely(pw_dma_on && e && e->tag & NOT_RAM)) {
        pw_dma_access(&v->cpu, site, e->page.pa | (va & ~PW_PAGE_MASK), n, op == PW_OP_ST, value_of(info));
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

void on_load(unsigned index, qemu_plugin_meminfo_t info, uint64_t va, void *userdata)
{
    access(index, info, va, userdata, PW_OP_LD, false);
}

void on_store(unsigned index, qemu_plugin_meminfo_t info, uint64_t va, void *userdata)
{
    access(index, info, va, userdata, PW_OP_ST, false);
}

void on_load_streamed(unsigned index, qemu_plugin_meminfo_t info, uint64_t va, void *userdata)
{
    access(index, info, va, userdata, PW_OP_LD, true);
}

void on_store_streamed(unsigned index, qemu_plugin_meminfo_t info, uint64_t va, void *userdata)
{
    access(index, info, va, userdata, PW_OP_ST, true);
}

static bool of_user_space(const struct vcpu *v, uint64_t va)
{
    return !(va >> 55 & 1) && !v->cpu.vm && (v->el < 2 || pw_regime_of(&v->regs) == PW_REGIME_EL20);
}

void on_store_recorded(unsigned index, qemu_plugin_meminfo_t info, uint64_t va, void *userdata)
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

void on_load_debug(unsigned index, qemu_plugin_meminfo_t info, uint64_t va, void *userdata)
{
    vcpus[index].accesses++;
    access_slow(&vcpus[index], userdata, info, va, PW_OP_LD);
}

void on_store_debug(unsigned index, qemu_plugin_meminfo_t info, uint64_t va, void *userdata)
{
    vcpus[index].accesses++;
    access_slow(&vcpus[index], userdata, info, va, PW_OP_ST);
}
