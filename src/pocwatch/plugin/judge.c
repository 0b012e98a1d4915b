/*
 * Steps the line automaton with what observe saw, and reports reads that may be stale.
 *
 * The fast paths are in judge.h: an access whose `ok` bit is set changes nothing. Everything else
 * comes here, under one lock. Rules of the instruction side: pocwatch.line.fetch; of operations that
 * are issued and not complete: pending.h.
 *
 * Simplifications: a set/way loop counts as complete at the DSB after it; IC IALLU on one of several
 * PEs, not broadcast, is credited to none (docs/warts.md).
 */
#include "judge.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmodx.h"
#include "history.h"
#include "pending.h"
#include "report.h"
#include "rules.h"
#include "shadow.h"

/* Inlined into the callbacks it would cost the fast paths their registers. */
#define SLOW __attribute__((noinline))

struct pw_line *pw_lines;
pw_who *pw_writers;
uint64_t pw_ram_base, pw_ram_size;
uint8_t pw_epoch_bits;

static struct pw_table table;
static struct pw_runheader *header;
static size_t run_bytes;
static const char *ram;
static int ram_fd = -1; /* open until the snapshot is taken */
static char *fetched;     /* RAM as the I-side was last coherent with it, line by line */
static uint32_t *coherent_at; /* per line, `clock_now` when its I-side became coherent */
static uint32_t clock_now; /* counts I-side completions, for `unsynced` */
static bool report_unsynced, keep_stale;
static uint8_t settled[2][256]; /* by fill switch and state: SETTLED_* */
static uint32_t epoch, last_all_done; /* see catch_up */
static unsigned all_in_flight; /* PEs with an IC by all, broadcast, issued and not complete */
static int fill;          /* whether caches may fill on their own: some PE is on */
static uint64_t touched_pages;
static uint8_t *touched;  /* per 4 KiB page */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct lines {
    uint64_t *items;
    size_t n, size;
};

/* What judge keeps of a PE. */
static struct pe {
    struct lines issued; /* lines with operations of the PE in flight, duplicates allowed */
    size_t ordered;      /* of these, how many the last DMB ordered */
    struct lines uncached; /* lines with an nc/dev store since the last DMB or DSB */
    uint32_t set_way;    /* set of set/way operations since the last DSB */
    bool on;
    bool ialluis; /* an IC by all, for all PEs, is in flight */
    uint32_t synced_at;
    pw_who set_way_who;
} pes[PW_MAX_PES];

/* What a write-back access leaves as it is, and whether a load is fresh. */
enum { SETTLED_LOAD = 1, SETTLED_STORE = 2, SETTLED_NEIGHBOUR = 4, SETTLED_FRESH = 8 };

/* One vCPU has one thread, and no other calls: the lock would only cost. */
static void enter(void)
{
    if (header->n_pes != 1) {
        pthread_mutex_lock(&lock);
    }
}

static void leave(void)
{
    if (header->n_pes != 1) {
        pthread_mutex_unlock(&lock);
    }
}

static void push(struct lines *l, uint64_t line)
{
    if (l->n == l->size) {
        l->size = l->size ? 2 * l->size : 256;
        l->items = realloc(l->items, l->size * sizeof *l->items);
        if (!l->items) {
            abort();
        }
    }
    l->items[l->n++] = line;
}

static bool contains(const struct lines *l, uint64_t line)
{
    for (size_t i = l->n; i-- > 0;) {
        if (l->items[i] == line) {
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------------ files */

static void *reserve(uint64_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static bool read_table(const char *path, char *error, unsigned size)
{
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(&table, 1, sizeof table, f) : 0;
    if (f) {
        fclose(f);
    }
    if (n != sizeof table || memcmp(table.magic, PW_TABLE_MAGIC, sizeof table.magic) ||
        table.version != PW_TABLE_VERSION || table.size != sizeof table) {
        snprintf(error, size, "table %s: not a line automaton of this version", path);
        return false;
    }
    return true;
}

static void find_settled(void)
{
    for (unsigned i = 0; i < 512; i++) {
        unsigned f = i / 256, s = i % 256;
        settled[f][s] =
            (uint8_t)((table.delta[f][PW_EVENT_LD_CACHED][s] == s ? SETTLED_LOAD : 0) |
                      (table.delta[f][PW_EVENT_ST_WB][s] == s ? SETTLED_STORE : 0) |
                      (table.delta[f][PW_EVENT_ST_WB_NEIGHBOUR][s] == s ? SETTLED_NEIGHBOUR : 0) |
                      (table.stale[f][s] & table.read_stale[PW_KIND_WB] ? 0 : SETTLED_FRESH));
    }
}

static void *map(const char *path, size_t bytes, int writable, char *error, unsigned size)
{
    int fd = open(path, writable ? O_RDWR : O_RDONLY);
    struct stat st;
    void *p = MAP_FAILED;
    if (fd >= 0 && !fstat(fd, &st) && (size_t)st.st_size >= bytes) {
        p = mmap(NULL, bytes, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
    }
    if (fd >= 0) {
        close(fd);
    }
    if (p == MAP_FAILED) {
        snprintf(error, size, "%s: cannot be opened, or is shorter than %zu bytes", path, bytes);
        return NULL;
    }
    return p;
}

static bool open_run(const char *path, char *error, unsigned size)
{
    struct stat st;
    if (stat(path, &st) || (size_t)st.st_size < sizeof *header) {
        snprintf(error, size, "run file %s: missing or too short", path);
        return false;
    }
    run_bytes = (size_t)st.st_size;
    header = map(path, run_bytes, 1, error, size);
    if (header && (header->version != PW_RUN_VERSION || header->header_size != sizeof *header ||
                   header->finding_size != sizeof(struct pw_finding) ||
                   sizeof *header + (uint64_t)header->max_findings * sizeof(struct pw_finding) >
                       run_bytes)) {
        snprintf(error, size, "run file %s: not of this version", path);
        return false;
    }
    return header != NULL;
}

bool pw_judge_open(const struct pw_config *c, char *error, unsigned size)
{
    uint64_t lines = c->ram_size / PW_LINE_BYTES;
    if (!read_table(c->table_path, error, size) || !open_run(c->run_path, error, size) ||
        !(ram = map(c->ram_path, c->ram_size, 0, error, size)) ||
        (ram_fd = open(c->ram_path, O_RDONLY)) < 0 ||
        !pw_rules_read(c->rules_path, error, size)) {
        return false;
    }
    find_settled();
    for (unsigned i = 0; i < PW_MAX_PES; i++) {
        free(pes[i].issued.items);
        free(pes[i].uncached.items);
        pes[i] = (struct pe){0};
    }
    all_in_flight = epoch = last_all_done = pw_epoch_bits = 0;
    pw_lines = reserve(lines * sizeof *pw_lines);
    pw_writers = reserve(lines * PW_CELLS_PER_LINE * sizeof *pw_writers);
    fetched = reserve(c->ram_size);
    coherent_at = reserve(lines * sizeof *coherent_at);
    touched = reserve(c->ram_size / 4096);
    if (!pw_lines || !pw_writers || !fetched || !coherent_at || !touched ||
        !pw_history_open(c->ram_size)) {
        snprintf(error, size, "no address space for the shadow of %#lx bytes of RAM",
                 (unsigned long)c->ram_size);
        return false;
    }
    pw_ram_base = c->ram_base;
    pw_ram_size = c->ram_size;
    report_unsynced = c->report_unsynced;
    keep_stale = c->keep_stale;
    fill = c->start_on > 0;
    for (unsigned i = 0; c->start_on && i < PW_MAX_PES; i++) {
        pes[i].on = i < c->start_on;
    }
    pw_pending_drop_all();
    pw_report_open(header);
    return true;
}

void pw_judge_close(void)
{
    if (getenv("POCWATCH_COUNTERS")) {
        fprintf(stderr, "pocwatch: %lu pages shadowed\n", (unsigned long)touched_pages);
    }
}

struct pw_runheader *pw_run_header(void)
{
    return header;
}

const void *pw_ram(uint64_t pa, unsigned size)
{
    uint64_t offset = pa - pw_ram_base;
    return offset < pw_ram_size && pw_ram_size - offset >= size ? ram + offset : NULL;
}

/* ------------------------------------------------------------------ a line's states */

static uint64_t line_of(uint64_t pa)
{
    return (pa - pw_ram_base) / PW_LINE_BYTES;
}

static void touch(uint64_t line)
{
    if (!touched[line / 64]) {
        touched[line / 64] = 1;
        touched_pages++;
    }
}

static void forget_ok(struct pw_line *l)
{
    l->load_ok = l->store_ok = l->fetch_ok = 0;
}

/*
 * Set every `ok` bit that the line's states allow, not only those of the cells just accessed: a line
 * then comes here once and not once per cell. Each bit says what `store` and `load` would find out
 * for a write-back access of that cell: no state changes, nothing is in flight, the load is fresh,
 * and the store's cell was marked as written before.
 */
static void find_ok(uint64_t line)
{
    struct pw_line *l = &pw_lines[line];
    unsigned loads = 0, stores = 0, moved_by_neighbour = 0, same = SETTLED_LOAD;
    if (l->flags & LINE_PENDING) {
        return;
    }
    for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
        unsigned s = settled[fill][l->states[c]];
        same &= s;
        loads |= (s & SETTLED_FRESH ? 1u : 0) << c;
        stores |= (s & SETTLED_STORE ? 1u : 0) << c;
        moved_by_neighbour |= (s & SETTLED_NEIGHBOUR ? 0 : 1u) << c;
    }
    l->load_ok = same ? (uint8_t)loads : 0; /* a load fills the whole line */
    if (moved_by_neighbour & (moved_by_neighbour - 1)) {
        stores = 0;
    } else if (moved_by_neighbour) {
        stores &= moved_by_neighbour; /* the cell that is its own neighbours' only neighbour */
    }
    if (!table.dic) {
        stores &= l->istale[0] & l->istale[1];
    }
    if (l->flags & LINE_RAN) { /* what is written there is looked at */
        stores = 0;
    }
    l->store_ok = report_unsynced || all_in_flight ? 0 : (uint8_t)stores;
}

static struct pw_pending *pending_of(uint64_t line)
{
    return pw_lines[line].flags & LINE_PENDING ? pw_pending_find(line) : NULL;
}

/* If nothing is in flight any more, put the states back into the shadow. */
static void collapse(uint64_t line, struct pw_pending *p)
{
    struct pw_line *l = &pw_lines[line];
    if (p->n_branches == 1 && p->branches[0].n == 0 && p->n_windows == 0) {
        memcpy(l->states, p->branches[0].states, sizeof l->states);
        l->flags &= (uint8_t)~LINE_PENDING;
        pw_pending_drop(p);
    }
}

static struct pw_pending *make_pending(uint64_t line)
{
    struct pw_line *l = &pw_lines[line];
    struct pw_pending *p = pw_pending_get(line, l->states);
    l->flags |= LINE_PENDING;
    return p;
}

static uint8_t stale_of(uint64_t line, unsigned cell)
{
    struct pw_pending *p = pending_of(line);
    return p ? pw_pending_stale(p, &table, fill, cell)
             : table.stale[fill][pw_lines[line].states[cell]];
}

/* Taint I-cache invalidations in flight: what was put into I-caches may come after they acted. */
static void taint(uint64_t line, unsigned cells, unsigned kinds)
{
    struct pw_pending *p = pending_of(line);
    for (unsigned i = 0; p && i < p->n_windows; i++) {
        for (unsigned k = 0; k < 2; k++) {
            p->windows[i].tainted[k] |= kinds >> k & 1 ? (uint8_t)cells : 0;
        }
    }
}

/* The data side moved: fetch sources that may be stale taint what is in flight. */
static void taint_sources(uint64_t line)
{
    struct pw_pending *p = pending_of(line);
    for (unsigned c = 0; p && p->n_windows && c < PW_CELLS_PER_LINE; c++) {
        uint8_t stale = pw_pending_stale(p, &table, fill, c);
        taint(line, 1u << c,
              (stale & table.fetch_stale[PW_KIND_WB] ? 1 : 0) |
                  (stale & table.fetch_stale[PW_KIND_NC] ? 2 : 0));
    }
}

/* Step the cells of a line: `own` on `cells`, `others` on the rest. Returns whether any changed. */
static bool step(uint64_t line, unsigned cells, unsigned own, unsigned others)
{
    struct pw_line *l = &pw_lines[line];
    struct pw_pending *p = pending_of(line);
    touch(line);
    if (p) {
        pw_pending_step(p, &table, fill, cells, own, others);
        taint_sources(line);
        forget_ok(l);
        collapse(line, p);
        return true;
    }
    bool changed = false;
    for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
        unsigned event = cells >> c & 1 ? own : others;
        if (event != PW_NO_EVENT) {
            uint8_t next = table.delta[fill][event][l->states[c]];
            changed |= next != l->states[c];
            l->states[c] = next;
        }
    }
    if (changed) {
        forget_ok(l);
    }
    return changed;
}

/* An access of the PE to the line: what it sees done of its own maintenance (fact C9). */
static void see_done(uint64_t line, unsigned pe, unsigned kind)
{
    struct pw_pending *p = pending_of(line);
    if (p) {
        pw_pending_force(p, pe, kind == PW_KIND_WB);
        collapse(line, p);
        forget_ok(&pw_lines[line]);
    }
}

/* Cells whose source may be stale, by fetch kind: [0] WB, [1] NC. */
static void stale_sources(uint64_t line, uint8_t cells[2])
{
    cells[0] = cells[1] = 0;
    for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
        uint8_t stale = stale_of(line, c);
        cells[0] |= stale & table.fetch_stale[PW_KIND_WB] ? 1u << c : 0;
        cells[1] |= stale & table.fetch_stale[PW_KIND_NC] ? 1u << c : 0;
    }
}

/* An invalidation of the line by all PEs is complete: what may the I-caches still hold? */
static void invalidated(uint64_t line, const uint8_t tainted[2])
{
    struct pw_line *l = &pw_lines[line];
    for (unsigned k = 0; k < 2; k++) {
        l->istale[k] = tainted[k];
        l->spoiled[k] = 0;
    }
    memcpy(fetched + line * PW_LINE_BYTES, ram + line * PW_LINE_BYTES, PW_LINE_BYTES);
    if (report_unsynced) {
        coherent_at[line] = ++clock_now;
    }
    forget_ok(l);
}

static void complete_all(uint64_t line)
{
    struct pw_line *l = &pw_lines[line];
    const struct pw_pending *p = pending_of(line);
    uint8_t tainted[2];
    if ((p && p->n_windows) || /* completes with its window */
        !(l->istale[0] | l->istale[1] | l->spoiled[0] | l->spoiled[1])) {
        return;
    }
    stale_sources(line, tainted);
    for (unsigned k = 0; k < 2; k++) {
        tainted[k] |= l->spoiled[k];
    }
    invalidated(line, tainted);
}

/*
 * IC by all touches every line, and KVM issues one at every switch of vCPUs: so lines find out when
 * they are looked at next. The epoch counts the issues and completions of such operations; a line
 * keeps the epoch up to which it knows. Nothing happened to a line in between, as no store takes the
 * fast path while the epochs differ; so its sources are now as they were then.
 */
static void catch_up(uint64_t line)
{
    struct pw_line *l = &pw_lines[line];
    uint32_t behind = (uint8_t)(pw_epoch_bits - (l->flags & -LINE_EPOCH)) / LINE_EPOCH;
    if (!behind) {
        return;
    }
    if ((int32_t)(last_all_done - (epoch - behind)) > 0) {
        complete_all(line);
    }
    if (all_in_flight && !(l->flags & LINE_PENDING)) {
        uint8_t sources[2];
        stale_sources(line, sources);
        l->spoiled[0] |= sources[0];
        l->spoiled[1] |= sources[1];
    }
    l->flags = (uint8_t)((l->flags & (LINE_EPOCH - 1)) | pw_epoch_bits);
    l->store_ok = 0;
}

/* Open a window of `issuer` on the line, if there is none yet. */
static struct pw_window *open_window(uint64_t line, unsigned issuer)
{
    struct pw_pending *p = make_pending(line);
    for (unsigned i = 0; i < p->n_windows; i++) {
        if (p->windows[i].issuer == issuer) {
            return &p->windows[i];
        }
    }
    if (p->n_windows == PW_MAX_WINDOWS) {
        header->pending_overflows++;
        return NULL;
    }
    p->windows[p->n_windows] = (struct pw_window){.issuer = (uint8_t)issuer};
    push(&pes[issuer].issued, line);
    return &p->windows[p->n_windows++];
}

static void written(uint64_t line, unsigned cells)
{
    struct pw_line *l = &pw_lines[line];
    for (unsigned i = 0; all_in_flight && i < PW_MAX_PES; i++) {
        if (pes[i].ialluis) {
            open_window(line, i);
        }
    }
    if (!table.dic) {
        if ((l->istale[0] & l->istale[1] & cells) != cells) {
            l->fetch_ok = 0;
        }
        l->istale[0] |= (uint8_t)cells;
        l->istale[1] |= (uint8_t)cells;
        taint(line, cells, 3);
    }
    if (report_unsynced) {
        coherent_at[line] = ++clock_now;
        l->store_ok = 0;
    }
}

/* After a report: the line counts as coherent, so that one cause is not told a thousand times. */
static void heal(uint64_t line)
{
    struct pw_line *l = &pw_lines[line];
    struct pw_pending *p = pending_of(line);
    if (keep_stale) {
        return;
    }
    if (p) {
        pw_pending_drop(p);
    }
    memset(l, 0, sizeof *l);
    memcpy(fetched + line * PW_LINE_BYTES, ram + line * PW_LINE_BYTES, PW_LINE_BYTES);
    pw_history_clear(line);
}

/* ------------------------------------------------------------------ reports */

static void report(struct pw_cpu *cpu, const struct pw_site *site, struct pw_access *access,
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
    access->flags |= cpu->vm ? PW_FLAG_VM : 0;
    if (stale & PW_STALE_LOST && kind != PW_FINDING_UNSYNCED_FETCH) {
        kind = PW_FINDING_LOST_WRITE;
    }
    pw_report(access, kind, line, cell, states, pw_writers[line * PW_CELLS_PER_LINE + cell]);
}

static struct pw_access access_of(const struct pw_page *page, uint64_t va, unsigned size,
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

/* ------------------------------------------------------------------ data accesses */

static unsigned cells_of(uint64_t pa, unsigned size)
{
    unsigned first = pa % PW_LINE_BYTES / PW_CELL_BYTES;
    unsigned last = (pa % PW_LINE_BYTES + size - 1) / PW_CELL_BYTES;
    return (0xffu >> (7 - last)) & (0xffu << first);
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
    catch_up(line);
    if (pw_lines[line].flags & LINE_RAN && (size != 4 || pa % 4)) {
        pw_lines[line].flags &= (uint8_t)~LINE_RAN;
    }
    see_done(line, cpu->pe, kind);
    if (kind == PW_KIND_NC || kind == PW_KIND_DEV) {
        struct lines *u = &pes[cpu->pe].uncached;
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
    if (op == PW_OP_LD) {
        see_done(line, cpu->pe, kind);
    }
    for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
        uint8_t stale = cells >> c & 1 ? stale_of(line, c) : 0;
        if (stale & table.read_stale[kind]) {
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
    const struct pw_line *l = &pw_lines[line_of(pa)];
    if (kind == PW_KIND_WB && l->load_ok & cells_of(pa, 8)) {
        return;
    }
    enter();
    load(cpu, site, &page, va, pa, 8, PW_OP_TW);
    leave();
}

void pw_zva(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
            uint64_t va, unsigned block)
{
    enter();
    for (unsigned i = 0; i < block; i += PW_LINE_BYTES) {
        store(cpu, site, page, page->pa | ((va + i) & 4095), PW_LINE_BYTES, PW_OP_DC_ZVA);
    }
    leave();
}

void pw_dma(uint64_t pa, unsigned size, bool write, bool coherent)
{
    enter();
    uint64_t line = line_of(pa);
    unsigned cells = cells_of(pa, size);
    catch_up(line);
    if (write) {
        pw_lines[line].flags &= (uint8_t)~LINE_RAN;
        step(line, cells, coherent ? PW_EVENT_WR_COHERENT : PW_EVENT_ST_NC, PW_NO_EVENT);
        written(line, cells);
        pw_history_add(line, 0, PW_OP_DMA_WR, cells, 0, -1, 0);
    } else {
        static struct pw_cpu device = {.fetch_ipa = PW_NO_ADDRESS};
        struct pw_page page = {.pa = pa & ~UINT64_C(4095), .ipa = PW_NO_ADDRESS, .in_ram = 1,
                               .kind = coherent ? PW_KIND_WB : PW_KIND_NC};
        load(&device, NULL, &page, pa, pa, size, PW_OP_DMA_RD);
    }
    leave();
}

/* ------------------------------------------------------------------ fetches */

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
    if (keep_stale) {
        return false;
    }
    uint32_t before = word_at(fetched, line, i), now = word_at(ram, line, i);
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
static void snapshot(void)
{
    off_t data = 0, hole;
    while ((data = lseek(ram_fd, data, SEEK_DATA)) >= 0 &&
           (hole = lseek(ram_fd, data, SEEK_HOLE)) > data && (uint64_t)data < pw_ram_size) {
        uint64_t end = (uint64_t)hole < pw_ram_size ? (uint64_t)hole : pw_ram_size;
        for (ssize_t n; (uint64_t)data < end; data += n) { /* read: `ram` need not be paged in */
            n = pread(ram_fd, fetched + data, end - (uint64_t)data, data);
            if (n <= 0) {
                memcpy(fetched + data, ram + data, end - (uint64_t)data);
                break;
            }
        }
        data = hole;
    }
    close(ram_fd);
    ram_fd = -1;
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
    catch_up(line);
    for (unsigned i = first; i < first + n; i++) {
        unsigned cell = i / 2;
        uint8_t stale = stale_of(line, cell);
        bool source = stale & table.fetch_stale[kind] &&
                      !(kind == PW_KIND_WB && !(stale & PW_STALE_LOST) && only_patched(line));
        unsigned old = (wb ? l->istale[0] | l->spoiled[0] : 0) |
                       (nc ? l->istale[1] | l->spoiled[1] : 0);
        bool icache = (old >> cell & 1) && !(kind == PW_KIND_WB && harmless(line, i));
        if (source || icache) {
            struct pw_access a = access_of(page, va + 4 * (i - first), 4, PW_OP_IF);
            a.insn = word_at(ram, line, i);
            report(cpu, site, &a, line, cell, PW_FINDING_STALE_FETCH, source ? stale : 0);
            if (source) {
                l->spoiled[0] |= (uint8_t)(1u << cell);
                l->spoiled[1] |= (uint8_t)(1u << cell);
                taint(line, 1u << cell, 3);
            }
            heal(line);
            return;
        }
    }
    if (report_unsynced && coherent_at[line] > pes[cpu->pe].synced_at) {
        struct pw_access a = access_of(page, va, 4, PW_OP_IF);
        report(cpu, site, &a, line, first / 2, PW_FINDING_UNSYNCED_FETCH, 0);
        coherent_at[line] = 0;
    }
    /* Is the whole line fresh for this kind? Then later fetches need not come here. */
    bool fresh = true, coherent = true;
    for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
        fresh &= !(stale_of(line, c) & table.fetch_stale[kind]);
        coherent &= !(((wb ? l->istale[0] | l->spoiled[0] : 0) |
                       (nc ? l->istale[1] | l->spoiled[1] : 0)) >> c & 1);
    }
    if (!fresh || !coherent || l->flags & LINE_PENDING) {
        return;
    }
    if (kind == PW_KIND_WB && !(l->flags & LINE_RAN)) {
        l->flags |= LINE_RAN;
        l->store_ok = 0;
        memcpy(fetched + line * PW_LINE_BYTES, ram + line * PW_LINE_BYTES, PW_LINE_BYTES);
    }
    if (!report_unsynced) {
        l->fetch_ok |= (uint8_t)(1u << kind);
    }
}

SLOW void pw_fetch_slow(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                   uint64_t va, unsigned n)
{
    enter();
    if (ram_fd >= 0) {
        snapshot();
    }
    fetch(cpu, site, page, va, n);
    leave();
}

/* ------------------------------------------------------------------ maintenance */

static bool changes(uint64_t line, unsigned event)
{
    const struct pw_line *l = &pw_lines[line];
    for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
        if (table.delta[fill][event][l->states[c]] != l->states[c]) {
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

static bool by_set_way(unsigned op)
{
    return op >= PW_OP_DC_CSW && op <= PW_OP_DC_ISW;
}

void pw_dc(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
           uint64_t va, unsigned op, unsigned flags)
{
    struct pe *pe = &pes[cpu->pe];
    enter();
    uint64_t pa = page ? page->pa | (va & 4095) : PW_NO_ADDRESS;
    uint64_t ipa = page && page->ipa != PW_NO_ADDRESS ? page->ipa | (va & 4095) : pa;
    pw_who who = pw_who_of(cpu, site, page ? page->kind : PW_KIND_WB, page && page->mmu_on);
    header->maintenance[op]++;
    int rule;
    unsigned asked = op;
    op = same_side(asked, pw_rules_apply(asked, site, ipa, pa, &rule));
    if (rule >= 0) {
        header->matched[rule]++;
        flags |= op == PW_RULE_DROPPED ? PW_FLAG_DROPPED : PW_FLAG_WEAKENED;
    }
    if (!page || by_set_way(op)) {
        if (op != PW_RULE_DROPPED && by_set_way(op)) {
            pe->set_way |= 1u << op;
            pe->set_way_who = who;
        }
        leave();
        return;
    }
    uint64_t line = line_of(pa);
    catch_up(line);
    struct pw_pending *p = pending_of(line);
    bool dropped = op == PW_RULE_DROPPED;
    bool idle = dropped || table.idle[op];
    bool moves = p || changes(line, table.event[dropped ? asked : op]);
    if (!moves) {
        header->redundant[asked]++;
    }
    if (dropped && moves) {
        push(&pe->issued, line); /* for its history: the DSB completes nothing, but was there */
    }
    if (moves || (!idle && table.discards[op])) {
        pw_history_add(line, who, dropped ? asked : op, 0xff, flags, rule, cpu->vm_id);
        touch(line);
    }
    if (!idle && (moves || table.discards[op])) {
        p = make_pending(line);
        if (!pw_pending_issue(p, &table, fill, cpu->pe, op, contains(&pe->uncached, line))) {
            header->pending_overflows++;
        }
        taint_sources(line);
        forget_ok(&pw_lines[line]);
        push(&pe->issued, line);
    }
    leave();
}

void pw_outer(uint64_t pa, unsigned op)
{
    enter();
    catch_up(line_of(pa));
    step(line_of(pa), 0xff, table.event[op], PW_NO_EVENT);
    leave();
}

/* Every line touched so far. */
static void for_all_lines(void (*act)(uint64_t line, const struct pe *pe), const struct pe *pe)
{
    for (uint64_t page = 0; page < pw_ram_size / 4096; page++) {
        for (unsigned i = 0; touched[page] && i < 64; i++) {
            act(page * 64 + i, pe);
        }
    }
}

static void forget_line(uint64_t line, const struct pe *pe)
{
    (void)pe;
    forget_ok(&pw_lines[line]);
}

static void catch_up_line(uint64_t line, const struct pe *pe)
{
    (void)pe;
    catch_up(line);
}

/* Before the low bits of the epoch come round, every line has to know. */
static void next_epoch(void)
{
    epoch++;
    pw_epoch_bits = (uint8_t)(epoch * LINE_EPOCH);
    if (epoch % (EPOCHS / 2) == 0) {
        for_all_lines(catch_up_line, NULL);
    }
}

/* An IC by all: a window on every line. Lines with operations in flight get it at once; lines at rest
 * only when they are written before it completes (`written`): until then `spoiled` keeps what their
 * sources may have given. */
static void issue_all(unsigned issuer)
{
    struct pe *pe = &pes[issuer];
    for (unsigned i = 0; i < PW_MAX_PES; i++) {
        for (size_t k = 0, n = pes[i].issued.n; k < n; k++) {
            uint64_t line = pes[i].issued.items[k];
            struct pw_window *w = pending_of(line) ? open_window(line, issuer) : NULL;
            if (w) {
                memset(w->tainted, 0, sizeof w->tainted);
                taint_sources(line);
            }
        }
    }
    all_in_flight += !pe->ialluis;
    pe->ialluis = true;
    next_epoch();
}

void pw_ic(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
           uint64_t va, unsigned op, bool all_pes)
{
    enter();
    uint64_t pa = page ? page->pa | (va & 4095) : PW_NO_ADDRESS;
    uint64_t ipa = page && page->ipa != PW_NO_ADDRESS ? page->ipa | (va & 4095) : pa;
    pw_who who = pw_who_of(cpu, site, page ? page->kind : PW_KIND_WB, page && page->mmu_on);
    unsigned flags = 0, asked = op;
    int rule;
    header->maintenance[op]++;
    op = same_side(asked, pw_rules_apply(asked, site, ipa, pa, &rule));
    if (rule >= 0) {
        header->matched[rule]++;
        flags = op == PW_RULE_DROPPED ? PW_FLAG_DROPPED : PW_FLAG_WEAKENED;
    }
    if (!page || op == PW_OP_IC_IALLU || op == PW_OP_IC_IALLUIS) {
        bool everywhere = op == asked ? all_pes : op == PW_OP_IC_IALLUIS;
        if (op != PW_RULE_DROPPED && (everywhere || header->n_pes <= 1)) {
            issue_all(cpu->pe);
        }
        leave();
        return;
    }
    uint64_t line = line_of(pa);
    struct pw_line *l = &pw_lines[line];
    touch(line);
    catch_up(line);
    if (!((l->istale[0] | l->istale[1] | l->spoiled[0] | l->spoiled[1])) &&
        !(l->flags & LINE_PENDING)) {
        header->redundant[asked]++;
    }
    pw_history_add(line, who, op == PW_RULE_DROPPED ? asked : op, 0xff, flags, rule, cpu->vm_id);
    if (op != PW_RULE_DROPPED) {
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
    unsigned number = (unsigned)(pe - pes);
    catch_up(line);
    for (unsigned op = PW_OP_DC_CSW; op <= PW_OP_DC_ISW; op++) {
        if (!(pe->set_way >> op & 1) || table.idle[op]) {
            continue;
        }
        if (contains(&pe->uncached, line)) { /* may have acted before the PE's own uncached store */
            struct pw_pending *p = make_pending(line);
            pw_pending_issue(p, &table, fill, number, op, true);
            pw_pending_force(p, number, true);
            forget_ok(&pw_lines[line]);
            collapse(line, p);
        } else if (step(line, 0xff, table.event[op], PW_NO_EVENT)) {
            pw_history_add(line, pe->set_way_who, op, 0xff, 0, -1, 0);
        }
    }
}

static void dsb(unsigned number)
{
    struct pe *pe = &pes[number];
    if (pe->ialluis) {
        pe->ialluis = false;
        all_in_flight--;
        last_all_done = epoch + 1;
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
        for (unsigned w = 0; w < p->n_windows; w++) {
            if (p->windows[w].issuer == number) {
                struct pw_window done = p->windows[w];
                p->windows[w] = p->windows[--p->n_windows];
                for (unsigned o = 0; o < p->n_windows; o++) { /* what came before is wiped out */
                    p->windows[o].tainted[0] &= done.tainted[0];
                    p->windows[o].tainted[1] &= done.tainted[1];
                }
                invalidated(line, done.tainted);
                break;
            }
        }
        forget_ok(&pw_lines[line]);
        collapse(line, p);
    }
    if (pe->set_way) {
        for_all_lines(complete_set_way, pe);
    }
    pe->set_way = 0;
    pe->issued.n = pe->ordered = 0;
    pe->uncached.n = 0;
}

static void dmb(struct pw_cpu *cpu)
{
    struct pe *pe = &pes[cpu->pe];
    for (size_t i = pe->ordered; i < pe->issued.n; i++) {
        struct pw_pending *p = pending_of(pe->issued.items[i]);
        if (p) {
            pw_pending_dmb(p, &table, cpu->pe);
        }
    }
    pe->ordered = pe->issued.n;
    pe->uncached.n = 0;
}

void pw_barrier(struct pw_cpu *cpu, const struct pw_site *site, unsigned op)
{
    struct pe *pe = &pes[cpu->pe];
    (void)site;
    if (op == PW_OP_ISB) {
        pe->synced_at = clock_now;
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
}

void pw_mmu(struct pw_cpu *cpu, bool on)
{
    int now = 0;
    enter();
    pes[cpu->pe].on = on;
    for (unsigned i = 0; i < PW_MAX_PES; i++) {
        now |= pes[i].on;
    }
    if (now != fill) {
        if (fill) {
            for_all_lines(close_line, NULL);
        }
        fill = now;
        for_all_lines(forget_line, NULL);
    }
    leave();
}
