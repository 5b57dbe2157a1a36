"""The archive of modules and files that a component carries, read by wasi_gateway/frozen.py.

Eight bytes that say how long the index is (little-endian), the index as JSON (path to offset and length), then
each file, compressed by itself, so that one is read without the others.
"""

import json
import os
import zlib
from pathlib import Path

# Neither imported nor read by anybody at run time.
LEFT_OUT = {"__pycache__", "node_modules", "tests", "venv"}
# Nor these, unless they are packages, as `django.test` is.
LEFT_OUT_UNLESS_PACKAGES = {"bin", "test", "target"}
SUFFIXES_LEFT_OUT = (".pyc", ".pyi", ".so", ".wasm", ".c", ".h", ".pyx", ".rs")
KEPT_OF_DIST_INFO = {"METADATA", "entry_points.txt"}


class TooLarge(Exception):
    pass


def write(output, folders, largest, archives):
    """Collects what is in folders and in other archives, each beneath the name that is given with it.

    `largest` bounds what the folders hold, in bytes and compressed.
    """
    index, pieces, offset = {}, [], 0

    def add(name, piece):
        nonlocal offset
        if name not in index:
            index[name] = (offset, len(piece))
            pieces.append(piece)
            offset += len(piece)

    for place, folder in folders:
        for path in sorted(files(folder)):
            add(f"{place}/{_name(path, folder)}", zlib.compress(Path(path).read_bytes(), 9))
            if offset > largest:
                raise TooLarge(f"its files come to more than {largest >> 20} MiB, compressed")
    for place, other in archives:
        data = Path(other).read_bytes()
        start = 8 + int.from_bytes(data[:8], "little")
        for name, (begin, length) in json.loads(data[8:start]).items():
            add(f"{place}/{name}", data[start + begin : start + begin + length])
    head = json.dumps(index).encode()
    with open(output, "wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        file.writelines(pieces)


def _name(path, folder):
    return os.path.relpath(path, folder).replace(os.sep, "/")


def files(folder):
    for parent, children, names in os.walk(folder):
        # What begins with a dot is settings, secrets and history.
        children[:] = [name for name in children if _is_wanted(parent, name)]
        kept = KEPT_OF_DIST_INFO if parent.endswith(".dist-info") else None
        for name in names:
            if name.startswith(".") or name.endswith(SUFFIXES_LEFT_OUT) or (kept and name not in kept):
                continue
            yield os.path.join(parent, name)


def _is_wanted(parent, name):
    folder = os.path.join(parent, name)
    if name in LEFT_OUT_UNLESS_PACKAGES and not os.path.exists(os.path.join(folder, "__init__.py")):
        return False
    # A virtual environment says so, whatever it is called.
    return not (name in LEFT_OUT or name.startswith(".") or os.path.exists(os.path.join(folder, "pyvenv.cfg")))
