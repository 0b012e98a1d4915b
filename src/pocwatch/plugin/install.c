/* The plugin's life: its arguments, the vCPUs, the end of the machine. */
#include "observe.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dma.h"
#include "events.h"
#include "profile.h"
#include "recorder.h"
#include "registers.h"
#include "stacks.h"
#include "stream.h"

PW_API int qemu_plugin_version = PW_QEMU_API_VERSION;

struct vcpu vcpus[PW_MAX_PES];
_Thread_local struct vcpu *self;
bool debug;

static const char *stream_path; /* where the access stream goes, if anywhere */
static const char *events_path; /* and the event recording */
static const char *profile_path;
static const char *trace_path;  /* and the raw trace: then nothing is judged */
static const char *filter_path; /* what the trace leaves out */
static const char *dma_path;    /* the table of buses */
static uint64_t stack_depth;    /* frames of the call stacks that are taken */

static void fatal(const char *message)
{
    struct pw_runheader *h = pw_run_header();
    if (h) {
        snprintf(h->error, sizeof h->error, "%s", message);
    }
    fprintf(stderr, "pocwatch: %s\n", message);
    exit(1);
}

static void on_vcpu_init(qemu_plugin_id_t id, unsigned index)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    (void)id;
    if (index >= PW_MAX_PES) {
        fatal("more vCPUs than pocwatch watches (64)");
    }
    pthread_mutex_lock(&lock);
    struct vcpu *v = &vcpus[index];
    struct pw_runheader *h = pw_run_header();
    if (self && self != v) {
        fatal("several vCPUs on one thread: start QEMU with -accel tcg,thread=multi");
    }
    if (!has_register(REG_CPSR)) {
        find_registers();
        h->ctr = read_register(REG_CTR);
        h->clidr = read_register(REG_CLIDR);
        set_midr(read_register(REG_MIDR));
        if (has_register(REG_DCZID)) {
            set_dczid(read_register(REG_DCZID));
        }
        if (pw_tracing) {
            pw_trace_start();
        }
        if (pw_recording) {
            pw_events_start(h->n_pes, h->ctr, h->clidr);
        }
    }
    if (!v->present) {
        pw_vcpu_init(v, index);
    }
    self = v;
    v->regs.has_el2 = has_sysreg(PW_HCR_EL2);
    v->regs.has_el3 = has_sysreg(PW_SCR_EL3);
    v->regs.id_aa64mmfr0 = read_register(REG_MMFR0);
    v->regs.id_aa64mmfr1 = read_register(REG_MMFR1);
    v->regs.id_aa64mmfr2 = read_register(REG_MMFR2);
    pw_vcpu_attend(v, ATTENTION_RESET);
    pw_vcpu_sync(v, read_register(REG_CPSR) >> 2 & 3);
    h->started = 1;
    pthread_mutex_unlock(&lock);
}

static void on_vcpu_idle(qemu_plugin_id_t id, unsigned index)
{
    (void)id;
    if (index < PW_MAX_PES) {
        pw_stream_flush(index);
    }
}

/* A halted vCPU may have been reset (PSCI CPU_ON, system reset): no MSR tells. */
static void on_vcpu_resume(qemu_plugin_id_t id, unsigned index)
{
    (void)id;
    if (index < PW_MAX_PES && vcpus[index].present) {
        pw_vcpu_attend(&vcpus[index], ATTENTION_RESET);
    }
}

static void print_counters(const struct vcpu *v)
{
    fprintf(stderr,
            "pocwatch: PE%u: %" PRIu64 " instructions, %" PRIu64 " accesses, %"
            PRIu64 " fetches, %" PRIu64 " walks, %" PRIu64 " misses, %" PRIu64 " faults, %" PRIu64
            " mismatches, %" PRIu64 " flushes, %" PRIu64 " selections, %" PRIu64 " register reads\n",
            v->cpu.pe, v->instructions, v->accesses, v->fetches, v->walks, v->misses,
            v->faults, v->mismatches, v->flushes, v->selections, v->register_reads);
}

static void on_exit_cb(qemu_plugin_id_t id, void *userdata)
{
    (void)id;
    (void)userdata;
    bool print = debug || getenv("POCWATCH_COUNTERS");
    if (print) {
        fprintf(stderr, "pocwatch: DC ZVA block %u bytes\n", dc_zva_block);
    }
    for (unsigned i = 0; i < PW_MAX_PES; i++) {
        if (vcpus[i].present) {
            drain(&vcpus[i]);
            if (print) {
                print_counters(&vcpus[i]);
            }
        }
    }
    pw_stream_close();
    pw_events_close(&vcpus[0]);
    pw_trace_close();
    struct pw_runheader *h = pw_run_header();
    if (!pw_profile_close() && h) {
        snprintf(h->error, sizeof h->error, "profile: %s", strerror(errno));
    }
    if (h) {
        h->finished = 1;
    }
    pw_judge_close();
}

static bool parse_switch(const char *value, bool *out)
{
    *out = !strcmp(value, "on");
    return *out || !strcmp(value, "off");
}

static bool parse_number(const char *value, uint64_t *out)
{
    char *end;
    *out = strtoull(value, &end, 0);
    return *value && !*end;
}

/* One `name=value`; false if the name is unknown or the value is not of its form. */
static bool parse_argument(const char *argument, struct pw_config *config)
{
    const char *equals = strchr(argument, '=');
    if (!equals) {
        return false;
    }
    size_t length = (size_t)(equals - argument);
    const char *value = equals + 1;
#define IS(name) (length == sizeof(name) - 1 && !strncmp(argument, name, length))
    if (IS("run")) {
        config->run_path = value;
    } else if (IS("ram")) {
        config->ram_path = value;
    } else if (IS("table")) {
        config->table_path = value;
    } else if (IS("rules")) {
        config->rules_path = value;
    } else if (IS("rambase")) {
        return parse_number(value, &config->ram_base);
    } else if (IS("ramsize")) {
        return parse_number(value, &config->ram_size);
    } else if (IS("stream")) {
        stream_path = value;
    } else if (IS("events")) {
        events_path = value;
    } else if (IS("dma")) {
        dma_path = value;
    } else if (IS("profile")) {
        profile_path = value;
    } else if (IS("stacks")) {
        return parse_number(value, &stack_depth) && stack_depth <= PW_MAX_STACK;
    } else if (IS("trace")) {
        trace_path = value;
    } else if (IS("filter")) {
        filter_path = value;
    } else if (IS("unsynced")) {
        return parse_switch(value, &config->report_unsynced);
    } else if (IS("redundant")) {
        return parse_switch(value, &config->track_redundant);
    } else if (IS("debug")) {
        return parse_switch(value, &debug);
    } else {
        return false;
    }
#undef IS
    return true;
}

PW_API int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    struct pw_config config = {0};
    char error[256] = "";
    if (!info->system_emulation || strcmp(info->target_name, "aarch64")) {
        fprintf(stderr, "pocwatch: this is QEMU for %s%s: needs qemu-system-aarch64\n",
                info->target_name, info->system_emulation ? "" : " (user mode)");
        return 1;
    }
    if (info->version.cur < PW_QEMU_API_VERSION || info->version.cur >= PW_QEMU_API_TOO_NEW) {
        fprintf(stderr, "pocwatch: this QEMU has plugin API version %d: accepted are %d to %d\n",
                info->version.cur, PW_QEMU_API_VERSION, PW_QEMU_API_TOO_NEW - 1);
        return 1;
    }
    if (info->system.smp_vcpus > PW_MAX_PES) {
        fprintf(stderr, "pocwatch: %d vCPUs: at most %d are watched\n", info->system.smp_vcpus,
                PW_MAX_PES);
        return 1;
    }
    for (int i = 0; i < argc; i++) {
        if (!parse_argument(argv[i], &config)) {
            fprintf(stderr, "pocwatch: plugin was given '%s' but takes run=, ram=, rambase=, "
                            "ramsize=, table=, rules=, unsynced=on|off, redundant=on|off, "
                            "stream=, events=, profile=, dma=, trace=, filter=, stacks=0..%d, "
                            "debug=on|off\n", argv[i],
                    PW_MAX_STACK);
            return 1;
        }
    }
    if (!config.run_path || !config.ram_path || !config.table_path || !config.ram_size) {
        fprintf(stderr, "pocwatch: plugin needs run=, ram=, rambase=, ramsize= and table=\n");
        return 1;
    }
    pw_stacks_open(profile_path && !stack_depth ? 1 : (unsigned)stack_depth);
    if (profile_path) {
        pw_profile_open(profile_path);
    }
    if (!pw_judge_open(&config, error, sizeof error)) {
        fprintf(stderr, "pocwatch: %s\n", error);
        return 1;
    }
    pw_sees_every_fetch();
    pw_run_header()->n_pes = (uint32_t)info->system.smp_vcpus;
    pw_run_header()->ram_base = config.ram_base;
    pw_run_header()->ram_size = config.ram_size;
    if (dma_path && !qemu_plugin_mem_get_value) {
        fprintf(stderr, "pocwatch: this QEMU has plugin API version %d, which tells no values: DMA is not "
                        "watched (4 or later, QEMU 9.2)\n", info->version.cur);
    } else if (dma_path && !pw_dma_open(dma_path, error, sizeof error)) {
        fprintf(stderr, "pocwatch: %s\n", error);
        return 1;
    }
    if (stream_path) {
        if (!pw_stream_open(stream_path, (unsigned)info->system.smp_vcpus, error, sizeof error)) {
            fprintf(stderr, "pocwatch: %s\n", error);
            return 1;
        }
        qemu_plugin_register_vcpu_idle_cb(id, on_vcpu_idle);
    }
    if (trace_path) {
        if (!filter_path || events_path || stream_path || profile_path || config.rules_path ||
            config.report_unsynced || config.track_redundant) {
            fprintf(stderr, "pocwatch: trace= needs filter=, and does not go with events=, stream=, "
                            "profile=, rules=, unsynced=on and redundant=on\n");
            return 1;
        }
        if (!pw_trace_open(trace_path, filter_path, instructions_now, error, sizeof error)) {
            fprintf(stderr, "pocwatch: %s\n", error);
            return 1;
        }
    }
    if (events_path &&
        !pw_events_open(events_path, config.ram_base, config.ram_size, error, sizeof error)) {
        fprintf(stderr, "pocwatch: %s\n", error);
        return 1;
    }
    qemu_plugin_register_vcpu_init_cb(id, on_vcpu_init);
    qemu_plugin_register_vcpu_resume_cb(id, on_vcpu_resume);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    qemu_plugin_register_atexit_cb(id, on_exit_cb, NULL);
    return 0;
}
