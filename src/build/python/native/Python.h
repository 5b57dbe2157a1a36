/* Declares what native parts in C that are built here use of CPython 3.14 for wasm32-wasi, where CPython's own headers are
   in no package of PyPI's. It is not all of Python's C API: what a package needs beyond it is added when that package is.

   Objects are opaque wherever a function of libpython does what a macro does elsewhere: then nothing depends on how they
   are laid out. Those whose parts are named (PyTypeObject and its tables, lists, tuples, …) are laid out
   as in CPython 3.14 without free threading; WASI has no threads, so nothing is done about the GIL. */
#ifndef Py_PYTHON_H
#define Py_PYTHON_H

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>
#include "pyconfig.h"

#define PY_MAJOR_VERSION 3
#define PY_MINOR_VERSION 14
#define PY_VERSION "3.14.0"
#define PY_VERSION_HEX 0x030e00f0
#define PYTHON_ABI_VERSION 3
#define PYTHON_API_VERSION 1013

/* WASI gives no second number to a file. */
static inline int dup(int file) {
    (void)file;
    errno = ENOTSUP;
    return -1;
}

#define PyAPI_FUNC(type) type
#define PyAPI_DATA(type) extern type
#define PyMODINIT_FUNC __attribute__((visibility("default"))) PyObject *
#define Py_UNUSED(name) _unused_##name __attribute__((unused))
#define PyDoc_STRVAR(name, text) static const char name[] = text
#define PyDoc_STR(text) text
#define Py_LOCAL(type) static type
#define Py_LOCAL_INLINE(type) static inline type
#define Py_MEMCPY memcpy
#define Py_MIN(a, b) ((a) < (b) ? (a) : (b))
#define Py_MAX(a, b) ((a) > (b) ? (a) : (b))

typedef ptrdiff_t Py_ssize_t;
typedef Py_ssize_t Py_hash_t;
typedef intptr_t Py_intptr_t;
typedef uintptr_t Py_uintptr_t;
typedef uint32_t Py_UCS4;
typedef uint16_t Py_UCS2;
typedef uint8_t Py_UCS1;
#define PY_LONG_LONG long long
#define PY_SSIZE_T_MAX INT32_MAX
#define PY_SSIZE_T_MIN INT32_MIN

/* Objects and types. */

typedef struct _typeobject PyTypeObject;
typedef struct {
    Py_ssize_t ob_refcnt;
    PyTypeObject *ob_type;
} PyObject;
typedef struct {
    PyObject ob_base;
    Py_ssize_t ob_size;
} PyVarObject;

#define PyObject_HEAD PyObject ob_base;
#define PyObject_VAR_HEAD PyVarObject ob_base;
#define PyObject_HEAD_INIT(type) {1, (type)},
#define PyVarObject_HEAD_INIT(type, size) {{1, (type)}, (size)},
#define Py_REFCNT(ob) (((PyObject *)(ob))->ob_refcnt)
#define Py_TYPE(ob) (((PyObject *)(ob))->ob_type)
#define Py_SIZE(ob) (((PyVarObject *)(ob))->ob_size)
#define Py_SET_SIZE(ob, size) ((void)(Py_SIZE(ob) = (size)))
void _Py_SetRefcnt(PyObject *, Py_ssize_t);
#define Py_SET_REFCNT(ob, count) _Py_SetRefcnt((PyObject *)(ob), (count))

/* Functions, which know of objects that are immortal. */
void _Py_IncRef(PyObject *);
void _Py_DecRef(PyObject *);
void Py_IncRef(PyObject *);
void Py_DecRef(PyObject *);
#define Py_INCREF(ob) _Py_IncRef((PyObject *)(ob))
#define Py_DECREF(ob) _Py_DecRef((PyObject *)(ob))
#define Py_XINCREF(ob) Py_IncRef((PyObject *)(ob))
#define Py_XDECREF(ob) Py_DecRef((PyObject *)(ob))
#define Py_CLEAR(ob)                            \
    do {                                        \
        PyObject *_gone = (PyObject *)(ob);     \
        if (_gone != NULL) {                    \
            (ob) = NULL;                        \
            Py_DECREF(_gone);                   \
        }                                       \
    } while (0)

typedef void (*destructor)(PyObject *);
typedef void (*freefunc)(void *);
typedef int (*visitproc)(PyObject *, void *);
typedef int (*traverseproc)(PyObject *, visitproc, void *);
typedef int (*inquiry)(PyObject *);
typedef PyObject *(*getattrfunc)(PyObject *, char *);
typedef PyObject *(*getattrofunc)(PyObject *, PyObject *);
typedef int (*setattrfunc)(PyObject *, char *, PyObject *);
typedef int (*setattrofunc)(PyObject *, PyObject *, PyObject *);
typedef PyObject *(*reprfunc)(PyObject *);
typedef Py_hash_t (*hashfunc)(PyObject *);
typedef PyObject *(*richcmpfunc)(PyObject *, PyObject *, int);
typedef PyObject *(*getiterfunc)(PyObject *);
typedef PyObject *(*iternextfunc)(PyObject *);
typedef PyObject *(*descrgetfunc)(PyObject *, PyObject *, PyObject *);
typedef int (*descrsetfunc)(PyObject *, PyObject *, PyObject *);
typedef int (*initproc)(PyObject *, PyObject *, PyObject *);
typedef PyObject *(*newfunc)(PyTypeObject *, PyObject *, PyObject *);
typedef PyObject *(*allocfunc)(PyTypeObject *, Py_ssize_t);
typedef PyObject *(*unaryfunc)(PyObject *);
typedef PyObject *(*binaryfunc)(PyObject *, PyObject *);
typedef PyObject *(*ternaryfunc)(PyObject *, PyObject *, PyObject *);
typedef Py_ssize_t (*lenfunc)(PyObject *);
typedef PyObject *(*ssizeargfunc)(PyObject *, Py_ssize_t);
typedef int (*ssizeobjargproc)(PyObject *, Py_ssize_t, PyObject *);
/* Of Python 2, and named still. */
typedef PyObject *(*ssizessizeargfunc)(PyObject *, Py_ssize_t, Py_ssize_t);
typedef int (*ssizessizeobjargproc)(PyObject *, Py_ssize_t, Py_ssize_t, PyObject *);
typedef int (*objobjproc)(PyObject *, PyObject *);
typedef int (*objobjargproc)(PyObject *, PyObject *, PyObject *);
typedef PyObject *(*vectorcallfunc)(PyObject *, PyObject *const *, size_t, PyObject *);
typedef PyObject *(*PyCFunction)(PyObject *, PyObject *);
typedef PyObject *(*PyCFunctionWithKeywords)(PyObject *, PyObject *, PyObject *);
typedef PyObject *(*getter)(PyObject *, void *);
typedef int (*setter)(PyObject *, PyObject *, void *);

typedef struct PyMethodDef {
    const char *ml_name;
    PyCFunction ml_meth;
    int ml_flags;
    const char *ml_doc;
} PyMethodDef;
#define METH_VARARGS 0x01
#define METH_KEYWORDS 0x02
#define METH_NOARGS 0x04
#define METH_O 0x08
#define METH_CLASS 0x10
#define METH_STATIC 0x20
#define METH_COEXIST 0x40

typedef struct PyGetSetDef {
    const char *name;
    getter get;
    setter set;
    const char *doc;
    void *closure;
} PyGetSetDef;

typedef struct PyMemberDef {
    const char *name;
    int type;
    Py_ssize_t offset;
    int flags;
    const char *doc;
} PyMemberDef;
#define T_SHORT 0
#define T_INT 1
#define T_STRING 5
#define T_OBJECT 6
#define T_UBYTE 9
#define T_BOOL 14
#define T_OBJECT_EX 16
#define T_PYSSIZET 19
#define READONLY 1

typedef struct {
    void *buf;
    PyObject *obj;
    Py_ssize_t len;
    Py_ssize_t itemsize;
    int readonly;
    int ndim;
    char *format;
    Py_ssize_t *shape;
    Py_ssize_t *strides;
    Py_ssize_t *suboffsets;
    void *internal;
} Py_buffer;
typedef int (*getbufferproc)(PyObject *, Py_buffer *, int);
typedef void (*releasebufferproc)(PyObject *, Py_buffer *);
#define PyBUF_SIMPLE 0
#define PyBUF_WRITABLE 0x0001

typedef struct {
    binaryfunc nb_add, nb_subtract, nb_multiply, nb_remainder, nb_divmod;
    ternaryfunc nb_power;
    unaryfunc nb_negative, nb_positive, nb_absolute;
    inquiry nb_bool;
    unaryfunc nb_invert;
    binaryfunc nb_lshift, nb_rshift, nb_and, nb_xor, nb_or;
    unaryfunc nb_int;
    void *nb_reserved;
    unaryfunc nb_float;
    binaryfunc nb_inplace_add, nb_inplace_subtract, nb_inplace_multiply, nb_inplace_remainder;
    ternaryfunc nb_inplace_power;
    binaryfunc nb_inplace_lshift, nb_inplace_rshift, nb_inplace_and, nb_inplace_xor, nb_inplace_or;
    binaryfunc nb_floor_divide, nb_true_divide, nb_inplace_floor_divide, nb_inplace_true_divide;
    unaryfunc nb_index;
    binaryfunc nb_matrix_multiply, nb_inplace_matrix_multiply;
} PyNumberMethods;

typedef struct {
    lenfunc sq_length;
    binaryfunc sq_concat;
    ssizeargfunc sq_repeat, sq_item;
    void *was_sq_slice;
    ssizeobjargproc sq_ass_item;
    void *was_sq_ass_slice;
    objobjproc sq_contains;
    binaryfunc sq_inplace_concat;
    ssizeargfunc sq_inplace_repeat;
} PySequenceMethods;

typedef struct {
    lenfunc mp_length;
    binaryfunc mp_subscript;
    objobjargproc mp_ass_subscript;
} PyMappingMethods;

typedef struct {
    getbufferproc bf_getbuffer;
    releasebufferproc bf_releasebuffer;
} PyBufferProcs;

struct _typeobject {
    PyVarObject ob_base;
    const char *tp_name;
    Py_ssize_t tp_basicsize, tp_itemsize;
    destructor tp_dealloc;
    Py_ssize_t tp_vectorcall_offset;
    getattrfunc tp_getattr;
    setattrfunc tp_setattr;
    void *tp_as_async;
    reprfunc tp_repr;
    PyNumberMethods *tp_as_number;
    PySequenceMethods *tp_as_sequence;
    PyMappingMethods *tp_as_mapping;
    hashfunc tp_hash;
    ternaryfunc tp_call;
    reprfunc tp_str;
    getattrofunc tp_getattro;
    setattrofunc tp_setattro;
    PyBufferProcs *tp_as_buffer;
    unsigned long tp_flags;
    const char *tp_doc;
    traverseproc tp_traverse;
    inquiry tp_clear;
    richcmpfunc tp_richcompare;
    Py_ssize_t tp_weaklistoffset;
    getiterfunc tp_iter;
    iternextfunc tp_iternext;
    PyMethodDef *tp_methods;
    PyMemberDef *tp_members;
    PyGetSetDef *tp_getset;
    PyTypeObject *tp_base;
    PyObject *tp_dict;
    descrgetfunc tp_descr_get;
    descrsetfunc tp_descr_set;
    Py_ssize_t tp_dictoffset;
    initproc tp_init;
    allocfunc tp_alloc;
    newfunc tp_new;
    freefunc tp_free;
    inquiry tp_is_gc;
    PyObject *tp_bases, *tp_mro, *tp_cache;
    void *tp_subclasses;
    PyObject *tp_weaklist;
    destructor tp_del;
    unsigned int tp_version_tag;
    destructor tp_finalize;
    vectorcallfunc tp_vectorcall;
    unsigned char tp_watched;
    uint16_t tp_versions_used;
};
#define Py_TPFLAGS_DEFAULT 0UL
#define Py_TPFLAGS_HAVE_FINALIZE (1UL << 0)
#define Py_TPFLAGS_BASETYPE (1UL << 10)
#define Py_TPFLAGS_HAVE_GC (1UL << 14)
#define Py_TPFLAGS_LONG_SUBCLASS (1UL << 24)
#define Py_TPFLAGS_LIST_SUBCLASS (1UL << 25)
#define Py_TPFLAGS_TUPLE_SUBCLASS (1UL << 26)
#define Py_TPFLAGS_BYTES_SUBCLASS (1UL << 27)
#define Py_TPFLAGS_UNICODE_SUBCLASS (1UL << 28)
#define Py_TPFLAGS_DICT_SUBCLASS (1UL << 29)

extern PyTypeObject PyBaseObject_Type, PyBool_Type, PyByteArray_Type, PyBytes_Type, PyCFunction_Type, PyFloat_Type, PyList_Type,
    PyModule_Type, PySlice_Type, PyTuple_Type, PyType_Type, PyUnicode_Type;
int PyType_IsSubtype(PyTypeObject *, PyTypeObject *);
unsigned long PyType_GetFlags(PyTypeObject *);
int PyType_Ready(PyTypeObject *);
PyObject *PyType_GenericAlloc(PyTypeObject *, Py_ssize_t);
#define PyType_HasFeature(type, flag) ((PyType_GetFlags(type) & (flag)) != 0)
#define PyObject_TypeCheck(ob, type) (Py_TYPE(ob) == (type) || PyType_IsSubtype(Py_TYPE(ob), (type)))
#define PyBool_Check(ob) (Py_TYPE(ob) == &PyBool_Type)
#define PyByteArray_Check(ob) PyObject_TypeCheck(ob, &PyByteArray_Type)
#define PyBytes_Check(ob) PyType_HasFeature(Py_TYPE(ob), Py_TPFLAGS_BYTES_SUBCLASS)
#define PyBytes_CheckExact(ob) (Py_TYPE(ob) == &PyBytes_Type)
#define PyCFunction_Check(ob) PyObject_TypeCheck(ob, &PyCFunction_Type)
#define PyDict_Check(ob) PyType_HasFeature(Py_TYPE(ob), Py_TPFLAGS_DICT_SUBCLASS)
#define PyFloat_Check(ob) PyObject_TypeCheck(ob, &PyFloat_Type)
#define PyList_Check(ob) PyType_HasFeature(Py_TYPE(ob), Py_TPFLAGS_LIST_SUBCLASS)
#define PyLong_Check(ob) PyType_HasFeature(Py_TYPE(ob), Py_TPFLAGS_LONG_SUBCLASS)
#define PySlice_Check(ob) (Py_TYPE(ob) == &PySlice_Type)
#define PyTuple_Check(ob) PyType_HasFeature(Py_TYPE(ob), Py_TPFLAGS_TUPLE_SUBCLASS)
#define PyTuple_CheckExact(ob) (Py_TYPE(ob) == &PyTuple_Type)
#define PyUnicode_Check(ob) PyType_HasFeature(Py_TYPE(ob), Py_TPFLAGS_UNICODE_SUBCLASS)
#define PyUnicode_CheckExact(ob) (Py_TYPE(ob) == &PyUnicode_Type)
int PyIndex_Check(PyObject *);
int PyCallable_Check(PyObject *);

extern PyObject _Py_NoneStruct, _Py_NotImplementedStruct, _Py_TrueStruct, _Py_FalseStruct;
#define Py_None (&_Py_NoneStruct)
#define Py_NotImplemented (&_Py_NotImplementedStruct)
#define Py_True (&_Py_TrueStruct)
#define Py_False (&_Py_FalseStruct)
#define Py_RETURN_NONE return Py_INCREF(Py_None), Py_None
enum { Py_LT, Py_LE, Py_EQ, Py_NE, Py_GT, Py_GE };

/* What is done with any object. */

PyObject *PyObject_Call(PyObject *, PyObject *, PyObject *);
PyObject *PyObject_CallFunction(PyObject *, const char *, ...);
PyObject *PyObject_CallFunctionObjArgs(PyObject *, ...);
PyObject *PyObject_CallMethod(PyObject *, const char *, const char *, ...);
PyObject *PyObject_CallObject(PyObject *, PyObject *);
PyObject *PyObject_GetItem(PyObject *, PyObject *);
void PyObject_ClearWeakRefs(PyObject *);
PyObject *PyObject_GenericGetAttr(PyObject *, PyObject *);
int PyObject_GenericSetAttr(PyObject *, PyObject *, PyObject *);
PyObject *PyObject_GetAttrString(PyObject *, const char *);
int PyObject_SetAttrString(PyObject *, const char *, PyObject *);
int PyObject_GetBuffer(PyObject *, Py_buffer *, int);
PyObject *PyObject_GetIter(PyObject *);
Py_hash_t PyObject_Hash(PyObject *);
int PyObject_AsFileDescriptor(PyObject *);
int PyObject_IsInstance(PyObject *, PyObject *);
PyObject *PyObject_Repr(PyObject *);
PyObject *PyObject_RichCompare(PyObject *, PyObject *, int);
int PyObject_RichCompareBool(PyObject *, PyObject *, int);
PyObject *PyObject_SelfIter(PyObject *);
PyObject *PyObject_Str(PyObject *);
Py_hash_t Py_HashPointer(const void *);
#define _Py_HashPointer Py_HashPointer

PyObject *PyObject_Init(PyObject *, PyTypeObject *);
PyObject *_PyObject_New(PyTypeObject *);
PyObject *_PyObject_GC_New(PyTypeObject *);
PyVarObject *_PyObject_GC_NewVar(PyTypeObject *, Py_ssize_t);
#define PyObject_New(type, of) ((type *)_PyObject_New(of))
#define PyObject_GC_New(type, of) ((type *)_PyObject_GC_New(of))
#define PyObject_GC_NewVar(type, of, size) ((type *)_PyObject_GC_NewVar((of), (size)))
void PyObject_GC_Del(void *);
void PyObject_GC_Track(void *);
void PyObject_GC_UnTrack(void *);
void *PyObject_Malloc(size_t);
void PyObject_Free(void *);
#define PyObject_Del PyObject_Free
#define PyObject_NEW PyObject_New
#define PyObject_DEL PyObject_Free
void *PyMem_Malloc(size_t);
void *PyMem_Realloc(void *, size_t);
void PyMem_Free(void *);
#define Py_VISIT(ob)                                            \
    do {                                                        \
        int _visited = (ob) ? visit((PyObject *)(ob), arg) : 0; \
        if (_visited) return _visited;                          \
    } while (0)

/* Kinds of objects. */

PyObject *PyBool_FromLong(long);

int PyBuffer_FillInfo(Py_buffer *, PyObject *, void *, Py_ssize_t, int, int);
int PyBuffer_IsContiguous(const Py_buffer *, char);
void PyBuffer_Release(Py_buffer *);

char *PyByteArray_AsString(PyObject *);
Py_ssize_t PyByteArray_Size(PyObject *);
#define PyByteArray_AS_STRING(ob) PyByteArray_AsString((PyObject *)(ob))
#define PyByteArray_GET_SIZE(ob) PyByteArray_Size((PyObject *)(ob))

char *PyBytes_AsString(PyObject *);
PyObject *PyBytes_FromObject(PyObject *);
PyObject *PyBytes_FromString(const char *);
PyObject *PyBytes_FromStringAndSize(const char *, Py_ssize_t);
Py_ssize_t PyBytes_Size(PyObject *);
#define PyBytes_AS_STRING(ob) PyBytes_AsString((PyObject *)(ob))
#define PyBytes_GET_SIZE(ob) PyBytes_Size((PyObject *)(ob))

void *PyCapsule_GetPointer(PyObject *, const char *);
PyObject *PyCapsule_New(void *, const char *, void (*)(PyObject *));

typedef struct {
    PyObject ob_base;
    PyMethodDef *m_ml;
    PyObject *m_self;
    PyObject *m_module;
    PyObject *m_weakreflist;
    vectorcallfunc vectorcall;
} PyCFunctionObject;
#define PyCFunction_GET_SELF(ob) (((PyCFunctionObject *)(ob))->m_self)
PyObject *PyCFunction_NewEx(PyMethodDef *, PyObject *, PyObject *);
#define PyCFunction_New(method, self) PyCFunction_NewEx((method), (self), NULL)

typedef struct {
    double real, imag;
} Py_complex;
Py_complex PyComplex_AsCComplex(PyObject *);
PyObject *PyComplex_FromCComplex(Py_complex);

void PyDict_Clear(PyObject *);
PyObject *PyDict_Copy(PyObject *);
int PyDict_DelItem(PyObject *, PyObject *);
int PyDict_Contains(PyObject *, PyObject *);
PyObject *PyDict_GetItem(PyObject *, PyObject *);
int PyDict_GetItemRef(PyObject *, PyObject *, PyObject **);
PyObject *PyDict_GetItemWithError(PyObject *, PyObject *);
PyObject *PyDict_Keys(PyObject *);
PyObject *PyDict_New(void);
int PyDict_Next(PyObject *, Py_ssize_t *, PyObject **, PyObject **);
PyObject *PyDict_SetDefault(PyObject *, PyObject *, PyObject *);
int PyDict_SetItem(PyObject *, PyObject *, PyObject *);
int PyDict_SetItemString(PyObject *, const char *, PyObject *);
Py_ssize_t PyDict_Size(PyObject *);

double PyFloat_AsDouble(PyObject *);
PyObject *PyFloat_FromDouble(double);
#define PyFloat_AS_DOUBLE(ob) PyFloat_AsDouble((PyObject *)(ob))

int PyList_Append(PyObject *, PyObject *);
PyObject *PyList_AsTuple(PyObject *);
PyObject *PyList_GetItem(PyObject *, Py_ssize_t);
PyObject *PyList_New(Py_ssize_t);
int PyList_Reverse(PyObject *);
int PyList_SetItem(PyObject *, Py_ssize_t, PyObject *);
int PyList_SetSlice(PyObject *, Py_ssize_t, Py_ssize_t, PyObject *);
Py_ssize_t PyList_Size(PyObject *);
typedef struct {
    PyVarObject ob_base;
    PyObject **ob_item;
    Py_ssize_t allocated;
} PyListObject;
#define PyList_GET_ITEM(ob, at) (((PyListObject *)(ob))->ob_item[at])
#define PyList_GET_SIZE(ob) Py_SIZE(ob)
#define PyList_SET_ITEM(ob, at, item) ((void)(PyList_GET_ITEM((ob), (at)) = (PyObject *)(item)))

long PyLong_AsLong(PyObject *);
long long PyLong_AsLongLong(PyObject *);
Py_ssize_t PyLong_AsSsize_t(PyObject *);
size_t PyLong_AsSize_t(PyObject *);
PyObject *PyLong_FromSize_t(size_t);
PyObject *PyLong_FromString(const char *, char **, int);
PyObject *PyLong_FromUnicodeObject(PyObject *, int);
unsigned long PyLong_AsUnsignedLong(PyObject *);
unsigned long long PyLong_AsUnsignedLongLong(PyObject *);
unsigned long long PyLong_AsUnsignedLongLongMask(PyObject *);
void *PyLong_AsVoidPtr(PyObject *);
PyObject *PyLong_FromLong(long);
PyObject *PyLong_FromLongLong(long long);
PyObject *PyLong_FromSsize_t(Py_ssize_t);
PyObject *PyLong_FromUnsignedLong(unsigned long);
PyObject *PyLong_FromUnsignedLongLong(unsigned long long);
PyObject *PyLong_FromVoidPtr(void *);
int _PyLong_Sign(PyObject *);
#define PyLong_AS_LONG(ob) PyLong_AsLong((PyObject *)(ob))

Py_ssize_t PyNumber_AsSsize_t(PyObject *, PyObject *);
PyObject *PyNumber_Long(PyObject *);
PyObject *PyMapping_Keys(PyObject *);
PyObject *PyMapping_Values(PyObject *);
PyObject *PySequence_GetSlice(PyObject *, Py_ssize_t, Py_ssize_t);
PyObject *Py_GenericAlias(PyObject *, PyObject *);

typedef struct {
    PyObject ob_base;
    PyObject *start, *stop, *step;
} PySliceObject;
int PySlice_Unpack(PyObject *, Py_ssize_t *, Py_ssize_t *, Py_ssize_t *);
int PySlice_GetIndicesEx(PyObject *, Py_ssize_t, Py_ssize_t *, Py_ssize_t *, Py_ssize_t *, Py_ssize_t *);

PyObject *PyTuple_GetItem(PyObject *, Py_ssize_t);
PyObject *PyTuple_GetSlice(PyObject *, Py_ssize_t, Py_ssize_t);
PyObject *PyTuple_New(Py_ssize_t);
PyObject *PyTuple_Pack(Py_ssize_t, ...);
Py_ssize_t PyTuple_Size(PyObject *);
typedef struct {
    PyVarObject ob_base;
    Py_hash_t ob_hash;
    PyObject *ob_item[1];
} PyTupleObject;
#define PyTuple_GET_ITEM(ob, at) (((PyTupleObject *)(ob))->ob_item[at])
#define PyTuple_GET_SIZE(ob) Py_SIZE(ob)
#define PyTuple_SET_ITEM(ob, at, item) ((void)(PyTuple_GET_ITEM((ob), (at)) = (PyObject *)(item)))

/* For lists and tuples alone. */
#define PySequence_Fast_GET_SIZE(ob) Py_SIZE(ob)
#define PySequence_Fast_ITEMS(ob) (PyList_Check(ob) ? ((PyListObject *)(ob))->ob_item : ((PyTupleObject *)(ob))->ob_item)

/* Text. */
typedef struct {
    PyObject ob_base;
    Py_ssize_t length;
    Py_hash_t hash;
    struct {
        uint32_t interned : 2, kind : 3, compact : 1, ascii : 1, statically_allocated : 1;
    } state;
} PyASCIIObject;
typedef struct {
    PyASCIIObject _base;
    Py_ssize_t utf8_length;
    char *utf8;
} PyCompactUnicodeObject;
const char *PyUnicode_AsUTF8(PyObject *);
Py_UCS4 *PyUnicode_AsUCS4(PyObject *, Py_UCS4 *, Py_ssize_t, int);
Py_ssize_t PyUnicode_AsWideChar(PyObject *, wchar_t *, Py_ssize_t);
extern const char *Py_FileSystemDefaultEncoding;
PyObject *PyUnicode_DecodeLatin1(const char *, Py_ssize_t, const char *);
PyObject *PyUnicode_FromFormat(const char *, ...);
PyObject *PyUnicode_FromKindAndData(int, const void *, Py_ssize_t);
PyObject *PyUnicode_FromObject(PyObject *);
PyObject *PyUnicode_Join(PyObject *, PyObject *);
PyObject *PyUnicode_Substring(PyObject *, Py_ssize_t, Py_ssize_t);
Py_UCS4 _PyUnicode_ToLowercase(Py_UCS4);
#define Py_UNICODE_TOLOWER(character) _PyUnicode_ToLowercase(character)
#define PyUnicode_READY(ob) 0
PyObject *PyUnicode_FromString(const char *);
PyObject *PyUnicode_FromStringAndSize(const char *, Py_ssize_t);
PyObject *PyUnicode_FromWideChar(const wchar_t *, Py_ssize_t);
Py_ssize_t PyUnicode_GetLength(PyObject *);
PyObject *PyUnicode_InternFromString(const char *);
void PyUnicode_InternInPlace(PyObject **);
PyObject *PyUnicode_New(Py_ssize_t, Py_UCS4);
Py_UCS4 PyUnicode_ReadChar(PyObject *, Py_ssize_t);
int PyUnicode_Resize(PyObject **, Py_ssize_t);
#define PyUnicode_1BYTE_KIND 1
#define PyUnicode_2BYTE_KIND 2
#define PyUnicode_4BYTE_KIND 4
#define PyUnicode_GET_LENGTH(ob) PyUnicode_GetLength((PyObject *)(ob))
/* It is asked for by `#ifdef`, too. */
#define PyUnicode_KIND(ob) ((unsigned)((PyASCIIObject *)(ob))->state.kind)
static inline void *PyUnicode_DATA(const void *ob) {
    PyCompactUnicodeObject *text = (PyCompactUnicodeObject *)ob;
    if (text->_base.state.compact && text->_base.state.ascii) return &text->_base + 1;
    /* One of a subclass has its characters elsewhere. */
    return text->_base.state.compact ? (void *)(text + 1) : *(void **)(text + 1);
}
#define PyUnicode_4BYTE_DATA(ob) ((Py_UCS4 *)PyUnicode_DATA(ob))
#define PyUnicode_READ(kind, data, at)                                                    \
    ((Py_UCS4)((kind) == PyUnicode_1BYTE_KIND   ? ((const Py_UCS1 *)(data))[at]             \
               : (kind) == PyUnicode_2BYTE_KIND ? ((const Py_UCS2 *)(data))[at]             \
                                                : ((const Py_UCS4 *)(data))[at]))
#define PyUnicode_READ_CHAR(ob, at) PyUnicode_ReadChar((PyObject *)(ob), (at))
int PyWeakref_GetRef(PyObject *, PyObject **);
PyObject *PyWeakref_NewRef(PyObject *, PyObject *);

/* Arguments, errors, modules. */

int PyArg_ParseTuple(PyObject *, const char *, ...);
int PyArg_ParseTupleAndKeywords(PyObject *, PyObject *, const char *, char **, ...);
int PyArg_UnpackTuple(PyObject *, const char *, Py_ssize_t, Py_ssize_t, ...);
PyObject *Py_BuildValue(const char *, ...);

extern PyObject *PyExc_AttributeError, *PyExc_ImportError, *PyExc_IndexError, *PyExc_KeyError, *PyExc_KeyboardInterrupt,
    *PyExc_MemoryError,
    *PyExc_NotImplementedError, *PyExc_OSError, *PyExc_OverflowError, *PyExc_RuntimeError, *PyExc_SystemError,
    *PyExc_TimeoutError, *PyExc_TypeError, *PyExc_UserWarning, *PyExc_ValueError, *PyExc_ZeroDivisionError;
void PyErr_Clear(void);
int PyErr_CheckSignals(void);
int PyErr_ExceptionMatches(PyObject *);
void PyErr_Fetch(PyObject **, PyObject **, PyObject **);
PyObject *PyErr_Format(PyObject *, const char *, ...);
void PyErr_FormatUnraisable(const char *, ...);
PyObject *PyErr_NewException(const char *, PyObject *, PyObject *);
PyObject *PyErr_NoMemory(void);
void PyErr_NormalizeException(PyObject **, PyObject **, PyObject **);
PyObject *PyErr_Occurred(void);
void PyErr_Restore(PyObject *, PyObject *, PyObject *);
PyObject *PyErr_SetFromErrno(PyObject *);
void PyErr_SetNone(PyObject *);
void PyErr_SetObject(PyObject *, PyObject *);
void PyErr_SetString(PyObject *, const char *);
int PyErr_WarnEx(PyObject *, const char *, Py_ssize_t);
void PyErr_WriteUnraisable(PyObject *);
_Noreturn void _Py_FatalErrorFunc(const char *, const char *);
#define Py_FatalError(text) _Py_FatalErrorFunc(__func__, (text))

typedef struct {
    PyObject ob_base;
    PyObject *(*m_init)(void);
    Py_ssize_t m_index;
    PyObject *m_copy;
} PyModuleDef_Base;
typedef struct PyModuleDef {
    PyModuleDef_Base m_base;
    const char *m_name;
    const char *m_doc;
    Py_ssize_t m_size;
    PyMethodDef *m_methods;
    void *m_slots;
    traverseproc m_traverse;
    inquiry m_clear;
    freefunc m_free;
} PyModuleDef;
#define PyModuleDef_HEAD_INIT {{1, NULL}, NULL, 0, NULL}
PyObject *PyModule_Create2(PyModuleDef *, int);
#define PyModule_Create(definition) PyModule_Create2((definition), PYTHON_API_VERSION)
int PyModule_AddIntConstant(PyObject *, const char *, long);
int PyModule_AddObject(PyObject *, const char *, PyObject *);
PyObject *PyModule_GetDict(PyObject *);
PyObject *PyImport_ImportModule(const char *);
PyObject *PySys_GetObject(const char *);

/* Threads, of which there is one. */

#define WITH_THREAD 1
typedef struct _is PyInterpreterState;
typedef struct _ts {
    struct _ts *prev, *next;
    PyInterpreterState *interp;
    uintptr_t eval_breaker;
    struct {
        unsigned int initialized : 1, bound : 1, unbound : 1, bound_gilstate : 1;
    } _status;
} PyThreadState;
typedef void *PyThread_type_lock;
typedef enum { PyGILState_LOCKED, PyGILState_UNLOCKED } PyGILState_STATE;
PyGILState_STATE PyGILState_Ensure(void);
void PyGILState_Release(PyGILState_STATE);
PyThreadState *PyGILState_GetThisThreadState(void);
PyThreadState *PyThreadState_GetUnchecked(void);
#define _PyThreadState_UncheckedGet PyThreadState_GetUnchecked
void PyThreadState_Clear(PyThreadState *);
void PyThreadState_Delete(PyThreadState *);
PyThreadState *PyEval_SaveThread(void);
void PyEval_RestoreThread(PyThreadState *);
PyObject *PyThreadState_GetDict(void);
PyInterpreterState *PyThreadState_GetInterpreter(PyThreadState *);
PyInterpreterState *PyInterpreterState_Get(void);
PyObject *PyInterpreterState_GetDict(PyInterpreterState *);
PyThread_type_lock PyThread_allocate_lock(void);
void PyThread_free_lock(PyThread_type_lock);
int PyThread_acquire_lock(PyThread_type_lock, int);
void PyThread_release_lock(PyThread_type_lock);
#define WAIT_LOCK 1
#define NOWAIT_LOCK 0
#define Py_BEGIN_ALLOW_THREADS {
#define Py_END_ALLOW_THREADS }
#define Py_BEGIN_CRITICAL_SECTION(ob) {
#define Py_END_CRITICAL_SECTION() }

#endif
