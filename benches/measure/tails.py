"""How long the slowest wait: at 70 % of saturation, and beside a guest that spins."""

import contextlib
import socket
import time

from . import clients
from .clients import percentile, steady
from .peers import HYPER, say, wasmserve
from .requests import GUESTS
from .turns import Served, median


def tail(bench):
    guest = GUESTS / "hello.wasm"
    rounds = []
    with contextlib.ExitStack() as running:
        ours = running.enter_context(bench.start(Served(lambda port: wasmserve(guest, port, 1))))
        theirs = running.enter_context(bench.start(Served(lambda port: [HYPER, port])))
        for _ in range(bench.rounds):
            rate = 0.7 * clients.wrk(ours.port, "/", bench.seconds)[1]
            times = [percentile(steady(server.port, "/", rate, 2 * bench.seconds, 32), 0.99)
                     for server in (ours, theirs)]
            rounds.append((rate, *times))
            say(f"tail: {rounds[-1]}")
    rate, ours, theirs = map(median, zip(*rounds))
    return {"rate": rate, "wasmserve": ours, "native hyper": theirs}


def neighbours(bench):
    options = ["--limit-cpu", "1h", "--timeout-request", "1h"]
    rate, asked, rounds = 400, max(4, bench.seconds), []
    with bench.start(Served(lambda port: wasmserve(GUESTS / "behaviours.wasm", port, 1, *options))) as server:
        for _ in range(bench.rounds):
            quiet = percentile(steady(server.port, "/", rate, asked, 8), 0.99)
            spinner = socket.create_connection(("127.0.0.1", server.port))
            spinner.sendall(b"GET /spin HTTP/1.1\r\nHost: bench\r\n\r\n")
            time.sleep(0.2)
            beside = percentile(steady(server.port, "/", rate, asked, 8), 0.99)
            spinner.close()
            time.sleep(0.2)
            rounds.append((quiet, beside))
            say(f"neighbours: {rounds[-1]}")
    return dict(zip(("quiet", "beside"), map(median, zip(*rounds))))


def tell_tail(row):
    yield (f"99th percentile at 70 % of saturation ({row['rate']:,.0f} requests/s)",
           f"wasmserve {row['wasmserve']:.2f} ms; native hyper {row['native hyper']:.2f} ms")


def tell_neighbours(row):
    yield ("99th percentile of others in a worker where a guest spins",
           f"{row['beside']:.2f} ms; {row['quiet']:.2f} ms where none does")
