/* Counts of maintenance by call stack; see profile.h. Counting is serialised by judge. */
#include "profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stacks.h"

bool pw_profiling;
static char *path;
static struct pw_profiled *entries;
static uint32_t n_entries, n_room;
static uint32_t highest_stack;

/* Hash sets of numbers + 1, 0 is free: entries by what they count; lines already counted, as entry and
 * line in one number. */
struct set {
    uint64_t *slots;
    uint64_t size, used;
};

static struct set by_key, seen;

static void *allocate(size_t n, size_t size)
{
    void *p = calloc(n, size);
    if (!p) {
        abort();
    }
    return p;
}

static uint64_t mix(uint64_t x)
{
    x *= UINT64_C(0x9e3779b97f4a7c15);
    return x ^ x >> 32;
}

/* ------------------------------------------------------------------ lines */

static bool add_line(uint64_t key)
{
    uint64_t i = mix(key) & (seen.size - 1);
    while (seen.slots[i] && seen.slots[i] != key) {
        i = (i + 1) & (seen.size - 1);
    }
    bool fresh = !seen.slots[i];
    seen.slots[i] = key;
    seen.used += fresh;
    return fresh;
}

/* Whether the entry had not counted the line yet. */
static bool is_new_line(uint32_t entry, uint64_t line)
{
    if (2 * seen.used >= seen.size) {
        struct set old = seen;
        seen = (struct set){.size = old.size ? 2 * old.size : 1 << 12};
        seen.slots = allocate(seen.size, sizeof *seen.slots);
        for (uint64_t i = 0; i < old.size; i++) {
            if (old.slots[i]) {
                add_line(old.slots[i]);
            }
        }
        free(old.slots);
    }
    return add_line(((uint64_t)entry << 40 | line) + 1);
}

/* ------------------------------------------------------------------ entries */

static uint64_t *slot_of(uint32_t stack, unsigned op)
{
    uint64_t i = mix((uint64_t)stack << 8 | op) & (by_key.size - 1);
    while (by_key.slots[i]) {
        const struct pw_profiled *e = &entries[by_key.slots[i] - 1];
        if (e->stack == stack && e->op == op) {
            break;
        }
        i = (i + 1) & (by_key.size - 1);
    }
    return &by_key.slots[i];
}

static void make_room(void)
{
    if (n_entries < n_room) {
        return;
    }
    n_room = n_room ? 2 * n_room : 256;
    entries = realloc(entries, n_room * sizeof *entries);
    if (!entries) {
        abort();
    }
    free(by_key.slots);
    by_key = (struct set){.size = 4 * (uint64_t)n_room};
    by_key.slots = allocate(by_key.size, sizeof *by_key.slots);
    for (uint32_t i = 0; i < n_entries; i++) {
        *slot_of(entries[i].stack, entries[i].op) = i + 1;
    }
}

void pw_profile_count(uint32_t stack, unsigned op, uint64_t line, bool redundant, bool dirty)
{
    make_room();
    uint64_t *slot = slot_of(stack, op);
    if (!*slot) {
        entries[n_entries] = (struct pw_profiled){.stack = stack, .op = (uint8_t)op};
        *slot = ++n_entries;
        highest_stack = stack > highest_stack ? stack : highest_stack;
    }
    struct pw_profiled *e = &entries[*slot - 1];
    e->count++;
    if (line == PW_NO_ADDRESS) {
        return;
    }
    e->judged++;
    e->redundant += redundant;
    e->dirty += dirty;
    e->lines += is_new_line((uint32_t)(*slot - 1), line);
}

/* ------------------------------------------------------------------ the file */

void pw_profile_open(const char *to)
{
    free(path);
    path = strdup(to); /* QEMU frees its arguments */
    free(seen.slots);
    seen = (struct set){0};
    free(by_key.slots);
    by_key = (struct set){0};
    free(entries);
    entries = NULL;
    n_entries = n_room = highest_stack = 0;
    pw_profiling = true;
}

bool pw_profile_close(void)
{
    struct pw_profile_header h = {.version = PW_PROFILE_VERSION, .n_frames = highest_stack,
                                  .n_entries = n_entries};
    if (!pw_profiling) {
        return true;
    }
    pw_profiling = false;
    FILE *file = fopen(path, "wbe");
    if (!file) {
        return false;
    }
    memcpy(h.magic, PW_PROFILE_MAGIC, sizeof h.magic);
    bool ok = fwrite(&h, sizeof h, 1, file) == 1;
    for (uint32_t i = 1; i <= highest_stack; i++) {
        const struct pw_frame *f = pw_stack_frame(i);
        struct pw_kept_frame kept = {.pc = f->pc, .pc_pa = f->pc_pa, .pc_ipa = f->pc_ipa,
                                     .caller = f->caller, .el = f->el, .link = f->link};
        ok &= fwrite(&kept, sizeof kept, 1, file) == 1;
    }
    ok &= !n_entries || fwrite(entries, sizeof *entries, n_entries, file) == n_entries;
    return !fclose(file) && ok;
}
