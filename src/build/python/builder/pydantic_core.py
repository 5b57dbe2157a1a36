"""Pydantic's native core as a wheel for WASI, built from its own source without a change, once for each version."""

import os
import tarfile
import zipfile
from pathlib import Path

from . import toolchain
from .say import Mistake, progress, run
from .tools import COMPONENTIZE, key, whole_or_not

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
MODULE = "pydantic_core/_pydantic_core.cpython-314-wasm32-wasi.so"


def wheel(version, tools, cache):
    rustc = toolchain.rustc(cache)
    mark = key(Path(__file__).read_bytes(), run([rustc, "-vV"], "asking rustc"), COMPONENTIZE)
    home = cache / f"pydantic-core-{version}-{mark}"
    with whole_or_not(home) as unfinished:
        if unfinished is not None:
            _build(version, unfinished, rustc, tools, cache)
    return next(home.glob("*.whl"))


def _build(version, home, rustc, tools, cache):
    progress(f"building pydantic-core {version} for WASI, which takes some minutes and is done once")
    source = _source(version, home, tools)
    libraries = _libraries(cache, tools)
    configuration = home / "pyo3.cfg"
    configuration.write_text(CONFIGURATION)
    env = {name: value for name, value in os.environ.items() if name not in ("CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER")}
    env.update(
        RUSTC=str(rustc),
        # -Zbuild-std is unstable, and this compiler stable.
        RUSTC_BOOTSTRAP="1",
        RUSTFLAGS=" ".join([*FLAGS, f"-Clink-arg=-L{libraries}"]),
        PYO3_CONFIG_FILE=str(configuration),
        CARGO_TARGET_DIR=str(home / "target"),
    )
    run(
        ["cargo", "build", "--release", "--locked", "--target", "wasm32-wasip1", "-Zbuild-std=std,panic_abort"],
        "building pydantic-core",
        cwd=source,
        env=env,
    )
    module = home / "target/wasm32-wasip1/release/_pydantic_core.wasm"
    if not module.is_file():
        raise Mistake(f"pydantic-core {version} made no {module.name}")
    _pack(version, source, module, home)
    for name in ("target", source.name):
        run(["rm", "-rf", home / name], "tidying up")


def _source(version, home, tools):
    tools.pip(
        "download", "--as-host", "-q", "--no-deps", "--no-binary", "pydantic-core", "--dest", home, f"pydantic-core=={version}",
        what="fetching pydantic-core's source",
    )  # fmt: skip
    archive = next(home.glob("pydantic_core-*.tar.gz"))
    with tarfile.open(archive) as tar:
        tar.extractall(home, filter="data")
    archive.unlink()
    return home / archive.name.removesuffix(".tar.gz")


def _libraries(cache, tools):
    """The shared libraries that componentize-py links with: its crate carries them."""
    home = cache / ("libraries-" + key(COMPONENTIZE))
    with whole_or_not(home) as unfinished:
        if unfinished is not None:
            _fetch_libraries(unfinished, tools)
    return home


def _fetch_libraries(home, tools):
    name, version = COMPONENTIZE.split("==")
    work = home / "work"
    (work / "src").mkdir(parents=True)
    (work / "src/lib.rs").touch()
    (work / "Cargo.toml").write_text(
        f'[package]\nname = "seed"\nedition = "2021"\n[dependencies]\n{name} = "={version}"\n[workspace]\n'
    )
    run(["cargo", "vendor", "--versioned-dirs", "vendor"], f"fetching the crate {name}", cwd=work)
    script = (
        "import sys, zstandard; "
        "zstandard.ZstdDecompressor().copy_stream(open(sys.argv[1], 'rb'), open(sys.argv[2], 'wb'))"
    )
    for packed in (work / f"vendor/{name}-{version}").glob("lib*.so.zst"):
        run([tools.python, "-c", script, packed, home / packed.stem], "unpacking")
    run(["rm", "-rf", work], "tidying up")


def _pack(version, source, module, home):
    tag = "cp314-cp314-wasi_wasm32"
    info = f"pydantic_core-{version}.dist-info"
    python = source / "python"
    with zipfile.ZipFile(home / f"pydantic_core-{version}-{tag}.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(python.rglob("*")):
            if path.is_file() and path.suffix in (".py", ".pyi", ".typed"):
                archive.write(path, path.relative_to(python).as_posix())
        archive.write(module, MODULE)
        archive.write(source / "PKG-INFO", f"{info}/METADATA")
        archive.writestr(
            f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: wasmserve\nRoot-Is-Purelib: false\nTag: {tag}\n"
        )
        archive.writestr(f"{info}/RECORD", "")
