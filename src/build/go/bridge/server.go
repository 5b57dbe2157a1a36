// Package bridge serves a net/http application through wasi:http: what its http.Server would accept from a
// socket comes from the host instead. `wasmserve build` puts it beside the application.
package bridge

import (
	"context"
	"log"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"
	// What time.LoadLocation reads where there are no files of time zones.
	_ "time/tzdata"

	wit "go.bytecodealliance.org/pkg/wit/types"
	types "wit_component/wasi_http_types"
)

// The application's server, once it serves.
var (
	serving = make(chan struct{})
	ended   = make(chan struct{})
	served  struct {
		*http.Server
		handler http.Handler
		base    context.Context
		address net.Addr
	}
)

// Start runs the application's main function until it serves, and says where its requests come from.
func Start(main func()) {
	http.WasmserveRoundTrip = roundTrip
	http.WasmserveServe = serve
	go func() {
		main()
		close(ended)
	}()
}

func serve(server *http.Server, listener net.Listener, secure bool) error {
	var address net.Addr = &net.TCPAddr{}
	if listener != nil {
		address = listener.Addr()
	}
	if served.Server != nil {
		log.Printf("http: requests go to the server at %v, and none to the one at %v", served.address, address)
		select {}
	}
	served.Server, served.address = server, address
	if secure {
		log.Printf("http: serving without TLS, which is the host's: its options --ssl-certfile and --ssl-keyfile " +
			"name certificate and key")
	}
	if served.handler = server.Handler; served.handler == nil {
		served.handler = http.DefaultServeMux
	}
	served.base = context.Background()
	if server.BaseContext != nil {
		if served.base = server.BaseContext(listener); served.base == nil {
			panic("BaseContext returned a nil context")
		}
	}
	served.base = context.WithValue(served.base, http.ServerContextKey, server)
	close(serving)
	select {}
}

//go:wasmexport wasmserve:guest/bridge#version
func version() int32 { return 1 }

// What an application says that ends before it serves.
const endless = "the main function has returned, and serves nothing"

// Waits until the application serves, and says whether it does.
func isServing() bool {
	select {
	case <-serving:
	case <-ended:
		select {
		case <-serving:
		default:
			return false
		}
	}
	return true
}

//go:wasmexport wasi:http/incoming-handler@0.2.10#handle
func handle(request, out int32) {
	renew()
	incoming := types.IncomingRequestFromOwnHandle(request)
	outparam := types.ResponseOutparamFromOwnHandle(out)
	if !isServing() {
		reason := wit.Some("startup failed: " + endless)
		failed := types.MakeErrorCodeInternalError(reason)
		types.ResponseOutparamSet(outparam, wit.Err[*types.OutgoingResponse, types.ErrorCode](failed))
		incoming.Drop()
		return
	}
	r := requestOf(incoming)
	w := &response{header: http.Header{}, out: outparam, head: r.Method == http.MethodHead}
	if received, is := r.Body.(*body); is {
		w.received = received
	}
	begun := time.Now()
	if served.ReadTimeout > 0 {
		_ = w.SetReadDeadline(begun.Add(served.ReadTimeout))
	}
	if served.WriteTimeout > 0 {
		_ = w.SetWriteDeadline(begun.Add(served.WriteTimeout))
	}
	ctx, asked := contextOf(r)
	ctx, w.cancel = context.WithCancel(ctx)
	r = r.WithContext(ctx)
	if w.received != nil && r.ContentLength < 0 {
		w.received.trailers = func(trailers http.Header) { receive(r, trailers) }
	}
	answer(w, r)
	w.cancel()
	asked(http.StateClosed)
	_ = r.Body.Close()
	incoming.Drop()
}

// What the application adds to a request's context, and who is told of its connection. Which requests come by the same
// one is not known here: each is told of as if it had its own.
func contextOf(r *http.Request) (context.Context, func(http.ConnState)) {
	ctx, tell := served.base, func(http.ConnState) {}
	if served.ConnContext != nil || served.ConnState != nil {
		c := &conn{remote: r.RemoteAddr}
		if served.ConnContext != nil {
			if ctx = served.ConnContext(ctx, c); ctx == nil {
				panic("ConnContext returned nil")
			}
		}
		if served.ConnState != nil {
			tell = func(state http.ConnState) { served.ConnState(c, state) }
			tell(http.StateNew)
			tell(http.StateActive)
		}
	}
	return context.WithValue(ctx, http.LocalAddrContextKey, served.address), tell
}

// Copies of a request, as middleware makes them, have the same map where the client has announced what follows.
func receive(r *http.Request, trailers http.Header) {
	if r.Trailer == nil {
		r.Trailer = http.Header{}
	}
	for name, values := range trailers {
		r.Trailer[name] = values
	}
}

func answer(w *response, r *http.Request) {
	defer func() {
		fault := recover()
		if fault == nil {
			w.finish()
			return
		}
		if fault != http.ErrAbortHandler {
			logf("http: panic serving %s: %v\n%s", r.URL, fault, debug.Stack())
		}
		w.abort()
	}()
	general := !served.DisableGeneralOptionsHandler
	// Nobody but the server answers `OPTIONS *`.
	if general && r.Method == http.MethodOptions && r.RequestURI == "*" {
		w.header.Set("Content-Length", "0")
		return
	}
	served.handler.ServeHTTP(w, r)
}

func logf(format string, values ...any) {
	if served.Server != nil && served.ErrorLog != nil {
		served.ErrorLog.Printf(format, values...)
	} else {
		log.Printf(format, values...)
	}
}

// The connection that a request has come by, which the host keeps to itself.
type conn struct{ remote string }

type kept struct{}

func (kept) Error() string {
	return "the connection is the host's: a handler has the request and its response"
}

func (*conn) Read([]byte) (int, error)         { return 0, kept{} }
func (*conn) Write([]byte) (int, error)        { return 0, kept{} }
func (*conn) Close() error                     { return kept{} }
func (*conn) SetDeadline(time.Time) error      { return kept{} }
func (*conn) SetReadDeadline(time.Time) error  { return kept{} }
func (*conn) SetWriteDeadline(time.Time) error { return kept{} }
func (*conn) LocalAddr() net.Addr              { return served.address }

func (c *conn) RemoteAddr() net.Addr {
	address, _ := netip.ParseAddrPort(c.remote)
	return net.TCPAddrFromAddrPort(address)
}
