"""Packages whose native part is written in Rust and known to build for WASI: how each is made from its own source, without
a change, once for each version."""

import os
import shutil
from pathlib import Path

from . import libraries, native_source, openssl, toolchain
from .rust_packages import PACKAGES
from .say import Mistake, follow, progress, run
from .tools import COMPONENTIZE, ZIG, key, whole_or_not

CONFIGURATION = """implementation=CPython
version=3.14
shared=true
abi3=false
pointer_width=32
build_flags=
suppress_build_script_link_lines=true
"""
# A shared library in the sense of WebAssembly's tool conventions (DynamicLinking.md): what it does not
# define is found in libpython and libc when componentize-py links them.
FLAGS = [
    "-Crelocation-model=pic",
    "-Clink-self-contained=no",
    "-Ctarget-feature=-crt-static",
    "-Clink-arg=--experimental-pic",
    "-Clink-arg=-shared",
    "-Clink-arg=--unresolved-symbols=import-dynamic",
    "-Clink-arg=-lpython3.14",
    "-Clink-arg=-lc",
]
# One for all packages, so that Rust's library is compiled once for them.
PROFILE = {
    "LTO": "fat",
    # More than one, for Rust's library is half of the work, and most of it waits for the first of its crates; what is linked
    # is optimized as a whole.
    "CODEGEN_UNITS": "16",
    "PANIC": "abort",
    "STRIP": "true",
    "OVERFLOW_CHECKS": "false",
    "BUILD_OVERRIDE_OPT_LEVEL": "0",
}
# What maturin puts around a module where a package has nothing in Python.
ALL_NATIVE = """from .{0} import *

__doc__ = {0}.__doc__
if hasattr({0}, "__all__"):
    __all__ = {0}.__all__
"""
# What cc of the crates would add means another system to zig.
COMPILER = """#!/bin/sh
for word; do
    shift
    case $word in --target=*) ;; *) set -- "$@" "$word" ;; esac
done
exec {zig} cc -target wasm32-wasi -fPIC "$@"
"""


def wheel(name, version, tools, cache, target):
    """The path of the wheel. What cargo makes on the way is in the folder `target`, where packages that are built one after
    another find Rust's library."""
    rustc = toolchain.rustc(cache, name)
    mine = [Path(module).read_bytes() for module in (__file__, native_source.__file__, libraries.__file__)]
    # Of the packages only this one, so that another that becomes known has none of them built again.
    mine += [openssl.mark()] if PACKAGES[name].has_openssl else []
    mark = key(*mine, PACKAGES[name], run([rustc, "-vV"], "asking rustc"), COMPONENTIZE, ZIG)
    home = cache / f"{name}-{version}-{mark}"
    with whole_or_not(home) as unfinished:
        if unfinished is not None:
            progress(f"building {name} {version} for WASI from its source in Rust, which takes some minutes and is done once")
            _build(name, version, unfinished, rustc, tools, cache, target)
    return next(home.glob("*.whl"))


def _build(name, version, home, rustc, tools, cache, target):
    package = PACKAGES[name]
    source = native_source.fetch(name, version, home, tools)
    for file, ours in package.replaced:
        shutil.copy(Path(__file__).resolve().parent.parent / ours, source / file)
    # A copy of crates that lacks those of Rust's library; Cargo.lock has the same ones with their sums.
    shutil.rmtree(source / ".cargo", ignore_errors=True)
    command = ["cargo", "rustc", "--lib", "--release", "--locked", "--target", "wasm32-wasip1"]
    # Alone: where a package makes a library for Rust as well, Rust's own library would be compiled another time for that.
    command += ["--crate-type", "cdylib", "-Zbuild-std=std,panic_abort"]
    # Without the features that Rust's library has otherwise: they are stack traces, and WASI has none.
    command += ["-Zbuild-std-features="]
    for crate in package.checked:
        command += ["--config", f"profile.release.package.{crate}.overflow-checks=true"]
    for crate in package.small:
        command += ["--config", f'profile.release.package.{crate}.opt-level="s"']
    environment = _environment(home, target, rustc, tools, cache)
    if package.has_c:
        environment.update(_compiler(home, tools, cache))
    if package.has_openssl:
        environment.update(openssl.variables(source, cache, tools))
    try:
        follow(command, f"building {name}", cwd=source / package.crate, env=environment)
    except Mistake as mistake:
        native_source.name_what_builds(mistake, name, version, package.since)
    module = target / f"wasm32-wasip1/release/{package.library}.wasm"
    if not module.is_file():
        raise Mistake(f"{name} {version} made no {module.name}")
    native_source.pack(name, version, source, package.module, module, _python(package, source), home)


def _environment(home, target, rustc, tools, cache):
    configuration = home / "pyo3.cfg"
    configuration.write_text(CONFIGURATION)
    unwanted = ("CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER")
    return {
        **{name: value for name, value in os.environ.items() if name not in unwanted},
        **{f"CARGO_PROFILE_RELEASE_{name}": value for name, value in PROFILE.items()},
        "RUSTC": str(rustc),
        # -Zbuild-std is unstable, and this compiler stable.
        "RUSTC_BOOTSTRAP": "1",
        "RUSTFLAGS": " ".join([*FLAGS, f"-Clink-arg=-L{libraries.folder(cache, tools)}"]),
        "PYO3_CONFIG_FILE": str(configuration),
        "CARGO_TARGET_DIR": str(target),
    }


def _compiler(home, tools, cache):
    """Variables that name a compiler for parts in C."""
    zig = tools.zig(cache)
    for name, text in (("cc", COMPILER), ("ar", '#!/bin/sh\nexec {zig} ar "$@"\n')):
        (home / name).write_text(text.format(zig=f'"{zig}"'))
        (home / name).chmod(0o755)
    return {"CC_wasm32_wasip1": str(home / "cc"), "AR_wasm32_wasip1": str(home / "ar")}


def _python(package, source):
    """The package's modules in Python, each with its place in the wheel."""
    top, *_, name = package.module.split("/")
    if package.python is None:
        return [(ALL_NATIVE.format(name), f"{top}/__init__.py")]
    return native_source.python(source / package.python, top)
