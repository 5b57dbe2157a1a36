"""OpenSSL's library of cryptography for WASI, which packages in Rust are linked with: made from the source that the crate
openssl-src carries, once.

Two things are changed in it. Random bytes come from the host each time, and no generator is kept in memory
(../openssl/rand_meth.c). And what RSA blinds its sums with is drawn anew for each of them, where OpenSSL draws it for 32: what
was drawn before the snapshot would be that of every request.
"""

import os
import shutil
import subprocess
from pathlib import Path

from . import libraries
from .say import Mistake, follow, progress, run
from .tools import ZIG, key, whole_or_not

CRATE = "openssl-src==400.0.2+4.0.3"
# What writes the C of packages for cffi, which the build script of cryptography asks for it.
CFFI = "cffi==2.1.1"
OURS = Path(__file__).resolve().parent.parent / "openssl"
RANDOM = "crypto/rand/rand_meth.c"
BLINDING = "crypto/bn/bn_blind.c"
TIMES, ONCE = "#define BN_BLINDING_COUNTER 32\n", "#define BN_BLINDING_COUNTER 1\n"
# Without TLS, which is the host's, without what WASI has not, and without what the package cryptography does not use.
LEFT_OUT = """
    apps aria asm async atexit autoload-config bf cast cmp cms comp ct default-thread-pool docs dso dtls ec2m ech gost
    hmac-drbg-kdf http idea krb5kdf legacy makedepend md2 md4 mdc2 module ocsp pvkkdf quic rc2 rc4 rc5 rfc3779 secure-memory
    seed shared slh-dsa sm2 snmpkdf sock srp srtp srtpkdf sshkdf tests thread-pool threads tls ts ui-console whirlpool
""".split()
FLAGS = "-O2 -DNO_SYSLOG -DNO_CHMOD -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_PROCESS_CLOCKS -D_WASI_EMULATED_GETPID"
COMPILER = """#!/bin/sh
for word; do last=$word; done
case $last in *.c) echo "compiling $last" >&2 ;; esac
exec "{zig}" cc -target wasm32-wasi -fPIC -fvisibility=hidden "$@"
"""
# What it asks of Perl's own library, most of which Debian has in a package of its own.
PERL = "use FindBin; use IPC::Cmd; use File::Compare; use File::Copy; use Pod::Usage; use Encode;"


def check(cache, what):
    """Says at once what OpenSSL cannot be made without. `what` is said to need it."""
    if _home(cache).exists():
        return
    missing = [tool for tool in ("perl", "make") if not shutil.which(tool)]
    if not missing and subprocess.run(["perl", "-e", PERL], capture_output=True).returncode != 0:
        missing = ["perl"]
    if missing:
        raise Mistake(
            f"{what} is built with OpenSSL, and that with perl and make: install what is missing with "
            f"`apt-get install {' '.join(missing)}`, or with what takes its place on your system"
        )


def mark():
    """What is made with it depends on this."""
    return key(Path(__file__).read_bytes(), *(path.read_bytes() for path in sorted(OURS.iterdir()) if path.is_file()), ZIG)


def variables(work, cache, tools):
    """What tells cargo where it is, for a package whose source is in the folder `work`."""
    made = _folder(cache, tools)
    host = work / "wasmserve/host"
    run([tools.python, "-m", "pip", "install", "-q", "--target", host, CFFI], f"installing {CFFI}")
    # As if Python were installed there.
    python = work / "wasmserve/python"
    shutil.copytree(OURS.parent / "native", python / "include/python3.14")
    return {
        "OPENSSL_LIB_DIR": str(made),
        "OPENSSL_INCLUDE_DIR": str(made / "include"),
        "OPENSSL_LIBS": "crypto",
        "OPENSSL_STATIC": "1",
        "OPENSSL_NO_VENDOR": "1",
        "CRYPTOGRAPHY_BUILD_OPENSSL_NO_LEGACY": "1",
        "PYO3_PYTHON": str(tools.python),
        "PYO3_CROSS_LIB_DIR": str(python / "lib/python3.14"),
        "PYTHONPATH": str(host),
    }


def _home(cache):
    return cache / f"openssl-{mark()}"


def _folder(cache, tools):
    """The folder with libcrypto.a and `include`."""
    home = _home(cache)
    with whole_or_not(home) as unfinished:
        if unfinished is not None:
            progress("building OpenSSL for WASI from its source, which takes some minutes and is done once")
            _build(unfinished, cache, tools)
    return home


def _build(home, cache, tools):
    work = home / "work"
    source = libraries.crate(CRATE, work) / "openssl"
    _change(source)
    zig = tools.zig(cache)
    compiler = home / "cc"
    compiler.write_text(COMPILER.format(zig=zig))
    compiler.chmod(0o755)
    environment = {**os.environ, "CC": str(compiler), "AR": f"{zig} ar", "RANLIB": f"{zig} ranlib", "CROSS_COMPILE": ""}
    options = ["gcc", *(f"no-{word}" for word in LEFT_OUT), "--with-rand-seed=getrandom", f"CFLAGS={FLAGS}"]
    run(["perl", "Configure", *options], "configuring OpenSSL", cwd=source, env=environment)
    jobs = f"-j{len(os.sched_getaffinity(0))}"
    run(["make", "-s", jobs, "build_generated"], "preparing OpenSSL", cwd=source, env=environment)
    follow(["make", "-s", jobs, "libcrypto.a"], "building OpenSSL", cwd=source, env=environment)
    shutil.move(source / "libcrypto.a", home)
    shutil.move(source / "include", home)
    compiler.unlink()
    shutil.rmtree(work)


def _change(source):
    shutil.copy(OURS / "rand_meth.c", source / RANDOM)
    blinding = source / BLINDING
    text = blinding.read_text()
    if text.count(TIMES) != 1:
        raise Mistake(f"{CRATE} has another {BLINDING} than the one that is known")
    blinding.write_text(text.replace(TIMES, ONCE))
