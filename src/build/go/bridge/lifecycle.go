package bridge

import (
	"context"
	"net/http"
	"net/url"
	"runtime"
	"time"
	"unsafe"
)

// See wit/deps/wasmserve-lifecycle-0.1.0: what is in memory when `settle` has returned is what the instance of each
// request begins with.

// Whether this instance begins so, and has answered nothing since.
var fresh bool

// What the host reads: whether it is an error, where its text is, and how long that is. A pointer of Go's has twice as
// many bytes as the host reads.
var told [3]uint32

// Nobody frees the text before it is read.
var failure string

func tell(text string) int32 {
	failure, told = text, [3]uint32{}
	if text != "" {
		told = [3]uint32{1, uint32(uintptr(unsafe.Pointer(unsafe.StringData(failure)))), uint32(len(failure))}
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
	warmUp()
	fresh = true
	return tell("")
}

// Does before the snapshot what each instance would do otherwise when it answers: libraries make their tables when they
// are first used, and after a collection the runtime looks for room again for objects and stacks of each size. Nothing of
// the application runs.
func warmUp() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, size := range sizes {
			sink = make([]byte, size)
			pointers = make([]*byte, size/8)
		}
		deepen(depth)
		sink, pointers = nil, nil
	}()
	<-done
	_ = time.Local.String()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{name}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", http.DetectContentType([]byte(r.PathValue("name"))))
		_, _ = w.Write([]byte(lineless.Replace(r.URL.Query().Get("key"))))
	})
	location, _ := url.ParseRequestURI("/name?key=value")
	ctx, cancel := context.WithCancel(context.Background())
	r := &http.Request{Method: "GET", URL: location, Header: http.Header{}, Body: http.NoBody}
	r.Header.Add("user-agent", "none")
	mux.ServeHTTP(&response{header: http.Header{}}, r.WithContext(ctx))
	cancel()
	for _, rehearse := range rehearsals {
		rehearse()
	}
}

// Each is for a library, in a file that is there where the application uses it.
var rehearsals []func()

// Small objects of each of these sizes have room of their own (internal/runtime/gc/sizeclasses.go).
var sizes = []int{
	8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240, 256, 288, 320, 352, 384, 416, 448, 480,
	512, 576, 640, 704, 768, 896, 1024, 1152, 1280, 1408, 1536, 1792, 2048,
}

// So many calls of deepen take a stack of 16 KiB, which most handlers do with.
const depth = 24

var (
	sink     []byte
	pointers []*byte
)

//go:noinline
func deepen(left int) byte {
	var frame [512]byte
	if left > 0 {
		frame[left] = deepen(left - 1)
	}
	return frame[left]
}

// Draws new seeds for what math/rand and the runtime itself draw at random, before anything of a request runs.
func renew() {
	if fresh {
		fresh = false
		runtime.WasmserveReseed()
	}
}
