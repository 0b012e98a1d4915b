/*
 * Instruction fetches: the instruction side of the model (pocwatch.line.fetch), and which changed
 * instructions a PE may meet without harm.
 */
#include "state.h"

#include <string.h>
#include <unistd.h>

#include "cmodx.h"
#include "recorder.h"

static uint32_t word_at(const char *base, uint64_t line, unsigned i)
{
    uint32_t word;
    memcpy(&word, base + line * PW_LINE_BYTES + 4 * i, sizeof word);
    return word;
}

/* Whether an instruction that an I-cache may hold an old value of may be executed all the same:
 * it did not change since the I-side was coherent, or both values may be met (fact C14). */
static bool harmless(uint64_t line, unsigned i)
{
    if (judge.keep_stale) {
        return false;
    }
    uint32_t before = word_at(judge.fetched, line, i), now = word_at(judge.ram, line, i);
    return before == now || pw_cmodx_pair(before, now);
}

/*
 * The same for a source that may be stale: an instruction that was just written and is not cleaned
 * to the PoU yet. What the PE may get instead is what it executed before, provided that nothing else
 * was written to the line since then: a patched instruction, not a page that was loaded anew.
 */
static bool only_patched(uint64_t line)
{
    if (!(pw_lines[line].flags & LINE_RAN)) {
        return false;
    }
    for (unsigned i = 0; i < PW_LINE_BYTES / 4; i++) {
        if (!harmless(line, i)) {
            return false;
        }
    }
    return true;
}

/* Keep RAM as it is before the first instruction: images that QEMU loaded, coherent with I-caches. */
void take_snapshot(void)
{
    off_t data = 0, hole;
    if (judge.ram_fd < 0) {
        return;
    }
    while ((data = lseek(judge.ram_fd, data, SEEK_DATA)) >= 0 &&
           (hole = lseek(judge.ram_fd, data, SEEK_HOLE)) > data && (uint64_t)data < pw_ram_size) {
        uint64_t end = (uint64_t)hole < pw_ram_size ? (uint64_t)hole : pw_ram_size;
        for (ssize_t n; (uint64_t)data < end; data += n) { /* read: `ram` need not be paged in */
            n = pread(judge.ram_fd, judge.fetched + data, end - (uint64_t)data, data);
            if (n <= 0) {
                memcpy(judge.fetched + data, judge.ram + data, end - (uint64_t)data);
                break;
            }
        }
        data = hole;
    }
    close(judge.ram_fd);
    judge.ram_fd = -1;
}

/* From now on I-caches may hold what Non-cacheable fetches read of a page, and what others left. */
static void open_to_uncached(uint64_t page)
{
    if (page >= pw_ram_size / 4096 || judge.uncached[page]) {
        return;
    }
    judge.uncached[page] = 1;
    for (uint64_t line = page * 64; judge.touched[page] && line < page * 64 + 64; line++) {
        struct pw_line *l = &pw_lines[line];
        uint8_t sources[2];
        catch_up(line);
        stale_sources(line, sources);
        l->istale[1] &= (judge.from_reset ? 0 : l->istale[0]) | sources[1];
        forget_ok(l);
    }
}

/*
 * A Non-cacheable fetch. While all stages of translation are off, instructions are only fetched from
 * the 4 KiB block of one that is executed and from the next block (Arm ARM DDI 0487, "Behavior of
 * instruction fetches when all associated stages of address translation are disabled"): no I-cache
 * has read other memory past the data caches. A stage that is on lets them read all of it.
 */
static void uncached(const struct pw_page *page, uint64_t line)
{
    if (judge.all_uncached) {
        return;
    }
    if (!page->mmu_on && page->ipa == PW_NO_ADDRESS) {
        open_to_uncached(line / 64);
        open_to_uncached(line / 64 + 1);
    } else {
        judge.all_uncached = true;
        for (uint64_t i = 0; i < pw_ram_size / 4096; i++) {
            open_to_uncached(i);
        }
    }
}

void pw_sees_every_fetch(void)
{
    judge.all_uncached = false;
}

/*
 * The machine begins outside RAM: it comes from reset, and no code in RAM ran before. I-caches that
 * could hit on anything then would not let reset code run, so they hold only what was executed, until
 * an MMU is on.
 */
void pw_began_outside(void)
{
    enter();
    judge.from_reset = judge.ram_fd >= 0 && !judge.fill; /* nothing was fetched from RAM yet */
    leave();
}

static void fetch(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                  uint64_t va, unsigned n)
{
    uint64_t pa = page->pa | (va & 4095), line = line_of(pa);
    struct pw_line *l = &pw_lines[line];
    unsigned kind = page->kind, first = pa % PW_LINE_BYTES / 4;
    unsigned wb = kind == PW_KIND_WB || kind == PW_KIND_WT;
    unsigned nc = kind != PW_KIND_WB;
    touch(line);
    if (nc) {
        uncached(page, line);
    }
    catch_up(line);
    for (unsigned i = first; i < first + n; i++) {
        unsigned cell = i / 2;
        uint8_t stale = stale_of(line, cell);
        bool source = stale & judge.table.fetch_stale[kind] &&
                      !(kind == PW_KIND_WB && !(stale & PW_STALE_LOST) && only_patched(line));
        unsigned old = (wb ? l->istale[0] : 0) | (nc ? l->istale[1] : 0);
        bool icache = (old >> cell & 1) && !(kind == PW_KIND_WB && harmless(line, i));
        if (source || icache) {
            struct pw_access a = access_of(page, va + 4 * (i - first), 4, PW_OP_IF);
            a.insn = word_at(judge.ram, line, i);
            report(cpu, site, &a, line, cell, PW_FINDING_STALE_FETCH, source ? stale : 0);
            if (source) {
                spoiled(line, 1u << cell);
            }
            heal(line);
            return;
        }
    }
    if (judge.report_unsynced && judge.coherent_at[line] > judge.pes[cpu->pe].synced_at) {
        struct pw_access a = access_of(page, va, 4, PW_OP_IF);
        report(cpu, site, &a, line, first / 2, PW_FINDING_UNSYNCED_FETCH, 0);
        judge.coherent_at[line] = 0;
    }
    /* Is the whole line fresh for this kind? Then later fetches need not come here. */
    bool fresh = true, coherent = true;
    for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
        fresh &= !(stale_of(line, c) & judge.table.fetch_stale[kind]);
        coherent &= !(((wb ? l->istale[0] : 0) | (nc ? l->istale[1] : 0)) >> c & 1);
    }
    if (!fresh || !coherent || l->flags & LINE_PENDING) {
        return;
    }
    if (kind == PW_KIND_WB && !(l->flags & LINE_RAN)) {
        l->flags |= LINE_RAN;
        l->store_ok = 0;
        memcpy(judge.fetched + line * PW_LINE_BYTES, judge.ram + line * PW_LINE_BYTES, PW_LINE_BYTES);
    }
    if (!judge.report_unsynced) {
        l->fetch_ok |= (uint8_t)(1u << kind);
    }
}

SLOW void pw_fetch_slow(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                   uint64_t va, unsigned n)
{
    if (pw_tracing) {
        pw_trace_fetch(cpu, site, page, va, n);
        return;
    }
    enter();
    take_snapshot();
    fetch(cpu, site, page, va, n);
    leave();
}
