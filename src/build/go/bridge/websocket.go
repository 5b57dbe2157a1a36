package bridge

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"log"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"unsafe"

	witRuntime "go.bytecodealliance.org/pkg/wit/runtime"
)

// Libraries for WebSockets take over the connection of a request, and speak RFC 6455 on it. They are given one whose
// other end is here: what they write there becomes messages of wasmserve:websocket, and these become what they read.

// The application has failed (RFC 6455, section 7.4.1).
const failed = 1011

//go:wasmexport wasmserve:websocket/socket-handler@0.1.0#handle
func handleWebSocket(parameters unsafe.Pointer) {
	renew()
	opening := *(*call)(parameters)
	w := &upgrade{header: http.Header{}, connection: connection{opening.connection}}
	w.request, w.local = openingOf(&opening)
	witRuntime.Unpin()
	if !isServing() {
		log.Print("startup failed: " + endless)
		w.WriteHeader(http.StatusInternalServerError)
		w.finish()
		return
	}
	ctx, asked := contextOf(w.request)
	ctx, cancel := context.WithCancel(context.WithValue(ctx, http.LocalAddrContextKey, w.local))
	returned := false
	go func() {
		defer cancel()
		defer func() { returned = true }()
		w.serve(w.request.WithContext(ctx))
	}()
	runUntil(func() bool { return returned && (w.socket == nil || w.socket.over) })
	runOthers()
	if !returned && w.socket == nil {
		logf("http: the handler of %s waits for what never comes", w.request.URL)
		w.status, w.sent = http.StatusInternalServerError, http.Header{}
	}
	w.finish()
	asked(http.StateHijacked)
}

func openingOf(opening *call) (*http.Request, net.Addr) {
	target := opening.path.text()
	location, err := url.ParseRequestURI(target)
	if err != nil {
		location = &url.URL{Path: target}
	}
	r := &http.Request{
		Method:     http.MethodGet,
		URL:        location,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     http.Header{},
		Host:       opening.authority.text(),
		RequestURI: target,
		RemoteAddr: "0.0.0.0:0",
		Body:       http.NoBody,
	}
	for _, field := range unsafe.Slice((*field)(opening.headers.pointer()), opening.headers.length) {
		r.Header.Add(field.name.text(), field.value.text())
	}
	// As it is in HTTP/1.1, whatever the client speaks. Messages are compressed by nobody.
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-Websocket-Version", "13")
	if r.Header.Get("Sec-Websocket-Key") == "" {
		var key [16]byte
		_, _ = rand.Read(key[:])
		r.Header.Set("Sec-Websocket-Key", base64.StdEncoding.EncodeToString(key[:]))
	}
	r.Header.Del("Sec-Websocket-Extensions")
	r.Header.Del(clientField)
	if opening.client.given&1 != 0 {
		r.RemoteAddr = opening.client.value.text()
	}
	if opening.scheme.text() == "https" {
		r.TLS = &tls.ConnectionState{}
	}
	local := ""
	if opening.server.given&1 != 0 {
		local = opening.server.value.text()
	}
	return r, addressOf(local)
}

func addressOf(text string) net.Addr {
	address, err := netip.ParseAddrPort(text)
	if err != nil {
		return &net.TCPAddr{IP: net.IPv4zero}
	}
	return net.TCPAddrFromAddrPort(address)
}

// What answers a request that asks for a WebSocket.
type upgrade struct {
	connection connection
	request    *http.Request
	local      net.Addr
	header     http.Header
	sent       http.Header
	status     int
	body       bytes.Buffer
	socket     *socket
}

func (w *upgrade) serve(r *http.Request) {
	defer func() {
		fault := recover()
		if fault == nil {
			return
		}
		if fault != http.ErrAbortHandler {
			logf("http: panic serving %s: %v\n%s", r.URL, fault, debug.Stack())
		}
		if w.socket != nil {
			w.socket.fail()
			return
		}
		w.header, w.status = http.Header{}, 0
		w.body.Reset()
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte("Internal Server Error\n"))
	}()
	served.handler.ServeHTTP(w, r)
}

func (w *upgrade) Header() http.Header { return w.header }

func (w *upgrade) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
		w.sent = w.header.Clone()
	}
}

func (w *upgrade) Write(p []byte) (int, error) {
	if w.socket != nil {
		return 0, http.ErrHijacked
	}
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

func (w *upgrade) WriteString(text string) (int, error) { return w.Write([]byte(text)) }

// The response is sent when it is whole.
func (w *upgrade) Flush() {}

func (w *upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.socket != nil {
		return nil, nil, http.ErrHijacked
	}
	theirs, ours := net.Pipe()
	w.socket = &socket{connection: w.connection, pipe: ours, request: w.request}
	switch w.status {
	case 0:
		go w.socket.serve()
	case http.StatusSwitchingProtocols:
		if w.socket.accept(w.sent) {
			go w.socket.exchange(bufio.NewReader(ours))
		} else {
			_ = ours.Close()
		}
	default:
		// The answer is an ordinary one.
		_ = ours.Close()
		w.socket.over = true
	}
	conn := &hijacked{theirs, w.local, addressOf(w.request.RemoteAddr)}
	return conn, bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn)), nil
}

// A connection that has the addresses of the client's.
type hijacked struct {
	net.Conn
	local, remote net.Addr
}

func (c *hijacked) LocalAddr() net.Addr { return c.local }

func (c *hijacked) RemoteAddr() net.Addr { return c.remote }

// Answers the client if nobody has, and gives its connection back.
func (w *upgrade) finish() {
	if w.socket == nil || !w.socket.decided {
		if w.status == http.StatusSwitchingProtocols || w.status == 0 && w.socket != nil {
			w.status, w.sent = http.StatusInternalServerError, http.Header{}
		}
		w.WriteHeader(http.StatusOK)
		if _, known := w.sent["Content-Type"]; !known && w.body.Len() > 0 {
			w.sent.Set("Content-Type", http.DetectContentType(w.body.Bytes()))
		}
		refuse(w.connection, w.status, w.sent, w.body.Bytes())
	}
	importDrop(w.connection.handle)
}

// The host writes these fields.
var hosts = []string{
	"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Sec-Websocket-Accept", "Sec-Websocket-Extensions", "Sec-Websocket-Protocol", "Sec-Websocket-Version",
}

func own(header http.Header) http.Header {
	header = header.Clone()
	for _, name := range hosts {
		header.Del(name)
	}
	return header
}

func refuse(connection connection, status int, header http.Header, body []byte) {
	if why := connection.reject(status, own(header), body); why != "" {
		logf("http: a WebSocket cannot be refused so: %s", why)
	}
}
