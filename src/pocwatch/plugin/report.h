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

/* From here on, reads are of this record of a trace: pw_finding.first. */
void pw_report_at(uint64_t seq);
/* Whether two reads are told as one finding. */
bool pw_same_finding(const struct pw_finding *a, const struct pw_finding *b);
/* Add the findings and counters of `from` to those of `into`: shards by line of one machine. Findings
 * that one machine would have told as one become one, that of the first read; they end in the order of
 * first reads. */
PW_API void pw_report_merge(struct pw_runheader *into, const struct pw_runheader *from);

#endif
