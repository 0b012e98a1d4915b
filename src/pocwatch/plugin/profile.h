/*
 * How often maintenance was done, by whom, and how often it changed nothing: counts for each operation
 * and call stack, written when the machine ends. The file is described in pocwatch.trace.profile.
 */
#ifndef POCWATCH_PROFILE_H
#define POCWATCH_PROFILE_H

#include "judge.h"

extern bool pw_profiling;

/* Count from now on; `path` gets the profile at pw_profile_close. Stacks have to be on. */
PW_API void pw_profile_open(const char *path);
/* One operation `op` on a line (PW_NO_ADDRESS: on none, and then nobody knows whether it was redundant).
 * `dirty`: memory may have been stale, so that a clean to the PoC may have had something to write. */
void pw_profile_count(uint32_t stack, unsigned op, uint64_t line, bool redundant, bool dirty);
/* Write the profile; false with a reason in errno if that fails. */
PW_API bool pw_profile_close(void);

#endif
