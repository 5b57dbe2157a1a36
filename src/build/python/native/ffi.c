/* What cffi asks of libffi, in its place: types of functions can be described, and functions be called by no address and
   be made of nothing. Packages that were compiled for cffi (its "API mode") call their functions themselves. */
#include "Python.h"
#include "ffi.h"

#define TYPE(name, number, of) ffi_type ffi_type_##name = {sizeof(of), _Alignof(of), number, NULL}
ffi_type ffi_type_void = {1, 1, 0, NULL};
TYPE(float, 2, float);
TYPE(double, 3, double);
TYPE(longdouble, 4, long double);
TYPE(uint8, 5, uint8_t);
TYPE(sint8, 6, int8_t);
TYPE(uint16, 7, uint16_t);
TYPE(sint16, 8, int16_t);
TYPE(uint32, 9, uint32_t);
TYPE(sint32, 10, int32_t);
TYPE(uint64, 11, uint64_t);
TYPE(sint64, 12, int64_t);
TYPE(pointer, 14, void *);

ffi_status ffi_prep_cif(ffi_cif *cif, ffi_abi abi, unsigned count, ffi_type *result, ffi_type **types) {
    *cif = (ffi_cif){abi, count, types, result};
    return FFI_OK;
}

void ffi_call(ffi_cif *cif, void (*function)(void), void *result, void **arguments) {
    /* What was computed is not looked at, as Python sees that an exception was set. */
    memset(result, 0, cif->rtype->size > sizeof(ffi_arg) ? cif->rtype->size : sizeof(ffi_arg));
    PyErr_SetString(PyExc_NotImplementedError, "WebAssembly cannot call a function by its address");
}

ffi_status ffi_prep_closure(ffi_closure *closure, ffi_cif *cif, void (*call)(ffi_cif *, void *, void **, void *), void *data) {
    return FFI_BAD_ABI;
}
