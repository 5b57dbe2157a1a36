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


def _fetch(home, tools):
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
