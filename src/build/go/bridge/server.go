// Package bridge serves a net/http application through wasi:http: what its http.Server would accept from a
// socket comes from the host instead. `wasmserve build` puts it beside the application.
package bridge

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"

	streams "wit_component/wasi_io_streams"
	types "wit_component/wasi_http_types"
	wit "go.bytecodealliance.org/pkg/wit/types"
)

// The host writes the client's address here, and nobody else can.
const clientField = "Wasmserve-Client"

// The application's handler, once it serves.
var (
	serving = make(chan struct{})
	ended   = make(chan struct{})
	handler http.Handler
	// Nobody but the server answers `OPTIONS *`.
	general bool
)

// Start runs the application's main function until it serves, and says where its requests come from.
func Start(main func()) {
	http.DefaultTransport = transport{}
	http.WasmserveServe = func(server *http.Server) error {
		if handler != nil {
			select {} // The first server is the one that is served.
		}
		handler = server.Handler
		if handler == nil {
			handler = http.DefaultServeMux
		}
		general = !server.DisableGeneralOptionsHandler
		close(serving)
		select {}
	}
	go func() {
		main()
		close(ended)
	}()
}

//go:wasmexport wasmserve:guest/bridge#version
func version() int32 { return 1 }

// What an application says that ends before it serves.
const endless = "the main function has returned, and serves nothing"

//go:wasmexport wasi:http/incoming-handler@0.2.10#handle
func handle(request, out int32) {
	renew()
	incoming := types.IncomingRequestFromOwnHandle(request)
	outparam := types.ResponseOutparamFromOwnHandle(out)
	select {
	case <-serving:
	case <-ended:
		reason := wit.Some("startup failed: " + endless)
		failed := types.MakeErrorCodeInternalError(reason)
		types.ResponseOutparamSet(outparam, wit.Err[*types.OutgoingResponse, types.ErrorCode](failed))
		incoming.Drop()
		return
	}
	w := &response{header: http.Header{}, out: outparam}
	ctx, cancel := context.WithCancel(context.Background())
	r := requestOf(incoming)
	w.head = r.Method == http.MethodHead
	answer(w, r.WithContext(ctx))
	cancel()
	_ = r.Body.Close()
	incoming.Drop()
}

func answer(w *response, r *http.Request) {
	defer func() {
		fault := recover()
		if fault == nil {
			w.finish()
			return
		}
		if fault != http.ErrAbortHandler {
			log.Printf("http: panic serving %s: %v\n%s", r.URL, fault, debug.Stack())
		}
		w.abort()
	}()
	if general && r.Method == http.MethodOptions && r.RequestURI == "*" {
		w.header.Set("Content-Length", "0")
		return
	}
	handler.ServeHTTP(w, r)
}

func requestOf(incoming *types.IncomingRequest) *http.Request {
	target := incoming.PathWithQuery().SomeOr("/")
	location, err := url.ParseRequestURI(target)
	if err != nil {
		location = &url.URL{Path: target}
	}
	r := &http.Request{
		Method:        methodOf(incoming.Method()),
		URL:           location,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Host:          incoming.Authority().SomeOr(""),
		RequestURI:    target,
		RemoteAddr: "0.0.0.0:0",
		Body:       http.NoBody,
	}
	fields := incoming.Headers()
	r.Header = headerOf(fields)
	fields.Drop()
	if client := r.Header.Get(clientField); client != "" {
		r.RemoteAddr = client
		r.Header.Del(clientField)
	}
	if scheme := incoming.Scheme(); scheme.IsSome() && scheme.Some().Tag() == types.Scheme_Https {
		r.TLS = &tls.ConnectionState{}
	}
	length, err := strconv.ParseInt(r.Header.Get("Content-Length"), 10, 64)
	if err != nil {
		length = -1
	}
	if length != 0 {
		r.ContentLength, r.Body = sized(bodyOf(incoming.Consume().Ok()), length)
	}
	return r
}

func headerOf(fields *types.Fields) http.Header {
	header := http.Header{}
	for _, field := range fields.Entries() {
		header.Add(field.F0, string(field.F1))
	}
	return header
}

var methods = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}

func methodOf(method types.Method) string {
	if method.Tag() == types.Method_Other {
		return method.Other()
	}
	return methods[method.Tag()]
}

// Whether there is a body is not among the fields where it has no length. One that there is not is over at once.
func sized(b *body, length int64) (int64, io.ReadCloser) {
	if length < 0 {
		if read := b.stream.Read(64 * 1024); read.IsOk() {
			b.rest = read.Ok()
		} else if read.Err().Tag() == streams.StreamError_Closed {
			_ = b.Close()
			return 0, http.NoBody
		} else {
			b.end = io.ErrUnexpectedEOF
		}
	}
	return length, b
}

// The body of a message that comes in.
type body struct {
	whole  *types.IncomingBody
	stream *streams.InputStream
	rest   []byte
	end    error
}

func bodyOf(whole *types.IncomingBody) *body {
	return &body{whole: whole, stream: whole.Stream().Ok()}
}

func (b *body) Read(p []byte) (int, error) {
	for len(b.rest) == 0 && b.end == nil && len(p) > 0 {
		read := b.stream.BlockingRead(64 * 1024)
		switch {
		case read.IsOk():
			b.rest = read.Ok()
		case read.Err().Tag() == streams.StreamError_Closed:
			b.end = io.EOF
		default:
			b.end = io.ErrUnexpectedEOF
		}
	}
	if len(b.rest) == 0 && len(p) > 0 {
		return 0, b.end
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *body) Close() error {
	if b.whole != nil {
		b.stream.Drop()
		types.IncomingBodyFinish(b.whole).Drop()
		b.whole, b.rest, b.end = nil, nil, http.ErrBodyReadAfterClose
	}
	return nil
}

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
	buffer []byte
	out    *types.ResponseOutparam
	body   *types.OutgoingBody
	stream *streams.OutputStream
	broken error
}

func (w *response) Header() http.Header { return w.header }

func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
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
		log.Printf("http: invalid Content-Length of %q", text)
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

func (w *response) FlushError() error {
	w.drain()
	if w.broken == nil && w.stream.Flush().IsErr() {
		w.broken = io.ErrClosedPipe
	}
	return w.broken
}

// As net/http writes values that have line ends.
var lineless = strings.NewReplacer("\n", " ", "\r", " ")

// Sends the head, if that is not done yet.
func (w *response) begin() {
	if w.body != nil {
		return
	}
	w.WriteHeader(http.StatusOK)
	_, known := w.sent["Content-Type"]
	if !known && w.sent.Get("Content-Encoding") == "" && len(w.buffer) > 0 {
		w.sent.Set("Content-Type", http.DetectContentType(w.buffer))
	}
	fields := types.MakeFields()
	for name, values := range w.sent {
		for _, value := range values {
			// What belongs to one connection is the host's, which refuses it.
			fields.Append(name, []byte(lineless.Replace(value)))
		}
	}
	outgoing := types.MakeOutgoingResponse(fields)
	outgoing.SetStatusCode(uint16(w.status))
	w.body = outgoing.Body().Ok()
	w.stream = w.body.Write().Ok()
	types.ResponseOutparamSet(w.out, wit.Ok[*types.OutgoingResponse, types.ErrorCode](outgoing))
}

// Sends the head and what is held back.
func (w *response) drain() {
	w.begin()
	if !w.head && w.broken == nil && !writeAll(w.stream, w.buffer) {
		w.broken = io.ErrClosedPipe
	}
	w.buffer = w.buffer[:0]
}

func (w *response) finish() {
	w.WriteHeader(http.StatusOK)
	bodiless := w.status == http.StatusNoContent || w.status == http.StatusNotModified
	if w.body == nil && !bodiless && w.sent.Get("Content-Length") == "" && !(w.head && len(w.buffer) == 0) {
		w.sent.Set("Content-Length", strconv.Itoa(len(w.buffer)))
	}
	w.drain()
	w.stream.Drop()
	types.OutgoingBodyFinish(w.body, wit.None[*types.Fields]())
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
	w.stream.Drop()
	w.body.Drop()
}

func writeAll(stream *streams.OutputStream, p []byte) bool {
	for len(p) > 0 {
		room := stream.CheckWrite()
		if room.IsErr() {
			return false
		}
		n := min(uint64(len(p)), room.Ok())
		if n == 0 {
			ready := stream.Subscribe()
			ready.Block()
			ready.Drop()
			continue
		}
		if stream.Write(p[:n]).IsErr() {
			return false
		}
		p = p[n:]
	}
	return true
}

// The host has a port where the application names one, and no other use for it.
func schemeOf(text string) types.Scheme {
	if strings.EqualFold(text, "https") {
		return types.MakeSchemeHttps()
	}
	return types.MakeSchemeHttp()
}
