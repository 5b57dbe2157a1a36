"""A rustc that builds position-independent code for wasm32-wasip1, with the source of its library.

That is the one on the path where `rustup component add rust-src` was run; elsewhere Debian 12's is put together in
the cache, from packages that are unpacked and not installed.
"""

import os
import platform
import shutil
import subprocess
from pathlib import Path

from .say import Mistake, progress, run
from .tools import key, whole_or_not

REMEDY = "run 'rustup component add rust-src'"
LIBRARY = "lib/rustlib/src/rust/library/Cargo.toml"


def rustc(cache, what):
    """`what` is said to need it, where it cannot be had."""
    for tool in ("cargo", "rustc"):
        if not shutil.which(tool):
            raise Mistake(f"{tool} is missing, which {what} is built with: install Rust, see https://rustup.rs")
    given = os.environ.get("RUSTC") or shutil.which("rustc")
    if (_sysroot(given) / LIBRARY).is_file():
        return given
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise Mistake(f"the source of Rust's library is missing, which {what} is built with: {REMEDY}")
    home = cache / ("rust-" + key(Path(__file__).read_bytes(), given, _version(given)))
    with whole_or_not(home) as unfinished:
        if unfinished is not None:
            _from_debian(unfinished, given)
    wrapper = home / "rustc.sh"
    lines = [
        "#!/bin/sh",
        "# Debian's rustc, or the one that was given, with the source of its library.",
        'home=$(cd "$(dirname "$0")" && pwd)',
        'if [ -x "$home/debian/usr/bin/rustc" ]; then',
        f'  LD_LIBRARY_PATH=$home/debian/usr/lib/{platform.machine()}-linux-gnu exec "$home/debian/usr/bin/rustc" --sysroot "$home/sysroot" "$@"',
        "fi",
        f'exec "{given}" --sysroot "$home/sysroot" "$@"',
    ]
    wrapper.write_text("\n".join(lines) + "\n")
    wrapper.chmod(0o755)
    return wrapper


def _from_debian(home, given):
    """Fills the folder with `sysroot`, and with `debian`, where the given rustc is not Debian's itself."""
    progress("fetching Debian's Rust and the source of its library")
    _update()
    is_debians = "built from a source tarball" in _version(given)
    packages = ["rust-web-src"]
    if not is_debians:
        std = _depends(["libstd-rust-web-dev"], "libstd-rust-web-")
        packages += ["rustc-web", std, "libstd-rust-web-dev", _depends(["rustc-web", std], "libllvm")]
    debs = home / "debs"
    debs.mkdir()
    try:
        run(["apt-get", "-q", "download", *packages], "fetching Debian's Rust", cwd=debs)
    except Mistake as error:
        raise Mistake(f"Debian 12's package rust-web-src could not be had; {REMEDY}\n{error}") from None
    for deb in sorted(debs.glob("*.deb")):
        run(["dpkg", "-x", deb, home / "debian"], "unpacking")
    shutil.rmtree(debs)
    source = next((home / "debian/usr/src").glob("rustc-*"))
    rustlib = home / "sysroot/lib/rustlib"
    (rustlib / "src").mkdir(parents=True)
    kept = rustlib / "src/rust"
    kept.mkdir()
    # The compiler's own source is most of it.
    shutil.move(source / "library", kept / "library")
    shutil.rmtree(home / "debian/usr/src")
    base = _sysroot(given) / "lib/rustlib" if is_debians else home / "debian/usr/lib/rustlib"
    host = next(line.split()[1] for line in _version(given).splitlines() if line.startswith("host:"))
    _beside(base / host, rustlib / host)
    if not is_debians:
        # The linkers of the given Rust take the place of Debian's, which are links to other packages.
        linkers = rustlib / host / "bin"
        if linkers.is_symlink():
            linkers.unlink()
        shutil.rmtree(linkers, ignore_errors=True)
        linkers.symlink_to(_sysroot(given) / "lib/rustlib" / host / "bin")
    else:
        shutil.rmtree(home / "debian", ignore_errors=True)


def _beside(source, target):
    """Each part by itself, so that one of them can be another's."""
    target.mkdir()
    for part in source.iterdir():
        # Relative within the folder, which moves once it is complete.
        inside = os.path.relpath(part, target) if "debian" in part.parts and target.parents[3] in part.parents else part
        (target / part.name).symlink_to(inside)


def _update():
    sudo = [] if os.getuid() == 0 else ["sudo"]
    if not sudo or shutil.which("sudo"):
        subprocess.run([*sudo, "apt-get", "-q", "update"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _depends(packages, prefix):
    env = {**os.environ, "LC_ALL": "C"}
    listing = run(["apt-cache", "depends", *packages], "asking apt", env=env)
    for line in listing.splitlines():
        name = line.rpartition("Depends: ")[2].strip()
        if "Depends: " in line and name.startswith(prefix) and name.removeprefix(prefix)[:1].isdigit():
            return name
    raise Mistake(f"the package rustc-web of Debian 12 is not among apt's sources; {REMEDY}")


def _sysroot(rustc):
    return Path(run([rustc, "--print", "sysroot"], "asking rustc").strip())


def _version(rustc):
    return run([rustc, "-vV"], "asking rustc")
