/*
 * A small virtual machine monitor: boots a Linux kernel as a KVM guest on Arm64.
 *
 *     vmm [-c VCPUS] MEMORY_MIB IMAGE DTB INITRD
 *
 * It is the user space of the demonstration: like every VMM it fills guest RAM by ordinary,
 * cacheable stores through its own mapping (read(2) into an mmap; boot.S and its parameters by
 * itself) and does no cache maintenance; a guest that starts with its MMU off reads the same bytes
 * past the caches, and it is the host kernel's part to make that work.
 *
 * The guest has RAM, a GICv3 and the architected timer (both in the kernel), PSCI 0.2 (ditto) and
 * a PL011 console that only writes. Left out: disks, networks, input, migration.
 *
 * Ends with status 0 when the guest powers off, 2 when it asks for a reset, 3 when it reports a
 * crash, and 1, after one line on standard error, for everything that goes wrong here.
 */
#define _GNU_SOURCE /* MAP_ANONYMOUS, MAP_NORESERVE */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "layout.h"
#include "uart.h"

enum status { GUEST_OFF, VMM_FAILED, GUEST_RESET, GUEST_CRASHED };

struct vm {
    int kvm, fd, gic;
    unsigned vcpu_count;
    unsigned char *ram;
    uint64_t ram_bytes;
    uint64_t entry_ipa;
    struct uart uart;
    bool uart_line;
    pthread_mutex_t devices; /* guards uart and uart_line */
};

struct vcpu {
    struct vm *vm;
    unsigned index;
    int fd;
    struct kvm_run *run;
};

/* The header of arch/arm64/boot/Image; Linux Documentation/arch/arm64/booting.rst. */
struct image_header {
    uint32_t code[2];
    uint64_t text_offset;
    uint64_t image_size; /* with .bss, which the file does not hold */
    uint64_t flags;
    uint64_t reserved[3];
    uint32_t magic;
    uint32_t pe_offset;
};
#define IMAGE_MAGIC 0x644d5241 /* "ARM\x64" */
_Static_assert(sizeof(struct image_header) == 64, "the kernel's header is 64 bytes");

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
    va_list arguments;

    fputs("vmm: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(VMM_FAILED);
}

static int must(int result, const char *what)
{
    if (result < 0)
        fail("%s: %s", what, strerror(errno));
    return result;
}

/* The guest's own terminal driver ends lines with CR LF; ours must not add to that. */
static struct termios terminal_before;

static void restore_terminal(void)
{
    tcsetattr(STDOUT_FILENO, TCSADRAIN, &terminal_before);
}

static void pass_output_through(void)
{
    struct termios raw;

    if (tcgetattr(STDOUT_FILENO, &terminal_before) < 0)
        return; /* not a terminal */
    raw = terminal_before;
    raw.c_oflag &= ~(tcflag_t)OPOST;
    tcsetattr(STDOUT_FILENO, TCSADRAIN, &raw);
    atexit(restore_terminal);
}

/* Memory */

static void add_ram(struct vm *vm)
{
    struct kvm_userspace_memory_region slot = {
        .slot = 0,
        .guest_phys_addr = RAM_BASE,
        .memory_size = vm->ram_bytes,
    };

    vm->ram = mmap(NULL, vm->ram_bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (vm->ram == MAP_FAILED)
        fail("%llu bytes of guest RAM: %s", (unsigned long long)vm->ram_bytes, strerror(errno));
    slot.userspace_addr = (uint64_t)vm->ram;
    must(ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot), "KVM_SET_USER_MEMORY_REGION");
}

/* Reads a file into guest RAM at an offset; what comes next must lie at or beyond `limit`. */
static uint64_t load(struct vm *vm, const char *path, uint64_t offset, uint64_t limit)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    uint64_t done = 0;

    if (file < 0 || fstat(file, &status) < 0)
        fail("%s: %s", path, strerror(errno));
    if (limit > vm->ram_bytes)
        limit = vm->ram_bytes;
    if (offset > limit || (uint64_t)status.st_size > limit - offset)
        fail("%s: its %lld bytes do not fit between offsets 0x%llx and 0x%llx of guest RAM", path,
             (long long)status.st_size, (unsigned long long)offset, (unsigned long long)limit);
    while (done < (uint64_t)status.st_size) {
        ssize_t part = read(file, vm->ram + offset + done, (size_t)status.st_size - done);

        if (part < 0 && errno == EINTR)
            continue;
        if (part <= 0)
            fail("%s: %s", path, part ? strerror(errno) : "shorter than its size");
        done += (uint64_t)part;
    }
    close(file);
    return done;
}

static void load_kernel(struct vm *vm, const char *path)
{
    struct image_header header;
    uint64_t text_offset, image_size;
    FILE *file = fopen(path, "rb");

    if (!file)
        fail("%s: %s", path, strerror(errno));
    if (fread(&header, sizeof(header), 1, file) != 1 || le32toh(header.magic) != IMAGE_MAGIC)
        fail("%s: not an uncompressed arm64 kernel Image", path);
    fclose(file);
    text_offset = le64toh(header.text_offset);
    image_size = le64toh(header.image_size);
    if (text_offset > BOOT_OFFSET || image_size > BOOT_OFFSET - text_offset)
        fail("%s: with .bss it needs 0x%llx bytes from offset 0x%llx; there is room up to 0x%x",
             path, (unsigned long long)image_size, (unsigned long long)text_offset, BOOT_OFFSET);
    load(vm, path, text_offset, BOOT_OFFSET);
    vm->entry_ipa = RAM_BASE + text_offset;
}

/* boot.S */
extern const unsigned char boot_stub[], boot_stub_end[];

/* Writes the guest's first instructions and what they load. A function of its own in reports. */
__attribute__((noipa)) static void write_boot_stub(struct vm *vm)
{
    unsigned char *stub = vm->ram + BOOT_OFFSET;
    uint64_t *parameters = (uint64_t *)(stub + BOOT_PARAMETERS);

    memcpy(stub, boot_stub, (size_t)(boot_stub_end - boot_stub));
    parameters[0] = RAM_BASE + DTB_OFFSET;
    parameters[1] = vm->entry_ipa;
}

/* Interrupt controller */

static void gic_set(const struct vm *vm, uint32_t group, uint64_t attribute, const void *value)
{
    struct kvm_device_attr attr = {
        .group = group,
        .attr = attribute,
        .addr = (uint64_t)value,
    };

    must(ioctl(vm->gic, KVM_SET_DEVICE_ATTR, &attr), "KVM_SET_DEVICE_ATTR of the vGICv3");
}

/* Creates the GIC; all vCPUs must exist, for each has a redistributor. */
static void add_gic(struct vm *vm)
{
    struct kvm_create_device device = {.type = KVM_DEV_TYPE_ARM_VGIC_V3};
    uint64_t distributor = GICD_BASE, redistributors = GICR_BASE;
    uint32_t interrupts = 64;

    must(ioctl(vm->fd, KVM_CREATE_DEVICE, &device), "KVM_CREATE_DEVICE of a vGICv3");
    vm->gic = (int)device.fd;
    gic_set(vm, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, &distributor);
    gic_set(vm, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST, &redistributors);
    gic_set(vm, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &interrupts);
    gic_set(vm, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
}

static void set_spi(const struct vm *vm, unsigned spi, bool level)
{
    struct kvm_irq_level line = {
        .irq = (KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT) | (spi + 32),
        .level = level,
    };

    must(ioctl(vm->fd, KVM_IRQ_LINE, &line), "KVM_IRQ_LINE");
}

/* vCPUs */

static void add_vcpu(struct vm *vm, struct vcpu *vcpu, unsigned index)
{
    struct kvm_vcpu_init init;
    int run_bytes;

    vcpu->vm = vm;
    vcpu->index = index;
    vcpu->fd = must(ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)index), "KVM_CREATE_VCPU");
    must(ioctl(vm->fd, KVM_ARM_PREFERRED_TARGET, &init), "KVM_ARM_PREFERRED_TARGET");
    init.features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;
    if (index) /* the guest starts the others with PSCI CPU_ON */
        init.features[0] |= 1u << KVM_ARM_VCPU_POWER_OFF;
    must(ioctl(vcpu->fd, KVM_ARM_VCPU_INIT, &init), "KVM_ARM_VCPU_INIT");
    run_bytes = must(ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
    vcpu->run = mmap(NULL, (size_t)run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
    if (vcpu->run == MAP_FAILED)
        fail("mmap of vCPU %u: %s", index, strerror(errno));
}

static void set_core_register(const struct vcpu *vcpu, size_t offset, uint64_t value)
{
    struct kvm_one_reg reg = {
        .id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | (offset / sizeof(uint32_t)),
        .addr = (uint64_t)&value,
    };

    must(ioctl(vcpu->fd, KVM_SET_ONE_REG, &reg), "KVM_SET_ONE_REG");
}

/* PC at the stub, all else as after reset: MMU off. */
static void set_boot_registers(const struct vcpu *vcpu)
{
    set_core_register(vcpu, offsetof(struct kvm_regs, regs.pc), RAM_BASE + BOOT_OFFSET);
}

static void access_uart(struct vm *vm, struct kvm_run *run, uint64_t offset)
{
    uint32_t value = 0;
    size_t bytes = run->mmio.len < sizeof(value) ? run->mmio.len : sizeof(value);
    bool line;

    pthread_mutex_lock(&vm->devices);
    if (run->mmio.is_write) {
        memcpy(&value, run->mmio.data, bytes);
        uart_write(&vm->uart, offset, value);
    } else {
        value = uart_read(&vm->uart, offset);
        memset(run->mmio.data, 0, sizeof(run->mmio.data));
        memcpy(run->mmio.data, &value, bytes);
    }
    line = uart_interrupt(&vm->uart);
    if (line != vm->uart_line)
        set_spi(vm, UART_SPI, line);
    vm->uart_line = line;
    pthread_mutex_unlock(&vm->devices);
}

static void access_device(const struct vcpu *vcpu)
{
    uint64_t ipa = vcpu->run->mmio.phys_addr;

    if (ipa < UART_BASE || ipa - UART_BASE >= UART_SIZE)
        fail("vCPU %u %s IPA 0x%llx, where there is neither RAM nor a device", vcpu->index,
             vcpu->run->mmio.is_write ? "writes" : "reads", (unsigned long long)ipa);
    access_uart(vcpu->vm, vcpu->run, ipa - UART_BASE);
}

static enum status system_event(const struct vcpu *vcpu)
{
    switch (vcpu->run->system_event.type) {
    case KVM_SYSTEM_EVENT_SHUTDOWN:
        return GUEST_OFF;
    case KVM_SYSTEM_EVENT_RESET:
        return GUEST_RESET;
    case KVM_SYSTEM_EVENT_CRASH:
        return GUEST_CRASHED;
    default:
        fail("system event %u is unknown", vcpu->run->system_event.type);
    }
}

/* Runs a vCPU until the guest ends, and the process with it. */
static void *run_vcpu(void *argument)
{
    const struct vcpu *vcpu = argument;

    for (;;) {
        if (ioctl(vcpu->fd, KVM_RUN, 0) < 0) {
            if (errno == EINTR || errno == EAGAIN)
                continue;
            fail("KVM_RUN of vCPU %u: %s", vcpu->index, strerror(errno));
        }
        switch (vcpu->run->exit_reason) {
        case KVM_EXIT_MMIO:
            access_device(vcpu);
            break;
        case KVM_EXIT_SYSTEM_EVENT:
            exit(system_event(vcpu));
        case KVM_EXIT_INTERNAL_ERROR:
            fail("vCPU %u: internal error %u of KVM", vcpu->index, vcpu->run->internal.suberror);
        default:
            fail("vCPU %u: exit reason %u is unknown", vcpu->index, vcpu->run->exit_reason);
        }
    }
}

static unsigned long number(const char *text, unsigned long low, unsigned long high,
                            const char *what)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*end || end == text || value < low || value > high)
        fail("%s is '%s', but must be a number from %lu to %lu", what, text, low, high);
    return value;
}

int main(int argc, char **argv)
{
    static struct vcpu vcpus[VCPUS_MAX];
    static struct vm vm = {.vcpu_count = 1, .devices = PTHREAD_MUTEX_INITIALIZER};
    int option;

    while ((option = getopt(argc, argv, "c:")) != -1) {
        if (option != 'c')
            exit(VMM_FAILED);
        vm.vcpu_count = (unsigned)number(optarg, 1, VCPUS_MAX, "the number of vCPUs");
    }
    if (argc - optind != 4)
        fail("usage: vmm [-c VCPUS] MEMORY_MIB IMAGE DTB INITRD");
    vm.ram_bytes = (uint64_t)number(argv[optind], 80, 65536, "the guest's memory in MiB") << 20;

    vm.kvm = must(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
    if (ioctl(vm.kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
        fail("/dev/kvm does not speak KVM API version %d", KVM_API_VERSION);
    vm.fd = must(ioctl(vm.kvm, KVM_CREATE_VM, 0UL), "KVM_CREATE_VM");
    add_ram(&vm);
    load_kernel(&vm, argv[optind + 1]);
    load(&vm, argv[optind + 2], DTB_OFFSET, INITRD_OFFSET);
    load(&vm, argv[optind + 3], INITRD_OFFSET, UINT64_MAX);
    write_boot_stub(&vm);

    for (unsigned i = 0; i < vm.vcpu_count; i++)
        add_vcpu(&vm, &vcpus[i], i);
    add_gic(&vm);
    set_boot_registers(&vcpus[0]);
    pass_output_through();
    for (unsigned i = 1; i < vm.vcpu_count; i++) {
        pthread_t thread;
        int error = pthread_create(&thread, NULL, run_vcpu, &vcpus[i]);

        if (error)
            fail("a thread for vCPU %u: %s", i, strerror(error));
    }
    run_vcpu(&vcpus[0]);
}
