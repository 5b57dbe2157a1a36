"""Runs once inside componentize-py's own Python: collects that Python's library, in the form of archive.py.

It ends by failing, as what is wanted is the file and not a component.
"""

import json
import os
import tempfile
import zlib

LEFT_OUT = {
    "__pycache__", "test", "tests", "idlelib", "idle_test", "tkinter", "turtledemo", "ensurepip", "lib2to3",
    "pydoc_data", "site-packages", "lib-dynload", "config-3.14-wasm32-wasi",
}  # fmt: skip
# `os` itself is frozen, and says nothing of where the others are.
ROOT = os.path.dirname(tempfile.__file__)

index, pieces, offset = {}, [], 0
for parent, children, names in os.walk(ROOT):
    children[:] = [name for name in children if name not in LEFT_OUT]
    for name in names:
        if name.endswith(".py"):
            path = os.path.join(parent, name)
            with open(path, "rb") as file:
                piece = zlib.compress(file.read(), 9)
            index[os.path.relpath(path, ROOT)] = (offset, len(piece))
            pieces.append(piece)
            offset += len(piece)
head = json.dumps(index).encode()
with open("/0/stdlib.bin", "wb") as file:
    file.write(len(head).to_bytes(8, "little") + head)
    file.writelines(pieces)
raise SystemExit("the library is collected")
