"""The source of a package with a native part, and the wheel that is made of it."""

import shutil
import tarfile
import zipfile

from .say import Mistake

TAG = "cp314-cp314-wasi_wasm32"
# Of what a package has in Python.
KEPT = (".py", ".pyi", ".typed")


def fetch(name, version, home, tools):
    """Its source, unpacked in the folder `home`."""
    tools.pip(
        "download", "--as-host", "-q", "--no-deps", "--no-binary", name, "--dest", home, f"{name}=={version}",
        what=f"fetching {name}'s source",
    )  # fmt: skip
    archive = next(home.glob("*.tar.gz"))
    with tarfile.open(archive) as tar:
        tar.extractall(home, filter="data")
    archive.unlink()
    return home / archive.name.removesuffix(".tar.gz")


def name_what_builds(mistake, name, version, since):
    """Raises the mistake, with the version that is known to build where this is another."""
    if since in (None, version):
        raise mistake
    raise Mistake(f"{mistake}\n{name} {since} is known to build for WASI: ask for `{name}=={since}`") from None


def python(folder, package):
    """The files of a package in Python, each with its place beside others."""
    found = [path for path in sorted(folder.glob(f"{package}/**/*")) if path.suffix in KEPT]
    return [(path, path.relative_to(folder).as_posix()) for path in found]


def pack(name, version, source, module, made, files, home):
    """The wheel, with what was `made` as the module of that name (`package/module`). The source has done its work."""
    begin = f"{name.replace('-', '_')}-{version}"
    with zipfile.ZipFile(home / f"{begin}-{TAG}.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        for text, place in files:
            if isinstance(text, str):
                archive.writestr(place, text)
            else:
                archive.write(text, place)
        archive.write(made, f"{module}.cpython-314-wasm32-wasi.so")
        archive.write(source / "PKG-INFO", f"{begin}.dist-info/METADATA")
        archive.writestr(
            f"{begin}.dist-info/WHEEL", f"Wheel-Version: 1.0\nGenerator: wasmserve\nRoot-Is-Purelib: false\nTag: {TAG}\n"
        )
        archive.writestr(f"{begin}.dist-info/RECORD", "")
    shutil.rmtree(source)
