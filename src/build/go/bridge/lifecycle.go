package bridge

import (
	"runtime"
	"unsafe"
)

// See wit/deps/wasmserve-lifecycle-0.1.0: what is in memory when `settle` has returned is what the instance of each
// request begins with.

// Whether this instance begins so, and has answered nothing since.
var fresh bool

// What the host reads: whether it is an error, and its text.
var told struct {
	failed uint32
	text   *byte
	length uint32
}

func tell(failure string) int32 {
	told.failed, told.text, told.length = 0, nil, 0
	if failure != "" {
		told.failed, told.text, told.length = 1, unsafe.StringData(failure), uint32(len(failure))
	}
	return int32(uintptr(unsafe.Pointer(&told)))
}

//go:wasmexport wasmserve:lifecycle/application@0.1.0#start
func start() int32 {
	select {
	case <-serving:
		return tell("")
	case <-ended:
		return tell(endless)
	}
}

//go:wasmexport wasmserve:lifecycle/application@0.1.0#settle
func settle() int32 {
	// The next collection is far away then.
	runtime.GC()
	fresh = true
	return tell("")
}

// Draws new seeds for what math/rand and the runtime itself draw at random, before anything of a request runs.
func renew() {
	if fresh {
		fresh = false
		runtime.WasmserveReseed()
	}
}
