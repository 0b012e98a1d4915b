/* Run files of shards become one: pw_report_merge of report.h. */
#include <stdlib.h>
#include <string.h>

#include "report.h"

/* The frames of a run file, found by what they are. */
struct frames {
    struct pw_runheader *h;
    struct pw_kept_frame *all;
    uint32_t *slots; /* numbers, 0: free */
    uint64_t mask;
};

static struct pw_kept_frame *frames_of(const struct pw_runheader *h)
{
    return (void *)((char *)h + h->header_size + (uint64_t)h->max_findings * h->finding_size);
}

static uint32_t *slot_of(const struct frames *f, const struct pw_kept_frame *frame)
{
    uint64_t h = ((frame->pc ^ frame->pc_pa * 31) + frame->caller) * UINT64_C(0x9e3779b97f4a7c15);
    uint64_t i = h >> 20 & f->mask;
    while (f->slots[i] && memcmp(&f->all[f->slots[i] - 1], frame, sizeof *frame)) {
        i = (i + 1) & f->mask;
    }
    return &f->slots[i];
}

static struct frames open_frames(struct pw_runheader *h, uint32_t more)
{
    struct frames f = {.h = h, .all = frames_of(h), .mask = 1023};
    while (f.mask < 2 * ((uint64_t)h->n_frames + more)) {
        f.mask = 2 * f.mask + 1;
    }
    f.slots = calloc(f.mask + 1, sizeof *f.slots);
    if (!f.slots) {
        abort();
    }
    for (uint32_t i = 0; i < h->n_frames; i++) {
        *slot_of(&f, &f.all[i]) = i + 1;
    }
    return f;
}

/* The number of a frame of `from` in the file of `f`. */
static uint32_t take_frame(struct frames *f, const struct pw_runheader *from, uint32_t number)
{
    if (!number || number > from->n_frames) {
        return 0;
    }
    struct pw_kept_frame frame = frames_of(from)[number - 1];
    frame.caller = frame.caller < number ? take_frame(f, from, frame.caller) : 0;
    uint32_t *slot = slot_of(f, &frame);
    if (!*slot && f->h->n_frames < f->h->max_frames) {
        f->all[f->h->n_frames] = frame;
        *slot = ++f->h->n_frames;
    }
    return *slot;
}

static void merge_finding(struct frames *f, const struct pw_runheader *from, struct pw_finding new)
{
    struct pw_runheader *h = f->h;
    struct pw_finding *all = (void *)((char *)h + h->header_size), *found = NULL;
    for (unsigned i = 0; !found && i < h->n_findings; i++) {
        found = pw_same_finding(&all[i], &new) ? &all[i] : NULL;
    }
    if (!found && h->n_findings == h->max_findings) {
        h->lost_findings++;
        return;
    }
    uint64_t count = new.count + (found ? found->count : 0);
    if (!found || new.first < found->first) {
        new.access.stack = take_frame(f, from, new.access.stack);
        for (unsigned i = 0; i < new.n_history; i++) {
            new.history[i].stack = take_frame(f, from, new.history[i].stack);
        }
        found = found ? found : &all[h->n_findings++];
        *found = new;
    }
    found->count = count;
}

static int by_first(const void *a, const void *b)
{
    const struct pw_finding *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

void pw_report_merge(struct pw_runheader *into, const struct pw_runheader *from)
{
    const struct pw_finding *all = (const void *)((const char *)from + from->header_size);
    struct frames f = open_frames(into, from->n_frames);
    for (unsigned i = 0; i < from->n_findings; i++) {
        merge_finding(&f, from, all[i]);
    }
    free(f.slots);
    qsort((char *)into + into->header_size, into->n_findings, sizeof *all, by_first);
    for (unsigned i = 0; i < PW_MAX_OPS; i++) {
        into->maintenance[i] += from->maintenance[i];
        into->redundant[i] += from->redundant[i];
    }
    for (unsigned i = 0; i < PW_MAX_RULES; i++) {
        into->matched[i] += from->matched[i];
    }
    for (unsigned i = 0; i < PW_MAX_PES; i++) {
        uint64_t other = from->instructions[i];
        into->instructions[i] = other > into->instructions[i] ? other : into->instructions[i];
    }
    into->lost_findings += from->lost_findings;
    into->pending_overflows += from->pending_overflows;
    into->finished |= from->finished;
}
