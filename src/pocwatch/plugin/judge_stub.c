/* Stand-in for the judge: maps the files and counts calls. To be replaced by judge.c. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "judge.h"

static struct pw_runheader *header;
static const char *ram;
static uint64_t ram_base, ram_size;
static uint64_t ops[32], data, walks, fetches, zvas, by_kind[4], mmus, vms;

bool pw_judge_open(const struct pw_config *c, char *error, unsigned size)
{
    int fd = open(c->run_path, O_RDWR | O_CREAT, 0644);
    if (fd < 0 || ftruncate(fd, sizeof *header)) {
        snprintf(error, size, "cannot open %s", c->run_path);
        return false;
    }
    header = mmap(NULL, sizeof *header, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    int rfd = open(c->ram_path, O_RDONLY);
    ram = mmap(NULL, c->ram_size, PROT_READ, MAP_SHARED, rfd, 0);
    if (rfd < 0 || ram == MAP_FAILED) {
        snprintf(error, size, "cannot map %s", c->ram_path);
        return false;
    }
    ram_base = c->ram_base;
    ram_size = c->ram_size;
    return true;
}
void pw_judge_close(void)
{
    if (getenv("POCWATCH_COUNTERS")) {
        fprintf(stderr, "stub: data %lu walks %lu fetches %lu zva %lu kinds %lu %lu %lu %lu mmu %lu vm %lu\n", data, walks, fetches, zvas,
                by_kind[0], by_kind[1], by_kind[2], by_kind[3], mmus, vms);
        for (int i = 0; i < 32; i++) if (ops[i]) fprintf(stderr, "stub: op %d: %lu\n", i, ops[i]);
    }
}
struct pw_runheader *pw_run_header(void) { return header; }
const void *pw_ram(uint64_t pa, unsigned size)
{
    uint64_t offset = pa - ram_base;
    return offset < ram_size && ram_size - offset >= size ? ram + offset : NULL;
}
void pw_data(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
             uint64_t va, unsigned size, unsigned op)
{ (void)site; (void)va; (void)size; (void)op; data++; by_kind[page->kind]++; vms += cpu->vm; }
void pw_walk(struct pw_cpu *cpu, const struct pw_site *site, uint64_t pa, unsigned kind, unsigned why, uint64_t va)
{ (void)cpu; (void)site; (void)pa; (void)kind; (void)why; (void)va; walks++; }
void pw_zva(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page, uint64_t va, unsigned block)
{ (void)cpu; (void)site; (void)page; (void)va; (void)block; zvas++; }
void pw_fetch(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page, uint64_t va, unsigned n)
{ (void)cpu; (void)site; (void)page; (void)va; (void)n; fetches++; }
void pw_dc(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page, uint64_t va, unsigned op, unsigned flags)
{ (void)cpu; (void)site; (void)page; (void)va; (void)flags; ops[op]++; }
void pw_ic(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page, uint64_t va, unsigned op, bool all_pes)
{ (void)cpu; (void)site; (void)page; (void)va; (void)all_pes; ops[op]++; }
void pw_barrier(struct pw_cpu *cpu, const struct pw_site *site, unsigned op)
{ (void)cpu; (void)site; ops[op]++; }
void pw_mmu(struct pw_cpu *cpu, bool on) { (void)cpu; mmus++; ops[on ? PW_OP_MMU_ON : PW_OP_MMU_OFF]++; }
