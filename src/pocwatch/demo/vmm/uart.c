/*
 * The PL011 of uart.h; register names from the PrimeCell UART (PL011) Technical Reference Manual.
 *
 * Left out: receiving, DMA, modem lines, timing. The transmit FIFO is always empty, so the
 * transmit interrupt is raised by every character written and by nothing else.
 */
#include "uart.h"

#include <unistd.h>

enum {
    UARTDR = 0x00,
    UARTFR = 0x18,
    UARTIBRD = 0x24,
    UARTFBRD = 0x28,
    UARTLCR_H = 0x2c,
    UARTCR = 0x30,
    UARTIFLS = 0x34,
    UARTIMSC = 0x38,
    UARTRIS = 0x3c,
    UARTMIS = 0x40,
    UARTICR = 0x44,
    UARTPeriphID0 = 0xfe0,
    UARTPCellID3 = 0xffc,
};

enum {
    FR_RXFE = 1 << 4, /* receive FIFO empty */
    FR_TXFE = 1 << 7, /* transmit FIFO empty */
    INT_TX = 1 << 5,
};

/* UARTPeriphID0..3, then UARTPCellID0..3: part 0x011, designer 0x41 (Arm), revision r1p5. */
static const uint8_t identification[] = {0x11, 0x10, 0x34, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

uint32_t uart_read(const struct uart *uart, uint64_t offset)
{
    if (offset >= UARTPeriphID0 && offset <= UARTPCellID3)
        return identification[(offset - UARTPeriphID0) / 4];
    switch (offset) {
    case UARTFR:
        return FR_RXFE | FR_TXFE;
    case UARTIBRD:
        return uart->integer_baud;
    case UARTFBRD:
        return uart->fractional_baud;
    case UARTLCR_H:
        return uart->line_control;
    case UARTCR:
        return uart->control;
    case UARTIFLS:
        return uart->fifo_level;
    case UARTIMSC:
        return uart->interrupt_mask;
    case UARTRIS:
        return uart->interrupt_raw;
    case UARTMIS:
        return uart->interrupt_raw & uart->interrupt_mask;
    default:
        return 0;
    }
}

void uart_write(struct uart *uart, uint64_t offset, uint32_t value)
{
    switch (offset) {
    case UARTDR: {
        char character = (char)value;

        /* A console that has gone away is no reason to stop the guest. */
        if (write(STDOUT_FILENO, &character, 1) != 1)
            break;
        uart->interrupt_raw |= INT_TX;
        break;
    }
    case UARTIBRD:
        uart->integer_baud = value;
        break;
    case UARTFBRD:
        uart->fractional_baud = value;
        break;
    case UARTLCR_H:
        uart->line_control = value;
        break;
    case UARTCR:
        uart->control = value;
        break;
    case UARTIFLS:
        uart->fifo_level = value;
        break;
    case UARTIMSC:
        uart->interrupt_mask = value;
        break;
    case UARTICR:
        uart->interrupt_raw &= ~value;
        break;
    }
}

bool uart_interrupt(const struct uart *uart)
{
    return uart->interrupt_raw & uart->interrupt_mask;
}
