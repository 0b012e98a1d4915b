/* Judging what was recorded; see replay.h. */
#include "replay.h"

#include <stdio.h>
#include <string.h>

#include "fast.h"
#include "places.h"
#include "report.h"
#include "rules.h"
#include "stacks.h"
#include "state.h"

bool pw_replay_open(const struct pw_config *config, char *error, unsigned size)
{
    if (config->ram_path || config->report_unsynced) {
        snprintf(error, size, "a replay has no ram= and cannot look for unsynced fetches");
        return false;
    }
    pw_stacks_open(PW_MAX_STACK); /* those of the trace, as deep as they are */
    return pw_judge_open(config, error, size) && pw_rules_replayable(error, size);
}

static void set_content(const struct pw_traced *r)
{
    if (r->pa % PW_LINE_BYTES || !pw_ram(r->pa, PW_LINE_BYTES)) {
        return;
    }
    const char *content = (const char *)r + PW_TRACE_CONTENT_AT;
    uint64_t at = r->pa - pw_ram_base;
    memcpy((char *)judge.ram + at, content, PW_LINE_BYTES);
    if (!r->seq) {
        memcpy(judge.fetched + at, content, PW_LINE_BYTES);
    }
}

static void set_stack(const struct pw_traced *r)
{
    struct pw_frame f;
    memset(&f, 0, sizeof f);
    f.pc = r->va;
    f.pc_pa = r->pa;
    f.pc_ipa = r->ipa;
    f.caller = r->writer;
    f.vm_id = r->vm_id;
    f.el = r->el;
    f.link = r->flags;
    pw_stack_intern(&f);
}

/* A mark, if the record is one. */
static bool mark(const struct pw_traced *r)
{
    switch (r->op) {
    case PW_MARK_SITE:
        site_restore(r->site, r->va, r->pa, (uint32_t)r->ipa, r->el);
        return true;
    case PW_MARK_STACK:
        set_stack(r);
        return true;
    case PW_MARK_CONTENT:
        set_content(r);
        return true;
    case PW_MARK_WRITER:
        if (pw_ram(r->pa, 8)) {
            pw_writers[(r->pa - pw_ram_base) / PW_CELL_BYTES] = r->writer;
        }
        return true;
    case PW_MARK_END:
        judge.header->finished = 1;
        return true;
    default:
        return false;
    }
}

static void replay(const struct pw_traced *r)
{
    static const struct pw_site nobody = {.pc = PW_NO_ADDRESS, .pc_pa = PW_NO_ADDRESS};
    const struct pw_site *site = site_by_number(r->site);
    site = site ? site : &nobody;
    struct pw_cpu cpu = {.pe = r->pe, .vm = r->flags & PW_FLAG_VM ? 1 : 0, .vm_id = r->vm_id,
                         .fetch_ipa = r->fetch_ipa};
    cpu.who = pw_who_of(&cpu, &(struct pw_site){0}, PW_KIND_WB, false);
    struct pw_page page = {.pa = r->pa & ~UINT64_C(4095), .why = r->why, .kind = r->kind,
                           .ipa = r->ipa == PW_NO_ADDRESS ? r->ipa : r->ipa & ~UINT64_C(4095),
                           .s1_mair = r->s1_mair, .s2_attr = r->s2_attr, .in_ram = 1,
                           .mmu_on = r->flags & PW_FLAG_MMU_ON ? 1 : 0};
    const struct pw_page *of = r->pa == PW_NO_ADDRESS ? NULL : &page;
    if (of && !pw_ram(r->pa, r->size ? r->size : 1)) {
        return;
    }
    switch (r->op) {
    case PW_OP_LD:
    case PW_OP_ST:
        pw_data(&cpu, site, of, r->va, r->size, r->op);
        break;
    case PW_OP_TW:
        pw_walk(&cpu, site, r->pa, r->kind, r->why, r->va);
        break;
    case PW_OP_IF:
        pw_fetch(&cpu, site, of, r->va, r->size / 4);
        break;
    case PW_OP_DMA_RD:
    case PW_OP_DMA_WR:
        pw_dma(r->pa, r->size, r->op == PW_OP_DMA_WR, r->kind == PW_KIND_WB);
        break;
    case PW_OP_DC_ZVA:
        pw_zva(&cpu, site, of, r->va, r->size);
        break;
    case PW_OP_IC_IVAU:
    case PW_OP_IC_IALLU:
    case PW_OP_IC_IALLUIS:
        pw_ic(&cpu, site, of, r->va, r->op, r->flags & PW_TRACE_ALL_PES);
        break;
    case PW_OP_OUTER_CLEAN:
    case PW_OP_OUTER_INV:
    case PW_OP_OUTER_FLUSH:
        pw_outer(r->pa, r->op);
        break;
    case PW_OP_DMB:
    case PW_OP_DSB:
    case PW_OP_ISB:
        pw_barrier(&cpu, site, r->op);
        break;
    case PW_OP_MMU_ON:
    case PW_OP_MMU_OFF:
        pw_mmu(&cpu, r->op == PW_OP_MMU_ON);
        break;
    default:
        if (r->op >= PW_OP_DC_CVAC && r->op <= PW_OP_DC_ISW) {
            pw_dc(&cpu, site, of, r->va, r->op, r->flags & PW_FLAG_UPGRADED);
        }
    }
}

void pw_replay(const struct pw_traced *records, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        const struct pw_traced *r = &records[i];
        if (!mark(r) && r->pe < PW_MAX_PES) {
            judge.header->instructions[0] = r->instructions;
            pw_report_at(r->seq);
            pw_stack_is(r->pe, r->stack);
            replay(r);
        }
    }
}
