"""Makes objects immortal in the memory that a component begins with: see wasi_gateway/immortal.py, which finds them."""

import bisect
import struct

# Of CPython 3.14 where pointers have 32 bits (Include/refcount.h).
IMMORTAL = 5 << 28
# Above are those that are immortal already, and addresses, which is what is there where an object was and is not any more.
MOST = 1 << 20

CORE_MODULE, NESTED_COMPONENT = 1, 4
DATA = 11
I32_CONST, GLOBAL_GET = 0x41, 0x23


def make(component, objects, loads):
    """Changes the component, a bytearray. Objects that are not in their place any more are left alone."""
    memory = Memory(component)
    count = 0
    for address, kind in _pairs(objects):
        place = memory.place(address, 8)
        if place is None:
            continue
        references, found = struct.unpack_from("<LL", component, place)
        if 0 < references < MOST and found == kind:
            struct.pack_into("<L", component, place, IMMORTAL)
            count += 1
    (mortal, immortal), *instructions = _pairs(loads)
    for address, constant in instructions:
        place, of_constant = memory.place(address, 1), memory.place(constant, 4)
        if place is None or of_constant is None or component[place] != mortal:
            continue
        if struct.unpack_from("<L", component, of_constant) == (IMMORTAL,):
            component[place] = immortal
    return count


def _pairs(data):
    return struct.iter_unpack("<LL", data)


class Memory:
    """Where in a component the memory is that it begins with."""

    def __init__(self, component):
        modules = _modules(component, 8, len(component))
        self._segments = sorted(segment for module in modules for segment in _segments(component, *module))
        self._begins = [begin for begin, _, _ in self._segments]

    def place(self, address, size):
        index = bisect.bisect(self._begins, address) - 1
        if index < 0:
            return None
        begin, end, place = self._segments[index]
        return place + address - begin if address + size <= end else None


def _modules(data, at, end):
    """The core modules in a component, and in components within it."""
    for kind, begin, after in _sections(data, at, end):
        if kind == CORE_MODULE:
            yield begin + 8, after
        elif kind == NESTED_COMPONENT:
            yield from _modules(data, begin + 8, after)


def _segments(data, at, end):
    """The active data segments of a module that begin at an address known beforehand: where they begin and end in
    memory, and where they are in the module."""
    for kind, begin, _ in _sections(data, at, end):
        if kind != DATA:
            continue
        count, at = _number(data, begin)
        for _ in range(count):
            mode, at = _number(data, at)
            if mode == 2:
                _, at = _number(data, at)
            address = None
            if mode != 1:
                if data[at] not in (I32_CONST, GLOBAL_GET):
                    return
                known = data[at] == I32_CONST
                number, at = _number(data, at + 1)
                address = number if known else None
                # The end of the expression.
                at += 1
            length, at = _number(data, at)
            if address is not None:
                yield address, address + length, at
            at += length


def _sections(data, at, end):
    while at < end:
        kind = data[at]
        length, begin = _number(data, at + 1)
        at = begin + length
        yield kind, begin, at


def _number(data, at):
    """LEB128, as unsigned: addresses are below two gigabytes."""
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
