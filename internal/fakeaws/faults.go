package fakeaws

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Faults that a test can inject into calls.

// Call is a request to a service.
type Call struct {
	// Operation is the name of the operation, such as GetRecords.
	Operation string
	// Body is the input as JSON.
	Body []byte
}

// Shard returns the shard that a call to Kinesis reads, "" if it does not read one.
func (c Call) Shard() string {
	var in struct{ ShardIterator, ShardId string }
	_ = json.Unmarshal(c.Body, &in) // the operation reports the error
	if it, err := parseIterator(in.ShardIterator); err == nil {
		return it.Shard
	}
	return in.ShardId
}

// Fault describes what goes wrong with a call. The zero value has no effect. The fields apply
// in this order.
type Fault struct {
	// Delay passes before the service gets the call.
	Delay time.Duration
	// Outlive makes the service delay and carry out the call even if the client cancels it.
	Outlive bool
	// Refuse is returned instead of calling the service.
	Refuse *APIError
	// Lose breaks the connection before the service gets the call.
	Lose bool
	// Edit changes a successful answer.
	Edit func(answer []byte) []byte
	// Late passes after the service has carried out the call and before its answer.
	Late time.Duration
	// LoseAnswer breaks the connection after the call was carried out.
	LoseAnswer bool
}

// Hang is a delay longer than any caller waits.
const Hang = 24 * time.Hour

// Inject returns a handler that applies the faults that decide returns to the calls of a
// service. decide must be safe for concurrent use.
func Inject(service http.Handler, decide func(Call) Fault) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := readBody(w, r)
		if err != nil {
			panic(http.ErrAbortHandler) // the client has gone
		}
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		fault := decide(Call{Operation: operation, Body: body})
		answer := &memoryWriter{header: make(http.Header)}
		serve := func(ctx context.Context) {
			r := r.Clone(ctx)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			service.ServeHTTP(answer, r)
		}
		if fault.Outlive {
			served := make(chan struct{})
			go func(ctx context.Context) {
				defer close(served)
				time.Sleep(fault.Delay)
				serve(ctx)
			}(context.WithoutCancel(r.Context()))
			select {
			case <-served:
			case <-r.Context().Done():
				panic(http.ErrAbortHandler)
			}
		} else {
			sleep(r, fault.Delay)
			switch {
			case fault.Refuse != nil:
				refuse(w, r, fault.Refuse)
				return
			case fault.Lose:
				panic(http.ErrAbortHandler)
			}
			serve(r.Context())
		}
		sleep(r, fault.Late)
		if fault.LoseAnswer {
			panic(http.ErrAbortHandler)
		}
		text := answer.body.Bytes()
		if fault.Edit != nil && answer.status == http.StatusOK {
			text = fault.Edit(text)
			answer.sent.Set("Content-Length", strconv.Itoa(len(text)))
		}
		maps.Copy(w.Header(), answer.sent)
		w.WriteHeader(answer.status)
		_, _ = w.Write(text)
	})
}

// sleep waits for a duration, or panics when the client cancels the request.
func sleep(r *http.Request, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
		panic(http.ErrAbortHandler)
	}
}

func refuse(w http.ResponseWriter, r *http.Request, e *APIError) {
	status := e.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": e.Code, "message": e.Message})
}

// MissShards returns an Edit of a ListShards answer that removes the shards for which missing
// is true, as if a page were missing.
func MissShards(missing func(id string) bool) func(answer []byte) []byte {
	return func(answer []byte) []byte {
		var page struct {
			Shards    []json.RawMessage
			NextToken string `json:",omitempty"`
		}
		if json.Unmarshal(answer, &page) != nil {
			return answer
		}
		kept := []json.RawMessage{}
		for _, raw := range page.Shards {
			var shard struct{ ShardId string }
			if json.Unmarshal(raw, &shard) != nil || !missing(shard.ShardId) {
				kept = append(kept, raw)
			}
		}
		page.Shards = kept
		edited, err := json.Marshal(page)
		if err != nil {
			return answer
		}
		return edited
	}
}
