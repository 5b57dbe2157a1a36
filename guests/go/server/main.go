// An ordinary server of net/http: `go run .` serves it natively.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"time"
)

var counter int

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "Hello, world!")
	})
	// How many of these requests this instance has seen.
	mux.HandleFunc("GET /counter", func(w http.ResponseWriter, r *http.Request) {
		counter++
		fmt.Fprintln(w, counter)
	})
	// Drawn for this request.
	mux.HandleFunc("GET /drawn", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, rand.Uint64())
	})
	mux.HandleFunc("GET /zone", func(w http.ResponseWriter, r *http.Request) {
		paris, err := time.LoadLocation("Europe/Paris")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC).In(paris))
	})
	mux.HandleFunc("GET /say", func(w http.ResponseWriter, r *http.Request) {
		slog.Info("as asked")
	})
	mux.HandleFunc("/length", func(w http.ResponseWriter, r *http.Request) {
		read, _ := io.ReadAll(r.Body)
		fmt.Fprintln(w, r.ContentLength, r.Body == http.NoBody, len(read))
	})
	mux.HandleFunc("GET /longer", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "5")
		_, _ = w.Write([]byte("hello"))
		if _, err := w.Write([]byte(" world")); err != http.ErrContentLength {
			panic(err)
		}
	})
	mux.HandleFunc("GET /late", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Early", "a\nb")
		w.WriteHeader(http.StatusOK)
		w.Header().Set("X-Late", "1")
	})
	mux.HandleFunc("GET /coded", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "identity")
		fmt.Fprint(w, "<html>")
	})
	mux.HandleFunc("GET /items/{id}", func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query().Get("q")
		writeJSON(w, http.StatusOK, map[string]string{"id": r.PathValue("id"), "query": query})
	})
	mux.HandleFunc("POST /items", func(w http.ResponseWriter, r *http.Request) {
		var item struct{ Name string }
		if err := json.NewDecoder(r.Body).Decode(&item); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		writeJSON(w, http.StatusCreated, map[string]string{"created": item.Name})
	})
	// What it was asked, a line for each thing.
	mux.HandleFunc("/request/", func(w http.ResponseWriter, r *http.Request) {
		read, _ := io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Out", "lev\xe9")
		fmt.Fprintln(w, "path", r.RequestURI)
		for name, values := range r.Header {
			for _, value := range values {
				fmt.Fprintf(w, "header %s: %s\n", strings.ToLower(name), value)
			}
		}
		fmt.Fprintln(w, "body", read)
	})
	// The body goes back as it comes.
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	})
	mux.HandleFunc("GET /slow", func(w http.ResponseWriter, r *http.Request) {
		for i := range 5 {
			fmt.Fprintf(w, "chunk %d\n", i)
			w.(http.Flusher).Flush()
			time.Sleep(100 * time.Millisecond)
		}
	})
	mux.HandleFunc("GET /cookies", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
		http.SetCookie(w, &http.Cookie{Name: "b", Value: "2"})
		fmt.Fprintln(w, "two")
	})
	mux.HandleFunc("GET /greeting", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, os.Getenv("GREETING"))
	})
	mux.HandleFunc("GET /throw", func(w http.ResponseWriter, r *http.Request) { panic("as asked") })
	mux.HandleFunc("GET /throw-file", func(w http.ResponseWriter, r *http.Request) {
		said, err := os.ReadFile("/data/reason.txt")
		if err != nil {
			fmt.Fprintln(w, err)
			return
		}
		panic("as read: " + string(said))
	})
	mux.HandleFunc("GET /throw-late", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "partial")
		w.(http.Flusher).Flush()
		time.Sleep(100 * time.Millisecond) // So that its beginning is on its way.
		panic("as asked")
	})
	mux.HandleFunc("GET /client", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, r.RemoteAddr, r.Header.Get("Wasmserve-Client"))
	})
	mux.HandleFunc("GET /fetch", func(w http.ResponseWriter, r *http.Request) {
		asked, err := http.NewRequest("GET", r.URL.Query().Get("url"), nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		asked.Host = r.URL.Query().Get("host")
		answer, err := http.DefaultClient.Do(asked)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		_, _ = io.Copy(w, answer.Body)
	})
	slog.Info("main is about to serve")
	if os.Getenv("DATABASE") == "gone" {
		log.Fatal("no database")
	}
	if os.Getenv("DATABASE") == "none" {
		return
	}
	library(mux)
	server := server(mux)
	if os.Getenv("SECURE") != "" {
		go func() { log.Fatal(http.ListenAndServe("localhost:6060", nil)) }()
		log.Fatal(server.ListenAndServeTLS("none.pem", "none.pem"))
	}
	log.Fatal(server.ListenAndServe())
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}
