/*
 * The guest's first instructions. The VMM copies them into guest RAM, with their parameters behind
 * them, and starts the guest here: MMU off, caches off.
 *
 * What boot loaders of virtual machines do: QEMU's hw/arm/boot.c (`bootloader_aarch64`) puts such
 * a stub into RAM, which loads the addresses of the DTB and the kernel from a literal pool; Linux
 * wants the rest of Documentation/arch/arm64/booting.rst: DTB in X0, X1 to X3 zero.
 *
 * So this is the first data that a guest reads, and like every access with the MMU off it bypasses
 * the caches in which the VMM's stores may still be.
 */
#include "layout.h"

	.section .rodata.boot_stub, "a", %progbits
	.balign 64
	.global boot_stub, boot_stub_end
boot_stub:
	ldr	x0, boot_stub + BOOT_PARAMETERS
	ldr	x4, boot_stub + BOOT_PARAMETERS + 8
	mov	x1, xzr
	mov	x2, xzr
	mov	x3, xzr
	br	x4
boot_stub_end:
	.if	boot_stub_end - boot_stub > BOOT_PARAMETERS
	.error	"the stub overlaps its parameters"
	.endif

	.section .note.GNU-stack, "", %progbits
