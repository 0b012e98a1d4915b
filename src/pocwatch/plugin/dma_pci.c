/*
 * The functions behind a PCIe host bridge, as its configuration space shows them to the driver.
 *
 * Addresses are the guest's to give, so they are taken from what it writes and reads there (ECAM): PCI
 * Express Base Specification, "PCI Express Enhanced Configuration Access Mechanism"; VIRTIO 1.2,
 * "Virtio Structure PCI Capabilities". What the guest never read is not known, nor can it use it.
 */
#include "dma.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONFIG_BYTES = 4096,
    MAX_FUNCTIONS = 64,
    CLASS = 0x08, BAR0 = 0x10, BAR_END = 0x28, CAPABILITIES = 0x34,
    CLASS_NVME = 0x010802, CLASS_AHCI = 0x010601, VENDOR_VIRTIO = 0x1af4,
    VENDOR_CAPABILITY = 9, COMMON = 1, NOTIFY = 2,
    NVME_BYTES = 0x4000, AHCI_BYTES = 0x1100,
};

struct function {
    unsigned address; /* bus, device, function as in the ECAM offset >> 12 */
    uint8_t config[CONFIG_BYTES];
    struct virtio *virtio; /* one of these, or none: a device of a kind that is not watched */
    struct nvme *nvme;
    struct ahci *ahci;
};

struct pci {
    uint64_t base, bytes;
    bool coherent;
    unsigned n;
    struct function *functions[MAX_FUNCTIONS];
};

struct pci *pci_new(uint64_t base, uint64_t bytes, bool coherent)
{
    struct pci *p = calloc(1, sizeof *p);
    if (!p) {
        abort();
    }
    *p = (struct pci){.base = base, .bytes = bytes, .coherent = coherent};
    return p;
}

static uint32_t config32(const struct function *f, unsigned at)
{
    uint32_t value = 0;
    if (at + sizeof value <= CONFIG_BYTES) {
        memcpy(&value, f->config + at, sizeof value);
    }
    return value;
}

/* The address that the guest gave a BAR, 0 for none. */
static uint64_t bar(const struct function *f, unsigned number)
{
    if (number > 5 || (config32(f, BAR0 + 4 * number) & 1)) { /* I/O space */
        return 0;
    }
    uint32_t low = config32(f, BAR0 + 4 * number);
    uint64_t high = (low & 6) == 4 && number < 5 ? config32(f, BAR0 + 4 * number + 4) : 0;
    return high << 32 | (low & ~UINT32_C(15));
}

static void identify(struct pci *p, struct function *f)
{
    char where[24];
    uint32_t id = config32(f, 0);
    if (f->virtio || f->nvme || f->ahci) {
        return;
    }
    snprintf(where, sizeof where, "PCI %02x:%02x.%x", f->address >> 8 & 0xff, f->address >> 3 & 31,
             f->address & 7);
    if ((id & 0xffff) == VENDOR_VIRTIO) {
        /* Modern devices are 0x1040 + type; transitional ones have numbers of their own. */
        static const uint8_t transitional[] = {1, 2, 5, 3, 8, 4, 0, 0, 0, 9};
        unsigned device = id >> 16;
        f->virtio = virtio_new(where, p->coherent);
        virtio_set_type(f->virtio, device >= 0x1040                               ? device - 0x1040
                                   : device - 0x1000 < sizeof transitional ? transitional[device - 0x1000]
                                                                           : 0);
    } else if (config32(f, CLASS) >> 8 == CLASS_NVME) {
        f->nvme = nvme_new(where, p->coherent);
    } else if (config32(f, CLASS) >> 8 == CLASS_AHCI) {
        f->ahci = ahci_new(where, p->coherent);
    }
}

static struct function *function_at(struct pci *p, unsigned address)
{
    for (unsigned i = 0; i < p->n; i++) {
        if (p->functions[i]->address == address) {
            return p->functions[i];
        }
    }
    return NULL;
}

static struct function *function_new(struct pci *p, unsigned address)
{
    if (p->n == MAX_FUNCTIONS) {
        return NULL;
    }
    struct function *f = calloc(1, sizeof *f);
    if (!f) {
        abort();
    }
    f->address = address;
    return p->functions[p->n++] = f;
}

static void configuration(struct pci *p, const struct dma_access *a)
{
    unsigned offset = (unsigned)(a->pa - p->base), at = offset % CONFIG_BYTES;
    struct function *f = function_at(p, offset / CONFIG_BYTES);
    bool of_bar = at >= BAR0 && at < BAR_END;
    if (!f) {
        bool present = !a->store && at == 0 && (a->value & 0xffff) != 0xffff && (a->value & 0xffff);
        f = present ? function_new(p, offset / CONFIG_BYTES) : NULL;
    }
    if (!f || a->size > 4 || at + a->size > CONFIG_BYTES || (a->store && !of_bar)) {
        return;
    }
    uint32_t value = (uint32_t)a->value, old = config32(f, at);
    if (a->store && !(at > BAR0 && (config32(f, at - 4) & 7) == 4)) {
        value = (value & ~UINT32_C(15)) | (old & 15); /* the type is read-only */
    }
    memcpy(f->config + at, &value, a->size);
}

/* A register of a virtio function: which capability's, if any. */
static void virtio_register(struct function *f, const struct dma_access *a)
{
    unsigned at = f->config[CAPABILITIES];
    for (unsigned count = 0; at >= 0x40 && at < 0x100 - 20 && count < 48; count++, at = f->config[at + 1]) {
        if (f->config[at] != VENDOR_CAPABILITY) {
            continue;
        }
        unsigned type = f->config[at + 3];
        uint64_t base = bar(f, f->config[at + 4]), offset = config32(f, at + 8), bytes = config32(f, at + 12);
        if (!base || !dma_within(a->pa, base + offset, bytes)) {
            continue;
        }
        if (type == COMMON) {
            virtio_common_register(f->virtio, (unsigned)(a->pa - base - offset), a);
        } else if (type == NOTIFY && a->store) {
            virtio_notify(f->virtio, a->value & 0xffff, a);
        }
    }
}

bool pci_access(struct pci *p, const struct dma_access *a)
{
    if (dma_within(a->pa, p->base, p->bytes)) {
        configuration(p, a);
        return true;
    }
    for (unsigned i = 0; i < p->n; i++) {
        struct function *f = p->functions[i];
        identify(p, f);
        uint64_t bar0 = f->nvme ? bar(f, 0) : 0, bar5 = f->ahci ? bar(f, 5) : 0;
        if (f->virtio) {
            virtio_register(f, a);
        } else if (bar0 && dma_within(a->pa, bar0, NVME_BYTES)) {
            nvme_register(f->nvme, (unsigned)(a->pa - bar0), a);
            return true;
        } else if (bar5 && dma_within(a->pa, bar5, AHCI_BYTES)) {
            ahci_register(f->ahci, (unsigned)(a->pa - bar5), a);
            return true;
        }
    }
    return false;
}

void pci_ram(struct pci *p, const struct dma_access *a)
{
    for (unsigned i = 0; i < p->n; i++) {
        if (p->functions[i]->virtio) {
            virtio_ram(p->functions[i]->virtio, a);
        } else if (p->functions[i]->nvme) {
            nvme_ram(p->functions[i]->nvme, a);
        }
    }
}
