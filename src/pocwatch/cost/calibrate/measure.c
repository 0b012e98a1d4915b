/*
 * Measures cache maintenance from EL0 on Arm64 Linux, for `pocwatch calibrate`.
 *
 *   measure MAX_KIB THREADS SAMPLE_MS
 *
 * prints JSON lines: one `machine`, one `sample` per operation, state, working set and number of
 * threads, one `end`; or one `error`. A sample's times are the 10th, 50th and 90th percentile over its
 * rounds, in ns per line (per operation for `dsb`), DSB included: a clean is not done before that.
 *
 * What EL0 can do is measured: DC CVAC, CIVAC and CVAU, IC IVAU, DSB. EL0 has no set/way operations,
 * no IC IALLU and no view of faults and traps.
 *
 * Lines are brought into the wanted state before each round:
 *   dirty   one store to each line. Of a working set larger than the caches, most lines have been
 *           evicted again: such a sample is a mix, and says what cleaning that much memory costs.
 *   clean   a store, DC CVAC, DSB, then a load: present, and nothing to write back.
 *   absent  DC CIVAC, DSB. A prefetcher may fetch some back; nothing reads the memory in between.
 *
 * `write_clean` is the memory bandwidth: stores and DC CVAC of the same line together are timed over
 * the whole working set, so that every line has to reach memory within the time.
 *
 * Ideas: lmbench's bw_mem (working sets that double) and calibrator tools that report percentiles.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#ifndef __aarch64__
#error "measure.c measures Arm64: compile it with an aarch64 compiler"
#endif

enum { MAX_ROUNDS = 2001, MIN_ROUNDS = 5, MAX_THREADS = 1024, FIRST_KIB = 16 };

static size_t line_bytes, iline_bytes;
static const char *volatile current = "mrs ctr_el0";

static void print_error(const char *what)
{
	char text[160];
	int size = snprintf(text, sizeof text, "{\"kind\": \"error\", \"what\": \"%s\", \"op\": \"%s\"}\n",
			    what, current);

	if (write(STDOUT_FILENO, text, (size_t)size) != size)
		_exit(4);
}

/* EL0 may not execute the operation: SCTLR_EL1.UCI or UCT is 0, and the kernel does not emulate it. */
static void on_sigill(int number)
{
	(void)number;
	print_error("sigill");
	_exit(3);
}

static void fail(const char *what)
{
	fflush(stdout);
	print_error(what);
	exit(3);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void dsb(void) { __asm__ volatile("dsb ish" ::: "memory"); }
static void dc_cvac(char *p) { __asm__ volatile("dc cvac, %0" ::"r"(p) : "memory"); }
static void dc_civac(char *p) { __asm__ volatile("dc civac, %0" ::"r"(p) : "memory"); }
static void dc_cvau(char *p) { __asm__ volatile("dc cvau, %0" ::"r"(p) : "memory"); }
static void ic_ivau(char *p) { __asm__ volatile("ic ivau, %0" ::"r"(p) : "memory"); }
static void store(char *p) { ++*(volatile uint64_t *)p; }
static void load(char *p) { (void)*(volatile uint64_t *)p; }
static void write_clean(char *p) { store(p); dc_cvac(p); }

/* Kept out of line once per operation, so that the loop holds the instruction and not a call. */
#define LOOP(name) \
	static __attribute__((noinline)) void all_##name(char *start, size_t size, size_t step) \
	{ \
		for (size_t at = 0; at < size; at += step) \
			name(start + at); \
		dsb(); \
	}
LOOP(dc_cvac) LOOP(dc_civac) LOOP(dc_cvau) LOOP(ic_ivau) LOOP(store) LOOP(load)
LOOP(write_clean)

typedef void loop_fn(char *start, size_t size, size_t step);

static void make_dirty(char *start, size_t size) { all_store(start, size, line_bytes); }

static void make_clean(char *start, size_t size)
{
	all_store(start, size, line_bytes);
	all_dc_cvac(start, size, line_bytes);
	all_load(start, size, line_bytes);
}

static void make_absent(char *start, size_t size) { all_dc_civac(start, size, line_bytes); }

typedef void prepare_fn(char *start, size_t size);

struct experiment {
	const char *op, *state;
	loop_fn *loop;
	prepare_fn *prepare;
	int all_threads;
};

static const struct experiment experiments[] = {
	{ "dc_cvac", "dirty", all_dc_cvac, make_dirty, 1 },
	{ "dc_cvac", "clean", all_dc_cvac, make_clean, 0 },
	{ "dc_cvac", "absent", all_dc_cvac, make_absent, 0 },
	{ "dc_civac", "dirty", all_dc_civac, make_dirty, 1 },
	{ "dc_civac", "clean", all_dc_civac, make_clean, 0 },
	{ "dc_civac", "absent", all_dc_civac, make_absent, 1 },
	{ "dc_cvau", "dirty", all_dc_cvau, make_dirty, 0 },
	{ "dc_cvau", "clean", all_dc_cvau, make_clean, 0 },
	{ "dc_cvau", "absent", all_dc_cvau, make_absent, 0 },
	{ "ic_ivau", "clean", all_ic_ivau, make_clean, 0 },
	{ "write_clean", "dirty", all_write_clean, make_dirty, 1 },
};

/* One round of several threads: all prepare, all start together, each says when it began and ended. */
struct crew {
	pthread_barrier_t barrier;
	const struct experiment *experiment;
	char *memory;
	size_t share; /* bytes of each thread */
	int threads, rounds;
	uint64_t began[MAX_THREADS], ended[MAX_THREADS];
	double *times; /* ns of each round, from the first beginning to the last end */
	uint64_t deadline;
	atomic_int arrived, done;
};

struct member {
	struct crew *crew;
	int index;
};

static cpu_set_t allowed;

static void pin(int index)
{
	cpu_set_t one;
	int wanted = index % CPU_COUNT(&allowed);

	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed) || wanted--)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof one, &one); /* a hint: without it the times are only wider */
		return;
	}
}

/*
 * The barrier lets threads go one by one as the kernel wakes them; spinning afterwards lets them begin
 * within the time of a cache miss. Yields, in case there are more threads than CPUs.
 */
static void start_together(struct crew *crew)
{
	pthread_barrier_wait(&crew->barrier);
	atomic_fetch_add(&crew->arrived, 1);
	for (int spins = 1; atomic_load(&crew->arrived) < crew->threads * (crew->rounds + 1); spins++)
		if (spins % 1000 == 0)
			sched_yield();
}

static void end_of_round(struct crew *crew)
{
	uint64_t first = crew->began[0], last = crew->ended[0];

	for (int i = 1; i < crew->threads; i++) {
		first = crew->began[i] < first ? crew->began[i] : first;
		last = crew->ended[i] > last ? crew->ended[i] : last;
	}
	crew->times[crew->rounds++] = (double)(last - first);
	atomic_store(&crew->done, crew->rounds == MAX_ROUNDS ||
			     (crew->rounds >= MIN_ROUNDS && now_ns() > crew->deadline));
}

static void *work(void *argument)
{
	struct member *me = argument;
	struct crew *crew = me->crew;
	char *mine = crew->memory + (size_t)me->index * crew->share;
	size_t step = crew->experiment->loop == all_ic_ivau ? iline_bytes : line_bytes;

	pin(me->index);
	while (!atomic_load(&crew->done)) {
		crew->experiment->prepare(mine, crew->share);
		start_together(crew);
		crew->began[me->index] = now_ns();
		crew->experiment->loop(mine, crew->share, step);
		crew->ended[me->index] = now_ns();
		pthread_barrier_wait(&crew->barrier);
		if (me->index == 0)
			end_of_round(crew);
		pthread_barrier_wait(&crew->barrier);
	}
	return NULL;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print_sample(const char *op, const char *state, size_t bytes, int threads, double *times,
			 int rounds, double per)
{
	qsort(times, (size_t)rounds, sizeof *times, ascending);
	printf("{\"kind\": \"sample\", \"op\": \"%s\", \"state\": \"%s\", \"bytes\": %zu, \"threads\": %d, "
	       "\"rounds\": %d, \"ns\": [%.4g, %.4g, %.4g]}\n",
	       op, state, bytes, threads, rounds, times[rounds / 10] / per, times[rounds / 2] / per,
	       times[rounds * 9 / 10] / per);
	fflush(stdout);
}

static double times[MAX_ROUNDS];

static void run(const struct experiment *experiment, char *memory, size_t bytes, int threads,
		uint64_t budget_ns)
{
	static struct crew crew;
	static struct member members[MAX_THREADS];
	pthread_t ids[MAX_THREADS];
	size_t lines;

	memset(&crew, 0, sizeof crew);
	crew.experiment = experiment;
	crew.memory = memory;
	crew.share = bytes / (size_t)threads / line_bytes * line_bytes;
	crew.threads = threads;
	crew.times = times;
	crew.deadline = now_ns() + budget_ns;
	if (crew.share == 0)
		return;
	current = experiment->op;
	pthread_barrier_init(&crew.barrier, NULL, (unsigned)threads);
	for (int i = 0; i < threads; i++) {
		members[i] = (struct member){ &crew, i };
		if (i && pthread_create(&ids[i], NULL, work, &members[i]))
			fail("cannot start a thread");
	}
	work(&members[0]);
	for (int i = 1; i < threads; i++)
		pthread_join(ids[i], NULL);
	pthread_barrier_destroy(&crew.barrier);
	lines = crew.share / (experiment->loop == all_ic_ivau ? iline_bytes : line_bytes);
	print_sample(experiment->op, experiment->state, crew.share * (size_t)threads, threads, times,
		     crew.rounds, (double)(lines * (size_t)threads));
}

/* `idle`: nothing to wait for. `after_dc`: one dirty line is on its way to memory. */
static void run_dsb(char *memory, uint64_t budget_ns)
{
	enum { IN_A_ROW = 100 };

	for (int after_dc = 0; after_dc < 2; after_dc++) {
		uint64_t deadline = now_ns() + budget_ns;
		int rounds = 0;

		current = "dsb";
		while (rounds < MAX_ROUNDS && (rounds < MIN_ROUNDS || now_ns() < deadline)) {
			uint64_t began = now_ns();

			for (int i = 0; i < IN_A_ROW; i++) {
				if (after_dc)
					write_clean(memory + (size_t)i * line_bytes);
				dsb();
			}
			times[rounds++] = (double)(now_ns() - began);
		}
		print_sample("dsb", after_dc ? "after_dc" : "idle", 0, 1, times, rounds, IN_A_ROW);
	}
}

static long number(const char *text, long least, long most, const char *what)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (*end || value < least || value > most)
		fail(what);
	return value;
}

int main(int argc, char **argv)
{
	struct sigaction on_ill = { .sa_handler = on_sigill };
	uint64_t ctr, budget_ns;
	size_t max_bytes;
	long threads;
	char *memory;

	if (argc != 4)
		fail("usage: measure MAX_KIB THREADS SAMPLE_MS");
	max_bytes = (size_t)number(argv[1], FIRST_KIB, 1L << 30, "MAX_KIB is out of range") << 10;
	threads = number(argv[2], 1, MAX_THREADS, "THREADS is out of range");
	budget_ns = (uint64_t)number(argv[3], 1, 60000, "SAMPLE_MS is out of range") * 1000000u;
	sigaction(SIGILL, &on_ill, NULL);
	sched_getaffinity(0, sizeof allowed, &allowed);
	__asm__("mrs %0, ctr_el0" : "=r"(ctr));
	line_bytes = (size_t)4 << (ctr >> 16 & 0xf);
	iline_bytes = (size_t)4 << (ctr & 0xf);
	memory = mmap(NULL, max_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		fail("not enough memory for the largest working set");
	madvise(memory, max_bytes, MADV_HUGEPAGE); /* kernels clean through block mappings: fewer TLB misses */
	memset(memory, 1, max_bytes); /* page faults happen here, not in a round */
	printf("{\"kind\": \"machine\", \"ctr\": \"0x%llx\", \"line_bytes\": %zu, \"iline_bytes\": %zu, "
	       "\"idc\": %d, \"dic\": %d}\n",
	       (unsigned long long)ctr, line_bytes, iline_bytes, (int)(ctr >> 28 & 1), (int)(ctr >> 29 & 1));
	fflush(stdout);
	run_dsb(memory, budget_ns);
	for (size_t bytes = FIRST_KIB << 10; bytes <= max_bytes; bytes *= 2)
		for (size_t i = 0; i < sizeof experiments / sizeof *experiments; i++)
			for (int n = 1; n <= threads; n = n < threads && n * 2 > threads ? (int)threads : n * 2) {
				if (n == 1 || experiments[i].all_threads)
					run(&experiments[i], memory, bytes, n, budget_ns);
			}
	puts("{\"kind\": \"end\"}");
	return 0;
}
