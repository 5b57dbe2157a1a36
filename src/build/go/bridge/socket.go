package bridge

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"runtime"
	"unicode/utf8"
)

// Opcodes (RFC 6455, section 5.2).
const (
	continuation = 0
	textFrame    = 1
	binaryFrame  = 2
	closeFrame   = 8
	pingFrame    = 9
	pongFrame    = 10
)

const (
	protocolError = 1002
	// The client gave no code, or left without closing.
	noCode     = 1005
	abnormal   = 1006
	notUTF8    = 1007
	isFinal    = 0x80
	isMasked   = 0x80
	mostRefuse = 1 << 20
)

// The other end of a connection that a library speaks RFC 6455 on.
type socket struct {
	connection connection
	request    *http.Request
	pipe       net.Conn
	// The client has its answer.
	decided bool
	// The library has closed the connection, or it was never opened.
	over bool
	// The handler has panicked.
	failed bool
	closed bool
}

func (s *socket) fail() {
	s.failed = true
	s.close(failed, "")
	_ = s.pipe.Close()
}

func (s *socket) close(code uint16, reason string) {
	if s.decided && !s.closed {
		s.closed = true
		s.connection.close(code, reason)
	}
}

// Reads the response that the library writes, and then what it sends.
func (s *socket) serve() {
	from := bufio.NewReader(s.pipe)
	answer, err := http.ReadResponse(from, s.request)
	switch {
	case err != nil:
		s.end()
	case answer.StatusCode == http.StatusSwitchingProtocols:
		if s.accept(answer.Header) {
			s.exchange(from)
		} else {
			s.end()
		}
	default:
		body, _ := io.ReadAll(io.LimitReader(answer.Body, mostRefuse))
		s.decided = true
		refuse(s.connection, answer.StatusCode, answer.Header, body)
		s.end()
	}
}

func (s *socket) accept(header http.Header) bool {
	why := s.connection.accept(header.Get("Sec-Websocket-Protocol"), own(header))
	if why != "" {
		logf("http: a WebSocket cannot be accepted so: %s", why)
	}
	s.decided = why == ""
	return s.decided
}

func (s *socket) end() {
	// A handler that panics may have closed the connection before.
	runtime.Gosched()
	if s.failed {
		s.close(failed, "")
	}
	s.close(0, "")
	_ = s.pipe.Close()
	s.over = true
}

// Sends what the library writes, until it closes the connection.
func (s *socket) exchange(from *bufio.Reader) {
	defer s.end()
	go s.receive()
	var sent message
	for {
		final, opcode, data, err := readFrame(from)
		if err != nil {
			return
		}
		switch opcode {
		case closeFrame:
			code, reason := uint16(0), ""
			if len(data) >= 2 {
				code, reason = binary.BigEndian.Uint16(data), string(data[2:])
			}
			s.close(code, reason)
			continue
		case pingFrame:
			if s.send(func() *closed { return s.connection.ping(data) }) {
				// The host asks its clients itself whether they are there, and closes the connection of one that is not.
				go s.give(frameOf(pongFrame, data))
			}
			continue
		case pongFrame:
			continue
		case textFrame:
			sent = message{kindText, data}
		case binaryFrame:
			sent = message{kindBinary, data}
		case continuation:
			sent.data = append(sent.data, data...)
		default:
			logf("http: a frame of the unknown kind %d was written to a WebSocket", opcode)
			s.close(protocolError, "")
			return
		}
		if !final {
			continue
		}
		if sent.kind == kindText && !utf8.Valid(sent.data) {
			logf("http: a text that is no UTF-8 was written to a WebSocket")
			s.close(notUTF8, "")
			return
		}
		whole := sent
		s.send(func() *closed { return s.connection.send(whole) })
		sent = message{}
	}
}

// Waits for room, and says whether it was sent.
func (s *socket) send(send func() *closed) bool {
	await(s.connection.sendable())
	return send() == nil
}

func readFrame(from *bufio.Reader) (final bool, opcode byte, data []byte, err error) {
	var head [8]byte
	if _, err = io.ReadFull(from, head[:2]); err != nil {
		return
	}
	final, opcode = head[0]&isFinal != 0, head[0]&0x0f
	masked := head[1]&isMasked != 0
	length := uint64(head[1] &^ isMasked)
	switch length {
	case 126:
		_, err = io.ReadFull(from, head[:2])
		length = uint64(binary.BigEndian.Uint16(head[:2]))
	case 127:
		_, err = io.ReadFull(from, head[:8])
		length = binary.BigEndian.Uint64(head[:8])
	}
	var mask [4]byte
	if masked && err == nil {
		_, err = io.ReadFull(from, mask[:])
	}
	if err != nil {
		return
	}
	data = make([]byte, length)
	_, err = io.ReadFull(from, data)
	for i := range data {
		data[i] ^= mask[i%4]
	}
	return
}

// A frame as a client sends it: masked, by nought.
func frameOf(opcode byte, data []byte) []byte {
	frame := []byte{isFinal | opcode}
	switch {
	case len(data) < 126:
		frame = append(frame, isMasked|byte(len(data)))
	case len(data) < 1<<16:
		frame = binary.BigEndian.AppendUint16(append(frame, isMasked|126), uint16(len(data)))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, isMasked|127), uint64(len(data)))
	}
	return append(append(frame, 0, 0, 0, 0), data...)
}

// Gives the library what comes, until the connection is closed.
func (s *socket) receive() {
	for {
		await(s.connection.receivable())
		message, closed := s.connection.receive()
		switch {
		case message != nil:
			opcode := byte(textFrame)
			if message.kind != kindText {
				opcode = binaryFrame
			}
			s.give(frameOf(opcode, message.data))
		case closed != nil:
			s.giveClose(closed)
			return
		}
	}
}

// Nothing is read after a frame that closes. Where there was none, the library reads that the connection is at its end.
func (s *socket) giveClose(closed *closed) {
	var data []byte
	switch closed.code {
	case abnormal:
		_ = s.pipe.Close()
		return
	case noCode:
	default:
		data = append(binary.BigEndian.AppendUint16(nil, closed.code), closed.reason...)
	}
	s.give(frameOf(closeFrame, data))
}

// A frame is written as a whole, and the library reads it as it likes.
func (s *socket) give(frame []byte) { _, _ = s.pipe.Write(frame) }
