/*
 * Loads, stores, table walks and DMA: step the cells, report what may be stale.
 * The fast paths are in fast.h: an access whose `ok` bit is set changes nothing.
 */
#include "state.h"

#include <string.h>

#include "recorder.h"
#include "report.h"
#include "stream.h"

void report(struct pw_cpu *cpu, const struct pw_site *site, struct pw_access *access,
                   uint64_t line, unsigned cell, unsigned kind, unsigned stale)
{
    uint16_t states[PW_CELLS_PER_LINE];
    const struct pw_pending *p = pending_of(line);
    for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
        states[c] = p ? p->branches[0].states[c] : pw_lines[line].states[c];
    }
    access->pc = site ? site->pc : PW_NO_ADDRESS;
    access->pc_pa = site ? site->pc_pa : PW_NO_ADDRESS;
    access->pc_ipa = cpu->fetch_ipa == PW_NO_ADDRESS ? PW_NO_ADDRESS
                                                      : cpu->fetch_ipa | (access->pc & 0xfff);
    access->insn = access->op == PW_OP_IF ? access->insn : site ? site->insn : 0;
    access->el = site ? site->el : 0;
    access->pe = cpu->pe;
    access->vm_id = cpu->vm_id;
    access->device = access->op == PW_OP_DMA_RD ? (uint8_t)pw_transfer.device : 0;
    access->flags |= cpu->vm ? PW_FLAG_VM : 0;
    if (stale & PW_STALE_LOST && kind != PW_FINDING_UNSYNCED_FETCH) {
        kind = PW_FINDING_LOST_WRITE;
    }
    pw_report(access, cpu, site, kind, line, cell, states,
              pw_writers[line * PW_CELLS_PER_LINE + cell]);
}

struct pw_access access_of(const struct pw_page *page, uint64_t va, unsigned size,
                                  unsigned op)
{
    return (struct pw_access){
        .va = va,
        .pa = page->pa | (va & 4095),
        .ipa = page->ipa == PW_NO_ADDRESS ? page->ipa : page->ipa | (va & 4095),
        .why = page->why,
        .op = (uint8_t)op,
        .kind = page->kind,
        .size = (uint8_t)size,
        .flags = page->mmu_on ? PW_FLAG_MMU_ON : 0,
        .s1_mair = page->s1_mair,
        .s2_attr = page->s2_attr,
    };
}

static const uint8_t store_event[] = {
    [PW_KIND_WB] = PW_EVENT_ST_WB,
    [PW_KIND_WT] = PW_EVENT_ST_WT,
    [PW_KIND_NC] = PW_EVENT_ST_NC,
    [PW_KIND_DEV] = PW_EVENT_ST_NC,
};

static void store(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                  uint64_t pa, unsigned size, unsigned op)
{
    uint64_t line = line_of(pa);
    unsigned cells = cells_of(pa, size), kind = page->kind;
    unsigned others = kind == PW_KIND_WB ? PW_EVENT_ST_WB_NEIGHBOUR : PW_NO_EVENT;
    pw_who who = pw_who_of(cpu, site, kind, page->mmu_on);
    catch_up_but(line, pa % PW_LINE_BYTES, size);
    if (pw_lines[line].flags & LINE_RAN && (size != 4 || pa % 4)) {
        pw_lines[line].flags &= (uint8_t)~LINE_RAN;
    }
    see_done(line, cpu->pe, kind);
    if (kind == PW_KIND_NC || kind == PW_KIND_DEV) {
        struct lines *u = &judge.pes[cpu->pe].uncached;
        if (!u->n || u->items[u->n - 1] != line) {
            push(u, line);
        }
    }
    bool changed = step(line, cells, store_event[kind], others);
    written(line, cells);
    for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
        if (cells >> c & 1) {
            pw_writers[line * PW_CELLS_PER_LINE + c] = who;
        }
    }
    if (changed) {
        pw_history_add(line, who, op, cells, 0, -1, cpu->vm_id);
    }
    find_ok(line);
}

static void load(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                 uint64_t va, uint64_t pa, unsigned size, unsigned op)
{
    uint64_t line = line_of(pa);
    unsigned cells = cells_of(pa, size), kind = page->kind;
    touch(line);
    if (op == PW_OP_LD) {
        see_done(line, cpu->pe, kind);
    }
    for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
        uint8_t stale = cells >> c & 1 ? stale_of(line, c) : 0;
        if (stale & judge.table.read_stale[kind]) {
            struct pw_access a = access_of(page, va, size, op);
            a.pa = pa; /* a walk's `va` is what it translates, not where the descriptor is */
            report(cpu, site, &a, line, c,
                   op == PW_OP_TW       ? PW_FINDING_STALE_WALK
                   : op == PW_OP_DMA_RD ? PW_FINDING_DMA_STALE_READ
                                        : PW_FINDING_STALE_READ,
                   stale);
            heal(line);
            break;
        }
    }
    if (kind == PW_KIND_WB || kind == PW_KIND_WT) {
        step(line, 0xff, PW_EVENT_LD_CACHED, PW_NO_EVENT);
    }
    find_ok(line);
}

/* One call per line touched: accesses may cross lines. */
SLOW void pw_data_slow(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                  uint64_t va, unsigned size, unsigned op)
{
    if (pw_tracing) {
        pw_trace_data(cpu, site, page, va, size, op);
        return;
    }
    enter();
    while (size) {
        unsigned n = PW_LINE_BYTES - va % PW_LINE_BYTES;
        n = size < n ? size : n;
        uint64_t pa = page->pa | (va & 4095);
        if (op == PW_OP_ST) {
            store(cpu, site, page, pa, n, op);
        } else {
            load(cpu, site, page, va, pa, n, op);
        }
        va += n;
        size -= n;
    }
    leave();
}

void pw_walk(struct pw_cpu *cpu, const struct pw_site *site, uint64_t pa, unsigned kind,
             unsigned why, uint64_t va)
{
    struct pw_page page = {.pa = pa & ~UINT64_C(4095), .ipa = PW_NO_ADDRESS, .why = (uint16_t)why,
                           .kind = (uint8_t)kind, .s2_attr = 0xff, .mmu_on = 1, .in_ram = 1};
    (void)va; /* the finding's VA would be the descriptor's, which has none */
    if (!pw_ram(pa, 8)) {
        return;
    }
    if (pw_streaming) {
        pw_stream_put(cpu->pe, PW_OP_TW, kind, pa, 8);
    }
    const struct pw_line *l = &pw_lines[line_of(pa)];
    if (kind == PW_KIND_WB && l->load_ok & cells_of(pa, 8)) {
        return;
    }
    if (pw_tracing) {
        pw_trace_walk(cpu, site, &page, pa, va);
        return;
    }
    enter();
    load(cpu, site, &page, va, pa, 8, PW_OP_TW);
    leave();
}

void pw_zva(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
            uint64_t va, unsigned block)
{
    if (pw_tracing) {
        pw_trace_zva(cpu, site, page, va, block);
        return;
    }
    enter();
    for (unsigned i = 0; i < block; i += PW_LINE_BYTES) {
        uint64_t pa = page->pa | ((va + i) & 4095);
        if (pw_streaming) {
            pw_stream_put(cpu->pe, PW_OP_DC_ZVA, page->kind, pa, PW_LINE_BYTES);
        }
        store(cpu, site, page, pa, PW_LINE_BYTES, PW_OP_DC_ZVA);
    }
    leave();
}

_Thread_local struct pw_transfer pw_transfer;

void pw_dma(uint64_t pa, unsigned size, bool write, bool coherent)
{
    if (pw_tracing) {
        pw_trace_dma(pa, size, write, coherent);
        return;
    }
    enter();
    uint64_t line = line_of(pa);
    unsigned cells = cells_of(pa, size);
    catch_up(line);
    if (write) {
        pw_lines[line].flags &= (uint8_t)~LINE_RAN;
        step(line, cells, coherent ? PW_EVENT_WR_COHERENT : PW_EVENT_ST_NC, PW_NO_EVENT);
        written(line, cells);
        pw_who who = pw_who_of_device(pw_transfer.device, coherent ? PW_KIND_WB : PW_KIND_NC);
        for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
            if (cells >> c & 1) {
                pw_writers[line * PW_CELLS_PER_LINE + c] = who;
            }
        }
        pw_history_add(line, who, PW_OP_DMA_WR, cells, 0, -1, 0);
    } else {
        static struct pw_cpu device = {.fetch_ipa = PW_NO_ADDRESS};
        struct pw_page page = {.pa = pa & ~UINT64_C(4095), .ipa = PW_NO_ADDRESS, .in_ram = 1,
                               .kind = coherent ? PW_KIND_WB : PW_KIND_NC};
        load(pw_transfer.cpu ? pw_transfer.cpu : &device, pw_transfer.site, &page, pa, pa, size,
             PW_OP_DMA_RD);
    }
    leave();
}
