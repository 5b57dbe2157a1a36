package bridge

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	types "wit_component/wasi_http_types"
)

// The host writes the client's address here, and nobody else can.
const clientField = "Wasmserve-Client"

func requestOf(incoming *types.IncomingRequest) *http.Request {
	target := incoming.PathWithQuery().SomeOr("/")
	location, err := url.ParseRequestURI(target)
	if err != nil {
		location = &url.URL{Path: target}
	}
	r := &http.Request{
		Method:     methodOf(incoming.Method()),
		URL:        location,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Host:       incoming.Authority().SomeOr(""),
		RequestURI: target,
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
	r.Trailer = announced(r.Header)
	for _, name := range apart {
		r.Header.Del(name)
	}
	if length != 0 {
		r.ContentLength, r.Body = sized(bodyOf(incoming.Consume().Ok()), length)
	}
	if r.ContentLength < 0 {
		r.TransferEncoding = []string{"chunked"}
	}
	return r
}

// What net/http tells elsewhere than among the fields.
var apart = []string{"Host", "Transfer-Encoding", "Trailer"}

// The fields that are to follow the body. They have no values before.
func announced(header http.Header) http.Header {
	var trailers http.Header
	for _, value := range header.Values("Trailer") {
		for _, name := range strings.Split(value, ",") {
			if name = http.CanonicalHeaderKey(strings.TrimSpace(name)); name != "" {
				if trailers == nil {
					trailers = http.Header{}
				}
				trailers[name] = nil
			}
		}
	}
	return trailers
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
