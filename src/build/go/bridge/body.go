package bridge

import (
	"io"
	"net/http"
	"runtime"

	wit "go.bytecodealliance.org/pkg/wit/runtime"
	types "wit_component/wasi_http_types"
	poll "wit_component/wasi_io_poll"
	streams "wit_component/wasi_io_streams"
)

// The body of a message that comes in.
type body struct {
	whole  *types.IncomingBody
	stream *streams.InputStream
	ready  *poll.Pollable
	rest   []byte
	end    error
	until  limit
	// Is given what follows the body, if that is asked for.
	trailers func(http.Header)
}

func bodyOf(whole *types.IncomingBody) *body {
	return &body{whole: whole, stream: whole.Stream().Ok()}
}

// Whether there is a body is not among the fields where it has no length. One that there is not is over at once.
func sized(b *body, length int64) (int64, io.ReadCloser) {
	if length < 0 {
		b.look()
		if b.end == io.EOF {
			_ = b.Close()
			return 0, http.NoBody
		}
	}
	return length, b
}

// Takes what is there already.
func (b *body) look() {
	read := b.stream.Read(64 * 1024)
	// What the host has had allocated is ours now, and would never be given back otherwise.
	wit.Unpin()
	runtime.WasmserveCollect()
	switch {
	case read.IsOk():
		b.rest = read.Ok()
	case read.Err().Tag() == streams.StreamError_Closed:
		b.end = io.EOF
	default:
		b.end = io.ErrUnexpectedEOF
	}
}

func (b *body) Read(p []byte) (int, error) {
	for len(b.rest) == 0 && b.end == nil && len(p) > 0 {
		if b.look(); len(b.rest) > 0 || b.end != nil {
			break
		}
		if b.ready == nil {
			b.ready = b.stream.Subscribe()
		}
		if err := wait(b.ready, b.until); err != nil {
			return 0, err
		}
	}
	if len(b.rest) == 0 && len(p) > 0 {
		if b.end == io.EOF {
			b.finish()
		}
		return 0, b.end
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *body) Close() error {
	b.finish()
	b.rest, b.end = nil, http.ErrBodyReadAfterClose
	return nil
}

// Gives back what the host holds.
func (b *body) finish() {
	if b.whole == nil {
		return
	}
	drop(&b.ready)
	b.stream.Drop()
	following := types.IncomingBodyFinish(b.whole)
	b.whole = nil
	defer following.Drop()
	if b.trailers == nil || b.end != io.EOF {
		return
	}
	ready := following.Subscribe()
	defer ready.Drop()
	if wait(ready, b.until) != nil {
		return
	}
	got := following.Get()
	if got.IsNone() || got.Some().IsErr() || got.Some().Ok().IsErr() {
		return
	}
	if fields := got.Some().Ok().Ok(); fields.IsSome() {
		b.trailers(headerOf(fields.Some()))
		fields.Some().Drop()
	}
}
