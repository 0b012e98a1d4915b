/* Findings in the run file; see report.h. */
#include "report.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "stacks.h"

#define MAX_PROBES 64

static struct pw_runheader *header;
static struct pw_finding *findings;
static struct pw_kept_frame *frames;
static uint32_t *kept; /* by number of a frame, its number in the run file; 0: not there */
static uint64_t reports, at;

/* Slots by hash of what makes findings the same, 0: free, else index + 1. */
enum { SLOTS = 1 << 16 };
static uint32_t slots[SLOTS];

void pw_report_open(struct pw_runheader *h)
{
    header = h;
    findings = (void *)((char *)h + h->header_size);
    frames = (void *)(findings + h->max_findings);
    if (kept) {
        munmap(kept, PW_MAX_FRAMES * sizeof *kept);
    }
    kept = mmap(NULL, PW_MAX_FRAMES * sizeof *kept, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    kept = kept == MAP_FAILED ? NULL : kept;
    memset(slots, 0, sizeof slots);
    reports = at = 0;
}

void pw_report_at(uint64_t seq)
{
    at = seq;
}

uint64_t pw_reports(void)
{
    return reports;
}

/* The maintenance that a rule took away or weakened, if the line has seen any since that write; a
 * write that was lost needed it before. */
static uint64_t lost_maintenance(const struct pw_finding *f)
{
    for (unsigned i = f->n_history; i-- > 0;) {
        bool since = f->history[i].seq > f->writer.seq || f->kind == PW_FINDING_LOST_WRITE;
        if (since && f->history[i].flags & (PW_FLAG_DROPPED | PW_FLAG_WEAKENED)) {
            return f->history[i].pc;
        }
    }
    return PW_NO_ADDRESS;
}

/* Findings are told apart by who lost whose write: the maintenance a rule took away if there is one
 * (all that read the line afterwards suffer from the same loss), the reading instruction otherwise. */
bool pw_same_finding(const struct pw_finding *a, const struct pw_finding *b)
{
    if (a->kind != b->kind || a->writer.pc != b->writer.pc) { /* most are not */
        return false;
    }
    uint64_t lost = lost_maintenance(a);
    return a->access.op == b->access.op && a->access.kind == b->access.kind &&
           a->access.el == b->access.el && a->access.flags == b->access.flags &&
           a->writer.device == b->writer.device && a->access.device == b->access.device &&
           lost == lost_maintenance(b) &&
           (lost != PW_NO_ADDRESS || a->access.pc == b->access.pc);
}

static bool done(const struct pw_event *e)
{
    return e->flags & PW_FLAG_COMPLETED && !(e->flags & (PW_FLAG_DROPPED | PW_FLAG_WEAKENED));
}

static bool writes_cell(const struct pw_finding *f, const struct pw_event *e)
{
    return (e->op == PW_OP_ST || e->op == PW_OP_DC_ZVA) && e->cells >> f->cell & 1;
}

/*
 * Whether the cell was overwritten before the clean i, unseen: a write to a line that is dirty already
 * changes nothing and is no event. A page is scrubbed before its next owner has it, so it was if only
 * that one writes it after the clean. (One that is scrubbed after its clean leaks: Xen XSA-364.)
 */
static bool scrubbed(const struct pw_finding *f, unsigned i)
{
    while (++i < f->n_history) {
        if (writes_cell(f, &f->history[i]) && f->history[i].vm_id != f->access.vm_id) {
            return false;
        }
    }
    return true;
}

/* Whether nobody can still read what event i wrote to the finding's cell: it was overwritten, and after
 * that cleaned to the PoC by VA; for a fetch, instruction caches were invalidated after that. */
static bool buried(const struct pw_finding *f, unsigned i)
{
    bool overwritten = false, cleaned = false;
    while (++i < f->n_history) {
        const struct pw_event *e = &f->history[i];
        if (writes_cell(f, e)) {
            overwritten = true;
        } else if (done(e) && (e->op == PW_OP_DC_CVAC || e->op == PW_OP_DC_CIVAC)) {
            cleaned |= overwritten || scrubbed(f, i);
        } else if (cleaned && done(e) && e->op >= PW_OP_IC_IVAU && e->op <= PW_OP_IC_IALLUIS) {
            return true;
        }
    }
    return cleaned && f->access.op != PW_OP_IF;
}

/* Whether what is read may be another VM's: the line's history has a write by one that is not buried. */
static bool is_leak(const struct pw_finding *f)
{
    for (unsigned i = 0; f->access.vm_id && i < f->n_history; i++) {
        const struct pw_event *e = &f->history[i];
        if ((e->op == PW_OP_ST || e->op == PW_OP_DC_ZVA) && e->vm_id &&
            e->vm_id != f->access.vm_id && !buried(f, i)) {
            return true;
        }
    }
    return false;
}

/* When the latest data was written: of the line's events, the last write to the cell by that PC. A
 * write that changed nothing is no event; then it came after the last one, or is older than all. */
static uint64_t written_at(const struct pw_finding *f)
{
    for (unsigned i = f->n_history; i-- > 0;) {
        const struct pw_event *e = &f->history[i];
        bool writes = e->op == PW_OP_ST || e->op == PW_OP_DC_ZVA || e->op == PW_OP_DMA_WR;
        if (writes && e->cells & 1u << f->cell) {
            return e->seq;
        }
    }
    return PW_BEFORE_ALL;
}

/* Put a stack into the run file, its outermost frame first; return its number there. */
static uint32_t keep_stack(uint32_t number)
{
    const struct pw_frame *f = kept ? pw_stack_frame(number) : NULL;
    if (!f || kept[number]) {
        return f ? kept[number] : 0;
    }
    uint32_t caller = keep_stack(f->caller);
    if (header->n_frames == header->max_frames) {
        return 0;
    }
    frames[header->n_frames] = (struct pw_kept_frame){
        .pc = f->pc, .pc_pa = f->pc_pa, .pc_ipa = f->pc_ipa, .caller = caller, .el = f->el, .link = f->link,
    };
    atomic_thread_fence(memory_order_release);
    kept[number] = ++header->n_frames;
    return kept[number];
}

/* Of a finding that is new. */
static void keep_stacks(struct pw_finding *f, struct pw_cpu *cpu, const struct pw_site *site)
{
    f->access.stack = keep_stack(pw_stack_now(cpu, site));
    for (unsigned i = 0; i < f->n_history; i++) {
        f->history[i].stack = keep_stack(f->history[i].stack);
    }
}

void pw_report(const struct pw_access *access, struct pw_cpu *cpu, const struct pw_site *site,
               unsigned kind, uint64_t line, unsigned cell, const uint16_t states[PW_CELLS_PER_LINE],
               pw_who writer)
{
    struct pw_finding new = {.access = *access, .kind = (uint8_t)kind, .cell = (uint8_t)cell,
                             .line_size = 64, .count = 1, .first = at};
    bool truncated;
    new.writer = (struct pw_event){.pc = PW_NO_ADDRESS, .pc_pa = PW_NO_ADDRESS, .rule = -1,
                                   .pc_ipa = PW_NO_ADDRESS, .op = PW_OP_ST,
                                   .cells = (uint8_t)(1u << cell)};
    memcpy(new.states, states, sizeof new.states);
    new.n_history = (uint8_t)pw_history_copy(line, new.history, &truncated);
    new.truncated = truncated;
    if (pw_who_expand(writer, &new.writer)) {
        new.writer.seq = written_at(&new);
    }
    if (kind != PW_FINDING_UNSYNCED_FETCH && is_leak(&new)) {
        new.kind = PW_FINDING_LEAK;
    }
    reports++;
    uint64_t lost = lost_maintenance(&new);
    uint64_t hash = ((lost != PW_NO_ADDRESS ? lost : access->pc) ^ new.writer.pc * 31 ^
                     (unsigned)new.kind << 7 ^ access->kind << 11 ^ access->flags << 3) *
                    UINT64_C(0x9e3779b97f4a7c15);
    for (unsigned i = 0; i < MAX_PROBES; i++) {
        uint32_t *slot = &slots[((hash >> 40) + i) & (SLOTS - 1)];
        if (*slot) {
            struct pw_finding *f = &findings[*slot - 1];
            if (pw_same_finding(f, &new)) {
                f->count++;
                return;
            }
            continue;
        }
        if (header->n_findings == header->max_findings) {
            break;
        }
        for (unsigned pe = 0; pe < PW_MAX_PES; pe++) {
            new.instructions += header->instructions[pe];
        }
        if (pw_stacks_on) {
            keep_stacks(&new, cpu, site);
        }
        struct pw_finding *f = &findings[header->n_findings];
        uint64_t count = new.count;
        new.count = 0;
        *f = new;
        atomic_thread_fence(memory_order_release);
        f->count = count; /* last: the reader takes the slot as filled then */
        *slot = ++header->n_findings;
        return;
    }
    header->lost_findings++;
}
