package bridge

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	wit "go.bytecodealliance.org/pkg/wit/types"
	types "wit_component/wasi_http_types"
	poll "wit_component/wasi_io_poll"
	streams "wit_component/wasi_io_streams"
)

// What a handler writes is held back up to this length: a short response has its length in its head.
const held = 32 * 1024

type response struct {
	header http.Header
	// As it was when the status was given: what is set later is not sent.
	sent   http.Header
	status int
	// As long as the head says that the body is, or -1; and so much of it was written.
	announced int64
	written   int64
	head      bool
	buffer    []byte
	out       *types.ResponseOutparam
	body      *types.OutgoingBody
	writer    writer
	broken    error
	// The body of the request, where it has one.
	received *body
	cancel   context.CancelFunc
}

func (w *response) Header() http.Header { return w.header }

// Interim responses are not sent: WASI has none.
func (w *response) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", status))
	}
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
		w.sent = w.header.Clone()
		w.announced = lengthOf(w.sent)
	}
}

// A length that is none is not sent, as by net/http.
func lengthOf(header http.Header) int64 {
	text := header.Get("Content-Length")
	if text == "" {
		return -1
	}
	length, err := strconv.ParseInt(text, 10, 64)
	if err != nil || length < 0 {
		logf("http: invalid Content-Length of %q", text)
		header.Del("Content-Length")
		return -1
	}
	return length
}

func (w *response) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.status == http.StatusNoContent || w.status == http.StatusNotModified {
		return 0, http.ErrBodyNotAllowed
	}
	w.written += int64(len(p))
	if w.announced >= 0 && w.written > w.announced {
		return 0, http.ErrContentLength
	}
	w.buffer = append(w.buffer, p...)
	if len(w.buffer) > held {
		w.drain()
	}
	return len(p), w.broken
}

func (w *response) WriteString(text string) (int, error) { return w.Write([]byte(text)) }

func (w *response) Flush() { _ = w.FlushError() }

// What follows is for http.ResponseController.

func (w *response) FlushError() error {
	w.drain()
	if w.broken == nil && w.writer.stream.Flush().IsErr() {
		w.fail(io.ErrClosedPipe)
	}
	return w.broken
}

func (w *response) SetReadDeadline(deadline time.Time) error {
	if w.received != nil {
		w.received.until.deadline = deadline
	}
	return nil
}

func (w *response) SetWriteDeadline(deadline time.Time) error {
	w.writer.until.deadline = deadline
	return nil
}

// Requests and responses are always read and written independently of each other.
func (w *response) EnableFullDuplex() error { return nil }

// Nobody is there any more, or is not waited for any longer.
func (w *response) fail(err error) {
	w.broken = err
	w.cancel()
}

// As net/http writes values that have line ends.
var lineless = strings.NewReplacer("\n", " ", "\r", " ")

func fieldsOf(header http.Header) *types.Fields {
	fields := types.MakeFields()
	for name, values := range header {
		for _, value := range values {
			// What belongs to one connection is the host's, which refuses it.
			fields.Append(name, []byte(lineless.Replace(value)))
		}
	}
	return fields
}

// Sends the head, if that is not done yet.
func (w *response) begin() {
	if w.body != nil || w.broken != nil {
		return
	}
	w.WriteHeader(http.StatusOK)
	_, known := w.sent["Content-Type"]
	if !known && w.sent.Get("Content-Encoding") == "" && len(w.buffer) > 0 {
		w.sent.Set("Content-Type", http.DetectContentType(w.buffer))
	}
	for name := range w.sent {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			delete(w.sent, name)
		}
	}
	outgoing := types.MakeOutgoingResponse(fieldsOf(w.sent))
	outgoing.SetStatusCode(uint16(w.status))
	w.body = outgoing.Body().Ok()
	w.writer.stream = w.body.Write().Ok()
	types.ResponseOutparamSet(w.out, wit.Ok[*types.OutgoingResponse, types.ErrorCode](outgoing))
}

// Sends the head and what is held back.
func (w *response) drain() {
	w.begin()
	if !w.head && w.broken == nil {
		if err := w.writer.writeAll(w.buffer); err != nil {
			w.fail(err)
		}
	}
	w.buffer = w.buffer[:0]
}

// What a handler's goroutines write later goes nowhere.
var errFinished = fmt.Errorf("http: the handler has returned")

func (w *response) finish() {
	w.WriteHeader(http.StatusOK)
	bodiless := w.head || w.status == http.StatusNoContent || w.status == http.StatusNotModified
	trailers := w.trailers()
	isShort := w.body == nil && w.sent.Get("Content-Length") == "" && trailers == nil
	if isShort && (!bodiless || w.head && len(w.buffer) > 0) {
		w.sent.Set("Content-Length", strconv.Itoa(len(w.buffer)))
	}
	w.drain()
	if w.body == nil {
		return
	}
	w.writer.drop()
	following := wit.None[*types.Fields]()
	if trailers != nil && !bodiless && w.broken == nil {
		following = wit.Some(fieldsOf(trailers))
	}
	types.OutgoingBodyFinish(w.body, following)
	w.broken = errFinished
}

// What the application sends after the body: what it has announced, and what it has marked as such.
func (w *response) trailers() http.Header {
	trailers := announced(w.sent)
	for name := range trailers {
		trailers[name] = w.header[name]
	}
	for name, values := range w.header {
		if marked, is := strings.CutPrefix(name, http.TrailerPrefix); is {
			if trailers == nil {
				trailers = http.Header{}
			}
			trailers[http.CanonicalHeaderKey(marked)] = values
		}
	}
	return trailers
}

// The handler has panicked: its client sees that the response is not whole.
func (w *response) abort() {
	if w.body == nil {
		w.header, w.buffer, w.status = http.Header{}, nil, 0
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.WriteString("Internal Server Error\n")
		w.finish()
		return
	}
	w.writer.drop()
	w.body.Drop()
	w.broken = errFinished
}

// A stream of the host's that is written to.
type writer struct {
	stream *streams.OutputStream
	ready  *poll.Pollable
	until  limit
}

func (w *writer) writeAll(p []byte) error {
	for len(p) > 0 {
		if w.stream == nil {
			return errFinished
		}
		room := w.stream.CheckWrite()
		if room.IsErr() {
			return io.ErrClosedPipe
		}
		n := min(uint64(len(p)), room.Ok())
		if n == 0 {
			if w.ready == nil {
				w.ready = w.stream.Subscribe()
			}
			if err := wait(w.ready, w.until); err != nil {
				return err
			}
			continue
		}
		if w.stream.Write(p[:n]).IsErr() {
			return io.ErrClosedPipe
		}
		p = p[n:]
	}
	return nil
}

func (w *writer) drop() {
	drop(&w.ready)
	w.stream.Drop()
	w.stream = nil
}
