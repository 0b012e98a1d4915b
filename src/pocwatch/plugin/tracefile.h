/*
 * The raw trace as a file or FIFO: records of pocwatch.trace.raw, each site and stack frame told before
 * its first use. Callers serialise.
 */
#ifndef POCWATCH_TRACEFILE_H
#define POCWATCH_TRACEFILE_H

#include "judge.h"

/* On failure returns false with a one-line reason in `error`. */
bool pw_tracefile_open(const char *path, char *error, unsigned error_size);
/* The header; before any record. */
void pw_tracefile_start(const struct pw_trace_header *header);
/* What was buffered goes out, and the file is closed. */
void pw_tracefile_close(void);

/* A record that has nothing in it yet; what was filled in of the one before it is kept. */
struct pw_traced *pw_trace_next(void);
/* Have the trace hold an instruction, or a frame and its callers. */
void pw_trace_site(uint32_t number);
void pw_trace_stack(uint32_t number);

#endif
