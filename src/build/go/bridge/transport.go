package bridge

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	wit "go.bytecodealliance.org/pkg/wit/types"
	outgoing "wit_component/wasi_http_outgoing_handler"
	types "wit_component/wasi_http_types"
)

// Requests of the application's own go through the host, whichever http.Transport they are given to. What that says of
// connections is not asked: they are the host's.
func roundTrip(r *http.Request) (*http.Response, error) {
	fields := types.MakeFields()
	for name, values := range r.Header {
		for _, value := range values {
			if name != "User-Agent" || value != "" {
				fields.Append(name, []byte(value))
			}
		}
	}
	if _, named := r.Header["User-Agent"]; !named {
		fields.Append("user-agent", []byte("Go-http-client/1.1"))
	}
	if r.Host != "" && r.Host != r.URL.Host {
		fields.Append("wasmserve-host", []byte(r.Host))
	}
	if r.ContentLength > 0 {
		fields.Append("content-length", []byte(strconv.FormatInt(r.ContentLength, 10)))
	}
	request := types.MakeOutgoingRequest(fields)
	request.SetMethod(methodFrom(r.Method))
	request.SetScheme(wit.Some(schemeOf(r.URL.Scheme)))
	request.SetAuthority(wit.Some(r.URL.Host))
	request.SetPathWithQuery(wit.Some(r.URL.RequestURI()))
	body := request.Body().Ok()
	sent := outgoing.Handle(request, wit.None[*types.RequestOptions]())
	if sent.IsErr() {
		return nil, refused("the host refuses the request", sent.Err())
	}
	future := sent.Ok()
	// Nothing is asked for any longer where it ends without an answer.
	defer future.Drop()
	until := limit{ctx: r.Context()}
	if err := send(body, r.Body, until); err != nil {
		return nil, err
	}
	ready := future.Subscribe()
	err := wait(ready, until)
	ready.Drop()
	if err != nil {
		return nil, err
	}
	answer := future.Get().Some().Ok()
	if answer.IsErr() {
		return nil, refused("no response", answer.Err())
	}
	return responseOf(r, answer.Ok()), nil
}

func send(body *types.OutgoingBody, from io.ReadCloser, until limit) error {
	if from != nil {
		defer from.Close()
		out := writer{stream: body.Write().Ok(), until: until}
		piece := make([]byte, 32*1024)
		for {
			n, err := from.Read(piece)
			if failure := out.writeAll(piece[:n]); failure == io.ErrClosedPipe {
				break // The response tells why.
			} else if failure != nil {
				err = failure
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				out.drop()
				body.Drop()
				return err
			}
		}
		out.drop()
	}
	types.OutgoingBodyFinish(body, wit.None[*types.Fields]())
	return nil
}

func methodFrom(name string) types.Method {
	if name == "" {
		return types.MakeMethodGet()
	}
	makers := []func() types.Method{
		types.MakeMethodGet, types.MakeMethodHead, types.MakeMethodPost, types.MakeMethodPut,
		types.MakeMethodDelete, types.MakeMethodConnect, types.MakeMethodOptions,
		types.MakeMethodTrace, types.MakeMethodPatch,
	}
	for i, known := range methods {
		if name == known {
			return makers[i]()
		}
	}
	return types.MakeMethodOther(name)
}

func responseOf(r *http.Request, incoming *types.IncomingResponse) *http.Response {
	fields := incoming.Headers()
	header := headerOf(fields)
	fields.Drop()
	status := int(incoming.Status())
	length := int64(-1)
	if n, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64); err == nil {
		length = n
	}
	received := bodyOf(incoming.Consume().Ok())
	received.until = limit{ctx: r.Context()}
	response := &http.Response{
		Status:        fmt.Sprintf("%d %s", status, http.StatusText(status)),
		StatusCode:    status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		ContentLength: length,
		Body:          received,
		Request:       r,
		Trailer:       announced(header),
	}
	received.trailers = func(trailers http.Header) { response.Trailer = trailers }
	return response
}

// The host has a port where the application names one, and no other use for it.
func schemeOf(text string) types.Scheme {
	if strings.EqualFold(text, "https") {
		return types.MakeSchemeHttps()
	}
	return types.MakeSchemeHttp()
}

// What the host says of a request that fails, in the order of wasi:http.
var failures = []string{
	"DNS-timeout", "DNS-error", "destination-not-found", "destination-unavailable", "destination-IP-prohibited",
	"destination-IP-unroutable", "connection-refused", "connection-terminated", "connection-timeout", "connection-read-timeout",
	"connection-write-timeout", "connection-limit-reached", "TLS-protocol-error", "TLS-certificate-error", "TLS-alert-received",
	"HTTP-request-denied", "HTTP-request-length-required", "HTTP-request-body-size", "HTTP-request-method-invalid",
	"HTTP-request-URI-invalid", "HTTP-request-URI-too-long", "HTTP-request-header-section-size", "HTTP-request-header-size",
	"HTTP-request-trailer-section-size", "HTTP-request-trailer-size", "HTTP-response-incomplete",
	"HTTP-response-header-section-size", "HTTP-response-header-size", "HTTP-response-body-size",
	"HTTP-response-trailer-section-size", "HTTP-response-trailer-size", "HTTP-response-transfer-coding",
	"HTTP-response-content-coding", "HTTP-response-timeout", "HTTP-upgrade-failed", "HTTP-protocol-error", "loop-detected",
	"configuration-error", "internal-error",
}

func refused(what string, code types.ErrorCode) error {
	if tag := int(code.Tag()); tag < len(failures) {
		return fmt.Errorf("%s (wasi:http: %s)", what, failures[tag])
	}
	return fmt.Errorf("%s (wasi:http error %d)", what, code.Tag())
}
