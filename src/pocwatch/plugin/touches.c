/* First uses of guest pages; see touches.h. */
#include "touches.h"

#include <stdlib.h>
#include <string.h>

#include "generated.h"

enum { REGION_SHIFT = 21, REGION_PAGES = 1 << (REGION_SHIFT - 12), BUCKETS = 4096 };

struct region {
    struct region *next;
    uint64_t number; /* IPA >> REGION_SHIFT */
    unsigned vm;
    uint16_t seen[REGION_PAGES]; /* set of `use` */
    uint8_t shift[REGION_PAGES]; /* of the block that the page was in */
};

static struct region *buckets[BUCKETS];

static struct region **bucket(unsigned vm, uint64_t number)
{
    return &buckets[(number * UINT64_C(0x9e3779b97f4a7c15) >> 40 ^ vm) % BUCKETS];
}

static struct region *find(unsigned vm, uint64_t number)
{
    struct region *r = *bucket(vm, number);
    while (r && (r->vm != vm || r->number != number)) {
        r = r->next;
    }
    return r;
}

static unsigned use(unsigned op, bool mmu_on, bool past_caches)
{
    unsigned of_op = op == PW_OP_IF ? 1 : op == PW_OP_TW ? 2 : 0;
    return 1u << (of_op + (mmu_on ? 3 : 0) + (past_caches ? 6 : 0));
}

bool pw_touch(unsigned vm, uint64_t ipa, unsigned op, bool mmu_on, bool past_caches, unsigned shift)
{
    uint64_t number = ipa >> REGION_SHIFT, page = ipa >> 12 & (REGION_PAGES - 1);
    struct region *r = find(vm, number);
    if (!r) {
        r = calloc(1, sizeof *r);
        if (!r) {
            abort();
        }
        r->vm = vm;
        r->number = number;
        r->next = *bucket(vm, number);
        *bucket(vm, number) = r;
    }
    unsigned how = use(op, mmu_on, past_caches);
    bool first = !(r->seen[page] & how);
    r->seen[page] |= (uint16_t)how;
    r->shift[page] = (uint8_t)shift;
    return first;
}

void pw_forget_touches(unsigned vm, uint64_t ipa)
{
    if (ipa == PW_NO_ADDRESS) {
        for (unsigned i = 0; i < BUCKETS; i++) {
            for (struct region *r = buckets[i]; r; r = r->next) {
                if (r->vm == vm) {
                    memset(r->seen, 0, sizeof r->seen);
                }
            }
        }
        return;
    }
    struct region *r = find(vm, ipa >> REGION_SHIFT);
    unsigned page = ipa >> 12 & (REGION_PAGES - 1);
    unsigned shift = r && r->shift[page] ? r->shift[page] : 12;
    for (uint64_t at = ipa >> shift << shift, end = at + (UINT64_C(1) << shift); at < end; at += 4096) {
        r = find(vm, at >> REGION_SHIFT);
        if (r) {
            r->seen[at >> 12 & (REGION_PAGES - 1)] = 0;
        }
    }
}
