/* QEMU's register handles; see registers.h. */
#include "registers.h"

#include <stdio.h>
#include <string.h>

#include "qemu_api.h"
#include "regime.h"

struct handle {
    const char *name, *alias; /* QEMU names some EL1 registers as AArch32 does */
    struct qemu_plugin_register *handle;
};

static struct handle sysreg_handles[PW_N_SYSREGS] = {
    [PW_SCTLR_EL1] = {"SCTLR_EL1", "SCTLR", NULL},
    [PW_TCR_EL1] = {"TCR_EL1", NULL, NULL},
    [PW_TTBR0_EL1] = {"TTBR0_EL1", NULL, NULL},
    [PW_TTBR1_EL1] = {"TTBR1_EL1", NULL, NULL},
    [PW_MAIR_EL1] = {"MAIR_EL1", NULL, NULL},
    [PW_VBAR_EL1] = {"VBAR_EL1", "VBAR", NULL},
    [PW_SCTLR_EL2] = {"SCTLR_EL2", NULL, NULL},
    [PW_TCR_EL2] = {"TCR_EL2", NULL, NULL},
    [PW_TTBR0_EL2] = {"TTBR0_EL2", NULL, NULL},
    [PW_TTBR1_EL2] = {"TTBR1_EL2", NULL, NULL},
    [PW_MAIR_EL2] = {"MAIR_EL2", NULL, NULL},
    [PW_VBAR_EL2] = {"VBAR_EL2", NULL, NULL},
    [PW_SCTLR_EL3] = {"SCTLR_EL3", NULL, NULL},
    [PW_TCR_EL3] = {"TCR_EL3", NULL, NULL},
    [PW_TTBR0_EL3] = {"TTBR0_EL3", NULL, NULL},
    [PW_MAIR_EL3] = {"MAIR_EL3", NULL, NULL},
    [PW_VBAR_EL3] = {"VBAR_EL3", NULL, NULL},
    [PW_HCR_EL2] = {"HCR_EL2", NULL, NULL},
    [PW_VTCR_EL2] = {"VTCR_EL2", NULL, NULL},
    [PW_VTTBR_EL2] = {"VTTBR_EL2", NULL, NULL},
    [PW_SCR_EL3] = {"SCR_EL3", NULL, NULL},
    [PW_HFGITR_EL2] = {"HFGITR_EL2", NULL, NULL},
};
static struct handle others[N_REG] = {
    [REG_PC] = {"pc", NULL, NULL},
    [REG_CPSR] = {"cpsr", NULL, NULL},
    [REG_CTR] = {"CTR_EL0", NULL, NULL},
    [REG_CLIDR] = {"CLIDR_EL1", "CLIDR", NULL},
    [REG_MIDR] = {"MIDR_EL1", "VPIDR_EL2", NULL},
    [REG_DCZID] = {"DCZID_EL0", NULL, NULL},
    [REG_MMFR0] = {"ID_AA64MMFR0_EL1", NULL, NULL},
    [REG_MMFR1] = {"ID_AA64MMFR1_EL1", NULL, NULL},
    [REG_MMFR2] = {"ID_AA64MMFR2_EL1", NULL, NULL},
    [REG_ESR_EL2] = {"ESR_EL2", NULL, NULL},
    [REG_FAR_EL2] = {"FAR_EL2", NULL, NULL},
    [REG_HPFAR_EL2] = {"HPFAR_EL2", NULL, NULL},
    [REG_VMPIDR_EL2] = {"VMPIDR_EL2", NULL, NULL},
};
static struct handle general[31];

static void find_register(GArray *registers, struct handle *h)
{
    const qemu_plugin_reg_descriptor *d = (const void *)registers->data;
    for (unsigned pass = 0; pass < 2 && !h->handle; pass++) {
        const char *name = pass ? h->alias : h->name;
        for (unsigned i = 0; name && i < registers->len; i++) {
            if (!strcmp(d[i].name, name)) {
                h->handle = d[i].handle;
                break;
            }
        }
    }
}

void find_registers(void)
{
    static char names[31][4];
    GArray *registers = qemu_plugin_get_registers();
    for (unsigned i = 0; i < PW_N_SYSREGS; i++) {
        find_register(registers, &sysreg_handles[i]);
    }
    for (unsigned i = 0; i < N_REG; i++) {
        find_register(registers, &others[i]);
    }
    for (unsigned i = 0; i < 31; i++) {
        snprintf(names[i], sizeof names[i], "x%u", i);
        general[i].name = names[i];
        find_register(registers, &general[i]);
    }
    g_array_free(registers, 1);
}

static uint64_t read_handle(const struct handle *h)
{
    static _Thread_local GByteArray *buffer;
    uint64_t value = 0;
    if (!h->handle) {
        return 0;
    }
    if (!buffer) {
        buffer = g_byte_array_new();
    }
    g_byte_array_set_size(buffer, 0);
    qemu_plugin_read_register(h->handle, buffer);
    memcpy(&value, buffer->data, buffer->len < 8 ? buffer->len : 8);
    return value;
}

uint64_t pw_read_sysreg(unsigned reg)
{
    return read_handle(&sysreg_handles[reg]);
}

bool has_sysreg(unsigned reg)
{
    return sysreg_handles[reg].handle;
}

bool has_register(enum reg reg)
{
    return others[reg].handle;
}

uint64_t read_register(enum reg reg)
{
    return read_handle(&others[reg]);
}

uint64_t read_general(unsigned rt)
{
    return rt == 31 ? 0 : read_handle(&general[rt]);
}
