/* Files that come from the host, and those that go to it; all named in the run's folder. */
#ifndef POCWATCH_FILES_H
#define POCWATCH_FILES_H

#include <stddef.h>

extern char host_folder[1024];

/* A file of the run's folder: its handle, or -1. */
long open_named(const char *name, int mode);

/* A whole file with a zero byte behind it; NULL if there is none. */
char *fetch(const char *name, size_t *size);

/* Unpack an archive (cpio, newc) over the root. Returns what could not be made, or NULL. */
const char *unpack(const char *archive, size_t size);

/* Write what can be read from a file to an open file of the host. */
void send_file(const char *path, long handle);

#endif
