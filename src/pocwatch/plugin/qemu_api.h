/*
 * What we use of QEMU's plugin API, declared by us: QEMU's header is not packaged everywhere, and its
 * GLib is only needed for two array types. Everything is weak, so that the shared object also loads
 * outside QEMU (unit tests) and a missing newer function is a null pointer.
 *
 * Version 3 of the API is QEMU 9.1; the loader accepts it as long as it is not below its minimum.
 * Versions 4 to 6 added functions; version 7 changes callback signatures and is refused at install.
 */
#ifndef POCWATCH_QEMU_API_H
#define POCWATCH_QEMU_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PW_QEMU_API_VERSION 3
#define PW_QEMU_API_TOO_NEW 7
#define WEAK __attribute__((weak))

typedef struct { char *data; unsigned len; } GArray;
typedef struct { uint8_t *data; unsigned len; } GByteArray;
GByteArray *g_byte_array_new(void) WEAK;
GByteArray *g_byte_array_set_size(GByteArray *array, unsigned length) WEAK;
char *g_array_free(GArray *array, int free_segment) WEAK;

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_register;
struct qemu_plugin_hwaddr;

typedef struct {
    const char *target_name;
    struct { int min, cur; } version;
    bool system_emulation;
    struct { int smp_vcpus, max_vcpus; } system;
} qemu_info_t;

typedef struct {
    struct qemu_plugin_register *handle;
    const char *name;
    const char *feature;
} qemu_plugin_reg_descriptor;

enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_CB_R_REGS };
enum qemu_plugin_mem_rw { QEMU_PLUGIN_MEM_R = 1, QEMU_PLUGIN_MEM_W = 2 };

typedef void (*qemu_plugin_exit_cb)(qemu_plugin_id_t id, void *userdata);
typedef void (*qemu_plugin_vcpu_cb)(qemu_plugin_id_t id, unsigned vcpu_index);
typedef void (*qemu_plugin_tb_trans_cb)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*qemu_plugin_exec_cb)(unsigned vcpu_index, void *userdata);
typedef void (*qemu_plugin_mem_cb)(unsigned vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr,
                                   void *userdata);

void qemu_plugin_register_vcpu_init_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_cb cb) WEAK;
void qemu_plugin_register_vcpu_idle_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_cb cb) WEAK;
void qemu_plugin_register_vcpu_resume_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_cb cb) WEAK;
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, qemu_plugin_tb_trans_cb cb) WEAK;
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, qemu_plugin_exit_cb cb, void *userdata) WEAK;
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, qemu_plugin_exec_cb cb,
                                          enum qemu_plugin_cb_flags flags, void *userdata) WEAK;
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, qemu_plugin_exec_cb cb,
                                            enum qemu_plugin_cb_flags flags, void *userdata) WEAK;
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, qemu_plugin_mem_cb cb,
                                      enum qemu_plugin_cb_flags flags, enum qemu_plugin_mem_rw rw,
                                      void *userdata) WEAK;

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb) WEAK;
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index) WEAK;
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *dest, size_t size) WEAK;
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn) WEAK;
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn) WEAK;

unsigned qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t info) WEAK;
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t info, uint64_t vaddr) WEAK;
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *hwaddr) WEAK;
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *hwaddr) WEAK;

/* Version 4 (QEMU 9.2): what was loaded or stored. Of the union only what fits into 8 bytes is used. */
typedef struct {
    int type; /* log2 of the bytes */
    union { uint8_t u8; uint16_t u16; uint32_t u32; uint64_t u64; struct { uint64_t low, high; } u128; } data;
} qemu_plugin_mem_value;
qemu_plugin_mem_value qemu_plugin_mem_get_value(qemu_plugin_meminfo_t info) WEAK;

GArray *qemu_plugin_get_registers(void) WEAK; /* of qemu_plugin_reg_descriptor */
/* Appends to `buffer`. Returned a count, and from version 6 on a bool: look at the buffer instead. */
int qemu_plugin_read_register(struct qemu_plugin_register *handle, GByteArray *buffer) WEAK;

/* Version 5 (QEMU 10.1): tables outside the watched RAM can be read too. 0 is success. */
int qemu_plugin_read_memory_hwaddr(uint64_t addr, GByteArray *data, size_t size) WEAK;

#endif
