/* System instructions: maintenance that is not trapped, barriers, TLBIs, writes of registers. */
#include "observe.h"

#include "events.h"
#include "registers.h"
#include "stream.h"

unsigned dc_zva_block = 64;

void set_midr(uint64_t value)
{
    pw_run_header()->midr = value;
    /* QEMU does not show DCZID_EL0: 64 bytes but for `max` and A64FX, until the guest reads it. */
    unsigned part = value >> 4 & 0xfff, implementer = value >> 24 & 0xff;
    dc_zva_block = implementer == 0 && part == 0x051       ? 512
                   : implementer == 0x46 && part == 0x001 ? 256
                                                          : 64;
}

void set_dczid(uint64_t value)
{
    dc_zva_block = 4u << (value & 15);
}

static void flush_others(const struct vcpu *v, unsigned halves)
{
    for (unsigned i = 0; halves && i < PW_MAX_PES; i++) {
        if (&vcpus[i] != v && vcpus[i].present) {
            pw_vcpu_attend(&vcpus[i], halves);
        }
    }
}

static uint64_t effective_hfgitr(const struct vcpu *v)
{
    bool fgt = v->regs.id_aa64mmfr0 >> 56 & 15;
    bool enabled = !v->regs.has_el3 || (v->regs.scr_el3 >> 27 & 1);
    return fgt && enabled && v->regs.has_el2 ? v->hfgitr : 0;
}

/*
 * Whether an operation on `va`, of which `e` is the page, passes the permission checks (fact C8). What
 * the entry allows stands until a TLBI; what it forbids, at another EL or since it was made, may be
 * allowed by now: permissions can be widened without a TLBI.
 */
static bool permitted(struct vcpu *v, struct entry *e, uint64_t va, unsigned op)
{
    struct pw_translation t;
    unsigned need = op == PW_OP_DC_IVAC || op == PW_OP_DC_ZVA ? PW_PERM_W
                    : v->el == 0                              ? PW_PERM_R
                                                              : 0;
    if (!need || (e->page.perm >> 4 == v->el && (e->page.perm & need))) {
        return true;
    }
    if (pw_probe(v, va, 0, &t) != PW_FAULT_NONE) {
        return false;
    }
    e->page.perm = pw_permissions(&t, v->el);
    return t.perm & need;
}

static void maintain(struct vcpu *v, const struct place *p)
{
    enum { SWIO = 1, FB = 9 };
    unsigned op = p->insn.op, flags = 0;
    uint64_t hcr = pw_hcr_effective(&v->regs);
    bool upgrade = v->el == 1 && pw_stage2_on(&v->regs);
    if (pw_trapped(&p->insn, &v->regs, effective_hfgitr(v))) {
        return;
    }
    if (p->insn.class_ == PW_CLASS_IC_ALL) {
        pw_ic(&v->cpu, &p->site, NULL, 0, op, p->insn.all_pes || (v->el == 1 && (hcr >> FB & 1)));
        return;
    }
    uint64_t va = read_general(p->insn.rt);
    if (p->insn.class_ == PW_CLASS_DC_SW) {
        if (op == PW_OP_DC_ISW && v->el == 1 && (upgrade || (hcr >> SWIO & 1))) {
            op = PW_OP_DC_CISW;
            flags = PW_FLAG_UPGRADED;
        }
        pw_dc(&v->cpu, &p->site, NULL, va, op, flags);
        return;
    }
    struct entry *e = find_data(v, &p->site, va);
    if (!e || !e->page.in_ram || !permitted(v, e, va, op)) {
        return;
    }
    switch (p->insn.class_) {
    case PW_CLASS_DC_ZVA:
        if (e->page.kind != PW_KIND_DEV) { /* faults on Device memory */
            unsigned block = dc_zva_block;
            pw_zva(&v->cpu, &p->site, &e->page, va & ~(uint64_t)(block - 1), block);
            if (pw_recording && !v->cpu.vm) {
                pw_events_zero(v, e->page.pa | (va & (PW_PAGE - 1) & ~(uint64_t)(block - 1)), va, block);
            }
        }
        break;
    case PW_CLASS_IC_VA:
        pw_ic(&v->cpu, &p->site, &e->page, va, op, true);
        break;
    default:
        if (op == PW_OP_DC_IVAC && upgrade) {
            op = PW_OP_DC_CIVAC;
            flags = PW_FLAG_UPGRADED;
        }
        pw_dc(&v->cpu, &p->site, &e->page, va, op, flags);
    }
}

void on_system(unsigned index, void *userdata)
{
    struct vcpu *v = &vcpus[index];
    const struct place *p = userdata;
    switch (p->insn.class_) {
    case PW_CLASS_MSR:
        pw_vcpu_msr(v, &p->insn);
        break;
    case PW_CLASS_TLBI:
        pw_vcpu_tlbi(v, &p->insn, p->insn.op == PW_TLBI_VA ? read_general(p->insn.rt) : 0);
        if (pw_recording) {
            pw_events_tlbi(v, p->site.insn, read_general(p->site.insn & 31));
        }
        break;
    case PW_CLASS_BARRIER:
        /* Only barriers on loads and stores both order and complete maintenance (fact C9). Any
         * shareability domain will do: the PE's own operations complete even for NSH. */
        if (p->insn.op == PW_OP_DSB) {
            flush_others(v, pw_vcpu_complete(v));
            if (pw_streaming) {
                pw_stream_put(v->cpu.pe, PW_OP_DSB, PW_KIND_WB, 0, 0);
            }
            if (pw_recording) {
                pw_events_dsb(v);
            }
        }
        if (p->insn.full) {
            pw_barrier(&v->cpu, &p->site, p->insn.op);
        }
        break;
    case PW_CLASS_ERET:
        flush_others(v, pw_vcpu_complete(v)); /* in case a DSB was forgotten: QEMU needs none */
        pw_barrier(&v->cpu, &p->site, PW_OP_ISB);
        break;
    default:
        maintain(v, p);
    }
}

/* The instruction after an MRS of a constant that QEMU does not show otherwise. */
void on_identification(unsigned index, void *userdata)
{
    const struct place *p = userdata;
    (void)index;
    uint64_t value = read_general(p->insn.rt);
    if (p->insn.sysreg == PW_DCZID_EL0) {
        set_dczid(value);
    } else if (!pw_run_header()->midr) {
        set_midr(value);
    }
}
