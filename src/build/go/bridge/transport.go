package bridge

import (
	"fmt"
	"io"
	"net/http"
	"strconv"

	outgoing "wit_component/wasi_http_outgoing_handler"
	types "wit_component/wasi_http_types"
	wit "go.bytecodealliance.org/pkg/wit/types"
)

// Requests of the application's own go through the host. They wait for their answer where they are made:
// other goroutines do not run meanwhile.
type transport struct{}

func (transport) RoundTrip(r *http.Request) (*http.Response, error) {
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
		return nil, fmt.Errorf("the host refuses the request (wasi:http error %d)", sent.Err().Tag())
	}
	if err := send(body, r.Body); err != nil {
		return nil, err
	}
	future := sent.Ok()
	ready := future.Subscribe()
	ready.Block()
	ready.Drop()
	answer := future.Get().Some().Ok()
	future.Drop()
	if answer.IsErr() {
		return nil, fmt.Errorf("no response (wasi:http error %d)", answer.Err().Tag())
	}
	return responseOf(r, answer.Ok()), nil
}

func send(body *types.OutgoingBody, from io.ReadCloser) error {
	if from != nil {
		defer from.Close()
		stream := body.Write().Ok()
		piece := make([]byte, 32*1024)
		for {
			n, err := from.Read(piece)
			if !writeAll(stream, piece[:n]) {
				break // The response tells why.
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				stream.Drop()
				body.Drop()
				return err
			}
		}
		stream.Drop()
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
	return &http.Response{
		Status:        fmt.Sprintf("%d %s", status, http.StatusText(status)),
		StatusCode:    status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		ContentLength: length,
		Body:          bodyOf(incoming.Consume().Ok()),
		Request:       r,
	}
}
