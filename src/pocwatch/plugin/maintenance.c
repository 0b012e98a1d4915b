/*
 * Cache maintenance, barriers, and the switch that lets caches fill on their own.
 *
 * Simplifications: a set/way loop counts as complete at the DSB after it; IC IALLU on one of several
 * PEs, not broadcast, is credited to none (docs/warts.md).
 */
#include "state.h"

#include <string.h>

#include "events.h"
#include "profile.h"
#include "recorder.h"
#include "rules.h"
#include "stacks.h"
#include "stream.h"

static bool changes(uint64_t line, unsigned event)
{
    const struct pw_line *l = &pw_lines[line];
    bool touched = judge.touched[line / 64];
    for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
        unsigned s = touched ? l->states[c] : judge.untouched;
        if (judge.table.delta[judge.fill][event][s] != s) {
            return true;
        }
    }
    return false;
}

/* A rule may only weaken an operation to one of its own side; anything else is dropping it. */
static unsigned same_side(unsigned asked, unsigned op)
{
    bool data = asked <= PW_OP_DC_ISW;
    return op == PW_RULE_DROPPED || op > PW_OP_IC_IALLUIS || data != (op <= PW_OP_DC_ISW)
               ? PW_RULE_DROPPED
               : op;
}

/* Count an operation, and return what the rules make of it; `flags` and `rule` tell of it. */
static unsigned ruled(unsigned asked, const struct pw_site *site, const struct pw_page *page,
                      uint64_t va, unsigned *flags, int *rule)
{
    uint64_t pa = page ? page->pa | (va & 4095) : PW_NO_ADDRESS;
    uint64_t ipa = page && page->ipa != PW_NO_ADDRESS ? page->ipa | (va & 4095) : pa;
    unsigned op = same_side(asked, pw_rules_apply(asked, site, ipa, pa, rule));
    bool counts = page || !judge.shard;
    judge.header->maintenance[asked] += counts;
    if (*rule >= 0) {
        judge.header->matched[*rule] += counts;
        *flags |= op == PW_RULE_DROPPED ? PW_FLAG_DROPPED : PW_FLAG_WEAKENED;
    }
    return op;
}

static bool by_set_way(unsigned op)
{
    return op >= PW_OP_DC_CSW && op <= PW_OP_DC_ISW;
}

/* What the rules left of an operation goes to the stream; `va` is the operand of a set/way one. */
static void stream(const struct pw_cpu *cpu, const struct pw_page *page, uint64_t va, unsigned op)
{
    uint64_t pa = page ? page->pa | (va & 4095) : (uint32_t)va;
    if (pw_streaming && op != PW_RULE_DROPPED && (page || by_set_way(op))) {
        pw_stream_put(cpu->pe, op, page ? page->kind : PW_KIND_WB, by_set_way(op) ? (uint32_t)va : pa,
                      0);
    }
}

/* Whether memory may be stale: whether a clean of the line to the PoC may have something to write. */
static bool may_be_dirty(uint64_t line)
{
    bool dirty = false;
    for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
        dirty |= stale_of(line, c) & judge.table.read_stale[PW_KIND_NC];
    }
    return dirty;
}

/* And to the profile, which counts what was asked for. */
static void profile(struct pw_cpu *cpu, const struct pw_site *site, unsigned asked, uint64_t line,
                    bool changed)
{
    if (pw_profiling && (line != PW_NO_ADDRESS || !judge.shard)) {
        bool dirty = line != PW_NO_ADDRESS && asked <= PW_OP_DC_ISW && may_be_dirty(line);
        pw_profile_count(pw_stack_now(cpu, site), asked, line, !changed, dirty);
    }
}

/* And to the event recording; before the operation is issued. */
static void record(const struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                   uint64_t va, unsigned op, bool changed)
{
    if (!pw_recording || op == PW_RULE_DROPPED || (!page && op < PW_OP_DC_CSW)) {
        return;
    }
    bool dirty = page && op <= PW_OP_DC_ISW && may_be_dirty(line_of(page->pa | (va & 4095)));
    pw_events_maintenance(cpu, site, page, op, changed, dirty);
}

void pw_dc(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
           uint64_t va, unsigned op, unsigned flags)
{
    struct pe *pe = &judge.pes[cpu->pe];
    if (pw_tracing) {
        pw_trace_dc(cpu, site, page, va, op, flags);
        return;
    }
    enter();
    pw_who who = pw_who_of(cpu, site, page ? page->kind : PW_KIND_WB, page && page->mmu_on);
    int rule;
    unsigned asked = op;
    op = ruled(asked, site, page, va, &flags, &rule);
    stream(cpu, page, va, op);
    if (!page || by_set_way(op)) {
        profile(cpu, site, asked, PW_NO_ADDRESS, true);
        if (op != PW_RULE_DROPPED && by_set_way(op)) {
            record(cpu, site, NULL, va, op, true);
            pe->set_way |= 1u << op;
            pe->set_way_who = who;
        }
        leave();
        return;
    }
    uint64_t line = line_of(page->pa | (va & 4095));
    catch_up(line);
    struct pw_pending *p = pending_of(line);
    bool dropped = op == PW_RULE_DROPPED;
    bool idle = dropped || judge.table.idle[op];
    bool moves = p || changes(line, judge.table.event[dropped ? asked : op]);
    record(cpu, site, page, va, op, moves);
    profile(cpu, site, asked, line, moves);
    if (!moves) {
        judge.header->redundant[asked]++;
    }
    if (dropped && moves) {
        push(&pe->issued, line); /* for its history: the DSB completes nothing, but was there */
    }
    if (moves || (!idle && judge.table.discards[op])) {
        pw_history_add(line, who, dropped ? asked : op, 0xff, flags, rule, cpu->vm_id);
        pw_history_stack(line, pw_stack_now(cpu, site));
        touch(line);
    }
    if (!idle && (moves || judge.table.discards[op])) {
        open_windows(line);
        p = make_pending(line);
        if (!pw_pending_issue(p, &judge.table, judge.fill, cpu->pe, op, contains(&pe->uncached, line))) {
            judge.header->pending_overflows++;
        }
        taint_sources(line);
        forget_ok(&pw_lines[line]);
        push(&pe->issued, line);
    }
    leave();
}

void pw_outer(uint64_t pa, unsigned op)
{
    if (pw_tracing) {
        pw_trace_outer(pa, op);
        return;
    }
    enter();
    catch_up(line_of(pa));
    step(line_of(pa), 0xff, judge.table.event[op], PW_NO_EVENT);
    leave();
}

static void catch_up_line(uint64_t line, const struct pe *pe)
{
    (void)pe;
    catch_up(line);
}

static void stop_fast_stores(uint64_t line, const struct pe *pe)
{
    (void)pe;
    if (epochs_behind(&pw_lines[line])) {
        pw_lines[line].store_ok = 0;
    }
}

/* Before the low bits of the epoch come round, which the fast paths compare, no line may be behind and
 * take them; before all bits do, every line has to know. */
static void next_epoch(void)
{
    judge.epoch++;
    pw_epoch_bits = (uint8_t)(judge.epoch * LINE_EPOCH);
    if (judge.epoch % (1u << (EPOCH_BITS - 1)) == 0) {
        for_all_lines(catch_up_line, NULL);
    } else if (judge.epoch % (EPOCHS / 2) == 0) {
        for_all_lines(stop_fast_stores, NULL);
    }
}

/* An IC by all: a window on every line. Lines with operations in flight get it at once, others when
 * something is about to happen to them (`open_windows`). */
static void issue_all(unsigned issuer)
{
    struct pe *pe = &judge.pes[issuer];
    for (unsigned i = 0; i < PW_MAX_PES; i++) {
        for (size_t k = 0, n = judge.pes[i].issued.n; k < n; k++) {
            uint64_t line = judge.pes[i].issued.items[k];
            struct pw_window *w = pending_of(line) ? open_window(line, issuer) : NULL;
            if (w) {
                memset(w->tainted, 0, sizeof w->tainted);
                taint_sources(line);
            }
        }
    }
    judge.all_in_flight += !pe->ialluis;
    pe->ialluis = true;
    next_epoch();
}

void pw_ic(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
           uint64_t va, unsigned op, bool all_pes)
{
    if (pw_tracing) {
        pw_trace_ic(cpu, site, page, va, op, all_pes);
        return;
    }
    enter();
    pw_who who = pw_who_of(cpu, site, page ? page->kind : PW_KIND_WB, page && page->mmu_on);
    unsigned flags = 0, asked = op;
    int rule;
    op = ruled(asked, site, page, va, &flags, &rule);
    if (!page || op == PW_OP_IC_IALLU || op == PW_OP_IC_IALLUIS) {
        profile(cpu, site, asked, PW_NO_ADDRESS, true);
        bool everywhere = op == asked ? all_pes : op == PW_OP_IC_IALLUIS;
        record(cpu, site, NULL, va, op, true);
        if (pw_streaming && op != PW_RULE_DROPPED) {
            pw_stream_put(cpu->pe, everywhere ? PW_OP_IC_IALLUIS : PW_OP_IC_IALLU, PW_KIND_WB, 0, 0);
        }
        if (op != PW_RULE_DROPPED && (everywhere || judge.header->n_pes <= 1)) {
            issue_all(cpu->pe);
        }
        leave();
        return;
    }
    uint64_t line = line_of(page->pa | (va & 4095));
    struct pw_line *l = &pw_lines[line];
    stream(cpu, page, va, op);
    touch(line);
    catch_up(line);
    uint8_t refilled[2]; /* with what may be stale: as if the operation had not been */
    stale_sources(line, refilled);
    bool moves = (l->istale[0] & ~refilled[0]) | (l->istale[1] & ~refilled[1]) |
                 (l->flags & LINE_PENDING);
    record(cpu, site, page, va, op, moves);
    profile(cpu, site, asked, line, moves);
    if (!moves) {
        judge.header->redundant[asked]++;
    }
    pw_history_add(line, who, op == PW_RULE_DROPPED ? asked : op, 0xff, flags, rule, cpu->vm_id);
    pw_history_stack(line, pw_stack_now(cpu, site));
    if (op != PW_RULE_DROPPED) {
        open_windows(line);
        struct pw_window *w = open_window(line, cpu->pe);
        if (w) { /* an earlier one of the PE ends with this one and allows no more */
            memset(w->tainted, 0, sizeof w->tainted);
            taint_sources(line);
        }
        forget_ok(l);
    }
    leave();
}

static void complete_set_way(uint64_t line, const struct pe *pe)
{
    unsigned number = (unsigned)(pe - judge.pes);
    catch_up(line);
    see_done(line, number, PW_KIND_WB); /* its operations by VA */
    for (unsigned op = PW_OP_DC_CSW; op <= PW_OP_DC_ISW; op++) {
        if (!(pe->set_way >> op & 1) || judge.table.idle[op]) {
            continue;
        }
        if (contains(&pe->uncached, line)) { /* may have acted before the PE's own uncached store */
            open_windows(line);
            struct pw_pending *p = make_pending(line);
            pw_pending_issue(p, &judge.table, judge.fill, number, op, true);
            taint_sources(line);
            pw_pending_force(p, number, true);
            forget_ok(&pw_lines[line]);
            collapse(line, p);
        } else if (step(line, 0xff, judge.table.event[op], PW_NO_EVENT)) {
            pw_history_add(line, pe->set_way_who, op, 0xff, 0, -1, 0);
        }
    }
}

static void step_untouched(unsigned event)
{
    judge.untouched = judge.table.delta[judge.fill][event][judge.untouched];
}

static void complete_window(uint64_t line, struct pw_pending *p, unsigned issuer)
{
    for (unsigned w = 0; w < p->n_windows; w++) {
        if (p->windows[w].issuer == issuer) {
            struct pw_window done = p->windows[w];
            p->windows[w] = p->windows[--p->n_windows];
            for (unsigned o = 0; o < p->n_windows; o++) { /* what came before is wiped out */
                p->windows[o].tainted[0] &= done.tainted[0];
                p->windows[o].tainted[1] &= done.tainted[1];
            }
            invalidated(line, done.tainted);
            return;
        }
    }
}

/* Invalidations of I-caches come last: what the PE's other operations did may have been before. */
static void dsb(unsigned number)
{
    struct pe *pe = &judge.pes[number];
    if (pe->set_way) {
        for_all_lines(complete_set_way, pe);
        for (unsigned op = PW_OP_DC_CSW; op <= PW_OP_DC_ISW; op++) {
            if (pe->set_way >> op & 1 && !judge.table.idle[op]) {
                step_untouched(judge.table.event[op]);
            }
        }
    }
    if (pe->ialluis) {
        pe->ialluis = false;
        judge.all_in_flight--;
        judge.last_all_done = judge.epoch + 1;
        next_epoch();
    }
    for (size_t i = 0; i < pe->issued.n; i++) {
        uint64_t line = pe->issued.items[i];
        struct pw_pending *p = pending_of(line);
        pw_history_complete(line, number);
        if (!p) {
            continue;
        }
        catch_up(line); /* leaves lines with windows to what follows */
        pw_pending_force(p, number, true);
        complete_window(line, p, number);
        forget_ok(&pw_lines[line]);
        collapse(line, p);
    }
    pe->set_way = 0;
    pe->issued.n = pe->ordered = 0;
    pe->uncached.n = 0;
}

static void dmb(struct pw_cpu *cpu)
{
    struct pe *pe = &judge.pes[cpu->pe];
    for (size_t i = pe->ordered; i < pe->issued.n; i++) {
        struct pw_pending *p = pending_of(pe->issued.items[i]);
        if (p) {
            pw_pending_dmb(p, &judge.table, cpu->pe);
        }
    }
    pe->ordered = pe->issued.n;
    pe->uncached.n = 0;
}

void pw_barrier(struct pw_cpu *cpu, const struct pw_site *site, unsigned op)
{
    struct pe *pe = &judge.pes[cpu->pe];
    if (pw_tracing) {
        pw_trace_barrier(cpu, site, op);
        return;
    }
    if (op == PW_OP_ISB) {
        pe->synced_at = judge.clock_now;
        return;
    }
    if (!pe->issued.n && !pe->uncached.n && !pe->ialluis && !pe->set_way) {
        return;
    }
    enter();
    if (op == PW_OP_DSB) {
        dsb(cpu->pe);
    } else {
        dmb(cpu);
    }
    leave();
}

/* ------------------------------------------------------------------ the fill switch */

static void close_line(uint64_t line, const struct pe *pe)
{
    (void)pe;
    catch_up(line);
    step(line, 0xff, PW_EVENT_CLOSE, PW_NO_EVENT);
    forget_ok(&pw_lines[line]);
}

/* Fills begin: operations in flight and sources may now do more. */
static void open_line(uint64_t line, const struct pe *pe)
{
    (void)pe;
    if (pw_lines[line].flags & LINE_PENDING) {
        step(line, 0, PW_NO_EVENT, PW_NO_EVENT);
    }
    forget_ok(&pw_lines[line]);
}

void pw_mmu(struct pw_cpu *cpu, bool on)
{
    int now = 0;
    if (pw_tracing) {
        pw_trace_mmu(cpu, on);
        return;
    }
    enter();
    judge.pes[cpu->pe].on = on;
    judge.from_reset &= !on;
    for (unsigned i = 0; i < PW_MAX_PES; i++) {
        now |= judge.pes[i].on;
    }
    if (now != judge.fill) {
        for_all_lines(now ? catch_up_line : close_line, NULL);
        if (!now) {
            step_untouched(PW_EVENT_CLOSE);
        }
        judge.fill = now;
        if (now) {
            for_all_lines(open_line, NULL);
        }
    }
    leave();
}
