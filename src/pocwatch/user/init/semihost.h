/* Semihosting: how a program in the machine uses files of the computer that QEMU runs on, without
 * drivers. Arm "Semihosting for AArch32 and AArch64"; QEMU takes it from EL0 with `userspace=on`. */
#ifndef POCWATCH_SEMIHOST_H
#define POCWATCH_SEMIHOST_H

#include <stddef.h>
#include <stdint.h>

enum host_mode { HOST_READ = 1, HOST_WRITE = 5 }; /* fopen's "rb", "wb" */

/* The string behind QEMU's `-semihosting-config arg=`. */
void host_argument(char *buffer, size_t size);

/* A handle, or -1. */
long host_open(const char *path, enum host_mode mode);
/* Standard output (1) and standard error (2) of QEMU. */
long host_stream(int number);
void host_close(long handle);

/* How many bytes were read; 0 at the file's end as it is now. */
size_t host_read(long handle, void *buffer, size_t size);
/* False if not all was written. */
int host_write(long handle, const void *buffer, size_t size);

/* End QEMU, with status 0. */
_Noreturn void host_exit(void);

#endif
