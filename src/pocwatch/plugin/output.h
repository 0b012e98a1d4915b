/* Files that the plugin writes while the machine runs: the access stream, events, the raw trace. */
#ifndef POCWATCH_PLUGIN_OUTPUT_H
#define POCWATCH_PLUGIN_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

/* Write all of it; false with `errno` set when that fails. */
bool pw_write_all(int fd, const void *data, size_t size);
/* Leave `WHAT=NAME: reason` in the run file and end QEMU, without writing again at its exit. */
_Noreturn void pw_give_up(const char *what, const char *name, int reason);

#endif
