/* Call stacks as numbers; see stacks.h. */
#include "stacks.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "regime.h"
#include "registers.h"
#include "unwind.h"

bool pw_stacks_on;
static unsigned depth;
static bool replaying;
static uint32_t replayed[PW_MAX_PES];

/* ------------------------------------------------------------------ frames */

static struct pw_frame *frames; /* by number */
static uint32_t *slots;         /* hash table of numbers, 0: free */
static uint64_t n_slots;
static _Atomic uint32_t n_frames; /* number 0 stands for none */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *reserve(uint64_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    if (p == MAP_FAILED) {
        abort();
    }
    return p;
}

static uint64_t hash(const struct pw_frame *f)
{
    const uint64_t words[] = {f->pc, f->pc_pa, f->pc_ipa,
                              (uint64_t)f->caller << 32 | (uint64_t)f->vm_id << 16 |
                                  (uint64_t)f->el << 8 | f->link};
    uint64_t h = 0;
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
        h = (h ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 29;
    }
    return h;
}

static uint32_t *find(const struct pw_frame *f)
{
    uint64_t i = hash(f) & (n_slots - 1);
    while (slots[i] && memcmp(&frames[slots[i]], f, sizeof *f)) {
        i = (i + 1) & (n_slots - 1);
    }
    return &slots[i];
}

static void grow(void)
{
    free(slots);
    n_slots = n_slots ? 2 * n_slots : 1 << 12;
    slots = calloc(n_slots, sizeof *slots);
    if (!slots) {
        abort();
    }
    for (uint32_t i = 1; i < n_frames; i++) {
        *find(&frames[i]) = i;
    }
}

uint32_t pw_stack_intern(const struct pw_frame *frame)
{
    pthread_mutex_lock(&lock);
    if (!frames) {
        frames = reserve(PW_MAX_FRAMES * sizeof *frames);
        atomic_store(&n_frames, 1);
    }
    if (2 * (uint64_t)n_frames >= n_slots) {
        grow();
    }
    uint32_t *slot = find(frame), number = *slot;
    if (!number && n_frames < PW_MAX_FRAMES) {
        number = n_frames;
        frames[number] = *frame;
        *slot = number;
        atomic_store_explicit(&n_frames, number + 1, memory_order_release);
    }
    pthread_mutex_unlock(&lock);
    return number;
}

const struct pw_frame *pw_stack_frame(uint32_t number)
{
    bool known = number && number < atomic_load_explicit(&n_frames, memory_order_acquire);
    return known ? &frames[number] : NULL;
}

/* ------------------------------------------------------------------ now */

/*
 * Stacks taken before, by what they began with. One still holds if its records do: they are compared in
 * RAM, without translating anew. So what they were translated by has to be the same, which the soft
 * TLB's banks and generations stand for.
 */
struct memo {
    const struct pw_site *site;
    uint64_t fp, lr;
    struct half halves[2];
    uint64_t fetch_ipa;
    uint32_t stack;
    uint32_t n;
    struct pw_caller callers[PW_MAX_STACK];
};

enum { MEMOS = 64 };
static struct memo *memos[PW_MAX_PES];

static struct memo *memo_of(const struct vcpu *v, const struct pw_site *site, uint64_t fp, uint64_t lr)
{
    struct memo **mine = &memos[v->cpu.pe];
    uint64_t key = ((uint64_t)(uintptr_t)site ^ fp * 3 ^ lr * 5) * UINT64_C(0x9e3779b97f4a7c15);
    if (!*mine) {
        *mine = reserve(MEMOS * sizeof **mine);
    }
    return &(*mine)[key >> 58];
}

_Static_assert(MEMOS == 1 << (64 - 58), "memo_of");

static bool holds(const struct memo *m, const struct vcpu *v, const struct pw_site *site, uint64_t fp,
                  uint64_t lr)
{
    if (m->site != site || m->fp != fp || m->lr != lr || m->fetch_ipa != v->cpu.fetch_ipa ||
        memcmp(m->halves, v->data, sizeof m->halves)) {
        return false;
    }
    for (unsigned i = 0; i < m->n; i++) {
        const struct pw_caller *c = &m->callers[i];
        const uint64_t *p = c->record == PW_NO_ADDRESS ? NULL : pw_ram(c->record, 8);
        const uint64_t *q = p ? pw_ram(c->record + 8, 8) : NULL;
        bool crosses = (c->record & 4095) == 4088; /* where its second half is, is not known */
        if (p && (*p != c->fp || !q || crosses || *q != c->lr)) {
            return false;
        }
    }
    return true;
}

static uint32_t intern_all(const struct vcpu *v, const struct pw_site *site, const struct memo *m)
{
    struct pw_frame f = {.el = (uint8_t)site->el, .vm_id = v->cpu.vm_id};
    for (unsigned i = m->n; i-- > 0;) {
        const struct pw_caller *c = &m->callers[i];
        f.pc = c->pc;
        f.pc_pa = c->pa;
        f.pc_ipa = c->ipa;
        f.link = c->record == PW_NO_ADDRESS;
        f.caller = pw_stack_intern(&f);
    }
    f.pc = site->pc;
    f.pc_pa = site->pc_pa;
    f.pc_ipa = v->cpu.fetch_ipa == PW_NO_ADDRESS ? PW_NO_ADDRESS
                                                 : v->cpu.fetch_ipa | (site->pc & 4095);
    f.link = 0;
    return pw_stack_intern(&f);
}

uint32_t pw_stack_now(struct pw_cpu *cpu, const struct pw_site *site)
{
    if (!pw_stacks_on || !site) {
        return 0;
    }
    if (replaying) {
        return replayed[cpu->pe];
    }
    struct vcpu *v = (void *)cpu; /* its first member */
    uint64_t fp = read_general(29), lr = read_general(30);
    struct memo *m = memo_of(v, site, fp, lr);
    if (holds(m, v, site, fp, lr)) {
        return m->stack;
    }
    m->site = site;
    m->fp = fp;
    m->lr = lr;
    m->fetch_ipa = v->cpu.fetch_ipa;
    memcpy(m->halves, v->data, sizeof m->halves);
    bool aarch32 = read_register(REG_CPSR) >> 4 & 1; /* has no such registers */
    m->n = aarch32 ? 0
                   : pw_unwind(&v->regs, fp, lr, pw_read_ram, NULL, m->callers, depth - 1);
    m->stack = intern_all(v, site, m);
    return m->stack;
}

void pw_stack_is(unsigned pe, uint32_t number)
{
    replaying = true;
    replayed[pe] = number;
}

void pw_stacks_open(unsigned wanted)
{
    depth = wanted < PW_MAX_STACK ? wanted : PW_MAX_STACK;
    pw_stacks_on = depth > 0;
    free(slots);
    slots = NULL;
    n_slots = 0;
    atomic_store(&n_frames, 1);
    replaying = false;
    memset(replayed, 0, sizeof replayed);
    for (unsigned i = 0; i < PW_MAX_PES; i++) {
        if (memos[i]) {
            memset(memos[i], 0, MEMOS * sizeof *memos[i]);
        }
    }
    if (!frames) {
        frames = reserve(PW_MAX_FRAMES * sizeof *frames);
    }
}
