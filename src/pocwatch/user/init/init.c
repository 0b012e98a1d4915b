/*
 * The first process of the machine for user programs: gets the program from the host, runs it, and
 * gives back its output, its status, and what its addresses mean.
 *
 * The machine is saved while init waits for `go` in the run's folder, and every run starts there. The
 * program is traced (ptrace) for one thing only: a process's maps must be read while it still has them.
 * Left out: a terminal (streams are pipes), a network but for loopback, several programs at once.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "files.h"
#include "semihost.h"
#include "streams.h"

static void end(const char *name, const char *text)
{
    long handle = open_named(name, HOST_WRITE);
    if (handle >= 0) {
        host_write(handle, text, strlen(text));
        host_close(handle);
    }
    host_exit();
}

static void fail(const char *what, const char *detail)
{
    char text[4500];
    snprintf(text, sizeof text, "%s%s%s", what, *detail ? ": " : "", detail);
    end("failure", text);
}

static void set_up(void)
{
    const char *folders[] = {"/dev", "/proc", "/sys", "/tmp", "/run", "/dev/pts", "/dev/shm"};
    const char *kinds[] = {"devtmpfs", "proc", "sysfs", NULL, NULL, "devpts", "tmpfs"};
    for (unsigned i = 0; i < sizeof folders / sizeof *folders; i++) {
        mkdir(folders[i], 0755);
        if (kinds[i]) {
            mount(kinds[i], folders[i], kinds[i], 0, NULL);
        }
    }
    chmod("/tmp", 01777);
    chmod("/dev/shm", 01777);
    symlink("/proc/self/fd", "/dev/fd");
    symlink("/proc/self/fd/0", "/dev/stdin");
    symlink("/proc/self/fd/1", "/dev/stdout");
    symlink("/proc/self/fd/2", "/dev/stderr");
    sethostname("pocwatch", 8);
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int any = socket(AF_INET, SOCK_DGRAM, 0);
    ioctl(any, SIOCSIFFLAGS, &loopback);
    close(any);
    signal(SIGPIPE, SIG_IGN);
    mlockall(MCL_CURRENT | MCL_FUTURE);
}

/* Say that the machine may be saved, and wait until a run starts. QEMU's argument names the run's
 * folder, and is another one after the machine was saved. */
static void wait_for_run(void)
{
    int told = 0;
    for (;;) {
        host_argument(host_folder, sizeof host_folder);
        long go = open_named("go", HOST_READ);
        if (go >= 0) {
            host_close(go);
            return;
        }
        if (!told) {
            host_close(open_named("ready", HOST_WRITE));
            told = 1;
        }
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    }
}

/* Strings one after the other: their number, then each. */
static char **strings(char **at)
{
    long n = strtol(*at, NULL, 10);
    char **result = calloc((size_t)n + 1, sizeof *result);
    *at += strlen(*at) + 1;
    for (long i = 0; i < n; i++) {
        result[i] = *at;
        *at += strlen(*at) + 1;
    }
    return result;
}

static pid_t start(char **arguments, char **environment, const char *folder)
{
    int held[2];
    char byte;
    if (pipe2(held, O_CLOEXEC)) {
        fail("pipe", strerror(errno));
    }
    pid_t child = fork();
    if (child == 0) {
        close(held[1]);
        read(held[0], &byte, 1); /* until it is traced */
        streams_take();
        setsid();
        signal(SIGPIPE, SIG_DFL);
        munlockall();
        if (chdir(folder)) {
            dprintf(2, "pocwatch: %s: %s\n", folder, strerror(errno));
            _exit(127);
        }
        environ = environment;
        execvp(arguments[0], arguments);
        dprintf(2, "pocwatch: %s: %s\n", arguments[0], strerror(errno));
        _exit(errno == ENOENT ? 127 : 126);
    }
    long options = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
                   PTRACE_O_TRACEEXIT;
    if (child < 0 || ptrace(PTRACE_SEIZE, child, NULL, options)) {
        fail("the program cannot be started", strerror(errno));
    }
    close(held[0]);
    close(held[1]);
    return child;
}

/* A process is about to give up its memory: tell the host what was where. */
static void tell_maps(pid_t thread, long maps)
{
    char path[64], line[64];
    snprintf(path, sizeof path, "/proc/%d/status", thread);
    FILE *status = fopen(path, "r");
    int leader = 0, group;
    while (status && fgets(line, sizeof line, status)) {
        if (sscanf(line, "Tgid: %d", &group) == 1) {
            leader = group == thread;
            break;
        }
    }
    if (status) {
        fclose(status);
    }
    if (leader) {
        snprintf(line, sizeof line, "process %d\n", thread);
        host_write(maps, line, strlen(line));
        snprintf(path, sizeof path, "/proc/%d/maps", thread);
        send_file(path, maps);
    }
}

/* Let the program and its children run until it ends. Returns its wait status. */
static int follow(pid_t program, long maps)
{
    int status;
    for (;;) {
        pid_t child = waitpid(-1, &status, __WALL);
        if (child < 0 && errno != EINTR) {
            fail("the program was lost", strerror(errno));
        }
        if (child < 0) {
            continue;
        }
        if (!WIFSTOPPED(status)) {
            if (child == program) {
                return status;
            }
            continue;
        }
        int event = status >> 16, number = WSTOPSIG(status);
        if (event == PTRACE_EVENT_EXIT) {
            tell_maps(child, maps);
        }
        int stopped = number == SIGSTOP || number == SIGTSTP || number == SIGTTIN ||
                      number == SIGTTOU;
        if (event == PTRACE_EVENT_STOP && stopped) {
            ptrace(PTRACE_LISTEN, child, NULL, NULL);
        } else {
            ptrace(PTRACE_CONT, child, NULL, (long)(event ? 0 : number));
        }
    }
}

static void send_perf_maps(void)
{
    glob_t found;
    if (glob("/tmp/perf-*.map", 0, NULL, &found)) {
        return;
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        long handle = open_named(strrchr(found.gl_pathv[i], '/') + 1, HOST_WRITE);
        send_file(found.gl_pathv[i], handle);
        host_close(handle);
    }
}

int main(void)
{
    set_up();
    wait_for_run();
    size_t size;
    char *files = fetch("files", &size);
    const char *refused = files ? unpack(files, size) : NULL;
    if (refused) {
        fail("a file cannot be made in the machine (is its memory full?)", refused);
    }
    free(files);
    char *job = fetch("job", &size);
    if (!job || !size) {
        fail("no job", "");
    }
    char *folder = job, *at = job + strlen(job) + 1;
    char **arguments = strings(&at), **environment = strings(&at);
    long maps = open_named("maps", HOST_WRITE);
    streams_open();
    pid_t program = start(arguments, environment, folder);
    streams_start();
    int status = follow(program, maps);
    streams_finish();
    host_close(maps);
    send_perf_maps();
    char text[16];
    int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    snprintf(text, sizeof text, "%d", code);
    end("status", text);
}
