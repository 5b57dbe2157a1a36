"""The shared libraries that componentize-py links with, libpython among them: its crate carries them."""

from .say import run
from .tools import COMPONENTIZE, key, whole_or_not


def folder(cache, tools):
    """The folder that has them."""
    home = cache / ("libraries-" + key(COMPONENTIZE))
    with whole_or_not(home) as unfinished:
        if unfinished is not None:
            _fetch(unfinished, tools)
    return home


def crate(requirement, work):
    """The source of a crate (`name==version`), in the folder `work`, which is made for it."""
    name, version = requirement.split("==")
    (work / "src").mkdir(parents=True)
    (work / "src/lib.rs").touch()
    (work / "Cargo.toml").write_text(
        f'[package]\nname = "seed"\nedition = "2021"\n[dependencies]\n{name} = "={version}"\n[workspace]\n'
    )
    run(["cargo", "vendor", "--versioned-dirs", "vendor"], f"fetching the crate {name}", cwd=work)
    return work / f"vendor/{name}-{version}"


def _fetch(home, tools):
    work = home / "work"
    script = (
        "import sys, zstandard; "
        "zstandard.ZstdDecompressor().copy_stream(open(sys.argv[1], 'rb'), open(sys.argv[2], 'wb'))"
    )
    for packed in crate(COMPONENTIZE, work).glob("lib*.so.zst"):
        run([tools.python, "-c", script, packed, home / packed.stem], "unpacking")
    run(["rm", "-rf", work], "tidying up")
