/* A PL011 UART as far as a guest's console needs it: output, and the transmit interrupt. */
#ifndef UART_H
#define UART_H

#include <stdbool.h>
#include <stdint.h>

struct uart {
    uint32_t control, line_control, integer_baud, fractional_baud, fifo_level;
    uint32_t interrupt_mask, interrupt_raw;
};

uint32_t uart_read(const struct uart *uart, uint64_t offset);

/* Characters written to the data register go to standard output at once. */
void uart_write(struct uart *uart, uint64_t offset, uint32_t value);

/* The level of the UART's interrupt line. */
bool uart_interrupt(const struct uart *uart);

#endif
