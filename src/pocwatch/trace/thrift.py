"""Thrift's compact protocol, as far as a Parquet footer needs it: parse, change, write again.

A struct is a dictionary from field number to (type, value), in ascending order; a list is (element
type, values). Nothing is known of Parquet here. pyarrow writes Parquet files from their beginning
only; to put several into one file their footers must be moved and joined (`footer`).

Apache Thrift, "Thrift Compact protocol encoding" (thrift-compact-protocol.md).
"""

from __future__ import annotations

from typing import Any

TRUE, FALSE, I8, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)

Struct = dict[int, tuple[int, Any]]
_DEPTH = 32  # Parquet's footer nests 6 deep


class ThriftError(ValueError):
    """Bytes that are no such struct."""


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def byte(self) -> int:
        try:
            value = self.data[self.at]
        except IndexError:
            raise ThriftError("it ends too early") from None
        self.at += 1
        return value

    def varint(self) -> int:
        value = shift = 0
        if self.at < len(self.data) and (byte := self.data[self.at]) < 0x80:  # most are short
            self.at += 1
            return byte
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 63:
                raise ThriftError("a number is too long")

    def signed(self) -> int:
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def take(self, size: int) -> bytes:
        if size > len(self.data) - self.at:
            raise ThriftError("it ends too early")
        self.at += size
        return self.data[self.at - size : self.at]

    def value(self, kind: int, depth: int) -> Any:
        if depth > _DEPTH:
            raise ThriftError("it nests too deep")
        if kind in (I16, I32, I64):
            return self.signed()
        if kind == BINARY:
            return self.take(self.varint())
        if kind == STRUCT:
            return self.struct(depth + 1)
        if kind in (LIST, SET):
            head = self.byte()
            size, element = head >> 4, head & 15
            size = self.varint() if size == 15 else size
            if size > len(self.data) - self.at:
                raise ThriftError("a list is too long")
            return element, [self.element(element, depth + 1) for _ in range(size)]
        if kind == I8:
            return self.byte()
        if kind == DOUBLE:
            return self.take(8)
        raise ThriftError(f"a field of type {kind}")

    def element(self, kind: int, depth: int) -> Any:
        return self.byte() if kind in (TRUE, FALSE) else self.value(kind, depth)

    def struct(self, depth: int = 0) -> Struct:
        fields: Struct = {}
        number = 0
        while head := self.byte():
            kind, step = head & 15, head >> 4
            number = number + step if step else self.signed()
            fields[number] = (kind, None if kind in (TRUE, FALSE) else self.value(kind, depth))
        return fields


def parse(data: bytes) -> Struct:
    """Return the struct that `data` starts with. Raise ThriftError."""
    return _Reader(data).struct()


def varint(value: int) -> bytes:
    """Return an unsigned number, seven bits a byte."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_SHORT = [bytes([n]) for n in range(0x80)]


def _signed(value: int) -> bytes:
    if -64 <= value < 64:
        return _SHORT[value << 1 if value >= 0 else (-value << 1) - 1]
    return varint(value << 1 if value >= 0 else (-value << 1) - 1)


def list_head(element: int, size: int) -> bytes:
    """Return what comes before the elements of a list."""
    return bytes([size << 4 | element]) if size < 15 else bytes([0xF0 | element]) + varint(size)


def _value(kind: int, value: Any) -> bytes:
    if kind in (TRUE, FALSE):
        return b""
    if kind in (I16, I32, I64):
        return _signed(value)
    if kind == BINARY:
        return varint(len(value)) + bytes(value)
    if kind == STRUCT:
        return write(value)
    if kind in (LIST, SET):
        element, values = value
        each = (
            (lambda v: bytes([v])) if element in (TRUE, FALSE) else (lambda v: _value(element, v))
        )
        return list_head(element, len(values)) + b"".join(map(each, values))
    return bytes([value]) if kind == I8 else bytes(value)


def write(fields: Struct) -> bytes:
    """Return the bytes of a struct."""
    out = bytearray()
    last = 0
    for number, (kind, value) in fields.items():
        step = number - last
        out += bytes([step << 4 | kind]) if 0 < step < 16 else bytes([kind]) + _signed(number)
        out += _value(kind, value)
        last = number
    return bytes(out) + b"\0"
