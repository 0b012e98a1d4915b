/*
 * The vCPU's registers, through QEMU: those of the current vCPU, in its own thread, in callbacks that
 * may read registers. System registers of the snapshot are pw_read_sysreg's (regime.h).
 */
#ifndef POCWATCH_REGISTERS_H
#define POCWATCH_REGISTERS_H

#include <stdbool.h>
#include <stdint.h>

/* Registers that are read when something happens, and constants of the CPU. */
enum reg {
    REG_PC,
    REG_CPSR,
    REG_CTR,
    REG_CLIDR,
    REG_MIDR,
    REG_DCZID,
    REG_MMFR0,
    REG_MMFR1,
    REG_MMFR2,
    REG_ESR_EL2,
    REG_FAR_EL2,
    REG_HPFAR_EL2,
    REG_VMPIDR_EL2,
    N_REG,
};

/* Once a vCPU exists. */
void find_registers(void);
bool has_register(enum reg reg);
bool has_sysreg(unsigned reg); /* enum pw_sysreg */
uint64_t read_register(enum reg reg); /* 0 for one that the vCPU lacks */
uint64_t read_general(unsigned rt);   /* Xt; 0 for 31, XZR */

#endif
