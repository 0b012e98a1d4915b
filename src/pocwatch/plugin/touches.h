/* Which guest pages were used how since they were mapped: so that only the first use is recorded. */
#ifndef POCWATCH_PLUGIN_TOUCHES_H
#define POCWATCH_PLUGIN_TOUCHES_H

#include <stdbool.h>
#include <stdint.h>

/* Whether this is the first use of the 4 KiB page `ipa`, by `op` (PW_OP_LD, IF or TW), with the MMU on
 * or off, past the caches or not. `shift`: log2 of the stage 2 block's size in bytes. Callers
 * serialise. */
bool pw_touch(unsigned vm, uint64_t ipa, unsigned op, bool mmu_on, bool past_caches, unsigned shift);
/* The entry of the page or block around `ipa` was invalidated, or for PW_NO_ADDRESS all of the VM's. */
void pw_forget_touches(unsigned vm, uint64_t ipa);

#endif
