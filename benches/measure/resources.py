"""What else a server takes: bodies of a gigabyte, time to start, memory, and what does not change with the load."""

import contextlib
import os
import resource
import signal
import socket
import sys
import threading
import time

from . import clients
from .peers import HYPER, PYTHON_SERVERS, python_server, say, wasmserve, wasmtime
from .requests import FASTAPI, GUESTS, fastapi_component, python_hello
from .servers import Server, pss, settle
from .turns import Served, cost, median, mega


def streams(bench):
    guest, size = GUESTS / "echo.wasm", 1 << 30
    servers = {
        "native hyper": (Served(lambda port: [HYPER, port]), "/echo"),
        "wasmserve": (Served(lambda port: wasmserve(guest, port, 1)), "/"),
        "wasmtime serve": (Served(lambda port: wasmtime(guest, port)), "/"),
    }
    found = {name: [] for name in servers}
    for _ in range(min(bench.rounds, 3)):
        for name, (served, path) in servers.items():
            with bench.start(served) as server:
                before, start = server.cpu(), time.monotonic()
                grown = echo(server, path, size)
                took = time.monotonic() - start
                found[name].append((size / took / 1e6, server.cpu() - before, grown))
                say(f"{name}: {found[name][-1]}")
    return {name: dict(zip(("rate", "cpu", "grown"), map(median, zip(*rounds)))) for name, rounds in found.items()}


def echo(server, path, size):
    """Sends `size` bytes and reads as many back; by how many bytes the server grew meanwhile."""
    piece, grown = bytes(1 << 18), [0]
    before = server.memory()
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
        client.sendall(head.encode())

        def send():
            for number in range(size // len(piece)):
                client.sendall(piece)
                if number % 1024 == 512:
                    grown[0] = max(grown[0], server.memory() - before)

        sender = threading.Thread(target=send)
        sender.start()
        buffer, read = bytearray(1 << 18), 0
        while count := client.recv_into(buffer):
            read += count
        sender.join()
    if read < size:
        sys.exit(f"{read} of {size} bytes came back")
    return grown[0]


def start(bench):
    guest, fastapi = GUESTS / "hello.wasm", fastapi_component()
    servers = {
        "native hyper": Served(lambda port: [HYPER, port]),
        "wasmserve": Served(lambda port: wasmserve(guest, port, 1)),
        "wasmtime serve": Served(lambda port: wasmtime(guest, port)),
        **python_hello(1),
        "wasmserve, FastAPI": Served(lambda port: wasmserve(fastapi, port, 1)),
        "uvicorn, FastAPI": Served(lambda port: python_server("uvicorn", "main:app", port, 1), cwd=FASTAPI),
    }
    found, again = {name: [] for name in servers}, {name: [] for name in servers}
    for _ in range(bench.rounds + 1):
        for name, served in servers.items():
            with bench.start(served) as server:
                found[name].append((server.answered - server.began) * 1000)
                if name.startswith(("wasmserve", "gunicorn", "granian")):
                    again[name].append(revival(server))
    # The first start fills caches, of code and of pages.
    return {name: {"start": median(times[1:]), "again": median(again[name][1:]) if again[name] else None}
            for name, times in found.items()}


def revival(server):
    """Kills the one worker; milliseconds until the next answer."""
    worker = server.workers()[0]
    began = time.monotonic()
    os.kill(worker, signal.SIGKILL)
    server.wait(30)
    return (time.monotonic() - began) * 1000


def memory(bench):
    guest, fastapi = GUESTS / "hello.wasm", fastapi_component()
    servers = {
        "wasmserve": lambda port, workers: wasmserve(guest, port, workers),
        **{name: lambda port, workers, name=name: python_server(name, "hello:app", port, workers)
           for name in PYTHON_SERVERS},
        "wasmserve, FastAPI": lambda port, workers: wasmserve(fastapi, port, workers),
    }
    rows = {}
    for name, argv in servers.items():
        of = {}
        for workers in (1, 6):
            port = next(bench.ports)
            with Server(argv(port, workers), port) as server:
                settle()
                of[workers] = server.memory()
                parent = pss(server.process.pid)
        rows[name] = {"one": of[1], "worker": (of[6] - of[1]) / 5, "parent": parent}
    raise_descriptors()
    with bench.start(Served(lambda port: wasmserve(guest, port, 1))) as server:
        clients.wrk(server.port, "/", 1)
        settle()
        before = server.memory()
        clients.wrk(server.port, "/", 2, 1000)
        during = server.memory()
        settle()
        rows["wasmserve"].update(before=before, burst=during, after=server.memory())
    return rows


def flat(bench):
    guest = GUESTS / "hello.wasm"
    raise_descriptors()
    one, four, idle, later = "one worker", "four workers", "10,000 idle connections", "1,000,000 requests later"
    costs = {one: [], four: [], idle: []}
    servers = [Served(lambda port: wasmserve(guest, port, 1, "--limit-connections", 20_000)),
               Served(lambda port: wasmserve(guest, port, 4))]

    def spent(server):
        return cost(server, lambda: clients.wrk(server.port, "/", bench.seconds))[0]

    with bench.start(servers[0]) as alone, bench.start(servers[1]) as several:
        for _ in range(bench.rounds):
            costs[one].append(spent(alone))
            costs[four].append(spent(several))
            with idle_connections(alone.port, 10_000):
                costs[idle].append(spent(alone))
            say({name: f"{times[-1]:.1f}" for name, times in costs.items()})
        settle()
        asked, before = 0, alone.memory()
        while asked < 1_000_000:
            asked += clients.wrk(alone.port, "/", 5)[0]
        settle()
        grown = (alone.memory() - before) / asked
        costs[later] = [spent(alone) for _ in range(bench.rounds)]
    return {"costs": {name: median(times) for name, times in costs.items()}, "grown": grown}


def raise_descriptors():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < 12_000:
        sys.exit("10,000 connections need more descriptors: raise `ulimit -Hn`")


@contextlib.contextmanager
def idle_connections(port, count):
    with contextlib.ExitStack() as open_ones:
        for number in range(count):
            # An address has so many ports for clients, and others are about.
            source = (f"127.0.1.{1 + number // 5000}", 0)
            client = socket.create_connection(("127.0.0.1", port), source_address=source)
            open_ones.enter_context(contextlib.closing(client))
        time.sleep(0.5)
        yield


def each(rows, shown):
    return "; ".join(f"{name} {shown(row)}" for name, row in rows.items())


def tell_streams(rows):
    yield "1 GiB through an echo guest, there and back", each(
        rows, lambda row: f"{row['rate']:,.0f} MB/s ({row['cpu']:.2f} s of CPU, grew by {mega(row['grown'])})")


def tell_start(rows):
    yield "from the command to the first answer", each(rows, lambda row: f"{row['start']:.0f} ms")
    revived = {name: row for name, row in rows.items() if row["again"] is not None}
    yield "from a killed worker to the next answer", each(revived, lambda row: f"{row['again']:.0f} ms")


def tell_memory(rows):
    yield ("memory of a server with one idle worker, proportional set size",
           each(rows, lambda row: mega(row["one"])))
    yield "memory of each further idle worker, of six", each(rows, lambda row: mega(row["worker"]))
    yield "memory of the parent", each(rows, lambda row: mega(row["parent"]))
    ours = rows["wasmserve"]
    yield ("a worker and its parent before a burst of 1,000 concurrent requests, in it and after",
           f"{mega(ours['before'])}, {mega(ours['burst'])}, {mega(ours['after'])}")


def tell_flat(found):
    yield "CPU per request with", each(found["costs"], lambda cpu: f"{cpu:.1f} us")
    yield "growth of memory over a million requests", f"{found['grown']:.2f} bytes a request"
