/* Code that QEMU translates: cut into groups of instructions, and given callbacks. */
#include "observe.h"

#include <string.h>

#include "events.h"
#include "registers.h"
#include "shadow.h"
#include "stacks.h"
#include "stream.h"

static void instrument(struct qemu_plugin_insn *insn, struct place *p, bool aarch64)
{
    if (!aarch64 || pw_may_access(p->site.insn)) {
        qemu_plugin_mem_cb load = debug ? on_load_debug : pw_streaming ? on_load_streamed : on_load;
        qemu_plugin_mem_cb store = debug          ? on_store_debug
                                   : pw_recording ? on_store_recorded
                                   : pw_streaming ? on_store_streamed
                                                  : on_store;
        /* QEMU 10.0 has the registers in memory here either way: 67 million accesses of a boot gave the
         * same x29 and x30. To ask for them costs nothing measurable, and later versions insist. */
        enum qemu_plugin_cb_flags regs = pw_stacks_on ? QEMU_PLUGIN_CB_R_REGS : QEMU_PLUGIN_CB_NO_REGS;
        qemu_plugin_register_vcpu_mem_cb(insn, load, regs, QEMU_PLUGIN_MEM_R, &p->site);
        qemu_plugin_register_vcpu_mem_cb(insn, store, regs, QEMU_PLUGIN_MEM_W, &p->site);
    }
    if (aarch64 && pw_synchronises(&p->insn)) {
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_system, QEMU_PLUGIN_CB_R_REGS, p);
    }
}

/*
 * Cut the block into groups of instructions that are fetched together. `places` gets those of the
 * instructions that callbacks name: accesses, system instructions, the first of each group; else NULL.
 */
static void describe_block(struct qemu_plugin_tb *tb, struct block *b, unsigned max_lines,
                           struct place **places, bool aarch64)
{
    size_t n = qemu_plugin_tb_n_insns(tb);
    struct line *l = NULL;
    struct pw_insn decoded = {.class_ = PW_CLASS_NONE};
    bool behind = false; /* a system instruction of this block, or its line */
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint64_t va = qemu_plugin_insn_vaddr(insn);
        uint64_t pa = b->pa == PW_NO_ADDRESS ? b->pa : b->pa + (va - b->va);
        uint32_t encoding = 0;
        bool after = pw_synchronises(&decoded);
        bool joins = l && !after && !((l->va ^ va) & ~UINT64_C(63));
        qemu_plugin_insn_data(insn, &encoding, sizeof encoding);
        pw_decode(encoding, &decoded);
        places[i] = NULL;
        if (!joins || !aarch64 || decoded.class_ != PW_CLASS_NONE || pw_may_access(encoding)) {
            places[i] = place_intern(va, pa, encoding, b->el);
        }
        behind |= after;
        if (joins) {
            l->n++;
        } else if (b->n_lines < max_lines) {
            l = &b->lines[b->n_lines];
            *l = (struct line){.site = &places[i]->site, .va = va, .n = 1, .first = (uint16_t)i,
                               .index = b->n_lines++};
            if (pa != PW_NO_ADDRESS) {
                l->shadow = &pw_lines[(pa - pw_ram_base) / PW_LINE_BYTES];
            }
            b->n_at_entry += !behind;
        }
    }
    b->counts = (uint64_t)b->n_lines << 32 | n;
}

void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    enum { MAX_INSTRUCTIONS = 1024 };
    struct { struct block b; struct line lines[MAX_INSTRUCTIONS]; } made;
    struct place *places[MAX_INSTRUCTIONS];
    struct vcpu *v = self;
    struct pw_translation t;
    size_t n = qemu_plugin_tb_n_insns(tb);
    uint64_t state = read_register(REG_CPSR);
    bool aarch64 = !(state >> 4 & 1);
    unsigned el = aarch64 ? state >> 2 & 3 : (state & 15) != 0;
    (void)id;
    if (!v || !n || n > MAX_INSTRUCTIONS) {
        return;
    }
    if (!v->placed) {
        pw_vcpu_attend(v, ATTENTION_RESET); /* -incoming: see block_slow */
    }
    if (atomic_load_explicit(&v->attention, memory_order_relaxed)) {
        pw_vcpu_sync(v, (unsigned)v->el);
    }
    v->regs.el = el; /* for the probe only: the block's own callback is to see the change of EL */
    memset(&made.b, 0, sizeof made.b);
    made.b.va = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0));
    made.b.pa = PW_NO_ADDRESS;
    if (pw_probe(v, made.b.va, 1, &t) == PW_FAULT_NONE && pw_ram(t.pa & PW_PAGE_MASK, PW_PAGE)) {
        made.b.pa = t.pa;
    }
    v->regs.el = v->el;
    made.b.tag = fetch_tag(made.b.pa, el);
    made.b.el = el;
    describe_block(tb, &made.b, MAX_INSTRUCTIONS, places, aarch64);
    const struct block *b = block_intern(&made.b);
    for (size_t i = 0, group = b->n_at_entry; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        if (i && aarch64 && places[i - 1] && places[i - 1]->insn.class_ == PW_CLASS_MRS) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_identification, QEMU_PLUGIN_CB_R_REGS,
                                                   places[i - 1]);
        }
        if (b->pa != PW_NO_ADDRESS && group < b->n_lines && b->lines[group].first == i) {
            qemu_plugin_register_vcpu_insn_exec_cb(
                insn, pw_streaming ? on_later_lines_streamed : on_later_lines, QEMU_PLUGIN_CB_R_REGS,
                (void *)&b->lines[group++]);
        }
        if (places[i]) {
            instrument(insn, places[i], aarch64);
        }
    }
    bool vector = el && b->va % 0x80 == 0;
    qemu_plugin_register_vcpu_tb_exec_cb(
        tb,
        b->pa == PW_NO_ADDRESS ? on_other_block
        : pw_streaming         ? (vector ? on_vector_block_streamed : on_block_streamed)
        : vector               ? on_vector_block
        : b->n_at_entry > 1    ? on_long_block
                               : on_block,
        QEMU_PLUGIN_CB_R_REGS, (void *)b);
}
