"""Packages whose native part is written in C and known to build for WASI: how each is made from its own source, once for each
version. What they use of Python's C API is declared in ../native/Python.h."""

from dataclasses import dataclass
from pathlib import Path

from . import libraries, native_source
from .say import Mistake, progress, run
from .tools import COMPONENTIZE, ZIG, key, whole_or_not

NATIVE = Path(__file__).resolve().parent.parent / "native"


@dataclass(frozen=True)
class Package:
    # The first version that is known to build; earlier ones are not tried.
    since: str
    # What it is imported as, and its package in Python.
    module: str
    python: str
    # Files of its source.
    sources: tuple
    # Files beside Python.h that are compiled with it.
    ours: tuple = ()
    include: tuple = ()
    defined: tuple = ()
    libraries: tuple = ()
    # The folder of its source that has its package.
    folder: str = "src"
    # Functions that are declared with fewer arguments than they are called with, which WebAssembly does not allow: the file,
    # what is there, and what takes its place.
    declared: tuple = ()


PACKAGES = {
    # Its own C is what its authors' cffi generated, as in Pyodide's build.
    "argon2-cffi-bindings": Package(
        "26.2.0", "_argon2_cffi_bindings/_ffi", "_argon2_cffi_bindings",
        ("src/_argon2_cffi_bindings/_ffi.c",
         *(f"extras/libargon2/src/{name}.c" for name in ("argon2", "blake2/blake2b", "core", "encoding", "ref", "thread"))),
        include=("extras/libargon2/include",),
        defined=("_CFFI_NO_LIMITED_API", "ARGON2_NO_THREADS"),
    ),
    # For packages that were compiled for it ("API mode"): functions are called by their own code, none by its address.
    "cffi": Package(
        "2.1.1", "_cffi_backend", "cffi", ("src/c/_cffi_backend.c",), ours=("ffi.c",),
        defined=("FFI_BUILDING", "HAVE_SYNC_SYNCHRONIZE", "_WASI_EMULATED_MMAN"), libraries=("wasi-emulated-mman",),
    ),
    # What fastapi-mail, dateparser, nltk and tiktoken ask for.
    "regex": Package(
        "2026.11.19", "regex/_regex", "regex", ("src/_regex.c", "src/_regex_unicode.c"), folder=".",
        defined=("_WASI_EMULATED_PROCESS_CLOCKS",), libraries=("wasi-emulated-process-clocks",),
        declared=tuple(
            ("src/_regex.c", f"static PyObject* {name}({kind}* {own}) {{", f"static PyObject* {name}({kind}* {own}, void* unused) {{")
            for name, kind, own in (
                ("match_allcaptures", "MatchObject", "self"), ("match_allspans", "MatchObject", "self"),
                ("match_capturesdict", "MatchObject", "self"), ("pattern_groupindex", "PyObject", "self_"),
                ("pattern_pickled_data", "PyObject", "self_"),
            )
        ),
    ),
}  # fmt: skip
COMPILER = ["cc", "-target", "wasm32-wasi", "-fPIC", "-O2", "-DNDEBUG", "-fvisibility=hidden", f"-I{NATIVE}"]
# A shared library in the sense of WebAssembly's tool conventions, as in rust.py.
LINKER = ["wasm-ld", "--experimental-pic", "-shared", "--unresolved-symbols=import-dynamic", "--strip-all"]


def wheel(name, version, tools, cache):
    """The path of the wheel."""
    mine = [path.read_bytes() for path in (Path(__file__), Path(native_source.__file__), *ours())]
    home = cache / f"{name}-{version}-{key(*mine, PACKAGES[name], COMPONENTIZE, ZIG)}"
    with whole_or_not(home) as unfinished:
        if unfinished is not None:
            progress(f"building {name} {version} for WASI from its source in C, which is done once")
            _build(name, version, unfinished, tools, cache)
    return next(home.glob("*.whl"))


def ours():
    """The files that are compiled with what is built."""
    return sorted(path for path in NATIVE.iterdir() if path.is_file())


def _build(name, version, home, tools, cache):
    package = PACKAGES[name]
    source = native_source.fetch(name, version, home, tools)
    try:
        module = _module(name, source, tools, cache)
    except Mistake as mistake:
        native_source.name_what_builds(mistake, name, version, package.since)
    files = [it for it in native_source.python(source / package.folder, package.python) if "/tests/" not in it[1]]
    native_source.pack(name, version, source, package.module, module, files, home)


def _module(name, source, tools, cache):
    package = PACKAGES[name]
    for file, there, ours in package.declared:
        text = (source / file).read_text("utf-8")
        if there not in text:
            raise Mistake(f"{file} has no `{there}`")
        (source / file).write_text(text.replace(there, ours), "utf-8")
    zig = tools.zig(cache)
    flags = [*(f"-D{word}" for word in package.defined), *(f"-I{source / folder}" for folder in package.include)]
    objects = source / "objects"
    objects.mkdir()
    for file in [*(source / path for path in package.sources), *(NATIVE / path for path in package.ours)]:
        made = objects / f"{file.stem}.o"
        run([zig, *COMPILER, *flags, "-c", file, "-o", made], f"building {name}")
    # What clang's code calls for sums that WebAssembly has no instruction for, as those of `long double`.
    nothing = objects / "nothing.c"
    nothing.touch()
    command = [zig, "build-lib", "-target", "wasm32-wasi", "-fPIC", "-fcompiler-rt", "-O", "ReleaseSmall"]
    run([*command, "--name", "runtime", nothing], f"building {name}", cwd=objects)
    linked = [f"-L{libraries.folder(cache, tools)}", "-lpython3.14", "-lc"]
    linked += [f"-l{library}" for library in package.libraries]
    module = objects / "module.wasm"
    run([zig, *LINKER, *sorted(objects.glob("*.o")), objects / "libruntime.a", *linked, "-o", module], f"linking {name}")
    return module
