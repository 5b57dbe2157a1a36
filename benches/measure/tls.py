"""HTTP/2 and TLS: what a request costs over each, and what a handshake does.

Native hyper is not among them: the one of the benches has neither.
"""

import shutil

from . import clients
from .peers import HOME, python_server, run, wasmserve
from .requests import GUESTS
from .turns import Served, median, table

CERTIFICATE, KEY = HOME / "certificate.pem", HOME / "key.pem"
# A static file for the server that has nothing else, as long as the answers of the others.
PAGES = HOME / "pages"
# So many requests are under way at a time.
CONNECTIONS, STREAMS = 8, 4


def h2(scheme):
    return lambda server, seconds: clients.h2load(
        server.port, server.path, seconds, CONNECTIONS, f"-m{STREAMS}", scheme=scheme)


LOADS = {
    "HTTP/2 in clear text": h2("http"),
    "HTTP/2 over TLS": h2("https"),
    "HTTP/1.1 over TLS": lambda server, seconds: clients.wrk(
        server.port, server.path, seconds, CONNECTIONS * STREAMS, scheme="https"),
    "handshake, a request, closed": lambda server, seconds: clients.wrk_closing(
        server.port, server.path, seconds, CONNECTIONS * STREAMS, scheme="https"),
}


def servers(clear):
    """Those that speak HTTP/2 in clear text, or those that speak TLS."""
    guest = GUESTS / "greeting.wasm"
    nghttpd = shutil.which("nghttpd", path="/usr/bin:/usr/sbin")
    ours = [] if clear else ["--ssl-certfile", CERTIFICATE, "--ssl-keyfile", KEY]
    granian = [] if clear else ["--ssl-certificate", CERTIFICATE, "--ssl-keyfile", KEY]
    static = ["--no-tls"] if clear else []
    speaks = "http" if clear else "https"
    found = {
        "wasmserve": Served(lambda port: wasmserve(guest, port, 1, *ours), speaks=speaks),
        "granian": Served(lambda port: python_server("granian", "hello:app", port, 1, *granian), speaks=speaks),
        "nghttpd, a file": Served(
            lambda port: [nghttpd, "-a", "127.0.0.1", "-d", PAGES, *static, port, *([] if clear else [KEY, CERTIFICATE])],
            speaks="h2"),
    }
    if not clear:
        found["uvicorn"] = Served(lambda port: python_server("uvicorn", "hello:app", port, 1, *ours), speaks=speaks)
    return found


def tls(bench):
    PAGES.mkdir(parents=True, exist_ok=True)
    (PAGES / "index.html").write_text("Hello, world!\n")
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 30,
        "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", KEY, "-out", CERTIFICATE,
        capture_output=True)
    found = {}
    rounds, bench.seconds = bench.few()
    for name, load in LOADS.items():
        asked = servers(clear="clear" in name)
        if "HTTP/2" not in name:
            del asked["nghttpd, a file"]
        elif "uvicorn" in asked:
            del asked["uvicorn"]
        costs = bench.by_turns(asked, load, rounds)
        found[name] = {server: [median(each) for each in zip(*times)] for server, times in costs.items()}
    return found


def tell_tls(found):
    names = ("wasmserve", "granian", "uvicorn", "nghttpd, a file")

    def shown(cells):
        return f"{cells[0]:.1f} us, {cells[1]:,.0f}/s" if cells else "–"

    return [
        f"HTTP/2 and TLS: CPU per request, and requests a second. `Hello, world!` from guests/rust/greeting, from the "
        f"smallest ASGI application, and from a file that nghttpd sends; one worker each; {CONNECTIONS} connections of "
        f"{STREAMS} streams over HTTP/2, {CONNECTIONS * STREAMS} connections over HTTP/1.1; a certificate of ECDSA "
        "(P-256). uvicorn has no HTTP/2, and nghttpd nothing else:", "",
        *table(["", *names], [[load, *(shown(cells.get(name)) for name in names)] for load, cells in found.items()]),
    ]
