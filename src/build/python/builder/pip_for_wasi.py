"""pip, made to believe that it installs for the Python of a component. Its arguments are pip's.

Markers (`; python_version >= "3.14"`) are judged as in the component. Native wheels count as found, so that what
needs a native part is known by its name and its version; what is done about it is requirements.py's affair.
"""

import sys

from pip._internal.models import target_python
from pip._internal.resolution.resolvelib import candidates
from pip._internal.utils import compatibility_tags
from pip._vendor.packaging import markers, tags

VERSION = (3, 14, 0)
NATIVE = [f"manylinux_2_{minor}_x86_64" for minor in range(40, 4, -1)] + ["manylinux2014_x86_64", "linux_x86_64"]

_environment = markers.default_environment


def environment():
    known = _environment()
    known.update(
        implementation_version="3.14.0",
        os_name="posix",
        platform_machine="wasm32",
        platform_python_implementation="CPython",
        platform_system="wasi",
        platform_release="",
        platform_version="",
        python_full_version="3.14.0",
        python_version="3.14",
        sys_platform="wasi",
    )
    return known


def supported(*args, **kwargs):
    found = list(tags.compatible_tags(VERSION[:2], "cp314", ["any"]))
    found += tags.cpython_tags(VERSION[:2], platforms=["wasi_wasm32"])
    found += tags.compatible_tags(VERSION[:2], "cp314", ["wasi_wasm32"])
    found += tags.cpython_tags(VERSION[:2], platforms=NATIVE)
    found += tags.compatible_tags(VERSION[:2], "cp314", NATIVE)
    # What comes first is preferred, and the last of equal ones would count.
    return list(dict.fromkeys(found))


def main():
    if "--as-host" in sys.argv:
        # To build from source, which happens with the host's Python.
        sys.argv.remove("--as-host")
    else:
        markers.default_environment = environment
        compatibility_tags.get_supported = target_python.get_supported = supported
        _patch_version()
    from pip._internal.cli.main import main as pip

    sys.exit(pip())


def _patch_version():
    init = target_python.TargetPython.__init__

    def with_version(self, platforms=None, py_version_info=None, abis=None, implementation=None):
        init(self, platforms, VERSION, abis, implementation)

    target_python.TargetPython.__init__ = with_version

    init_python = candidates.RequiresPythonCandidate.__init__

    def with_python(self, py_version_info):
        init_python(self, VERSION)

    candidates.RequiresPythonCandidate.__init__ = with_python


if __name__ == "__main__":
    main()
