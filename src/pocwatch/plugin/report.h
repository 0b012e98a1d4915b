/* Findings: deduplicated by code site, counted, written to the run file. Callers serialise. */
#ifndef POCWATCH_REPORT_H
#define POCWATCH_REPORT_H

#include "history.h"

void pw_report_open(struct pw_runheader *header);
/* `cpu` and `site` have made the access; their stack is taken if it is the first of its kind. */
void pw_report(const struct pw_access *access, struct pw_cpu *cpu, const struct pw_site *site,
               unsigned kind, uint64_t line, unsigned cell, const uint16_t states[PW_CELLS_PER_LINE],
               pw_who writer);
/* How many reads were reported so far, counted each time. */
PW_API uint64_t pw_reports(void);

#endif
