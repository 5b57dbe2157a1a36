package bridge

import (
	"runtime"
	"unsafe"
)

// A list or a string, as it is in memory: pointers of Go's are longer than those of the host's.
type span struct{ data, length uint32 }

func (s span) pointer() unsafe.Pointer { return unsafe.Pointer(uintptr(s.data)) }

func (s span) text() string { return unsafe.String((*byte)(s.pointer()), s.length) }

func (s span) bytes() []byte { return unsafe.Slice((*byte)(s.pointer()), s.length) }

// The elements of a list, which are laid out as the host lays them out.
func listOf[T any](list span) []T { return unsafe.Slice((*T)(list.pointer()), list.length) }

// Where the host writes what comes of a call.
type area struct{ words [5]uint32 }

func (a *area) pinned(pinner *runtime.Pinner) uint32 {
	pinner.Pin(a)
	return uint32(uintptr(unsafe.Pointer(a)))
}

func (a *area) span(at int) span {
	return span{a.words[at], a.words[at+1]}
}

func of(pinner *runtime.Pinner, p []byte) span {
	if len(p) == 0 {
		return span{}
	}
	pinner.Pin(&p[0])
	return span{uint32(uintptr(unsafe.Pointer(&p[0]))), uint32(len(p))}
}
