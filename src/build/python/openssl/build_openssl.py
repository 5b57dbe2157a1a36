"""In the place of src/_cffi_src/build_openssl.py in the source of the package cryptography: writes the C of `_openssl`.

That module has OpenSSL's functions for pyOpenSSL, which speaks TLS; here the host does. Of the package itself it is asked
for versions, and for what it does not have. With all of it, OpenSSL would be in the component twice as large.
"""

import os
import runpy
from pathlib import Path

from cffi import FFI

package = Path(__file__).resolve().parent.parent / "cryptography"
version = runpy.run_path(package / "__about__.py")["__version__"]
conditions = runpy.run_path(package / "hazmat/bindings/openssl/_conditional.py")["CONDITIONAL_NAMES"]

declared = ["unsigned long OpenSSL_version_num(void);", "static const char *const CRYPTOGRAPHY_PACKAGE_VERSION;"]
declared += [f"static const long {name};" for name in conditions]
defined = ["#include <openssl/crypto.h>", f'#define CRYPTOGRAPHY_PACKAGE_VERSION "{version}"']
defined += [f"#define {name} 0" for name in conditions]

ffi = FFI()
ffi.cdef("\n".join(declared))
ffi.set_source("_openssl", "\n".join(defined))
ffi.emit_c_code(os.path.join(os.environ["OUT_DIR"], "_openssl.c"))
