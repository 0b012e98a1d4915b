/*
 * Where things are in the guest's physical address space.
 *
 * The one source of these numbers: vmm.c is built with them and guest_dtb.py reads this file to
 * describe the same machine to the guest. A value is a plain hexadecimal or decimal constant.
 */
#ifndef LAYOUT_H
#define LAYOUT_H

#define GICD_BASE 0x08000000
#define GICD_SIZE 0x10000
#define GICR_BASE 0x080a0000
#define GICR_SIZE 0x20000 /* per vCPU: two frames of 64 KiB */

#define UART_BASE 0x09000000
#define UART_SIZE 0x1000
#define UART_SPI 1

/* Guest RAM lies where the host of the demonstration has none, so an IPA is never taken for a PA. */
#define RAM_BASE 0x80000000

/* From RAM_BASE. The kernel comes first, at the text offset its header gives. */
#define BOOT_OFFSET 0x4000000
#define DTB_OFFSET 0x4200000
#define INITRD_OFFSET 0x4400000

/* From BOOT_OFFSET: the parameters of boot.S, in a cache line of their own. */
#define BOOT_PARAMETERS 64

#define VCPUS_MAX 8

#endif
