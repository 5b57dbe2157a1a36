"""A FastAPI application of the usual parts (benches/realistic), as a component and under Python's own servers: routers,
middleware, dependencies, SQLAlchemy on a file of SQLite, templates."""

import shutil

from . import clients, peers
from .peers import HOME, REUSED, ROOT, python_server, say, wasmserve
from .servers import settle
from .turns import Served, cost, median, mega, table

APPLICATION = ROOT / "benches/realistic"
WORKERS, CLIENTS = 4, (8, 32)
PLACE = HOME / "realistic"
ORDER = '{"book_id": 7, "quantity": 2, "customer": "Ann"}'
# What is asked: its name, the path, what is sent.
ASKED = [
    ("20 books, as JSON", "/books", None),
    ("a page of 20 books, a template", "/", None),
    ("an order, written and committed", "/orders", ORDER),
    ("no database", "/health", None),
]


def database(name):
    """Where each has its own file, so that none reads what others have written."""
    directory = PLACE / name.replace(",", "").replace(" ", "-")
    directory.mkdir(parents=True, exist_ok=True)
    return directory, {"DATABASE_URL": f"sqlite:///{directory}/shop.db"}


def servers():
    component = peers.built_once(APPLICATION, "realistic")
    # Its startup finds a database while it is built, and so goes on to what the build rehearses.
    rehearsed = peers.built_once(APPLICATION, "rehearsed", "--env", "DATABASE_URL=sqlite://")
    primed = [word for _, path, sent in ASKED if sent is None for word in ("--prime", path)]
    kinds = {
        "wasmserve": (component, []),
        "the same, built with a database": (rehearsed, []),
        "wasmserve, primed": (component, primed),
        "wasmserve, reused": (component, REUSED),
    }
    found = {}
    for name, (component, options) in kinds.items():
        directory, env = database(name)
        options = ["--env", "DATABASE_URL", "--dir-rw", directory, *options]
        found[name] = Served(lambda port, component=component, options=options:
                             wasmserve(component, port, WORKERS, *options), "/books", env=env)
    for name in ("uvicorn", "granian"):
        found[name] = Served(lambda port, name=name: python_server(name, "app.main:app", port, WORKERS),
                             "/books", APPLICATION, database(name)[1])
    return found


def fill():
    """Makes the tables and the first rows: four processes that begin at the same time would each try."""
    shutil.rmtree(PLACE, ignore_errors=True)
    for name in servers():
        code = "from app.database import prepare; prepare()"
        peers.run(peers.BINARY / "python", "-B", "-c", code, cwd=APPLICATION, env=database(name)[1])


def realistic(bench):
    fill()
    rounds, seconds = min(bench.rounds, 2), bench.few()[1]
    found = {name: {"costs": {}} for name in servers()}
    starts = servers()
    for name, served in starts.items():
        # Code is in the cache then, and files in memory.
        bench.start(served).stop()
    for name, served in starts.items():
        with bench.start(served) as server:
            found[name]["start"] = server.answered - server.began
            settle()
            found[name]["memory"] = server.memory()
    for number in range(rounds):
        for name, served in starts.items():
            # One at a time, as four workers of six servers would be in each other's way.
            with bench.start(served) as server:
                for _, path, sent in ASKED:
                    # Instances that are used again are all there then, and have seen each path.
                    clients.counted(server.port, path, 4 * CLIENTS[-1], CLIENTS[-1], sent)
                for what, path, sent in ASKED:
                    for count in CLIENTS:
                        _, rate = clients.counted(server.port, path, 2 * count, count, sent)
                        many = max(4 * count, round(rate * seconds))
                        spent = cost(server, lambda: clients.counted(server.port, path, many, count, sent))
                        found[name]["costs"].setdefault(f"{what}|{count}", []).append(spent)
                        say(f"{name} {number + 1}, {what}, {count} clients: {spent[0]:.0f} us, {spent[1]:.0f}/s")
                found[name]["busy"] = server.memory()
    for row in found.values():
        row["costs"] = {load: [median(each) for each in zip(*times)] for load, times in row["costs"].items()}
    return found


def tell_realistic(rows):
    loads = [f"{what}|{count}" for what, _, _ in ASKED for count in CLIENTS]

    def cells(load):
        return [f"{row['costs'][load][0]:,.0f} us, {row['costs'][load][1]:,.0f}/s" for row in rows.values()]

    lines = [[load.replace("|", ", ") + " clients", *cells(load)] for load in loads]
    lines.append(["from the command to the first answer", *(f"{row['start']:.2f} s" for row in rows.values())])
    lines.append(["memory, idle", *(mega(row["memory"]) for row in rows.values())])
    lines.append(["memory, after these requests", *(mega(row["busy"]) for row in rows.values())])
    return [
        f"A FastAPI application with routers, middleware (CORS, GZip, sessions, its own), dependencies, SQLAlchemy on a "
        f"file of SQLite, and templates (benches/realistic), {WORKERS} workers: CPU per request, and requests a second; "
        "memory is the proportional set size of all processes. Primed means `--prime` of each path but that which "
        "writes. The startup of the application finds no database while `wasmserve build` warms it up, unless it is told one "
        "(`--env DATABASE_URL=sqlite://`). Code is in the cache when a server starts. Each server has a file of its own, with a rollback journal:", "",
        *table(["", *rows], lines),
    ]
