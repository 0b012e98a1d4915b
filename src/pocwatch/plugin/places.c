/* Interned instructions and blocks; see places.h. */
#include "places.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Open addressing over pointers; `hashes` spares most comparisons. */
struct set {
    void **items;
    uint64_t *hashes;
    size_t size, used;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct set places, blocks;

static void *allocate(size_t size)
{
    static char *chunk;
    static size_t left;
    enum { CHUNK = 1 << 20 };
    size = (size + 15) & ~(size_t)15;
    if (size > left) {
        chunk = malloc(CHUNK);
        left = CHUNK;
        if (!chunk || size > left) {
            abort();
        }
    }
    char *p = chunk;
    chunk += size;
    left -= size;
    return p;
}

/* Places lie in one arena, so that a number can stand for a pointer. */
enum { PLACE_BYTES = 64, MAX_PLACES = 1 << 24 };
_Static_assert(sizeof(struct place) <= PLACE_BYTES, "struct place");
static char *arena;
static uint32_t n_places; /* number 0 stands for none */

static void make_arena(void)
{
    if (!arena) {
        arena = mmap(NULL, (size_t)PLACE_BYTES * MAX_PLACES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (arena == MAP_FAILED) {
            abort();
        }
        n_places = 1;
    }
}

/* The number is left alone, at 0, when all are used up. */
static struct place *new_place(uint32_t *number)
{
    make_arena();
    if (n_places == MAX_PLACES) {
        return allocate(sizeof(struct place));
    }
    *number = n_places;
    return (void *)(arena + (size_t)PLACE_BYTES * n_places++);
}

const struct pw_site *site_by_number(uint32_t number)
{
    return number && number < n_places ? (const void *)(arena + (size_t)PLACE_BYTES * number)
                                       : NULL;
}

const struct pw_site *site_restore(uint32_t number, uint64_t pc, uint64_t pc_pa, uint32_t encoding,
                                   unsigned el)
{
    if (!number || number >= MAX_PLACES) {
        return NULL;
    }
    make_arena();
    struct place *p = (void *)(arena + (size_t)PLACE_BYTES * number);
    p->site = (struct pw_site){.pc = pc, .pc_pa = pc_pa, .insn = encoding, .el = el & 3,
                               .number = number & 0xffffff};
    n_places = number < n_places ? n_places : number + 1;
    return &p->site;
}

static uint64_t mix(uint64_t h, uint64_t x)
{
    h = (h ^ x) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

static size_t probe(const struct set *s, uint64_t hash, const void *key,
                    int (*equal)(const void *, const void *))
{
    size_t i = hash & (s->size - 1);
    while (s->items[i] && !(s->hashes[i] == hash && (!key || equal(s->items[i], key)))) {
        i = (i + 1) & (s->size - 1);
    }
    return i;
}

static int never(const void *a, const void *b)
{
    (void)a;
    (void)b;
    return 0;
}

static void reserve(struct set *s)
{
    if (2 * (s->used + 1) < s->size) {
        return;
    }
    struct set bigger = {.size = s->size ? 2 * s->size : 1 << 14, .used = s->used};
    bigger.items = calloc(bigger.size, sizeof *bigger.items);
    bigger.hashes = calloc(bigger.size, sizeof *bigger.hashes);
    if (!bigger.items || !bigger.hashes) {
        abort();
    }
    for (size_t i = 0; i < s->size; i++) {
        if (s->items[i]) {
            size_t at = probe(&bigger, s->hashes[i], s->items[i], never);
            bigger.items[at] = s->items[i];
            bigger.hashes[at] = s->hashes[i];
        }
    }
    free(s->items);
    free(s->hashes);
    *s = bigger;
}

static int same_place(const void *a, const void *b)
{
    const struct pw_site *x = a, *y = b;
    return x->pc == y->pc && x->pc_pa == y->pc_pa && x->insn == y->insn && x->el == y->el;
}

struct place *place_intern(uint64_t pc, uint64_t pc_pa, uint32_t encoding, unsigned el)
{
    struct pw_site site = {.pc = pc, .pc_pa = pc_pa, .insn = encoding, .el = el & 3};
    uint64_t hash = mix(mix(mix(1, pc), pc_pa), (uint64_t)encoding << 2 | el);
    pthread_mutex_lock(&lock);
    reserve(&places);
    size_t at = probe(&places, hash, &site, same_place);
    struct place *p = places.items[at];
    if (!p) {
        uint32_t number = 0;
        p = new_place(&number);
        site.number = number & 0xffffff;
        p->site = site;
        pw_decode(encoding, &p->insn);
        places.items[at] = p;
        places.hashes[at] = hash;
        places.used++;
    }
    pthread_mutex_unlock(&lock);
    return p;
}

static size_t block_size(const struct block *b)
{
    return sizeof *b + b->n_lines * sizeof *b->lines;
}

static int same_block(const void *a, const void *b)
{
    const struct block *x = a, *y = b;
    if (x->va != y->va || x->pa != y->pa || x->counts != y->counts || x->el != y->el ||
        x->n_lines != y->n_lines || x->n_at_entry != y->n_at_entry) {
        return 0;
    }
    for (unsigned i = 0; i < x->n_lines; i++) {
        if (x->lines[i].site != y->lines[i].site || x->lines[i].va != y->lines[i].va ||
            x->lines[i].n != y->lines[i].n) {
            return 0;
        }
    }
    return 1;
}

const struct block *block_intern(const struct block *candidate)
{
    uint64_t hash = mix(mix(mix(2, candidate->va), candidate->pa),
                        candidate->counts << 2 | candidate->el);
    pthread_mutex_lock(&lock);
    reserve(&blocks);
    size_t at = probe(&blocks, hash, candidate, same_block);
    struct block *b = blocks.items[at];
    if (!b) {
        b = allocate(block_size(candidate));
        memcpy(b, candidate, block_size(candidate));
        blocks.items[at] = b;
        blocks.hashes[at] = hash;
        blocks.used++;
    }
    pthread_mutex_unlock(&lock);
    return b;
}
