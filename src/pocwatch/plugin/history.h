/*
 * What happened to a line: the last few events that changed its state, for explanations.
 * Stores of one instruction in a row are one event. Callers serialise.
 */
#ifndef POCWATCH_HISTORY_H
#define POCWATCH_HISTORY_H

#include "judge.h"

#define PW_KEPT_EVENTS 7
#define PW_BEFORE_ALL 1 /* `seq` of a write that is older than all events; theirs follow */

/* Who did something, in 32 bits: a site's number, and the circumstances. 0: nobody known. */
typedef uint32_t pw_who;
pw_who pw_who_of(const struct pw_cpu *cpu, const struct pw_site *site, unsigned kind, bool mmu_on);
/* A device, by its number in the run file's table plus 1; 0: one without a number. */
pw_who pw_who_of_device(unsigned device, unsigned kind);
#define PW_WHO_MMU 27 /* the bit of `mmu_on`; kind 0 is PW_KIND_WB */
/* Fill in what `who` stands for: PC, EL, PE, kind and flags. False if nobody is known. */
bool pw_who_expand(pw_who who, struct pw_event *event);

bool pw_history_open(uint64_t ram_size);
void pw_history_add(uint64_t line, pw_who who, unsigned op, unsigned cells, unsigned flags, int rule,
                    unsigned vm_id);
/* The stack of the event that was just added to the line; kept if stacks are taken. */
void pw_history_stack(uint64_t line, uint32_t stack);
/* Copy the line's events, oldest first; returns how many, sets `truncated` if older ones are gone. */
unsigned pw_history_copy(uint64_t line, struct pw_event events[PW_HISTORY_EVENTS],
                         bool *truncated);
/* The PE executed a DSB: its maintenance of the line is complete. */
void pw_history_complete(uint64_t line, unsigned pe);
void pw_history_clear(uint64_t line);

#endif
