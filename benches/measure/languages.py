"""What the sample application of each language costs: with a fresh instance for each request, with one that has
answered the same request when the server started (--prime), and with one that is used again; beside Python's own
servers, and `wasmtime serve`."""

import datetime
import sys

from . import clients
from .peers import REUSED, ROOT, WASMTIME_REUSED, python_server, say, wasmserve, wasmtime
from .requests import FASTAPI, GUESTS, fastapi_component
from .turns import Served, median, table

CONNECTIONS = 8
PYTHON = ROOT / "guests/python"


class Sample:
    """An application: what it is called, where the tests have built it, what is asked, and who serves it natively."""

    def __init__(self, name, built, path, page=None, native=None, wasmtime=True, options=()):
        self.name, self.built, self.path, self.page = name, built, path, page
        self.native, self.wasmtime, self.options = native, wasmtime, options

    def component(self):
        if self.built is None:
            return fastapi_component()
        found = sorted(GUESTS.glob(self.built), key=lambda path: path.stat().st_mtime)
        if not found:
            sys.exit(f"target/guests/{self.built} is missing: run ./test, or leave this part out by --skip languages")
        return found[-1]

    def servers(self, component):
        kinds = {"fresh": (), "primed": ("--prime", self.path), "reused": REUSED}
        found = {
            kind: Served(lambda port, more=more: wasmserve(component, port, 1, *self.options, *more), self.path)
            for kind, more in kinds.items()
        }
        if self.native:
            server, folder = self.native
            found["native"] = Served(lambda port: python_server(server, "main:app", port, 1), self.path, folder)
        if self.wasmtime:
            # Of WASI 0.3 it reuses instances unless it is told otherwise, and serves many requests in one at a time.
            once = ("--max-instance-reuse-count", 1)
            found["wasmtime"] = Served(lambda port: wasmtime(component, port, *once), self.path)
            found["wasmtime, reused"] = Served(lambda port: wasmtime(component, port, *WASMTIME_REUSED), self.path)
        return found


# What `gate` asks for.
TOKEN = "Authorization:Bearer bench"
# The bridge of Python imports what `wasmtime serve` does not have.
SAMPLES = [
    Sample("Rust, `greeting`", "greeting.wasm", "/", "rust"),
    Sample("Rust, `hello`, wstd", "hello.wasm", "/", "rust"),
    Sample("Rust, `service`, WASI 0.3", "service.wasm", "/", "rust"),
    Sample("Rust, `hello` behind `gate`", "hello.wasm", "/", wasmtime=False,
           options=("--middleware", GUESTS / "gate.wasm", "--env", "TOKEN=bench", "--request-header", TOKEN,
                    "--prime-header", TOKEN)),
    Sample("Rust, `service` behind `middleware`", "service.wasm", "/", wasmtime=False,
           options=("--middleware", GUESTS / "middleware.wasm")),
    Sample("C, `server`", "built/guests-c-server*", "/", "c"),
    Sample("Go, net/http, a text", "built/guests-go-server*", "/"),
    Sample("Go, `server`, net/http, JSON", "built/guests-go-server*", "/items/7", "go"),
    Sample("JavaScript, plain handler", "built/guests-javascript-src-plain*", "/", "javascript"),
    Sample("JavaScript, Hono", "built/guests-javascript-????????????????.wasm", "/items/7", "javascript"),
    Sample("Python, FastAPI with one route", None, "/", None, ("uvicorn", FASTAPI), wasmtime=False),
    Sample("Python, FastAPI", "built/guests-python-fastapi*", "/items/7?q=tea", "python",
           ("uvicorn", PYTHON / "fastapi"), wasmtime=False),
    Sample("Python, FastAPI, dependencies of `def`", "built/guests-python-fastapi*", "/dependencies", "python",
           ("uvicorn", PYTHON / "fastapi"), wasmtime=False),
    Sample("Python, Starlette", "built/guests-python-starlette*", "/hello/world", "python",
           ("uvicorn", PYTHON / "starlette"), wasmtime=False),
    Sample("Python, Flask", "built/guests-python-flask*", "/hello/world", "python",
           ("gunicorn, threads", PYTHON / "flask"), wasmtime=False),
    Sample("Python, `service`, WASI 0.3", "built/guests-python-service*", "/", "python"),
]


def samples():
    """Each with its component, or the end where one is missing."""
    return [(sample, sample.component()) for sample in SAMPLES]


def languages(bench):
    rounds, seconds = bench.few()
    found = {}
    for sample, component in samples():
        memory = {}

        def load(server, _):
            asked = clients.wrk(server.port, server.path, seconds, CONNECTIONS)
            memory[server.port] = server.memory()
            return asked

        servers = sample.servers(component)
        say(f"{sample.name}, {component.name}")
        costs = bench.by_turns(servers, load, rounds)
        row = {name: median(each[0] for each in times) for name, times in costs.items()}
        # They were started in this order.
        grown = dict(zip(servers, memory.values()))
        found[sample.name] = {**row, "size": component.stat().st_size, "memory": grown["fresh"],
                              "memory, reused": grown["reused"], "ratio": row["fresh"] / row["reused"],
                              "date": str(datetime.date.today())}
    return found


def tell_languages(rows):
    def shown(row, name):
        return f"{row[name]:,.0f}" if name in row else "–"

    told = [[name, f"{sample.path}", shown(row, "native"), *(shown(row, kind) for kind in ("fresh", "primed", "reused")),
             f"{row['ratio']:.1f}", shown(row, "wasmtime"), shown(row, "wasmtime, reused")]
            for sample in SAMPLES if (row := rows.get(name := sample.name))]
    head = ["application", "path", "native", "fresh", "with `--prime` of the path", "reused", "fresh / reused",
            "`wasmtime serve`", "the same, reused"]
    return [
        "Microseconds of processor time per request of the sample applications (guests/), one worker, "
        f"{CONNECTIONS} connections. Native is uvicorn with the same application, for Flask gunicorn with threads; "
        "`wasmtime serve` has no TLS and no WebSockets for a component, which the bridge of Python imports:", "",
        *table(head, told),
    ]


def pages(rows):
    """The tables that stand with the samples."""
    head = ["application", "request", "size", "fresh", "primed with it", "reused", "memory fresh", "reused"]
    found = {}
    for page in dict.fromkeys(sample.page for sample in SAMPLES if sample.page):
        of = [(sample, rows[sample.name]) for sample in SAMPLES if sample.page == page]
        lines = table(head, [
            # What is before the comma is the page's own subject.
            [sample.name.partition(", ")[2], f"`GET {sample.path}`", f"{row['size'] / 1e6:.1f} MB",
             *(f"{row[kind]:,.0f} us" for kind in ("fresh", "primed", "reused")),
             f"{row['memory'] >> 20} MiB", f"{row['memory, reused'] >> 20} MiB"] for sample, row in of])
        lines += ["", f"Measured on {of[0][1]['date']} by `benches/compare`, on two cores: processor time for each request "
                  f"and memory of the parent and",
                  f"one worker, with {CONNECTIONS} connections that ask without a pause."]
        found[f"guests/{page}/README.md"] = "\n".join(lines) + "\n"
    return found
