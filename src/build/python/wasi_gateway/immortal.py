"""Which objects an instance begins with and keeps: those that modules lead to.

Counting references to them is of no use, and each count that changes is a page of memory that an instance has to put
back. The builder makes them immortal (PEP 683) in the component, where it finds them still in their place.
"""

import gc
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
# Objects begin at multiples of this.
ALIGNED = 8


def note(path):
    """Writes the address of each, and that of its type. What it takes itself is in the snapshot too, so it takes little."""
    seen = bytearray(1 << 20)
    left = list(sys.modules.values())
    with open(path, "wb") as file:
        while left:
            it = left.pop()
            place, bit = divmod(id(it) // ALIGNED, 8)
            if place >= len(seen):
                seen += bytes(place)
            if seen[place] & 1 << bit or issubclass(type(it), PASSING):
                continue
            seen[place] |= 1 << bit
            file.write(struct.pack("<LL", id(it), id(type(it))))
            left += gc.get_referents(it)
            if type(it) is types.CodeType:
                left += [getattr(it, name) for name in PARTS]
    seen[:] = bytes(len(seen))
