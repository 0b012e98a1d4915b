/*
 * An AHCI controller: command lists of its ports, and the registers that say which slots are busy.
 *
 * Serial ATA AHCI 1.3.1, "Port Registers", "Command List Structure", "Command Table", "Received FIS
 * Structure". A slot's command is done when the driver reads a 0 for it: in PxSACT if it is a queued
 * one, else in PxCI.
 *
 * Left out: the FIS of a device that was just found, errors, port multipliers' FIS-based switching.
 */
#include "dma.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    PORTS = 32, SLOTS = 32, FIRST_PORT = 0x100, PORT_BYTES = 0x80,
    GHC = 0x04, CLB = 0x00, FB = 0x08, CMD = 0x18, SACT = 0x34, CI = 0x38,
    HEADER = 32, TABLE_PRDT = 0x80, PRD = 16,
    PIO_SETUP_FIS = 0x20, D2H_FIS = 0x40, SET_BITS_FIS = 0x58,
};

struct port {
    uint64_t list, received; /* PAs */
    uint32_t busy, queued;   /* slots */
    uint8_t commands[SLOTS]; /* ATA's codes */
    struct dma_buffers buffers[SLOTS];
};

struct ahci {
    struct dma_device device;
    struct port ports[PORTS];
};

struct ahci *ahci_new(const char *where, bool coherent)
{
    struct ahci *h = calloc(1, sizeof *h);
    if (!h) {
        abort();
    }
    h->device.coherent = coherent;
    snprintf(h->device.name, sizeof h->device.name, "AHCI at %s", where);
    return h;
}

static void issue(struct ahci *h, struct port *p, unsigned slot, const struct dma_access *a)
{
    uint64_t header = p->list + slot * HEADER;
    uint32_t dw0 = dma_u32(header);
    uint64_t table = dma_u64(header + 8) & ~UINT64_C(127);
    bool written = !(dw0 >> 6 & 1);
    struct dma_buffers *b = &p->buffers[slot];
    b->n = 0;
    p->busy |= UINT32_C(1) << slot;
    dma_read(&h->device, a, header, 16);
    dma_read(&h->device, a, table, 4 * (dw0 & 31));
    p->commands[slot] = (uint8_t)(dma_u32(table) >> 16);
    for (unsigned i = 0; i < dw0 >> 16; i++) {
        uint64_t prd = table + TABLE_PRDT + (uint64_t)i * PRD;
        dma_read(&h->device, a, prd, PRD);
        dma_add(b, dma_u64(prd), (dma_u32(prd + 12) & 0x3fffff) + 1, written);
    }
    dma_read_all(&h->device, a, b);
}

/* Whether the data comes in PIO data-in phases, announced by a PIO Setup FIS (ATA8-ACS). */
static bool is_pio_in(uint8_t command)
{
    switch (command) {
    case 0x20: case 0x24: case 0x29: case 0x2f: case 0xa1: case 0xc4: case 0xec: return true;
    }
    return false;
}

static void finish(struct ahci *h, struct port *p, unsigned slot, const struct dma_access *a)
{
    bool queued = p->queued >> slot & 1;
    p->busy &= ~(UINT32_C(1) << slot);
    p->queued &= ~(UINT32_C(1) << slot);
    dma_write_all(&h->device, a, &p->buffers[slot], UINT64_MAX);
    if (queued) {
        dma_write(&h->device, a, p->received + SET_BITS_FIS, 8);
        return;
    }
    dma_write(&h->device, a, p->list + slot * HEADER + 4, 4); /* PRDBC */
    if (is_pio_in(p->commands[slot])) {
        dma_write(&h->device, a, p->received + PIO_SETUP_FIS, 20);
    }
    dma_write(&h->device, a, p->received + D2H_FIS, 20);
}

/* Of the slots in `which`, those that are not in `still` are done. */
static void finish_all(struct ahci *h, struct port *p, uint32_t which, uint32_t still,
                       const struct dma_access *a)
{
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (p->busy & which & ~still & UINT32_C(1) << slot) {
            finish(h, p, slot, a);
        }
    }
}

static void port_register(struct ahci *h, struct port *p, unsigned offset, const struct dma_access *a)
{
    uint32_t value = (uint32_t)a->value;
    if (!a->store) {
        if (offset == CI) {
            finish_all(h, p, ~p->queued, value, a);
        } else if (offset == SACT) {
            finish_all(h, p, p->queued, value, a);
        }
        return;
    }
    switch (offset) {
    case CLB: case CLB + 4: dma_set_part(&p->list, offset - CLB, a); break;
    case FB: case FB + 4: dma_set_part(&p->received, offset - FB, a); break;
    case SACT: p->queued |= value; break;
    case CMD:
        if (!(value & 1)) { /* stopped: what was issued is forgotten */
            p->busy = p->queued = 0;
        }
        break;
    case CI:
        for (unsigned slot = 0; slot < SLOTS; slot++) {
            if (value & ~p->busy & UINT32_C(1) << slot) {
                issue(h, p, slot, a);
            }
        }
        break;
    }
}

void ahci_register(struct ahci *h, unsigned offset, const struct dma_access *a)
{
    if (offset >= FIRST_PORT) {
        unsigned port = (offset - FIRST_PORT) / PORT_BYTES;
        if (port < PORTS) {
            port_register(h, &h->ports[port], (offset - FIRST_PORT) % PORT_BYTES, a);
        }
    } else if (offset == GHC && a->store && (a->value & 1)) { /* reset */
        for (unsigned i = 0; i < PORTS; i++) {
            h->ports[i].busy = h->ports[i].queued = 0;
        }
    }
}
