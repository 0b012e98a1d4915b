/* The fast paths as functions, so that tests go the way that QEMU's accesses go. */
#include "fast.h"

PW_API void pw_data_call(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                         uint64_t va, unsigned size, unsigned op);
PW_API void pw_fetch_call(struct pw_cpu *cpu, const struct pw_site *site,
                          const struct pw_page *page, uint64_t va, unsigned n);

void pw_data_call(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                  uint64_t va, unsigned size, unsigned op)
{
    pw_data(cpu, site, page, va, size, op);
}

void pw_fetch_call(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                   uint64_t va, unsigned n)
{
    pw_fetch(cpu, site, page, va, n);
}
