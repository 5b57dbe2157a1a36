"""Who is compared, where each comes from, and with which command it serves. All is installed into target/benches."""

import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HOME = ROOT / "target/benches"
VENV = HOME / "venv"
BINARY = VENV / "bin"
# An executable that is measured as it is, in place of one that is built.
GIVEN = os.environ.get("BENCH_WASMSERVE")
WASMSERVE = pathlib.Path(GIVEN).resolve() if GIVEN else ROOT / "target/dist/wasmserve"
HYPER = HOME / "build/release/bench-hyper"

WASMTIME_VERSION = "48.0.8"
WASMTIME = HOME / f"wasmtime-{WASMTIME_VERSION}/bin/wasmtime"
# What `wasmtime serve` and `wasmtime compile` need, and what makes them as fast as the whole program.
WASMTIME_FEATURES = (
    "run,serve,compile,cranelift,parallel-compilation,pooling-allocator,component-model,component-model-async,"
    "threads,gc,gc-drc,gc-null,addr2line,backtrace,demangle"
)

PYTHON_PACKAGES = ["uvicorn[standard]", "gunicorn", "uvicorn-worker", "granian"]
PYTHON_SERVERS = ("uvicorn", "granian", "gunicorn")
# What the applications need that Python's servers serve here.
REQUIREMENTS = [
    ROOT / folder / "requirements.txt"
    for folder in ("benches/realistic", "guests/python/fastapi", "guests/python/starlette", "guests/python/flask")
]

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
    return subprocess.run([str(word) for word in argv], check=True, **options)


def need(*programs):
    """Programs of Debian packages: (program, package)."""
    # Debian has some of them where the path of users does not lead.
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
    missing = [package for program, package in programs if shutil.which(program, path=path) is None]
    if missing:
        sys.exit(f"this bench needs {' and '.join(missing)}: run 'apt-get install {' '.join(missing)}'")


def build_wasmserve():
    if not GIVEN:
        run("cargo", "build", "-q", "--profile", "dist", "--locked", cwd=ROOT)


def toolchains():
    """The environment in which `wasmserve build` finds what ./test has fetched for the guests."""
    def printed(script):
        return run(ROOT / script, capture_output=True, text=True).stdout.strip()

    path = [printed("guests/c/toolchain"), printed("guests/go/toolchain"), os.environ["PATH"]]
    return {
        **os.environ,
        "PATH": ":".join(path),
        "RUSTC": printed("guests/toolchain"),
        "GOCACHE": str(ROOT / "target/go/cache"),
        "ZIG_GLOBAL_CACHE_DIR": str(ROOT / "target/zig/cache"),
        "XDG_CACHE_HOME": str(ROOT / "target/python/cache"),
    }


@functools.cache
def built_once(application, name, *options):
    """The application as a component, as `wasmserve build` makes it, once in a run."""
    say(f"building {application}")
    output = HOME / f"{name}.wasm"
    run(WASMSERVE, "build", application, "-o", output, *options, env=toolchains())
    return output


def build_hyper():
    manifest = ROOT / "benches/hyper/Cargo.toml"
    run("cargo", "build", "-q", "--release", "--locked", "--manifest-path", manifest,
        "--target-dir", HOME / "build")


def install_wasmtime():
    known = WASMTIME.parent.parent / "features"
    if WASMTIME.exists() and known.exists() and known.read_text() == WASMTIME_FEATURES:
        return
    say(f"building wasmtime-cli {WASMTIME_VERSION}, once; that takes minutes")
    run("cargo", "install", "-q", "--force", "--locked", "wasmtime-cli", "--version", f"={WASMTIME_VERSION}",
        "--no-default-features", "--features", WASMTIME_FEATURES, "--root", WASMTIME.parent.parent,
        "--target-dir", HOME / "wasmtime-build", cwd="/")
    shutil.rmtree(HOME / "wasmtime-build")
    known.write_text(WASMTIME_FEATURES)


def install_python():
    """The Python servers, and what the applications need."""
    HOME.mkdir(parents=True, exist_ok=True)
    (HOME / "hello.py").write_text(APPLICATION)
    known = VENV / "installed"
    wanted = "\n".join([*PYTHON_PACKAGES, *(file.read_text() for file in REQUIREMENTS)])
    if known.exists() and known.read_text() == wanted:
        return
    run(sys.executable, "-m", "venv", VENV)
    requirements = (word for file in REQUIREMENTS for word in ("-r", file))
    run(BINARY / "pip", "install", "-q", *PYTHON_PACKAGES, *requirements)
    known.write_text(wanted)


def versions():
    """What each is, for who reads the figures."""
    def installed(package):
        found = next(VENV.glob(f"lib/*/site-packages/{package}-*.dist-info"))
        return f"{package} {found.name.removesuffix('.dist-info').partition('-')[2]}"

    def printed(*argv):
        said = subprocess.run([str(word) for word in argv], capture_output=True, text=True)
        return re.search(r"\d+\.\d+[.\d]*", said.stdout + said.stderr)[0]

    hyper = re.search(r'name = "hyper"\nversion = "(.*)"', (ROOT / "benches/hyper/Cargo.lock").read_text())[1]
    known = [f"hyper {hyper}", f"wasmtime {WASMTIME_VERSION}", *map(installed, (*PYTHON_SERVERS, "fastapi"))]
    known.append(f"Python {printed(BINARY / 'python', '--version')}")
    if nghttpd := shutil.which("nghttpd", path="/usr/sbin:/usr/bin"):
        known.append(f"nghttpd {printed(nghttpd, '--version')}")
    return known


def python_server(name, application, port, workers, *options):
    """The command line of one that serves a Python application."""
    return {
        "uvicorn": [BINARY / "uvicorn", application, "--port", port, "--workers", workers,
                    "--no-access-log", "--log-level", "critical"],
        "granian": [BINARY / "granian", "--interface", "asgi", application, "--port", port,
                    "--workers", workers, "--no-log", "--respawn-failed-workers"],
        "gunicorn": [BINARY / "gunicorn", application, "-b", f"127.0.0.1:{port}", "-w", workers,
                     "-k", "uvicorn_worker.UvicornWorker", "--log-level", "critical"],
        # A thread for each of the clients: its workers of one thread close each connection.
        "gunicorn, threads": [BINARY / "gunicorn", application, "-b", f"127.0.0.1:{port}", "-w", workers,
                              "-k", "gthread", "--threads", 8, "--log-level", "critical"],
    }[name] + list(options)


def wasmserve(component, port, workers, *options):
    return [WASMSERVE, component, "--port", port, "--workers", workers, "--no-access-log", "--log-level", "error",
            *options]


def wasmtime(component, port, *options):
    return [WASMTIME, "serve", "-S", "cli", "--addr", f"127.0.0.1:{port}", *options, component]


REUSED = ("--reuse", 1_000_000_000)
WASMTIME_REUSED = ("--max-instance-reuse-count", 1_000_000_000)
