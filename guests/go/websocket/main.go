// WebSockets with the libraries that applications of net/http use, as they are: gorilla's, and nhooyr's, which is
// github.com/coder/websocket today.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/gorilla/websocket"
	nhooyr "nhooyr.io/websocket"
)

var upgrader = websocket.Upgrader{Subprotocols: []string{"second"}, EnableCompression: true}

// Sends each message back.
func gorilla(w http.ResponseWriter, r *http.Request) {
	socket, err := upgrader.Upgrade(w, r, http.Header{"X-Greeting": {"hello"}, "Set-Cookie": {"a=b"}})
	if err != nil {
		log.Print(err)
		return
	}
	defer socket.Close()
	for {
		kind, data, err := socket.ReadMessage()
		if err != nil {
			log.Printf("gorilla: %v", err)
			return
		}
		switch string(data) {
		case "who":
			remote := socket.RemoteAddr().String() == r.RemoteAddr
			data = fmt.Appendf(nil, "%q %q %v", socket.Subprotocol(), r.Header.Get("X-Own"), remote)
		case "panic":
			panic("as asked")
		case "close":
			close := websocket.FormatCloseMessage(4001, "enough")
			_ = socket.WriteControl(websocket.CloseMessage, close, time.Now().Add(time.Second))
			continue
		}
		if err := socket.WriteMessage(kind, data); err != nil {
			return
		}
	}
}

func coder(w http.ResponseWriter, r *http.Request) {
	socket, err := nhooyr.Accept(w, r, &nhooyr.AcceptOptions{Subprotocols: []string{"second"}})
	if err != nil {
		log.Print(err)
		return
	}
	defer socket.Close(nhooyr.StatusInternalError, "it has returned")
	socket.SetReadLimit(4 << 20)
	for {
		kind, data, err := socket.Read(r.Context())
		if err != nil {
			log.Printf("nhooyr: %v", err)
			return
		}
		switch string(data) {
		case "who":
			data = fmt.Appendf(nil, "%q", socket.Subprotocol())
		case "ping":
			// A pong is read where somebody reads.
			go func() { log.Printf("its ping: %v", socket.Ping(r.Context())) }()
			continue
		case "close":
			log.Printf("its end: %v", socket.Close(4001, "enough"))
			return
		}
		if err := socket.Write(r.Context(), kind, data); err != nil {
			return
		}
	}
}

// One goroutine reads, another one writes what came and what is due, and the handler has returned before.
func chat(w http.ResponseWriter, r *http.Request) {
	socket, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	said, left := make(chan []byte), make(chan struct{})
	// A client that answers no pings is given up: it reads on for as long as pongs come.
	wait := func(string) error { return socket.SetReadDeadline(time.Now().Add(time.Second)) }
	go func() {
		defer close(left)
		_ = wait("")
		socket.SetPongHandler(wait)
		for {
			_, data, err := socket.ReadMessage()
			if err != nil {
				log.Printf("chat: %v", err)
				return
			}
			said <- data
		}
	}()
	go func() {
		defer socket.Close()
		ticks, pings := time.NewTicker(100*time.Millisecond), time.NewTicker(300*time.Millisecond)
		for tick := 0; ; {
			select {
			case <-left:
				log.Print("chat: over")
				return
			case data := <-said:
				_ = socket.WriteMessage(websocket.TextMessage, data)
			case <-pings.C:
				_ = socket.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second))
			case <-ticks.C:
				_ = socket.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, "tick %d", tick))
				tick++
			}
		}
	}()
}

// Sends far more than is queued for a client.
func flood(w http.ResponseWriter, r *http.Request) {
	socket, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	for number := range 1000 {
		_ = socket.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, "%d %010000d", number, 0))
	}
	close := websocket.FormatCloseMessage(4000, "all")
	_ = socket.WriteControl(websocket.CloseMessage, close, time.Now().Add(time.Second))
	_ = socket.Close()
}

func main() {
	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "Hello, world!") })
	http.HandleFunc("/gorilla", gorilla)
	http.HandleFunc("/coder", coder)
	http.HandleFunc("/chat", chat)
	http.HandleFunc("/flood", flood)
	http.HandleFunc("/denied", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "not today", 403) })
	http.HandleFunc("/panic", func(w http.ResponseWriter, r *http.Request) { panic("before") })
	http.HandleFunc("/forever", func(w http.ResponseWriter, r *http.Request) { select {} })
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
