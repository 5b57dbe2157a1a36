package main

import (
	"bufio"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"runtime"
	"sync"
	"time"
)

// What net/http and its kin offer beside plain handlers.

//go:embed go.mod
var files embed.FS

type key string

// A server that says more of itself than its address.
func server(mux *http.ServeMux) *http.Server {
	return &http.Server{
		Addr:        ":8000",
		Handler:     mux,
		ErrorLog:    log.New(os.Stderr, "own log: ", 0),
		ReadTimeout: time.Minute,
		BaseContext: func(listener net.Listener) context.Context {
			return context.WithValue(context.Background(), key("base"), listener.Addr().String())
		},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, key("conn"), c.RemoteAddr().String())
		},
	}
}

func library(mux *http.ServeMux) {
	mux.HandleFunc("GET /lib/context", func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		_, served := ctx.Value(http.ServerContextKey).(*http.Server)
		isRemote := ctx.Value(key("conn")) == r.RemoteAddr
		fmt.Fprintln(w, ctx.Value(key("base")), isRemote, served, ctx.Value(http.LocalAddrContextKey), ctx.Err())
	})
	// The beginning of the body comes at once, and what follows not before the deadline.
	mux.HandleFunc("POST /lib/deadline", func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		first, err := bufio.NewReaderSize(r.Body, 16).ReadByte()
		fmt.Fprintf(w, "%c %v\n", first, err)
		err = errors.Join(control.EnableFullDuplex(), control.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
		fmt.Fprintln(w, err)
		_, err = io.ReadAll(r.Body)
		fmt.Fprintln(w, errors.Is(err, os.ErrDeadlineExceeded))
		fmt.Fprintln(w, errors.Join(control.Flush(), control.SetWriteDeadline(time.Now().Add(time.Minute))))
	})
	// Its goroutine reads what never comes, and others go on.
	mux.Handle("POST /lib/late", http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
	}), 50*time.Millisecond, "too late"))
	mux.HandleFunc("/lib/proxy/", func(w http.ResponseWriter, r *http.Request) {
		target, _ := url.Parse(r.Header.Get("X-Target"))
		proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.SetXForwarded()
		}}
		proxy.ServeHTTP(w, r)
	})
	mux.HandleFunc("POST /lib/form", func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(16); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for name, list := range r.MultipartForm.File {
			for _, header := range list {
				file, err := header.Open()
				if err != nil {
					http.Error(w, err.Error(), http.StatusInternalServerError)
					return
				}
				read, err := io.Copy(io.Discard, file)
				fmt.Fprintln(w, name, header.Filename, header.Size, read, err)
			}
		}
		fmt.Fprintln(w, r.FormValue("field"), r.MultipartForm.RemoveAll())
	})
	mux.HandleFunc("POST /lib/limited", func(w http.ResponseWriter, r *http.Request) {
		var tooLarge *http.MaxBytesError
		_, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 10))
		if errors.As(err, &tooLarge) {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		}
	})
	mux.Handle("/lib/files/", http.StripPrefix("/lib/files/", http.FileServerFS(files)))
	mux.HandleFunc("/lib/trailers", func(w http.ResponseWriter, r *http.Request) {
		_, announced := r.Trailer["X-Sum"]
		w.Header().Set("Trailer", "X-Read")
		w.WriteHeader(http.StatusEarlyHints)
		body, err := io.ReadAll(r.Body)
		fmt.Fprintln(w, announced, string(body), r.Trailer.Get("X-Sum"), err, r.Header.Get("Trailer"), r.TransferEncoding)
		w.Header().Set("X-Read", fmt.Sprint(len(body)))
	})
	// How many objects encoding/json allocates the first time, and the second.
	mux.HandleFunc("GET /lib/json", func(w http.ResponseWriter, r *http.Request) {
		for range 2 {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			text, err := json.Marshal(map[string]string{"name": "value"})
			runtime.ReadMemStats(&after)
			fmt.Fprintln(w, after.Mallocs-before.Mallocs, string(text), err)
		}
	})
	mux.HandleFunc("GET /lib/missing", func(w http.ResponseWriter, r *http.Request) {
		_, opened := os.Open("settings.json")
		_, stat := os.Stat("/etc/settings.json")
		_, read := os.ReadFile("/data/missing")
		_, listed := os.ReadDir("/nowhere")
		_, link := os.Readlink("a")
		for _, err := range []error{opened, stat, read, listed, link, os.Mkdir("a", 0o700), os.Remove("a"),
			os.Rename("a", "b"), os.Symlink("a", "b"), os.WriteFile("a", nil, 0o600)} {
			fmt.Fprintln(w, errors.Is(err, os.ErrNotExist), err)
		}
	})
	mux.HandleFunc("GET /lib/beside", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, os.WriteFile("/application", []byte("lost"), 0o600))
		fmt.Fprintln(w, os.WriteFile("/app/./kept", []byte("one\n"), 0o600))
		file, err := os.OpenFile("/app/kept", os.O_APPEND|os.O_RDWR, 0)
		if err != nil {
			fmt.Fprintln(w, err)
			return
		}
		defer file.Close()
		before, _ := io.ReadAll(file)
		fmt.Fprint(file, "two\n")
		at, _ := file.Seek(1, io.SeekStart)
		after, _ := io.ReadAll(file)
		fmt.Fprintf(w, "%q %d %q\n", before, at, after)
	})
	// Two requests at a time, by a transport of its own, and one that is not waited for.
	mux.HandleFunc("GET /lib/clients", func(w http.ResponseWriter, r *http.Request) {
		client := &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
		var both sync.WaitGroup
		answers := make([]string, 2)
		for i, path := range []string{"/meet", "/meet"} {
			both.Add(1)
			go func() {
				defer both.Done()
				answers[i] = fetched(r.Context(), client, r.URL.Query().Get("url")+path)
			}()
		}
		both.Wait()
		ctx, cancel := context.WithTimeout(r.Context(), 50*time.Millisecond)
		defer cancel()
		fmt.Fprintln(w, answers, fetched(ctx, client, r.URL.Query().Get("url")+"/never"))
	})
}

func fetched(ctx context.Context, client *http.Client, url string) string {
	asked, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return err.Error()
	}
	answer, err := client.Do(asked)
	if errors.Is(err, context.DeadlineExceeded) {
		return "too late"
	}
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return string(text)
}
