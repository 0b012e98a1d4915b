/* The last events of each line; see history.h. */
#include "history.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "places.h"

#define LINES_PER_PAGE 64

struct kept {
    pw_who who;
    uint32_t seq;
    uint8_t op, cells, flags, vm_id;
    int8_t rule; /* -1: none */
};

struct line_history {
    uint8_t n, next, truncated;
    struct kept events[PW_KEPT_EVENTS];
};

static struct line_history **pages; /* LINES_PER_PAGE each */
static uint64_t sequence;

enum { WHO_KIND = 24, WHO_VM = 26, WHO_MMU = 27, WHO_PE = 28 };

pw_who pw_who_of(const struct pw_cpu *cpu, const struct pw_site *site, unsigned kind, bool mmu_on)
{
    return site_number(site) | (uint32_t)kind << WHO_KIND | (uint32_t)(cpu->vm != 0) << WHO_VM |
           (uint32_t)mmu_on << WHO_MMU | (uint32_t)(cpu->pe < 15 ? cpu->pe : 15) << WHO_PE;
}

bool pw_who_expand(pw_who who, struct pw_event *e)
{
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

bool pw_history_open(uint64_t ram_size)
{
    pages = mmap(NULL, ram_size / 4096 * sizeof *pages, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return pages != MAP_FAILED;
}

void pw_history_add(uint64_t line, pw_who who, unsigned op, unsigned cells, unsigned flags, int rule,
                    unsigned vm_id)
{
    struct line_history **page = &pages[line / LINES_PER_PAGE];
    if (!*page) {
        *page = calloc(LINES_PER_PAGE, sizeof **page);
        if (!*page) {
            return; /* the finding will have less to tell */
        }
    }
    struct line_history *h = &(*page)[line % LINES_PER_PAGE];
    h->events[h->next] = (struct kept){
        .who = who,
        .seq = (uint32_t)++sequence,
        .op = (uint8_t)op,
        .cells = (uint8_t)cells,
        .flags = (uint8_t)flags,
        .vm_id = (uint8_t)vm_id,
        .rule = (int8_t)rule,
    };
    h->next = (uint8_t)((h->next + 1) % PW_KEPT_EVENTS);
    if (h->n < PW_KEPT_EVENTS) {
        h->n++;
    } else {
        h->truncated = 1;
    }
}

unsigned pw_history_copy(uint64_t line, struct pw_event events[PW_HISTORY_EVENTS], bool *truncated)
{
    struct line_history *page = pages[line / LINES_PER_PAGE];
    *truncated = false;
    if (!page) {
        return 0;
    }
    struct line_history *h = &page[line % LINES_PER_PAGE];
    *truncated = h->truncated;
    for (unsigned i = 0; i < h->n; i++) {
        const struct kept *k =
            &h->events[(h->next + PW_KEPT_EVENTS - h->n + i) % PW_KEPT_EVENTS];
        struct pw_event *e = &events[i];
        memset(e, 0, sizeof *e);
        e->seq = k->seq;
        e->op = k->op;
        e->cells = k->cells;
        e->flags = k->flags;
        e->vm_id = k->vm_id;
        e->rule = k->rule;
        e->pc = e->pc_pa = e->pc_ipa = PW_NO_ADDRESS;
        pw_who_expand(k->who, e);
    }
    return h->n;
}

void pw_history_complete(uint64_t line, unsigned pe)
{
    struct line_history *page = pages[line / LINES_PER_PAGE];
    for (unsigned i = 0; page && i < PW_KEPT_EVENTS; i++) {
        struct kept *k = &page[line % LINES_PER_PAGE].events[i];
        if (k->who >> WHO_PE == (pe < 15 ? pe : 15) && k->op >= PW_OP_DC_CVAC &&
            k->op <= PW_OP_IC_IALLUIS) {
            k->flags |= PW_FLAG_COMPLETED;
        }
    }
}

void pw_history_clear(uint64_t line)
{
    struct line_history *page = pages[line / LINES_PER_PAGE];
    if (page) {
        memset(&page[line % LINES_PER_PAGE], 0, sizeof *page);
    }
}

_Static_assert(PW_KEPT_EVENTS <= PW_HISTORY_EVENTS, "a finding holds all of a line's events");
