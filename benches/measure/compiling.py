"""What compiling takes: time, processor time and memory, with an empty cache, and after a word was changed."""

import http.client
import os
import shutil
import signal
import subprocess
import sys
import time

from .languages import SAMPLES
from .peers import HOME, ROOT, WASMTIME, built_once, say, wasmserve
from .requests import fastapi_component
from .turns import Served, table

CACHE = HOME / "compile-cache"
WORD, CHANGED = b"Hello, world!", b"Amber, world!"


def components():
    sample = {sample.name: sample.component for sample in SAMPLES if sample.built}
    return {
        "Rust, `hello`, wstd": sample["Rust, `hello`, wstd"](),
        "Go, net/http": sample["Go, net/http, a text"](),
        "JavaScript, Hono": sample["JavaScript, Hono"](),
        "Python, FastAPI with one route": fastapi_component(),
    }


def with_changed_word(component, name):
    """The same application with another word. The code of Go's moves with its words, so that is built anew; that of others
    does not know them."""
    if name.startswith("Go"):
        project = HOME / "changed"
        shutil.rmtree(project, ignore_errors=True)
        shutil.copytree(ROOT / "guests/go/server", project)
        source = project / "main.go"
        source.write_text(source.read_text().replace(WORD.decode(), CHANGED.decode()))
        return built_once(project, "changed")
    changed = HOME / "changed.wasm"
    changed.write_bytes(component.read_bytes().replace(WORD, CHANGED))
    return changed


def usage(process):
    """Waits for a process; the seconds of processor time that it and all it has waited for took, and what the largest of
    them had of memory."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime, used.ru_maxrss << 10


def served(bench, component, word):
    """From the command to the first answer, which must have the word."""
    options = ["--cache-dir", CACHE]
    with bench.start(Served(lambda port: wasmserve(component, port, 1, *options))) as server:
        took = server.answered - server.began
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        client.request("GET", "/")
        if word not in (said := client.getresponse().read()):
            sys.exit(f"{component} answers {said[:80]}")
        client.close()
        server.process.send_signal(signal.SIGTERM)
        return took, *usage(server.process)


def compiled_elsewhere(component):
    began = time.monotonic()
    output = HOME / "compiled.cwasm"
    process = subprocess.Popen([WASMTIME, "compile", "-o", output, component])
    used = usage(process)
    if process.returncode:
        sys.exit(f"`wasmtime compile {component}` fails")
    took = time.monotonic() - began
    output.unlink()
    return took, *used


def compile(bench):
    found = {}
    for name, component in components().items():
        shutil.rmtree(CACHE, ignore_errors=True)
        changed = with_changed_word(component, name)
        found[name] = {
            "size": component.stat().st_size,
            "wasmserve": served(bench, component, WORD),
            "wasmtime": compiled_elsewhere(component),
            "changed": served(bench, changed, CHANGED),
        }
        say(f"{name}: {found[name]}")
        changed.unlink()
    shutil.rmtree(CACHE)
    return found


def tell_compile(rows):
    def shown(took, cpu, peak):
        return f"{took:.2f} s, {cpu:.2f} s, {peak >> 20:,} MiB"

    return [
        "Compiling: wall time, processor time, and resident memory of the largest process at its peak. For wasmserve from "
        "the command to the first answer, with an empty cache, and then with another word of the same length in what it "
        "answers; beside `wasmtime compile`. Once each:", "",
        *table(["component", "size", "wasmserve", "`wasmtime compile`", "wasmserve, a changed word"], [
            [name, f"{row['size'] / 1e6:.1f} MB", *(shown(*row[kind]) for kind in ("wasmserve", "wasmtime", "changed"))]
            for name, row in rows.items()]),
    ]
