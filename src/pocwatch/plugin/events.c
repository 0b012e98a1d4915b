/* The event recording; see events.h. */
#include "events.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observe.h"
#include "output.h"
#include "touches.h"

bool pw_recording;

static FILE *file;
static const char *name;
static uint64_t base, size;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t dsbs[PW_MAX_PES];                   /* since the PE's last record */
static struct pw_recorded repeated[PW_MAX_PES];     /* maintenance that may go on; count 0: none */
static uint8_t entered[1 << 16];                    /* by VM */

/* What user space wrote to a page since it was made new; see WRITTEN. */
static struct written {
    uint64_t va, ttbr0;
    uint32_t bytes;
} *written;

static void put_all(const void *data, size_t n)
{
    if (fwrite(data, n, 1, file) != 1) {
        pw_give_up("events", name, errno);
    }
}

bool pw_events_open(const char *path, uint64_t ram_base, uint64_t ram_size, char *error,
                    unsigned error_size)
{
    name = strdup(path); /* QEMU frees its arguments */
    file = fopen(path, "wbe");
    written = calloc(ram_size / PW_PAGE, sizeof *written);
    if (!file || !written || !name) {
        snprintf(error, error_size, "events=%s: %s", path, strerror(errno));
        return false;
    }
    setvbuf(file, NULL, _IOFBF, 1 << 20);
    base = ram_base;
    size = ram_size;
    pw_recording = true;
    return true;
}

void pw_events_start(unsigned pes, uint64_t ctr, uint64_t clidr)
{
    struct pw_events_header h = {.version = PW_EVENTS_VERSION, .n_pes = pes, .ctr = ctr,
                                 .record_size = sizeof(struct pw_recorded), .clidr = clidr,
                                 .ram_base = base, .ram_size = size};
    memcpy(h.magic, PW_EVENTS_MAGIC, sizeof h.magic);
    put_all(&h, sizeof h);
}

/* The functions from here to `unlock` are called with the lock held. */

static void put(struct pw_recorded *r)
{
    r->dsbs = dsbs[r->pe];
    dsbs[r->pe] = 0;
    put_all(r, sizeof *r);
}

static void put_repeated(unsigned pe)
{
    if (repeated[pe].count) {
        put(&repeated[pe]);
        repeated[pe].count = 0;
    }
}

static struct pw_recorded begin(const struct vcpu *v, unsigned kind)
{
    put_repeated(v->cpu.pe);
    return (struct pw_recorded){.time = instructions_now(&v->cpu), .kind = (uint8_t)kind, .pe = v->cpu.pe,
                                .ipa = PW_NO_ADDRESS, .pa = PW_NO_ADDRESS, .va = PW_NO_ADDRESS};
}

static void put_written(const struct vcpu *v, unsigned vm)
{
    for (uint64_t page = 0; page < size / PW_PAGE; page++) {
        if (written[page].bytes) {
            struct pw_recorded r = begin(v, PW_IS_WRITTEN);
            r.vm = (uint16_t)vm;
            r.pa = base + page * PW_PAGE;
            r.va = written[page].va;
            r.value = written[page].ttbr0;
            r.count = written[page].bytes;
            put(&r);
            written[page].bytes = 0;
        }
    }
}

/* Flags of the guest that the vCPU's EL1 registers are of. */
static uint8_t guest_flags(const struct vcpu *v)
{
    enum { M = 1 << 0, C = 1 << 2, I = 1 << 12 };
    uint64_t sctlr = v->regs.sctlr_el1, hcr = v->regs.hcr_el2;
    return (uint8_t)((sctlr & M ? PW_GUEST_MMU_ON : 0) |
                     ((sctlr & (M | C)) == (M | C) ? PW_GUEST_CACHES_ON : 0) |
                     (sctlr & I ? PW_GUEST_I_ON : 0) | (hcr >> 26 & 1 ? PW_GUEST_TRAPS_MMU : 0) |
                     (hcr >> 22 & 1 ? PW_GUEST_TRAPS_SET_WAY : 0) |
                     (hcr >> 46 & 1 ? PW_GUEST_FORCES_WB : 0));
}

void pw_events_entry(struct vcpu *v, unsigned vm, uint64_t vmpidr)
{
    if (!vm) {
        return;
    }
    pthread_mutex_lock(&lock);
    if (!entered[vm]) {
        entered[vm] = 1;
        put_written(v, vm);
    }
    struct pw_recorded r = begin(v, PW_IS_ENTRY);
    r.vm = (uint16_t)vm;
    r.value = vmpidr;
    r.flags = guest_flags(v);
    put(&r);
    pthread_mutex_unlock(&lock);
}

void pw_events_exception(struct vcpu *v, unsigned vm, unsigned vector, const struct pw_syndrome *s)
{
    unsigned class_ = s->esr >> 26 & 63;
    bool abort = class_ == 0x20 || class_ == 0x24; /* from a lower EL: instruction, data */
    if (!vm) {
        return;
    }
    pthread_mutex_lock(&lock);
    struct pw_recorded r = begin(v, PW_IS_EXCEPTION);
    r.vm = (uint16_t)vm;
    r.detail = (uint8_t)vector;
    r.flags = guest_flags(v);
    if (vector == 0) {
        r.syndrome = (uint32_t)s->esr;
        r.value = s->xt;
        r.va = abort ? s->far : PW_NO_ADDRESS;
        r.ipa = abort ? (s->hpfar >> 4 & UINT64_C(0xffffffffff)) << 12 : PW_NO_ADDRESS;
    }
    put(&r);
    pthread_mutex_unlock(&lock);
}

void pw_events_maintenance(const struct pw_cpu *cpu, const struct pw_site *site,
                           const struct pw_page *page, unsigned op, bool changed, bool dirty)
{
    const struct vcpu *v = (const void *)cpu; /* its first member */
    uint64_t pa = page ? page->pa : PW_NO_ADDRESS, ipa = page ? page->ipa : PW_NO_ADDRESS;
    pthread_mutex_lock(&lock);
    struct pw_recorded *r = &repeated[cpu->pe];
    if (!r->count || r->op != op || r->pa != pa || r->ipa != ipa || r->va != site->pc ||
        r->vm != cpu->vm_id) {
        *r = begin(v, PW_IS_MAINTENANCE);
        r->vm = cpu->vm_id;
        r->op = (uint8_t)op;
        r->el = (uint8_t)site->el;
        r->pa = pa;
        r->ipa = ipa;
        r->va = site->pc;
    }
    r->time = instructions_now(cpu);
    r->count++;
    r->changed += changed;
    r->dirty += dirty;
    pthread_mutex_unlock(&lock);
}

void pw_events_dsb(const struct vcpu *v)
{
    dsbs[v->cpu.pe]++; /* only the PE's own thread does */
}

static void touch(struct vcpu *v, uint64_t ipa, uint64_t pa, uint64_t va, unsigned op, unsigned kind,
                  const struct pw_descriptor *leaf)
{
    unsigned granule = (unsigned[]){12, 16, 14, 12}[v->regs.vtcr_el2 >> 14 & 3]; /* TG0 */
    unsigned shift = granule + (3u - (unsigned)leaf->level) * (granule - 3);
    bool on = guest_flags(v) & PW_GUEST_MMU_ON, past_caches = kind != PW_KIND_WB;
    pthread_mutex_lock(&lock);
    if (pw_touch(v->cpu.vm_id, ipa, op, on, past_caches, shift)) {
        struct pw_recorded r = begin(v, PW_IS_TOUCH);
        r.vm = v->cpu.vm_id;
        r.ipa = ipa & PW_PAGE_MASK;
        r.pa = pa & PW_PAGE_MASK;
        r.va = va;
        r.value = leaf->value;
        r.op = (uint8_t)op;
        r.detail = (uint8_t)shift;
        r.el = (uint8_t)v->el;
        r.flags = (uint8_t)(guest_flags(v) | (past_caches ? PW_GUEST_PAST_CACHES : 0));
        put(&r);
    }
    pthread_mutex_unlock(&lock);
}

void pw_events_walk(struct vcpu *v, const struct pw_translation *t, uint64_t va, int fetch)
{
    const struct pw_descriptor *leaf = NULL;
    for (unsigned i = 0; i < t->n_descriptors; i++) {
        const struct pw_descriptor *d = &t->descriptors[i];
        if (d->stage == 2) {
            leaf = d;
        } else if (leaf && d->ipa != PW_NO_ADDRESS && pw_ram(d->pa, 8)) {
            touch(v, d->ipa, d->pa, va, PW_OP_TW, d->kind, leaf);
        }
    }
    if (leaf && t->fault == PW_FAULT_NONE && pw_ram(t->pa & PW_PAGE_MASK, PW_PAGE)) {
        touch(v, t->ipa, t->pa, va, fetch ? PW_OP_IF : PW_OP_LD, t->kind, leaf);
    }
}

/* Arm ARM (DDI 0487), "TLB maintenance system instructions": SYS of op0 1, CRn 8 or 9 (nXS). */
void pw_events_tlbi(struct vcpu *v, uint32_t encoding, uint64_t xt)
{
    unsigned op1 = encoding >> 16 & 7, m = encoding >> 8 & 15, op2 = encoding >> 5 & 7;
    bool by_ipa = op1 == 4 && (m == 0 || m == 4) && (op2 == 1 || op2 == 5);   /* IPAS2(L)E1* */
    bool by_range = op1 == 4 && (m == 0 || m == 4) && (op2 == 2 || op2 == 6); /* RIPAS2(L)E1* */
    bool of_vm = op1 == 4 && (m == 1 || m == 3 || m == 7) && op2 == 6;        /* VMALLS12E1* */
    bool of_all = op1 == 4 && (m == 1 || m == 3 || m == 7) && op2 == 4;       /* ALLE1* */
    unsigned vm = pw_vm_number(v->regs.vttbr_el2, false);
    if (v->el != 2 || !(by_ipa || by_range || of_vm || of_all) || !entered[vm]) {
        return;
    }
    pthread_mutex_lock(&lock);
    struct pw_recorded r = begin(v, PW_IS_TLBI);
    r.vm = (uint16_t)vm;
    if (by_ipa) { /* a range is taken as the whole VM */
        r.ipa = (xt & UINT64_C(0xfffffffff)) << 12;
    }
    pw_forget_touches(vm, r.ipa);
    put(&r);
    pthread_mutex_unlock(&lock);
}

static struct written *written_at(uint64_t pa)
{
    return pa - base < size ? &written[(pa - base) / PW_PAGE] : NULL;
}

/* Lines and pages are one PE's at a time, or two threads of a process race themselves: no lock. */
void pw_events_store(const struct vcpu *v, uint64_t pa, uint64_t va, unsigned bytes)
{
    struct written *w = written_at(pa);
    uint64_t ttbr0 = v->el == 2 ? v->regs.ttbr0_el2 : v->regs.ttbr0_el1;
    if (w) {
        w->bytes = w->bytes > UINT32_MAX - bytes ? UINT32_MAX : w->bytes + bytes;
        w->va = va & PW_PAGE_MASK;
        w->ttbr0 = ttbr0 & UINT64_C(0x0000fffffffffffe);
    }
}

void pw_events_zero(const struct vcpu *v, uint64_t pa, uint64_t va, unsigned block)
{
    if (!(va >> 55 & 1)) {
        pw_events_store(v, pa, va, block);
    } else if (pa % PW_PAGE < block && written_at(pa)) {
        written_at(pa)->bytes = 0;
    }
}

void pw_events_close(struct vcpu *v)
{
    if (!pw_recording) {
        return;
    }
    pthread_mutex_lock(&lock);
    for (unsigned pe = 0; pe < PW_MAX_PES; pe++) {
        put_repeated(pe);
    }
    put_written(v, 0);
    struct pw_recorded r = begin(v, PW_IS_END);
    put(&r);
    if (fclose(file)) {
        pw_give_up("events", name, errno);
    }
    pw_recording = false;
    pthread_mutex_unlock(&lock);
}
