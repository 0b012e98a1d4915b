/* Standard streams between the program's pipes and the host. */
#ifndef POCWATCH_STREAMS_H
#define POCWATCH_STREAMS_H

/* Make the pipes. The program's ends are its file descriptors 0, 1 and 2 after `streams_take`. */
void streams_open(void);
/* In the program's process, before it is executed. */
void streams_take(void);
/* In init: let the streams flow. */
void streams_start(void);
/* Pass on what the program has written, and stop. */
void streams_finish(void);

#endif
