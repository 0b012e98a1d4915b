/* Blocks of code that begin: their fetches, and what changed between blocks. */
#include "observe.h"

#include <stddef.h>

#include "events.h"
#include "fast.h"
#include "registers.h"
#include "stream.h"

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

void __attribute__((noinline)) drain(struct vcpu *v)
{
    v->instructions += (uint32_t)v->pending;
    v->fetches += v->pending >> 32;
    v->pending = 0;
    publish(v);
}

uint64_t instructions_now(const struct pw_cpu *cpu)
{
    const struct vcpu *v = (const void *)cpu; /* its first member */
    const struct pw_runheader *h = pw_run_header();
    uint64_t sum = v->instructions + (uint32_t)v->pending;
    for (unsigned pe = 0; pe < h->n_pes && pe < PW_MAX_PES; pe++) {
        sum += pe == cpu->pe ? 0 : h->instructions[pe];
    }
    return sum;
}

/* An exception that was taken to EL2 from guest `vm`: its registers. */
static void record_exception(struct vcpu *v, unsigned vm, uint64_t vector)
{
    enum { LOWER_EL = 0x400, TRAPPED_REGISTER = 0x18 };
    if (!vm || (vector & 0x7ff) < LOWER_EL) {
        return;
    }
    struct pw_syndrome s = {.esr = read_register(REG_ESR_EL2), .far = read_register(REG_FAR_EL2),
                            .hpfar = read_register(REG_HPFAR_EL2)};
    if ((s.esr >> 26 & 63) == TRAPPED_REGISTER) {
        s.xt = read_general(s.esr >> 5 & 31);
    }
    pw_events_exception(v, vm, vector >> 7 & 3, &s);
}

static void record_change(struct vcpu *v, unsigned before, unsigned vm)
{
    if (v->el == 2 && before < 2) {
        record_exception(v, vm, read_register(REG_PC));
    } else if (before == 2 && v->el < 2) {
        pw_events_entry(v, v->cpu.vm_id, read_register(REG_VMPIDR_EL2));
    }
}

/* A guest was entered, and left before it executed anything. */
static void record_nothing_executed(struct vcpu *v, uint64_t vector)
{
    uint64_t hcr = v->regs.hcr_el2;
    if (v->el == 2 && (vector & 0x7ff) >= 0x400 && (hcr & 1) && !(hcr >> 27 & 1)) {
        unsigned vm = pw_vm_number(v->regs.vttbr_el2, true);
        pw_events_entry(v, vm, read_register(REG_VMPIDR_EL2));
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
        if (!v->up && b->pa == PW_NO_ADDRESS) {
            pw_began_outside();
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
    uint64_t pc = read_register(REG_PC);
    e = pw_fetch_miss(v, b->lines[0].site, pc, b->pa);
    if (unlikely(!e && !v->placed)) {
        /* QEMU's -incoming gives a vCPU its registers after it was made, and tells nobody. */
        pw_vcpu_attend(v, ATTENTION_RESET);
        pw_vcpu_sync(v, b->el);
        e = pw_fetch_miss(v, b->lines[0].site, pc, b->pa);
    }
    v->placed = true;
    return e;
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

void on_block(unsigned index, void *userdata)
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
void on_long_block(unsigned index, void *userdata)
{
    long_block(index, userdata, false);
}

/* A block of any number of lines. */
void on_block_streamed(unsigned index, void *userdata)
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

void on_later_lines(unsigned index, void *userdata)
{
    later_lines(index, userdata, false);
}

void on_later_lines_streamed(unsigned index, void *userdata)
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

void on_vector_block(unsigned index, void *userdata)
{
    vector_block(index, userdata, false);
}

void on_vector_block_streamed(unsigned index, void *userdata)
{
    vector_block(index, userdata, true);
}

/* A block outside the watched RAM. */
void on_other_block(unsigned index, void *userdata)
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
