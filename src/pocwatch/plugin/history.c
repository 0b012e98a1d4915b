/* The last events of each line; see history.h. */
#include "history.h"

#include <string.h>
#include <sys/mman.h>
#include "places.h"
#include "stacks.h"

struct kept {
    pw_who who;
    uint32_t seq;
    uint32_t op : 5, rule : 7, cells : 8, flags : 4, vm_id : 8; /* rule + 1, flags >> FLAGS_SHIFT */
};

_Static_assert(sizeof(struct kept) == 12, "an event of a line");
enum { FLAGS_SHIFT = 2 }; /* the lower flags are told by `who` */
_Static_assert((PW_FLAG_VM | PW_FLAG_MMU_ON) == (1 << FLAGS_SHIFT) - 1, "flags that `who` tells");
_Static_assert(PW_FLAG_COMPLETED < 1 << (FLAGS_SHIFT + 4), "flags that are kept");

/* Most lines have few events: a record starts small and grows, then the oldest event goes. Behind the
 * events are as many numbers of their stacks, if stacks are taken. */
struct line_history {
    uint8_t n, next, truncated, size;
    struct kept events[];
};

static uint32_t *stacks_of(struct line_history *h)
{
    return (uint32_t *)&h->events[h->size];
}

static const uint8_t sizes[] = {2, 4, PW_KEPT_EVENTS};
enum { SIZES = sizeof sizes };

static uint32_t *records; /* per line, its record's place in the arena, 0 for none */
static uint32_t *arena;
static uint64_t arena_used, arena_words;
static uint32_t unused[SIZES]; /* lists of free records */
static uint32_t sequence;

static uint64_t words(unsigned size)
{
    return (sizeof(struct line_history) + size * sizeof(struct kept)) / sizeof *arena +
           (pw_stacks_on ? size : 0);
}

static struct line_history *record_of(uint64_t line)
{
    return records[line] ? (void *)&arena[records[line]] : NULL;
}

static unsigned class_of(unsigned size)
{
    unsigned i = 0;
    while (sizes[i] < size) {
        i++;
    }
    return i;
}

static uint32_t new_record(unsigned size)
{
    uint32_t *list = &unused[class_of(size)], at = *list;
    if (at) {
        *list = arena[at];
    } else if (arena_used + words(size) <= arena_words) {
        at = (uint32_t)arena_used;
        arena_used += words(size);
    } else {
        return 0;
    }
    *(struct line_history *)&arena[at] = (struct line_history){.size = (uint8_t)size};
    return at;
}

static void free_record(uint32_t at)
{
    uint32_t *list = &unused[class_of(((struct line_history *)&arena[at])->size)];
    arena[at] = *list;
    *list = at;
}

/* The line's record with room for one more event; NULL: the finding will have less to tell. */
static struct line_history *record_with_room(uint64_t line)
{
    struct line_history *h = record_of(line);
    if (h && (h->n < h->size || h->size == PW_KEPT_EVENTS)) {
        return h;
    }
    uint32_t old = records[line], at = new_record(sizes[h ? class_of(h->size) + 1 : 0]);
    if (!at) {
        return h;
    }
    if (h) {
        struct line_history *grown = (void *)&arena[at];
        memcpy(grown->events, h->events, h->n * sizeof *h->events);
        if (pw_stacks_on) {
            memcpy(stacks_of(grown), stacks_of(h), h->n * sizeof *stacks_of(h));
        }
        grown->n = grown->next = h->n;
        grown->truncated = h->truncated;
        free_record(old);
    }
    records[line] = at;
    return (void *)&arena[at];
}

enum { WHO_KIND = 24, WHO_VM = 26, WHO_MMU = PW_WHO_MMU, WHO_PE = 28 };

pw_who pw_who_of(const struct pw_cpu *cpu, const struct pw_site *site, unsigned kind, bool mmu_on)
{
    return site->number | (uint32_t)kind << WHO_KIND | (uint32_t)(cpu->vm != 0) << WHO_VM |
           (uint32_t)mmu_on << WHO_MMU | (uint32_t)(cpu->pe < 15 ? cpu->pe : 15) << WHO_PE;
}

/* Numbers of sites that stand for devices: the last ones. */
enum { WHO_DEVICES = 0xffff00 };

pw_who pw_who_of_device(unsigned device, unsigned kind)
{
    return (WHO_DEVICES + device) | (uint32_t)kind << WHO_KIND;
}

bool pw_who_expand(pw_who who, struct pw_event *e)
{
    if ((who & 0xffffff) >= WHO_DEVICES) {
        e->device = (uint8_t)((who & 0xffffff) - WHO_DEVICES);
        e->pe = (uint8_t)(e->device ? e->device - 1 : 0);
        e->kind = who >> WHO_KIND & 3;
        e->op = PW_OP_DMA_WR;
        return true;
    }
    const struct pw_site *site = site_by_number(who & 0xffffff);
    if (!site) {
        return false;
    }
    e->pc = site->pc;
    e->pc_pa = site->pc_pa;
    e->pc_ipa = PW_NO_ADDRESS;
    e->el = site->el;
    e->kind = who >> WHO_KIND & 3;
    e->pe = (uint8_t)(who >> WHO_PE);
    e->flags |= (who >> WHO_VM & 1 ? PW_FLAG_VM : 0) | (who >> WHO_MMU & 1 ? PW_FLAG_MMU_ON : 0);
    return true;
}

static void *reserve(uint64_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

bool pw_history_open(uint64_t ram_size)
{
    static uint64_t mapped_lines;
    uint64_t lines = ram_size / 64, most = UINT32_MAX;
    if (records) {
        munmap(records, mapped_lines * sizeof *records);
        munmap(arena, arena_words * sizeof *arena);
    }
    mapped_lines = lines;
    arena_words = lines * (words(2) + words(4) + words(PW_KEPT_EVENTS));
    arena_words = arena_words < most ? arena_words : most;
    sequence = PW_BEFORE_ALL; /* anew: a shard of a trace has its own numbers */
    arena_used = 1; /* 0 stands for no record */
    memset(unused, 0, sizeof unused);
    records = reserve(lines * sizeof *records);
    arena = reserve(arena_words * sizeof *arena);
    return records && arena;
}

static struct kept *newest(struct line_history *h)
{
    return &h->events[(h->next + h->size - 1) % h->size];
}

void pw_history_add(uint64_t line, pw_who who, unsigned op, unsigned cells, unsigned flags, int rule,
                    unsigned vm_id)
{
    struct line_history *h = record_of(line);
    struct kept event = {
        .who = who,
        .seq = ++sequence,
        .op = op & 31,
        .rule = (unsigned)(rule + 1) & 127,
        .cells = cells & 255,
        .flags = flags >> FLAGS_SHIFT & 15,
        .vm_id = vm_id & 255,
    };
    if (h && op == PW_OP_ST && newest(h)->op == PW_OP_ST && newest(h)->who == who &&
        newest(h)->vm_id == event.vm_id) {
        event.cells |= newest(h)->cells; /* an instruction in a loop fills a line: one event */
        *newest(h) = event;
        return;
    }
    h = record_with_room(line);
    if (!h) {
        return;
    }
    h->events[h->next] = event;
    if (pw_stacks_on) {
        stacks_of(h)[h->next] = 0;
    }
    h->next = (uint8_t)((h->next + 1) % h->size);
    if (h->n < h->size) {
        h->n++;
    } else {
        h->truncated = 1;
    }
}

void pw_history_stack(uint64_t line, uint32_t stack)
{
    struct line_history *h = record_of(line);
    if (h && pw_stacks_on) {
        stacks_of(h)[newest(h) - h->events] = stack;
    }
}

unsigned pw_history_copy(uint64_t line, struct pw_event events[PW_HISTORY_EVENTS], bool *truncated)
{
    struct line_history *h = record_of(line);
    *truncated = h && h->truncated;
    for (unsigned i = 0; h && i < h->n; i++) {
        unsigned at = (unsigned)(h->next + h->size - h->n + i) % h->size;
        const struct kept *k = &h->events[at];
        struct pw_event *e = &events[i];
        memset(e, 0, sizeof *e);
        e->stack = pw_stacks_on ? stacks_of(h)[at] : 0;
        e->seq = k->seq;
        e->op = k->op;
        e->cells = k->cells;
        e->flags = (uint8_t)(k->flags << FLAGS_SHIFT);
        e->vm_id = k->vm_id;
        e->rule = (int8_t)(k->rule - 1);
        e->pc = e->pc_pa = e->pc_ipa = PW_NO_ADDRESS;
        pw_who_expand(k->who, e);
    }
    return h ? h->n : 0;
}

void pw_history_complete(uint64_t line, unsigned pe)
{
    struct line_history *h = record_of(line);
    for (unsigned i = 0; h && i < h->n; i++) {
        struct kept *k = &h->events[i];
        if (k->who >> WHO_PE == (pe < 15 ? pe : 15) && k->op >= PW_OP_DC_CVAC &&
            k->op <= PW_OP_IC_IALLUIS) {
            k->flags |= PW_FLAG_COMPLETED >> FLAGS_SHIFT;
        }
    }
}

void pw_history_clear(uint64_t line)
{
    if (records[line]) {
        free_record(records[line]);
        records[line] = 0;
    }
}

_Static_assert(PW_KEPT_EVENTS <= PW_HISTORY_EVENTS, "a finding holds all of a line's events");
