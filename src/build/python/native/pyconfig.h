/* The sizes of CPython 3.14 as componentize-py builds it for wasm32-wasip2; see Python.h. */
#ifndef PYCONFIG_H
#define PYCONFIG_H
#define SIZEOF_LONG 4
#define SIZEOF_LONG_LONG 8
#define SIZEOF_LONG_DOUBLE 16
#define SIZEOF_SIZE_T 4
#define SIZEOF_VOID_P 4
#define SIZEOF_WCHAR_T 4
#define HAVE_LONG_LONG 1
#define HAVE_WCHAR_H 1
#endif
