package bridge

import (
	"runtime"
	"unsafe"

	witRuntime "go.bytecodealliance.org/pkg/wit/runtime"
	poll "wit_component/wasi_io_poll"
)

// See wit/deps/wasmserve-websocket-0.1.0: what of it is used here, as the Canonical ABI lays it out.

//go:wasmimport wasmserve:websocket/connections@0.1.0 [method]connection.accept
func importAccept(self, chosen int32, protocol uint32, length uint32, fields uint32, count uint32, result uint32)

//go:wasmimport wasmserve:websocket/connections@0.1.0 [method]connection.reject
func importReject(self, status int32, fields uint32, count uint32, body uint32, length uint32, result uint32)

//go:wasmimport wasmserve:websocket/connections@0.1.0 [method]connection.receive
func importReceive(self int32, result uint32)

//go:wasmimport wasmserve:websocket/connections@0.1.0 [method]connection.subscribe-receive
func importSubscribeReceive(self int32) int32

//go:wasmimport wasmserve:websocket/connections@0.1.0 [method]connection.send
func importSend(self, kind int32, data uint32, length uint32, result uint32)

//go:wasmimport wasmserve:websocket/connections@0.1.0 [method]connection.subscribe-send
func importSubscribeSend(self int32) int32

//go:wasmimport wasmserve:websocket/connections@0.1.0 [method]connection.ping
func importPing(self int32, data uint32, length uint32, result uint32)

//go:wasmimport wasmserve:websocket/connections@0.1.0 [method]connection.close
func importClose(self, given, code int32, reason uint32, length uint32)

//go:wasmimport wasmserve:websocket/connections@0.1.0 [resource-drop]connection
func importDrop(self int32)

type field struct{ name, value span }

type maybe struct {
	given uint32
	value span
}

// The parameters of the handler.
type call struct {
	method, path, scheme, authority, version span
	headers, subprotocols                    span
	client, server                           maybe
	connection                               int32
}

// A connection is the host's end of a WebSocket.
type connection struct{ handle int32 }

type closed struct {
	code   uint16
	reason string
}

const (
	kindText   = 0
	kindBinary = 1
)

type message struct {
	kind int32
	data []byte
}

// Of an error of the handshake, the words.
func (a *area) refusal() string {
	if uint8(a.words[0]) == 0 {
		return ""
	}
	switch uint8(a.words[1]) {
	case 0:
		return "the client has left"
	case 1:
		return "the client has not offered this subprotocol"
	case 2:
		return "the field " + a.span(2).text() + " cannot be sent"
	default:
		return "this status cannot be sent"
	}
}

func (a *area) closed(at int) *closed {
	return &closed{uint16(a.words[at]), a.span(at + 1).text()}
}

func ofHeader(pinner *runtime.Pinner, header map[string][]string) span {
	var fields []field
	for name, values := range header {
		for _, value := range values {
			fields = append(fields, field{of(pinner, []byte(name)), of(pinner, []byte(lineless.Replace(value)))})
		}
	}
	if len(fields) == 0 {
		return span{}
	}
	pinner.Pin(&fields[0])
	return span{uint32(uintptr(unsafe.Pointer(&fields[0]))), uint32(len(fields))}
}

// Says why it cannot be so; an empty text where it is.
func (c connection) accept(protocol string, header map[string][]string) string {
	var pinner runtime.Pinner
	defer pinner.Unpin()
	var result area
	given := int32(0)
	if protocol != "" {
		given = 1
	}
	chosen, fields := of(&pinner, []byte(protocol)), ofHeader(&pinner, header)
	to := result.pinned(&pinner)
	importAccept(c.handle, given, chosen.data, chosen.length, fields.data, fields.length, to)
	return result.refusal()
}

func (c connection) reject(status int, header map[string][]string, body []byte) string {
	var pinner runtime.Pinner
	defer pinner.Unpin()
	var result area
	fields, whole := ofHeader(&pinner, header), of(&pinner, body)
	to := result.pinned(&pinner)
	importReject(c.handle, int32(status), fields.data, fields.length, whole.data, whole.length, to)
	return result.refusal()
}

// Neither where there is nothing yet.
func (c connection) receive() (*message, *closed) {
	var pinner runtime.Pinner
	defer pinner.Unpin()
	var result area
	importReceive(c.handle, result.pinned(&pinner))
	defer witRuntime.Unpin()
	switch {
	case uint8(result.words[0]) != 0:
		return nil, result.closed(1)
	case uint8(result.words[1]) == 0:
		return nil, nil
	}
	return &message{int32(uint8(result.words[2])), result.span(3).bytes()}, nil
}

func (c connection) send(m message) *closed {
	var pinner runtime.Pinner
	defer pinner.Unpin()
	var result area
	data := of(&pinner, m.data)
	importSend(c.handle, m.kind, data.data, data.length, result.pinned(&pinner))
	return result.end()
}

func (c connection) ping(p []byte) *closed {
	var pinner runtime.Pinner
	defer pinner.Unpin()
	var result area
	data := of(&pinner, p)
	importPing(c.handle, data.data, data.length, result.pinned(&pinner))
	return result.end()
}

func (a *area) end() *closed {
	defer witRuntime.Unpin()
	if uint8(a.words[0]) == 0 {
		return nil
	}
	return a.closed(1)
}

// No code is 0.
func (c connection) close(code uint16, reason string) {
	var pinner runtime.Pinner
	defer pinner.Unpin()
	given := int32(0)
	if code != 0 {
		given = 1
	}
	words := of(&pinner, []byte(reason))
	importClose(c.handle, given, int32(code), words.data, words.length)
}

func (c connection) receivable() *poll.Pollable {
	return poll.PollableFromOwnHandle(importSubscribeReceive(c.handle))
}

func (c connection) sendable() *poll.Pollable {
	return poll.PollableFromOwnHandle(importSubscribeSend(c.handle))
}
