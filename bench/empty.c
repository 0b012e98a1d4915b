/*
 * A QEMU plugin that does nothing, wherever pocwatch does something: one empty call per translation
 * block and one per memory access. What is left is the price of being called.
 */
#include "qemu_api.h"

__attribute__((visibility("default"))) int qemu_plugin_version = PW_QEMU_API_VERSION;

static void on_access(unsigned index, qemu_plugin_meminfo_t info, uint64_t va, void *userdata)
{
    (void)index;
    (void)info;
    (void)va;
    (void)userdata;
}

static void on_block(unsigned index, void *userdata)
{
    (void)index;
    (void)userdata;
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), on_access,
                                         QEMU_PLUGIN_CB_NO_REGS,
                                         QEMU_PLUGIN_MEM_R | QEMU_PLUGIN_MEM_W, NULL);
    }
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_R_REGS, NULL);
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id,
                                                               const qemu_info_t *info, int argc,
                                                               char **argv)
{
    (void)info;
    (void)argc;
    (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    return 0;
}
