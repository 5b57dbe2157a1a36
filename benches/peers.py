"""What the benches share: who is compared, where each comes from, and how a server is started, looked at
and stopped. Everything is installed into target/benches."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
HOME = ROOT / "target/benches"
VENV = HOME / "venv"
BINARY = VENV / "bin"
WASMSERVE = ROOT / "target/dist/wasmserve"
HYPER = HOME / "build/release/bench-hyper"

WASMTIME_VERSION = "48.0.8"
WASMTIME = HOME / f"wasmtime-{WASMTIME_VERSION}/bin/wasmtime"
# What `wasmtime serve` needs, and what makes it as fast as the whole program.
WASMTIME_FEATURES = (
    "run,serve,cranelift,parallel-compilation,pooling-allocator,component-model,component-model-async,"
    "threads,gc,gc-drc,gc-null,addr2line,backtrace,demangle"
)

PYTHON_PACKAGES = ["uvicorn[standard]", "gunicorn", "uvicorn-worker", "granian"]

APPLICATION = '''
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"14")]})
    await send({"type": "http.response.body", "body": b"Hello, world!\\n"})
'''


def say(text):
    print(f"# {text}", file=sys.stderr, flush=True)


def run(*argv, **options):
    subprocess.run([str(word) for word in argv], check=True, **options)


def need(*programs):
    """Programs of Debian packages: (program, package)."""
    missing = [package for program, package in programs if shutil.which(program) is None]
    if missing:
        sys.exit(f"this bench needs {' and '.join(missing)}: run 'apt-get install {' '.join(missing)}'")


def build_wasmserve():
    run("cargo", "build", "-q", "--profile", "dist", "--locked", cwd=ROOT)


def build_fastapi(application):
    """The application as a component, as `wasmserve build` makes it."""
    output = HOME / "fastapi.wasm"
    rustc = subprocess.run([ROOT / "guests/toolchain"], check=True, capture_output=True, text=True).stdout.strip()
    cache = {"XDG_CACHE_HOME": str(ROOT / "target/python/cache"), "RUSTC": rustc}
    run(WASMSERVE, "build", application, "-o", output, env={**os.environ, **cache})
    return output


def build_hyper():
    manifest = ROOT / "benches/hyper/Cargo.toml"
    run("cargo", "build", "-q", "--release", "--locked", "--manifest-path", manifest,
        "--target-dir", HOME / "build")


def install_wasmtime():
    if WASMTIME.exists():
        return
    say(f"building wasmtime-cli {WASMTIME_VERSION}, once; that takes minutes")
    run("cargo", "install", "-q", "--locked", "wasmtime-cli", "--version", f"={WASMTIME_VERSION}",
        "--no-default-features", "--features", WASMTIME_FEATURES, "--root", WASMTIME.parent.parent,
        "--target-dir", HOME / "wasmtime-build", cwd="/")
    shutil.rmtree(HOME / "wasmtime-build")


def install_python(*requirements):
    """The Python servers, and what an application needs."""
    HOME.mkdir(parents=True, exist_ok=True)
    (HOME / "hello.py").write_text(APPLICATION)
    known = VENV / "installed"
    wanted = "\n".join([*PYTHON_PACKAGES, *requirements])
    if known.exists() and known.read_text() == wanted:
        return
    run(sys.executable, "-m", "venv", VENV)
    run(BINARY / "pip", "install", "-q", *PYTHON_PACKAGES, *requirements)
    known.write_text(wanted)


def python_servers(application, port, workers):
    """The command lines of those that serve a Python application."""
    port, workers = str(port), str(workers)
    return {
        "uvicorn": [BINARY / "uvicorn", application, "--port", port, "--workers", workers,
                    "--no-access-log", "--log-level", "critical"],
        "granian": [BINARY / "granian", "--interface", "asgi", application, "--port", port,
                    "--workers", workers, "--no-log", "--respawn-failed-workers"],
        "gunicorn": [BINARY / "gunicorn", application, "-b", f"127.0.0.1:{port}", "-w", workers,
                     "-k", "uvicorn_worker.UvicornWorker", "--log-level", "critical"],
    }


def wasmserve(component, port, workers, *options):
    return [WASMSERVE, component, "--port", str(port), "--workers", str(workers), "--no-access-log",
            "--log-level", "error", *options]


def wasmtime(component, port, *options):
    return [WASMTIME, "serve", "-S", "cli", "--addr", f"127.0.0.1:{port}", *options, component]


class Server:
    """A running server: `with Server(argv, port) as server`."""

    def __init__(self, argv, port, path="/", cwd=HOME):
        self.port, self.path = port, path
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [str(word) for word in argv], cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            # Some compile tens of megabytes first.
            self.wait(120)
        except BaseException:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def wait(self, seconds):
        """Waits for an answer; how long it took, from where the server was started or from now on."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.answers():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.0005)
        sys.exit(f"{self.process.args[0]} does not answer")

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as client:
                head = f"GET {self.path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
                client.sendall(head.encode())
                return client.recv(15).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def stop(self):
        for sent in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, sent)
                self.process.wait(3)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        self.process.wait()

    def processes(self):
        """This server's processes, the first of them first."""
        return tree(self.process.pid)

    def workers(self):
        """Those that serve: the children, or the one process that there is."""
        return [pid for pid in self.processes()[1:] if serves(pid)] or [self.process.pid]

    def cpu(self):
        """Seconds of processor time that all processes have used: utime and stime of proc(5)."""
        return sum(map(ticks, self.processes())) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Bytes that all processes take, what they share counted once."""
        return sum(map(pss, self.processes()))


def tree(pid):
    found = [pid]
    for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in children.read_text().split():
                found += tree(int(child))
        except OSError:
            pass
    return found


def serves(pid):
    """Not what looks after Python's resources, nor what wasmserve forks workers from."""
    try:
        process = pathlib.Path(f"/proc/{pid}")
        return "resource_tracker" not in (process / "cmdline").read_text() and "zygote" not in (process / "comm").read_text()
    except OSError:
        return False


def ticks(pid):
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def pss(pid):
    """Proportional set size in bytes."""
    try:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return int(re.search(r"^Pss: +(\d+) kB", text, re.M)[1]) << 10


def wrk(port, path, seconds, connections=32):
    """Asks as fast as it goes; how many requests were answered, and how many in a second."""
    result = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", f"http://127.0.0.1:{port}{path}"],
        capture_output=True, text=True, check=True,
    ).stdout
    bad = re.search(r"Non-2xx.*", result)
    if bad:
        sys.exit(f"wrk: {bad[0]}")
    return int(re.search(r"(\d+) requests in", result)[1]), float(re.search(r"Requests/sec: +([\d.]+)", result)[1])


def wrk_closing(port, path, seconds, connections):
    """The same with a connection for each request; also the median of their microseconds."""
    result = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--latency", "-H", "Connection: close",
         f"http://127.0.0.1:{port}{path}"],
        capture_output=True, text=True, check=True,
    ).stdout
    bad = re.search(r"Non-2xx.*|Socket errors.*", result)
    if bad:
        sys.exit(f"wrk: {bad[0]}")
    number, unit = re.search(r"50% +([\d.]+)(us|ms|s)\b", result).groups()
    count = int(re.search(r"(\d+) requests in", result)[1])
    rate = float(re.search(r"Requests/sec: +([\d.]+)", result)[1])
    return count, rate, float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]


def h2load(port, path, rate, seconds, connections):
    """Asks so often in a second, whatever the answers take; the milliseconds that each took."""
    log = HOME / "h2load.log"
    log.unlink(missing_ok=True)
    run("h2load", "--h1", "-t1", f"-c{connections}", f"--rps={rate / connections:.3f}", f"-D{seconds}",
        f"--log-file={log}", f"http://127.0.0.1:{port}{path}", stdout=subprocess.DEVNULL)
    lines = (line.split() for line in log.read_text().splitlines())
    return sorted(int(took) / 1000 for _, status, took in lines if status == "200")


def percentile(ordered, share):
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else float("nan")
