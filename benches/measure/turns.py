"""Several servers that do the same work by turns, so that whatever else the machine does falls on all of them alike,
and how what was found is told."""

import contextlib
import dataclasses
import statistics

from . import clients
from .peers import HOME, say
from .servers import Server


def median(values):
    values = list(values)
    return statistics.median(values) if values else float("nan")


@dataclasses.dataclass
class Served:
    """What is started, and asked: `argv` is the command line for a port."""

    argv: object
    path: str = "/"
    cwd: object = HOME
    env: dict | None = None
    speaks: str = "http"

    def start(self, port):
        return Server(self.argv(port), port, self.path, self.cwd, self.env, self.speaks)


class Bench:
    """How often and how long each is asked, and where the servers listen."""

    def __init__(self, rounds, seconds):
        self.rounds, self.seconds = rounds, seconds
        self.ports = iter(range(18400, 19400))

    def few(self):
        """So many rounds and seconds where there is much to measure."""
        return min(self.rounds, 3), min(self.seconds, 1)

    def start(self, served):
        return served.start(next(self.ports))

    def by_turns(self, servers, load, rounds=None, warm=True):
        """What a request costs each server under `load`, which says first how many were answered and then how many in a
        second: {name: [(microseconds, requests in a second, …)]}."""
        found = {name: [] for name in servers}
        with contextlib.ExitStack() as running:
            started = {name: running.enter_context(self.start(served)) for name, served in servers.items()}
            for name, server in started.items():
                if warm:
                    load(server, 1)
            for number in range(rounds or self.rounds):
                for name, server in started.items():
                    found[name].append(cost(server, lambda: load(server, self.seconds)))
                    say(f"{name} {number + 1}: {found[name][-1][0]:.1f} us, {found[name][-1][1]:.0f}/s")
        return found

    def requests(self, servers, connections=32, rounds=None):
        """The same with wrk."""
        return self.by_turns(
            servers, lambda server, seconds: clients.wrk(server.port, server.path, seconds, connections), rounds)


def cost(server, load):
    """Microseconds of processor time for each request of a load, before what else it says."""
    before = server.cpu()
    count, *others = load()
    return ((server.cpu() - before) * 1e6 / count, *others)


def against(found, limit):
    """Medians, and the median of each round's ratio to `limit`."""
    rows = {}
    for name, rounds in found.items():
        ratios = [mine[0] / theirs[0] for mine, theirs in zip(rounds, found[limit])]
        rows[name] = {"cpu": median(each[0] for each in rounds), "ratio": median(ratios),
                      "rate": median(each[1] for each in rounds)}
    return rows


def table(head, rows):
    """A table in Markdown; the first column is text, others are figures."""
    lines = [f"| {' | '.join(map(str, head))} |", "| --- |" + " ---: |" * (len(head) - 1)]
    return lines + [f"| {' | '.join(map(str, row))} |" for row in rows]


def costs_table(rows, limit):
    return table(["server", "CPU per request", f"times {limit}", "requests/s"], [
        [name, f"{row['cpu']:.1f} us", f"{row['ratio']:.1f}", f"{row['rate']:,.0f}"] for name, row in rows.items()])


def mega(size):
    return f"{size / 1e6:.1f} MB"
