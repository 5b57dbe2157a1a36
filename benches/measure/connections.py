"""What a connection for each request costs."""

import contextlib

from . import clients
from .peers import HYPER, say, wasmserve
from .requests import GUESTS, python_hello
from .turns import Served, cost, median, table

CLIENTS = (1, 16, 64, 256)


def connections(bench):
    guest = GUESTS / "greeting.wasm"
    servers = {
        "native hyper": Served(lambda port: [HYPER, port]),
        "wasmserve, 1 worker": Served(lambda port: wasmserve(guest, port, 1)),
        "wasmserve, 4 workers": Served(lambda port: wasmserve(guest, port, 4)),
        **{f"{name}, 4 workers": served for name, served in python_hello(4).items()},
    }
    found = {name: {count: [] for count in CLIENTS} for name in servers}
    with contextlib.ExitStack() as running:
        started = {name: running.enter_context(bench.start(served)) for name, served in servers.items()}
        for _ in range(min(bench.rounds, 3)):
            for name, server in started.items():
                for count in CLIENTS:
                    spent = cost(server, lambda: clients.wrk_closing(server.port, "/", bench.seconds, count))
                    found[name][count].append(spent)
                    say(f"{name}, {count} clients: {spent[1]:.0f}/s, {spent[2]:.0f} us, {spent[0]:.1f} us of CPU")
    # The keys of JSON are texts.
    return {name: {str(count): [median(each) for each in zip(*rounds)] for count, rounds in counts.items()}
            for name, counts in found.items()}


def tell_connections(rows):
    def shown(cpu, rate, p50):
        return f"{rate:,.0f}/s, {p50:,.0f} us, {cpu:.0f} us"

    return [
        "A connection for each request (`Connection: close`), by clients at a time: connections a second, median time, "
        "CPU per connection:", "",
        *table(["server", *CLIENTS], [
            [name, *(shown(*counts[str(count)]) for count in CLIENTS)] for name, counts in rows.items()]),
    ]
