package opensearch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Server is what a domain says of itself.
type Server struct {
	// Distribution is opensearch or elasticsearch.
	Distribution, Version string
	// Date is the clock of who answered, to the second; zero if it does not tell.
	Date time.Time
}

// ErrOtherServer tells that something answers that is no OpenSearch.
var ErrOtherServer = errors.New("what answers is no OpenSearch")

// Describe asks a domain what it is. Serverless has no answer to that.
func Describe(ctx context.Context, client Client) (Server, error) {
	const doing = "ask for the version"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody)
	if err != nil {
		return Server{}, fmt.Errorf(doing+": %w", err)
	}
	resp, err := client.Stream(req)
	if err != nil {
		return Server{}, fmt.Errorf(doing+": %w", err)
	}
	defer resp.Body.Close()
	s := Server{Distribution: "elasticsearch"} // which does not say so
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		s.Date = date
	}
	if resp.StatusCode != http.StatusOK {
		return s, NewAnswerError(doing, resp)
	}
	var answer struct {
		Version struct{ Distribution, Number string }
	}
	if err := decode(resp, &answer); err != nil || answer.Version.Number == "" {
		return s, errors.Join(ErrOtherServer, err)
	}
	s.Version = answer.Version.Number
	if d := answer.Version.Distribution; d != "" {
		s.Distribution = d
	}
	return s, nil
}
