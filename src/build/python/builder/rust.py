"""Packages whose native part is written in Rust and known to build for WASI: how each is made from its own source, without
a change, once for each version. Pydantic's core, which came first, is made by pydantic_core.py."""

import os
import re
import shutil
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from . import pydantic_core, toolchain
from .say import Mistake, follow, progress, run
from .tools import COMPONENTIZE, ZIG, key, whole_or_not


@dataclass(frozen=True)
class Package:
    # The first version that is known to build; earlier ones are not tried.
    since: str
    # The folder of its source that has Cargo.toml.
    crate: str
    # What cargo makes there, and the module that it is imported as.
    library: str
    module: str
    # The folder of its source that has its modules in Python.
    python: str
    has_c: bool = False
    # The crates whose sums are checked, as the package's own profile says of all: one of its own for Rust's library would
    # have that compiled again.
    checked: tuple = ()


PACKAGES = {
    "bcrypt": Package(
        "5.0.0", "src/_bcrypt", "bcrypt_rust", "bcrypt/_bcrypt", "src",
        checked=("bcrypt-rust", "bcrypt", "bcrypt-pbkdf", "blowfish", "base64"),
    ),
    "orjson": Package("3.13.0", ".", "orjson", "orjson/orjson", "pysrc", has_c=True),
}  # fmt: skip
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
# What cc of the crates would add means another system to zig.
COMPILER = """#!/bin/sh
for word; do
    shift
    case $word in --target=*) ;; *) set -- "$@" "$word" ;; esac
done
exec {zig} cc -target wasm32-wasi -fPIC "$@"
"""


def is_too_old(name, version):
    return name in PACKAGES and _order(version) < _order(PACKAGES[name].since)


def _order(version):
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


def wheel(name, version, tools, cache, target):
    """The path of the wheel. What cargo makes on the way is in the folder `target`, where packages that are built one after
    another find Rust's library."""
    rustc = toolchain.rustc(cache, name)
    mine = [Path(module).read_bytes() for module in (__file__, pydantic_core.__file__)]
    mark = key(*mine, run([rustc, "-vV"], "asking rustc"), COMPONENTIZE, ZIG)
    home = cache / f"{name}-{version}-{mark}"
    with whole_or_not(home) as unfinished:
        if unfinished is not None:
            progress(f"building {name} {version} for WASI from its source in Rust, which takes some minutes and is done once")
            _build(name, version, unfinished, rustc, tools, cache, target)
    return next(home.glob("*.whl"))


def _build(name, version, home, rustc, tools, cache, target):
    package = PACKAGES[name]
    source = _source(name, version, home, tools)
    # A copy of crates that lacks those of Rust's library; Cargo.lock has the same ones with their sums.
    shutil.rmtree(source / ".cargo", ignore_errors=True)
    command = ["cargo", "build", "--release", "--locked", "--target", "wasm32-wasip1", "-Zbuild-std=std,panic_abort"]
    # Without the features that Rust's library has otherwise: they are stack traces, and WASI has none.
    command += ["-Zbuild-std-features="]
    for crate in package.checked:
        command += ["--config", f"profile.release.package.{crate}.overflow-checks=true"]
    environment = _environment(home, target, rustc, tools, cache)
    if package.has_c:
        environment.update(_compiler(home, tools, cache))
    try:
        follow(command, f"building {name}", cwd=source / package.crate, env=environment)
    except Mistake as mistake:
        if version == package.since:
            raise
        raise Mistake(f"{mistake}\n{name} {package.since} is known to build for WASI: ask for `{name}=={package.since}`") from None
    module = target / f"wasm32-wasip1/release/{package.library}.wasm"
    if not module.is_file():
        raise Mistake(f"{name} {version} made no {module.name}")
    _pack(package, name, version, source, module, home)
    shutil.rmtree(source)


def _environment(home, target, rustc, tools, cache):
    configuration = home / "pyo3.cfg"
    configuration.write_text(pydantic_core.CONFIGURATION)
    libraries = pydantic_core._libraries(cache, tools)
    unwanted = ("CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER")
    return {
        **{name: value for name, value in os.environ.items() if name not in unwanted},
        **{f"CARGO_PROFILE_RELEASE_{name}": value for name, value in PROFILE.items()},
        "RUSTC": str(rustc),
        # -Zbuild-std is unstable, and this compiler stable.
        "RUSTC_BOOTSTRAP": "1",
        "RUSTFLAGS": " ".join([*pydantic_core.FLAGS, f"-Clink-arg=-L{libraries}"]),
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


def _source(name, version, home, tools):
    tools.pip(
        "download", "--as-host", "-q", "--no-deps", "--no-binary", name, "--dest", home, f"{name}=={version}",
        what=f"fetching {name}'s source",
    )  # fmt: skip
    archive = next(home.glob("*.tar.gz"))
    with tarfile.open(archive) as tar:
        tar.extractall(home, filter="data")
    archive.unlink()
    return home / archive.name.removesuffix(".tar.gz")


def _pack(package, name, version, source, module, home):
    tag = "cp314-cp314-wasi_wasm32"
    begin = f"{name.replace('-', '_')}-{version}"
    with zipfile.ZipFile(home / f"{begin}-{tag}.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        python = source / package.python
        for path in sorted(python.glob(f"{package.module.split('/')[0]}/**/*")):
            if path.suffix in (".py", ".pyi", ".typed"):
                archive.write(path, path.relative_to(python).as_posix())
        archive.write(module, f"{package.module}.cpython-314-wasm32-wasi.so")
        archive.write(source / "PKG-INFO", f"{begin}.dist-info/METADATA")
        archive.writestr(
            f"{begin}.dist-info/WHEEL", f"Wheel-Version: 1.0\nGenerator: wasmserve\nRoot-Is-Purelib: false\nTag: {tag}\n"
        )
        archive.writestr(f"{begin}.dist-info/RECORD", "")
