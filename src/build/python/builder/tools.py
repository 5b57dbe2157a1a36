"""The Python tools that a build uses, in a virtual environment of their own in the cache."""

import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from .say import Mistake, progress, run

COMPONENTIZE = "componentize-py==0.25.1"
# What pip_for_wasi.py reaches into belongs to this version.
PIP = "pip==25.3"
ZSTANDARD = "zstandard==0.25.0"
# The time zones of `zoneinfo`, which looks for this package where the system has none.
TZDATA = "tzdata==2026.6"
# A compiler for the parts in C of packages in Rust.
ZIG = "ziglang==0.17.1"
# What packages with a native part call when they are built from source.
COMPILERS = "cc gcc g++ c++ clang clang++ cargo rustc cmake ninja meson go gfortran nvcc".split()


def key(*parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else str(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()[:16]


def cache_folder(asked):
    base = Path(asked) if asked else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wasmserve/python"
    for folder in [*reversed(base.parents), base]:
        # Wasmserve keeps code beside it, and trusts only what nobody else can write.
        folder.mkdir(0o700, exist_ok=True)
    return base.resolve()


@contextmanager
def whole_or_not(folder):
    """A folder that appears at its place only once it is complete; None where it is there already."""
    if folder.exists():
        yield None
        return
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        try:
            unfinished.rename(folder)
        except OSError:
            # Another build was faster.
            if not folder.exists():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


class Tools:
    def __init__(self, cache):
        name = key(COMPONENTIZE, PIP, ZSTANDARD, TZDATA, sys.version, sys.executable)
        self.folder = cache / f"tools-{name}"
        ready = self.folder / "ready"
        if not ready.exists():
            progress(f"installing {COMPONENTIZE}")
            # Not renamed into place: a virtual environment knows where it is.
            shutil.rmtree(self.folder, ignore_errors=True)
            made = subprocess.run([sys.executable, "-m", "venv", self.folder], capture_output=True, text=True)
            if made.returncode != 0:
                said = made.stdout + made.stderr
                # Debian says the same, in ten lines.
                more = "" if "ensurepip" in said else f"\n{said}"
                raise Mistake(f"python3 cannot make virtual environments; install that with `apt-get install python3-venv`{more}")
            run([self.python, "-m", "pip", "install", "-q", PIP], "installing pip")
            run([self.python, "-m", "pip", "install", "-q", COMPONENTIZE, ZSTANDARD], "installing componentize-py")
            run([self.python, "-m", "pip", "install", "-q", "--no-deps", "--target", self.zones, TZDATA], "installing tzdata")
            # Where componentize-py would look for packages otherwise is the Python that builds.
            (self.folder / "nothing/lib/site-packages").mkdir(parents=True)
            ready.touch()

    @property
    def python(self):
        return self.folder / "bin/python"

    @property
    def zones(self):
        """The folder that has the package tzdata."""
        return self.folder / "zones"

    def pip(self, *arguments, what, env=None, timeout=None, cwd=None):
        shim = Path(__file__).with_name("pip_for_wasi.py")
        return run([self.python, shim, *arguments], what, env={**_own(), **(env or {})}, timeout=timeout, cwd=cwd)

    def depend(self, report, left_out):
        script = Path(__file__).with_name("dependencies.py")
        return run([self.python, script, report, *sorted(left_out)], "asking who asks for what", env=_own())

    def zig(self, cache):
        """The one on the path, or else one in the cache."""
        if found := shutil.which("zig"):
            return Path(found)
        home = cache / f"zig-{key(ZIG)}"
        with whole_or_not(home) as unfinished:
            if unfinished is not None:
                progress(f"installing {ZIG}, a compiler for C")
                run([self.python, "-m", "pip", "install", "-q", "--no-deps", "--target", unfinished, ZIG], "installing zig")
        return home / "ziglang/zig"

    def without_compilers(self):
        """Variables with which nothing native is built, and nobody waits for it."""
        folder = self.folder / "none"
        if not folder.exists():
            with whole_or_not(folder) as unfinished:
                for name in COMPILERS if unfinished is not None else ():
                    (unfinished / name).write_text("#!/bin/sh\necho 'nothing native is built' >&2\nexit 1\n")
                    (unfinished / name).chmod(0o755)
        return {"PATH": os.pathsep.join([str(folder), os.environ.get("PATH", os.defpath)])}

    def componentize(self, arguments):
        """Whether it succeeded, and what it printed."""
        command = [str(word) for word in [self.folder / "bin/componentize-py", *arguments]]
        from . import say

        if say.verbose:
            print("+ " + " ".join(command), file=sys.stderr, flush=True)
        # What is there, it adds to the path.
        env = {**_own(), "VIRTUAL_ENV": str(self.folder / "nothing")}
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=env)
        return done.returncode == 0, done.stdout


def _own():
    """The environment without what leads Python to modules that are not its own."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
