package fakeaws

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
)

// RoundTripper returns a transport that calls a handler without a socket. The answer is
// complete before its first byte is read. A request whose context has ended does not reach the
// handler. If the context ends while the handler runs, the request gets no answer. A handler
// that panics with http.ErrAbortHandler breaks the connection.
func RoundTripper(h http.Handler) http.RoundTripper { return roundTripper{h} }

type roundTripper struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (rt roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context()) // the client's request must not be changed
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if in.ContentLength == 0 && in.Body != http.NoBody {
		in.ContentLength = -1 // 0 means unknown for a client, but no body for a server
	}
	defer in.Body.Close()
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := &memoryWriter{header: make(http.Header)}
	broken := rt.serve(w, in)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if broken {
		return nil, io.ErrUnexpectedEOF
	}
	w.WriteHeader(http.StatusOK)
	return &http.Response{
		Status:        strconv.Itoa(w.status) + " " + http.StatusText(w.status),
		StatusCode:    w.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        w.sent,
		Body:          io.NopCloser(&w.body),
		ContentLength: int64(w.body.Len()),
		Request:       r,
	}, nil
}

// serve calls the handler and reports whether it broke the connection.
func (rt roundTripper) serve(w http.ResponseWriter, r *http.Request) (broken bool) {
	defer func() {
		if reason := recover(); reason != nil {
			if err, ok := reason.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(reason)
			}
			broken = true
		}
	}()
	rt.handler.ServeHTTP(w, r)
	return false
}

// memoryWriter stores an answer. Changes to the header after it is sent have no effect, as
// with a socket.
type memoryWriter struct {
	header, sent http.Header
	status       int
	body         bytes.Buffer
}

func (w *memoryWriter) Header() http.Header { return w.header }

func (w *memoryWriter) WriteHeader(status int) {
	if w.sent == nil {
		w.status, w.sent = status, w.header.Clone()
		if n, err := strconv.Atoi(w.sent.Get("Content-Length")); err == nil && n > 0 {
			w.body.Grow(n)
		}
	}
}

func (w *memoryWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}
