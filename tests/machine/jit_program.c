/*
 * A program that writes functions and calls them, each way in which JITs do it:
 *
 *   jit_program WORD...
 *
 * A word is one of those in `ways`, done in this order, or, for the ways behind it: `no-flush` leaves the
 * cache maintenance out, `no-isb` its last instruction, `no-barrier` the membarrier by which other threads
 * synchronise their context. Exits with 0 if each call gave what it should.
 */
#define _GNU_SOURCE
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, ROUNDS = 20, TURNS = 100 };

static int flush = 1, isb = 1, barrier = 1;

typedef int function(void);

/* Write `mov w0, #value; ret` and make it visible to instruction fetch. */
static __attribute__((noinline)) void generate(void *at, unsigned value)
{
    uint32_t code[] = {0x52800000 | value << 5, 0xd65f03c0};
    memcpy(at, code, sizeof code);
    if (flush && !isb) {
        __asm__ volatile("dc cvau, %0\n dsb ish\n ic ivau, %0\n dsb ish" : : "r"(at) : "memory");
    } else if (flush) {
        __builtin___clear_cache((char *)at, (char *)at + sizeof code);
    }
}

static int check(void *at, int value)
{
    return ((function *)at)() == value;
}

static void *anonymous(int protection)
{
    return mmap(NULL, PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int one_mapping(void)
{
    void *code = anonymous(PROT_READ | PROT_WRITE | PROT_EXEC);
    int good = 1;
    for (int i = 0; i < ROUNDS; i++) {
        generate(code, (unsigned)i);
        good &= check(code, i);
    }
    return good;
}

static int two_mappings(void)
{
    int file = memfd_create("jit", 0), good = ftruncate(file, PAGE) == 0;
    void *written = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    void *executed = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, file, 0);
    for (int i = 0; i < ROUNDS; i++) {
        generate(written, (unsigned)i);
        good &= check(executed, i);
    }
    return good;
}

static int protected(void)
{
    void *code = anonymous(PROT_READ | PROT_WRITE);
    int good = 1;
    for (int i = 0; i < ROUNDS; i++) {
        mprotect(code, PAGE, PROT_READ | PROT_WRITE);
        generate(code, (unsigned)i);
        mprotect(code, PAGE, PROT_READ | PROT_EXEC);
        good &= check(code, i);
    }
    return good;
}

static int forked(void)
{
    void *code = anonymous(PROT_READ | PROT_WRITE | PROT_EXEC);
    generate(code, 1);
    pid_t child = fork();
    int status = 0;
    if (child == 0) { /* a copy of the page, written by the kernel and then by us */
        int good = check(code, 1);
        generate(code, 2);
        _exit(!(good && check(code, 2)));
    }
    waitpid(child, &status, 0);
    return !status && check(code, 1);
}

static void *shared;
static atomic_int turn; /* odd: the writer's, even: the other thread's */
static int other_good = 1;

/* A thread that waits for a CPU is switched to, which is a context synchronisation event, too. */
static void stay_on(int number)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(number, &cpus);
    sched_setaffinity(0, sizeof cpus, &cpus);
}

static void *other_thread(void *unused)
{
    stay_on(1);
    for (int i = 0; i < TURNS; i++) {
        while (turn != 2 * i + 2) {
        }
        other_good &= check(shared, i);
        turn = 2 * i + 3;
    }
    return unused;
}

static int threads(void)
{
    pthread_t other;
    stay_on(0);
    shared = anonymous(PROT_READ | PROT_WRITE | PROT_EXEC);
    turn = 1;
    syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
    pthread_create(&other, NULL, other_thread, NULL);
    for (int i = 0; i < TURNS; i++) {
        while (turn != 2 * i + 1) {
        }
        generate(shared, (unsigned)i);
        if (barrier) {
            syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
        }
        turn = 2 * i + 2;
    }
    pthread_join(other, NULL);
    return other_good;
}

static const struct { const char *name; int (*run)(void); } ways[] = {
    {"one-mapping", one_mapping}, {"two-mappings", two_mappings}, {"mprotect", protected},
    {"fork", forked}, {"threads", threads},
};

int main(int argc, char **argv)
{
    int good = 1;
    for (int i = 1; i < argc; i++) {
        flush &= strcmp(argv[i], "no-flush") != 0;
        isb &= strcmp(argv[i], "no-isb") != 0;
        barrier &= strcmp(argv[i], "no-barrier") != 0;
        for (unsigned way = 0; way < sizeof ways / sizeof *ways; way++) {
            if (!strcmp(argv[i], ways[way].name)) {
                good &= ways[way].run();
            }
        }
    }
    puts(good ? "right" : "wrong");
    return !good;
}
