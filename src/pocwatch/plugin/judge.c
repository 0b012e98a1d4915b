/* Opens what judge works on: the run file, guest RAM, the table; and the shadow beside them. */
#include "state.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report.h"
#include "rules.h"

struct judge judge = {.ram_fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER};
struct pw_line *pw_lines;
pw_who *pw_writers;
uint64_t pw_ram_base, pw_ram_size;
uint8_t pw_epoch_bits;

static void find_settled(void)
{
    for (unsigned i = 0; i < 512; i++) {
        unsigned f = i / 256, s = i % 256;
        judge.settled[f][s] =
            (uint8_t)((judge.table.delta[f][PW_EVENT_LD_CACHED][s] == s ? SETTLED_LOAD : 0) |
                      (judge.table.delta[f][PW_EVENT_ST_WB][s] == s ? SETTLED_STORE : 0) |
                      (judge.table.delta[f][PW_EVENT_ST_WB_NEIGHBOUR][s] == s ? SETTLED_NEIGHBOUR : 0) |
                      (judge.table.stale[f][s] & judge.table.read_stale[PW_KIND_WB] ? 0 : SETTLED_FRESH));
    }
}

static void *reserve(uint64_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static bool read_table(const char *path, char *error, unsigned size)
{
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(&judge.table, 1, sizeof judge.table, f) : 0;
    if (f) {
        fclose(f);
    }
    if (n != sizeof judge.table || memcmp(judge.table.magic, PW_TABLE_MAGIC, sizeof judge.table.magic) ||
        judge.table.version != PW_TABLE_VERSION || judge.table.size != sizeof judge.table) {
        snprintf(error, size, "table %s: not a line automaton of this version", path);
        return false;
    }
    return true;
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
    if (stat(path, &st) || (size_t)st.st_size < sizeof *judge.header) {
        snprintf(error, size, "run file %s: missing or too short", path);
        return false;
    }
    size_t run_bytes = (size_t)st.st_size;
    judge.header = map(path, run_bytes, 1, error, size);
    judge.run_bytes = run_bytes;
    const struct pw_runheader *h = judge.header;
    if (h && (h->version != PW_RUN_VERSION || h->header_size != sizeof *h ||
              h->finding_size != sizeof(struct pw_finding) ||
              sizeof *h + (uint64_t)h->max_findings * sizeof(struct pw_finding) +
                      (uint64_t)h->max_frames * sizeof(struct pw_kept_frame) >
                  run_bytes)) {
        snprintf(error, size, "run file %s: not of this version", path);
        return false;
    }
    return judge.header != NULL;
}

/* RAM of its own for a machine that is replayed, the machine's otherwise. */
static bool open_ram(const struct pw_config *c, char *error, unsigned size)
{
    if (judge.ram_fd >= 0) {
        close(judge.ram_fd);
    }
    judge.ram_fd = -1;
    if (!c->ram_path) {
        return (judge.ram = reserve(c->ram_size)) != NULL;
    }
    judge.ram = map(c->ram_path, c->ram_size, 0, error, size);
    return judge.ram && (judge.ram_fd = open(c->ram_path, O_RDONLY)) >= 0;
}

static void unmap(void *p, uint64_t size)
{
    if (p) {
        munmap(p, size);
    }
}

/* What an earlier machine of this process left; a QEMU has only one. */
static void unmap_all(void)
{
    uint64_t lines = pw_ram_size / PW_LINE_BYTES;
    unmap((void *)judge.ram, pw_ram_size);
    unmap(judge.header, judge.run_bytes);
    unmap(pw_lines, lines * sizeof *pw_lines);
    unmap(pw_writers, lines * PW_CELLS_PER_LINE * sizeof *pw_writers);
    unmap(judge.fetched, pw_ram_size);
    unmap(judge.coherent_at, lines * sizeof *judge.coherent_at);
    unmap(judge.touched, pw_ram_size / 4096);
    judge.ram = judge.fetched = NULL;
    judge.header = NULL;
    judge.coherent_at = NULL;
    judge.touched = NULL;
    pw_lines = NULL;
    pw_writers = NULL;
}

bool pw_judge_open(const struct pw_config *c, char *error, unsigned size)
{
    uint64_t lines = c->ram_size / PW_LINE_BYTES;
    unmap_all();
    pw_ram_base = c->ram_base;
    pw_ram_size = c->ram_size;
    if (!read_table(c->table_path, error, size) || !open_run(c->run_path, error, size) ||
        !open_ram(c, error, size) || !pw_rules_read(c->rules_path, error, size)) {
        return false;
    }
    find_settled();
    for (unsigned i = 0; i < PW_MAX_PES; i++) {
        free(judge.pes[i].issued.items);
        free(judge.pes[i].uncached.items);
        judge.pes[i] = (struct pe){0};
    }
    judge.all_in_flight = judge.epoch = judge.last_all_done = pw_epoch_bits = judge.untouched = 0;
    pw_lines = reserve(lines * sizeof *pw_lines);
    pw_writers = reserve(lines * PW_CELLS_PER_LINE * sizeof *pw_writers);
    judge.fetched = reserve(c->ram_size);
    judge.coherent_at = reserve(lines * sizeof *judge.coherent_at);
    judge.touched = reserve(c->ram_size / 4096);
    judge.uncached = reserve(c->ram_size / 4096);
    if (!pw_lines || !pw_writers || !judge.fetched || !judge.coherent_at || !judge.touched ||
        !judge.uncached || !pw_history_open(c->ram_size)) {
        snprintf(error, size, "no address space for the shadow of %#lx bytes of RAM",
                 (unsigned long)c->ram_size);
        return false;
    }
    judge.report_unsynced = c->report_unsynced;
    judge.keep_stale = c->keep_stale;
    judge.shard = c->shard;
    judge.clock_now = 0;
    judge.touched_pages = 0;
    judge.fill = c->start_on > 0;
    judge.all_uncached = true;
    judge.from_reset = false;
    for (unsigned i = 0; c->start_on && i < PW_MAX_PES; i++) {
        judge.pes[i].on = i < c->start_on;
    }
    pw_pending_drop_all();
    pw_report_open(judge.header);
    return true;
}

void pw_judge_close(void)
{
    if (getenv("POCWATCH_COUNTERS")) {
        fprintf(stderr, "pocwatch: %lu pages shadowed\n", (unsigned long)judge.touched_pages);
    }
}

struct pw_runheader *pw_run_header(void)
{
    return judge.header;
}

const void *pw_ram(uint64_t pa, unsigned size)
{
    uint64_t offset = pa - pw_ram_base;
    return offset < pw_ram_size && pw_ram_size - offset >= size ? judge.ram + offset : NULL;
}
