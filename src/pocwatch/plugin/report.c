/* Findings in the run file; see report.h. */
#include "report.h"

#include <stdatomic.h>
#include <string.h>

#define MAX_PROBES 64

static struct pw_runheader *header;
static struct pw_finding *findings;
static uint64_t reports;

/* Slots by hash of what makes findings the same, 0: free, else index + 1. */
enum { SLOTS = 1 << 16 };
static uint32_t slots[SLOTS];

void pw_report_open(struct pw_runheader *h)
{
    header = h;
    findings = (void *)((char *)h + h->header_size);
    memset(slots, 0, sizeof slots);
    reports = 0;
}

uint64_t pw_reports(void)
{
    return reports;
}

static bool same(const struct pw_finding *f, const struct pw_access *a, unsigned kind,
                 const struct pw_event *writer)
{
    return f->kind == kind && f->access.pc == a->pc && f->access.op == a->op &&
           f->access.kind == a->kind && f->access.el == a->el && f->access.flags == a->flags &&
           f->writer.pc == writer->pc;
}

void pw_report(const struct pw_access *access, unsigned kind, uint64_t line, unsigned cell,
               const uint16_t states[PW_CELLS_PER_LINE], pw_who writer)
{
    struct pw_event by = {.pc = PW_NO_ADDRESS, .pc_pa = PW_NO_ADDRESS, .pc_ipa = PW_NO_ADDRESS,
                          .op = PW_OP_ST, .cells = (uint8_t)(1u << cell), .rule = -1};
    by.seq = pw_who_expand(writer, &by);
    reports++;
    uint64_t hash = (access->pc ^ by.pc * 31 ^ kind << 7 ^ access->kind << 11 ^ access->flags << 3) *
                    UINT64_C(0x9e3779b97f4a7c15);
    for (unsigned i = 0; i < MAX_PROBES; i++) {
        uint32_t *slot = &slots[((hash >> 40) + i) & (SLOTS - 1)];
        if (*slot) {
            struct pw_finding *f = &findings[*slot - 1];
            if (same(f, access, kind, &by)) {
                f->count++;
                return;
            }
            continue;
        }
        if (header->n_findings == header->max_findings) {
            break;
        }
        struct pw_finding *f = &findings[header->n_findings];
        bool truncated;
        memset(f, 0, sizeof *f);
        f->access = *access;
        f->writer = by;
        f->kind = (uint8_t)kind;
        f->cell = (uint8_t)cell;
        f->line_size = 64;
        memcpy(f->states, states, sizeof f->states);
        f->n_history = (uint8_t)pw_history_copy(line, f->history, &truncated);
        f->truncated = truncated;
        for (unsigned pe = 0; pe < PW_MAX_PES; pe++) {
            f->instructions += header->instructions[pe];
        }
        atomic_thread_fence(memory_order_release);
        f->count = 1;
        *slot = ++header->n_findings;
        return;
    }
    header->lost_findings++;
}
