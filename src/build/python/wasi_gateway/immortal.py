"""Which objects an instance begins with and keeps: those that modules lead to.

Counting references to them is of no use, and each count that changes is a page of memory that an instance has to put
back. The builder makes them immortal (PEP 683) in the component, where it finds them still in their place. Code that ran
before counts references to its constants without asking whether they are: the builder changes such instructions, too.
"""

import gc
import opcode
import struct
import sys
import types

# What is under way, or belongs to something that is.
PASSING = (
    types.FrameType,
    types.TracebackType,
    types.CoroutineType,
    types.GeneratorType,
    types.AsyncGeneratorType,
)
# Of code, which the garbage collector does not look into: among the constants is the code of functions within functions.
PARTS = "co_consts co_names co_filename co_name co_qualname co_linetable co_exceptiontable".split()
# Of types that a program has made (Py_TPFLAGS_HEAPTYPE).
OF_ITS_OWN = 1 << 9
# Objects begin at multiples of this.
ALIGNED = 8
CODES = {name: number for name, number in (opcode.opmap | opcode._specialized_opmap).items() if number < 256}
# What loads a constant that is not immortal, and one that is.
MORTAL, IMMORTAL = (CODES[f"LOAD_CONST_{name}"] for name in ("MORTAL", "IMMORTAL"))


def _lengths():
    """Of instructions, with what CPython notes behind each."""
    families = {special: base for base, all in opcode._specializations.items() for special in all}
    lengths = bytearray(b"\2" * 256)
    for name, number in CODES.items():
        lengths[number] += 2 * opcode._inline_cache_entries.get(families.get(name, name), 0)
    return bytes(lengths)


LENGTHS = _lengths()


def note(objects, loads):
    """Writes the address of each, and that of its type; and the addresses of instructions that load constants, with those
    of the constants. What it takes itself is in the snapshot too, so it takes little."""
    seen = bytearray(1 << 20)
    left = []

    def add(found):
        for it in found:
            place, bit = divmod(id(it) // ALIGNED, 8)
            if place >= len(seen):
                seen.extend(bytes(place))
            if not seen[place] & 1 << bit and not issubclass(type(it), PASSING):
                seen[place] |= 1 << bit
                left.append(it)

    add(sys.modules.values())
    with open(objects, "wb") as file, open(loads, "wb") as others:
        others.write(struct.pack("<LL", MORTAL, IMMORTAL))
        while left:
            it = left.pop()
            file.write(struct.pack("<LL", id(it), id(type(it))))
            add(gc.get_referents(it))
            if type(it) is types.CodeType:
                add(getattr(it, name) for name in PARTS)
                for pair in _loads(it):
                    others.write(struct.pack("<LL", *pair))
            elif issubclass(type(it), type) and not it.__flags__ & OF_ITS_OWN:
                # The garbage collector does not look into types that are CPython's own.
                add(gc.get_referents(it.__dict__))
    seen[:] = bytes(len(seen))


def _loads(code):
    instructions = code._co_code_adaptive
    if MORTAL not in instructions:
        return
    constants = code.co_consts
    begin = id(code) + code.__sizeof__() - len(instructions)
    at = more = 0
    while at < len(instructions):
        number, argument = instructions[at], more | instructions[at + 1]
        more = argument << 8 if number == opcode.EXTENDED_ARG else 0
        if number == MORTAL:
            yield begin + at, id(constants[argument])
        at += LENGTHS[number]
