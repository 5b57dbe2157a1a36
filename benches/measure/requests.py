"""What a request costs: `Hello, world!`, and the same from FastAPI."""

from . import peers
from .peers import HYPER, PYTHON_SERVERS, REUSED, ROOT, WASMTIME_REUSED, python_server, wasmserve, wasmtime
from .turns import Served, against, costs_table

GUESTS = ROOT / "target/guests"
FASTAPI = ROOT / "benches/fastapi"


def python_hello(workers):
    """The Python servers with the smallest of applications."""
    return {name: Served(lambda port, name=name: python_server(name, "hello:app", port, workers))
            for name in PYTHON_SERVERS}


def hello(bench):
    guest, wstd = GUESTS / "greeting.wasm", GUESTS / "hello.wasm"
    servers = {
        "native hyper": Served(lambda port: [HYPER, port]),
        "wasmserve": Served(lambda port: wasmserve(guest, port, 1)),
        "wasmserve, reused": Served(lambda port: wasmserve(guest, port, 1, *REUSED)),
        "wasmserve, wstd": Served(lambda port: wasmserve(wstd, port, 1)),
        "wasmserve, wstd, reused": Served(lambda port: wasmserve(wstd, port, 1, *REUSED)),
        "wasmtime serve": Served(lambda port: wasmtime(guest, port)),
        "wasmtime serve, reused": Served(lambda port: wasmtime(guest, port, *WASMTIME_REUSED)),
        **python_hello(1),
    }
    return against(bench.requests(servers), "native hyper")


def fastapi_component():
    """The application of one route, built where it was not in this run."""
    return peers.built_once(FASTAPI, "fastapi")


def fastapi(bench):
    guest = fastapi_component()
    servers = {
        "uvicorn": Served(lambda port: python_server("uvicorn", "main:app", port, 1), cwd=FASTAPI),
        "wasmserve": Served(lambda port: wasmserve(guest, port, 1)),
        "wasmserve, reused": Served(lambda port: wasmserve(guest, port, 1, *REUSED)),
        "granian": Served(lambda port: python_server("granian", "main:app", port, 1), cwd=FASTAPI),
        "gunicorn": Served(lambda port: python_server("gunicorn", "main:app", port, 1), cwd=FASTAPI),
    }
    return against(bench.requests(servers), "uvicorn")


def tell_hello(rows):
    return [
        "`Hello, world!` from a Rust guest that uses WASI itself (guests/rust/greeting), and from one with wstd "
        "(guests/rust/hello), one worker, 32 connections:", "",
        *costs_table(rows, "native hyper"),
    ]


def tell_fastapi(rows):
    return [
        "The same from FastAPI (benches/fastapi), one worker, 32 connections; `wasmtime serve` has no TLS and no "
        "WebSockets for a component, which the bridge of Python imports:", "",
        *costs_table(rows, "uvicorn"),
    ]
