/*
 * DMA as seen from the CPU: what devices read and wrote in RAM, from the structures of their standards.
 *
 * QEMU tells plugins nothing of its devices. But a driver says everything: where a device's queues are
 * (stores to registers), what is handed to it (a store to a doorbell) and that it came back (a load
 * of the ring or register that says so). At a doorbell the device reads what was handed over; when the
 * driver sees that something came back, the device has written it, just before that load.
 *
 * The files: dma.c finds the device of an access, dma_pci.c the devices of a PCIe host bridge,
 * dma_virtio.c, dma_ring.c, dma_nvme.c and dma_ahci.c are devices. Nothing here knows QEMU.
 *
 * Left out: IOMMUs, devices of other kinds, legacy virtio on PCI (I/O ports), peer-to-peer DMA.
 */
#ifndef POCWATCH_DMA_H
#define POCWATCH_DMA_H

#include "judge.h"

/* What the driver does: a load or store of RAM or of a register, already done. */
struct dma_access {
    struct pw_cpu *cpu;
    const struct pw_site *site;
    uint64_t pa;
    uint64_t value; /* loaded or stored, its low 8 bytes */
    unsigned size;  /* bytes */
    bool store;
};

/* A bus master. `number` is that of the run file's table of names plus 1; 0: it has none yet. */
struct dma_device {
    char name[48];
    unsigned number;
    bool coherent; /* it snoops the caches */
};

/* Parts of RAM that a command hands over. */
struct dma_buffers {
    unsigned n, size;
    struct dma_buffer { uint64_t pa, bytes; bool written; } *at;
};
void dma_add(struct dma_buffers *buffers, uint64_t pa, uint64_t bytes, bool written);

extern bool pw_dma_on; /* constant once the machine runs */

/* Read the table of buses: lines `virtio-mmio|pcie BASE SIZE coherent|noncoherent`. On failure returns
 * false with a one-line reason in `error`. */
PW_API bool pw_dma_open(const char *path, char *error, unsigned error_size);
/* Whether accesses of this page of RAM are to be passed to `pw_dma_access`. */
PW_API bool pw_dma_watches(uint64_t page_pa);
/* A driver's access of a device's registers or of a watched page; before judge is told. */
PW_API void pw_dma_access(struct pw_cpu *cpu, const struct pw_site *site, uint64_t pa, unsigned size,
                          bool store, uint64_t value);
/* Provided by observe: more pages are watched now. */
void pw_dma_more_pages(void);

/* For devices. Have accesses of this range of RAM passed on as long as the machine runs. */
void dma_watch(uint64_t pa, uint64_t bytes);
/* The device reads or writes RAM; what is not RAM is ignored. */
void dma_read(struct dma_device *d, const struct dma_access *a, uint64_t pa, uint64_t bytes);
void dma_write(struct dma_device *d, const struct dma_access *a, uint64_t pa, uint64_t bytes);
/* Of the buffers, those that the device reads; those that it writes, up to so many bytes. */
void dma_read_all(struct dma_device *d, const struct dma_access *a, const struct dma_buffers *b);
void dma_write_all(struct dma_device *d, const struct dma_access *a, const struct dma_buffers *b,
                   uint64_t most);
/* Little-endian numbers in RAM; 0 outside. */
uint16_t dma_u16(uint64_t pa);
uint32_t dma_u32(uint64_t pa);
uint64_t dma_u64(uint64_t pa);

/* Set 32 bits of a register of 64 that is written in one or two parts; `offset` 0 or 4. */
void dma_set_part(uint64_t *reg, unsigned offset, const struct dma_access *a);

static inline bool dma_within(uint64_t at, uint64_t base, uint64_t bytes)
{
    return at - base < bytes;
}

static inline bool dma_touches(const struct dma_access *a, uint64_t pa, uint64_t bytes)
{
    return a->pa < pa + bytes && pa < a->pa + a->size;
}

/* The kinds. `_register` gets accesses of registers, by their offset; `_ram` those of watched pages. */
struct virtio;
struct virtio *virtio_new(const char *where, bool coherent);
void virtio_mmio_register(struct virtio *v, unsigned offset, const struct dma_access *a);
void virtio_common_register(struct virtio *v, unsigned offset, const struct dma_access *a);
void virtio_notify(struct virtio *v, unsigned queue, const struct dma_access *a);
void virtio_set_type(struct virtio *v, unsigned type);
void virtio_ram(struct virtio *v, const struct dma_access *a);

struct nvme;
struct nvme *nvme_new(const char *where, bool coherent);
void nvme_register(struct nvme *n, unsigned offset, const struct dma_access *a);
void nvme_ram(struct nvme *n, const struct dma_access *a);

struct ahci;
struct ahci *ahci_new(const char *where, bool coherent);
void ahci_register(struct ahci *h, unsigned offset, const struct dma_access *a);

struct pci;
struct pci *pci_new(uint64_t base, uint64_t bytes, bool coherent);
/* True if the access was of the configuration space or of a BAR of a known device. */
bool pci_access(struct pci *p, const struct dma_access *a);
void pci_ram(struct pci *p, const struct dma_access *a);

#endif
