/*
 * Instructions that may be modified while another PE executes them, without synchronisation.
 * Arm ARM DDI 0487, "Concurrent modification and execution of instructions"; fact C14. The same
 * rule as pocwatch.arch.cmodx, which it is tested against.
 */
#ifndef POCWATCH_CMODX_H
#define POCWATCH_CMODX_H

#include <stdbool.h>
#include <stdint.h>

/* Whether an instruction is of the set. */
bool pw_cmodx(uint32_t insn);
/* Whether a PE that has not synchronised executes exactly the old or the new instruction: both of
 * the set, and not a conditional branch with both its condition and its target changed. */
bool pw_cmodx_pair(uint32_t before, uint32_t after);

#endif
