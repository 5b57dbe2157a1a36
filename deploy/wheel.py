#!/usr/bin/env python3
"""Packs an executable as a Python wheel, so that `pip install` puts it on the PATH.

    deploy/wheel.py EXECUTABLE DIRECTORY

It is the executable of the other artefacts, byte for byte, which a build backend that calls cargo by itself would not
give. The format is that of https://packaging.python.org/en/latest/specifications/binary-distribution-format/.
"""
import base64
import hashlib
import os
import pathlib
import platform
import subprocess
import sys
import time
import tomllib
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def package():
    return tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]


def metadata(package):
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {package['name']}",
        f"Version: {package['version']}",
        f"Summary: {package['description']}",
        f"License-Expression: {package['license']}",
        "License-File: LICENSE",
        f"Keywords: {','.join(package['keywords'])}",
        # What applications in Python are built with, compiled already.
        "Provides-Extra: python",
        f"Requires-Dist: wasmserve-python=={package['version']}; extra == 'python'",
        "Classifier: Operating System :: POSIX :: Linux",
        "Classifier: Programming Language :: Rust",
        "Classifier: Topic :: Internet :: WWW/HTTP :: HTTP Servers",
        "Description-Content-Type: text/markdown",
        "",
        (ROOT / package["readme"]).read_text(),
    ]
    return "\n".join(lines).encode()


def main():
    executable, directory = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    ours = package()
    libc = subprocess.run([ROOT / "deploy/libc_version", executable], check=True, stdout=subprocess.PIPE, text=True)
    tag = f"py3-none-manylinux_{libc.stdout.strip().replace('.', '_')}_{platform.machine()}"
    name = f"{ours['name']}-{ours['version']}"
    files = [(f"{name}.data/scripts/wasmserve", executable.read_bytes(), 0o755)]
    print(pack(directory, name, tag, metadata(ours), files))


def pack(directory, name, tag, about, files):
    """Writes a wheel with these files, each with its place, content and mode; the same bytes for the same files."""
    info = f"{name}.dist-info"
    pure = str(tag.endswith("-any")).lower()
    wheel = f"Wheel-Version: 1.0\nGenerator: wasmserve deploy/wheel.py\nRoot-Is-Purelib: {pure}\nTag: {tag}\n"
    files = [
        *files,
        (f"{info}/METADATA", about, 0o644),
        (f"{info}/WHEEL", wheel.encode(), 0o644),
        (f"{info}/licenses/LICENSE", (ROOT / "LICENSE").read_bytes(), 0o644),
    ]
    record = "".join(f"{path},sha256={digest(data)},{len(data)}\n" for path, data, _ in files)
    files.append((f"{info}/RECORD", f"{record}{info}/RECORD,,\n".encode(), 0o644))
    moment = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))[:6]
    target = directory / f"{name}-{tag}.whl"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path, data, mode in files:
            entry = zipfile.ZipInfo(path, moment)
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return target


def digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


if __name__ == "__main__":
    main()
