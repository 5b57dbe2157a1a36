/* In the place of libffi, which cannot be had: WebAssembly calls no function whose type is not known when it is compiled.
   It is what cffi asks for; see ffi.c. */
#ifndef FFI_H
#define FFI_H
#include <stddef.h>
#include <stdint.h>

typedef unsigned long ffi_arg;
typedef enum { FFI_OK, FFI_BAD_TYPEDEF, FFI_BAD_ABI } ffi_status;
typedef enum { FFI_FIRST_ABI, FFI_DEFAULT_ABI } ffi_abi;
typedef struct _ffi_type {
    size_t size;
    unsigned short alignment;
    unsigned short type;
    struct _ffi_type **elements;
} ffi_type;
#define FFI_TYPE_STRUCT 13
typedef struct {
    ffi_abi abi;
    unsigned nargs;
    ffi_type **arg_types;
    ffi_type *rtype;
} ffi_cif;
typedef struct {
    void *user_data;
} ffi_closure;

extern ffi_type ffi_type_void, ffi_type_uint8, ffi_type_sint8, ffi_type_uint16, ffi_type_sint16, ffi_type_uint32,
    ffi_type_sint32, ffi_type_uint64, ffi_type_sint64, ffi_type_float, ffi_type_double, ffi_type_longdouble,
    ffi_type_pointer;
ffi_status ffi_prep_cif(ffi_cif *, ffi_abi, unsigned, ffi_type *, ffi_type **);
void ffi_call(ffi_cif *, void (*)(void), void *, void **);
ffi_status ffi_prep_closure(ffi_closure *, ffi_cif *, void (*)(ffi_cif *, void *, void **, void *), void *);
#endif
