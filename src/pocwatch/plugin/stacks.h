/*
 * Call stacks, as numbers: each frame is kept once for each caller it had (a trie).
 *
 * Taken by frame pointers (unwind.h), through the vCPU's translation at its current EL: of the host's
 * kernel and user space, of guests and of hypervisors. A stack does not go beyond an exception: not
 * from a kernel into user space, nor from a guest into its host.
 */
#ifndef POCWATCH_STACKS_H
#define POCWATCH_STACKS_H

#include "judge.h"

enum { PW_MAX_STACK = 64, PW_MAX_FRAMES = 1 << 24 }; /* frames: of a stack, of all */

/* One frame of a stack: an instruction and whom it returns to. */
struct pw_frame {
    uint64_t pc;     /* VA; of all but the innermost frame the return address */
    uint64_t pc_pa;  /* PW_NO_ADDRESS if not in RAM */
    uint64_t pc_ipa; /* PW_NO_ADDRESS outside a VM */
    uint32_t caller; /* number of the frame that it returns to; 0: none, or not known */
    uint8_t el;
    uint8_t link;    /* from the link register, and perhaps of the past: see unwind.h */
    uint16_t vm_id;  /* 0 outside a VM */
};

_Static_assert(sizeof(struct pw_frame) == 32, "struct pw_frame");

/* Take stacks of at most `depth` frames (up to PW_MAX_STACK); 0: take none. Forgets all numbers. To be
 * called before pw_judge_open: histories have room for stacks if they are taken. */
PW_API void pw_stacks_open(unsigned depth);
/* Whether stacks are taken. */
extern bool pw_stacks_on;
/* The stack of what `site` does now: the number of its innermost frame, which is `site` itself. 0: none
 * is taken, or nobody did it. In a callback that may read registers, of the vCPU's own thread. */
uint32_t pw_stack_now(struct pw_cpu *cpu, const struct pw_site *site);
/* For a machine that is replayed, once stacks are on: the PE's stack is now `number`. */
PW_API void pw_stack_is(unsigned pe, uint32_t number);
/* The number of a frame. New ones get numbers from 1, without gaps. 0: no room. */
PW_API uint32_t pw_stack_intern(const struct pw_frame *frame);
/* What a number stands for: NULL for 0 and for numbers not given yet. From any thread; never freed. */
PW_API const struct pw_frame *pw_stack_frame(uint32_t number);

#endif
