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
    unsigned largest; /* of `shift` */
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
    r->largest = shift > r->largest ? shift : r->largest;
    return first;
}

/* Forget the pages of blocks that hold `ipa`. */
static void forget_in(struct region *r, uint64_t ipa)
{
    uint64_t first = r->number << REGION_SHIFT;
    unsigned reach = r->largest > REGION_SHIFT ? r->largest : REGION_SHIFT;
    if ((ipa ^ first) >> reach) {
        return;
    }
    for (unsigned page = 0; page < REGION_PAGES; page++) {
        if (r->seen[page] && !((ipa ^ (first | (uint64_t)page << 12)) >> r->shift[page])) {
            r->seen[page] = 0;
        }
    }
}

void pw_forget_touches(unsigned vm, uint64_t ipa)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        for (struct region *r = buckets[i]; r; r = r->next) {
            if (r->vm == vm && ipa == PW_NO_ADDRESS) {
                memset(r->seen, 0, sizeof r->seen);
            } else if (r->vm == vm) {
                forget_in(r, ipa);
            }
        }
    }
}
