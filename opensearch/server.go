package opensearch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Server describes the server of a domain.
type Server struct {
	// Distribution is opensearch or elasticsearch.
	Distribution, Version string
	// Date is the server's clock in seconds, or zero if it was not returned.
	Date time.Time
}

// ErrOtherServer is returned when another program than OpenSearch responds.
var ErrOtherServer = errors.New("the server is not OpenSearch")

// Describe returns a domain's description of itself. Serverless does not have one.
func Describe(ctx context.Context, client Client) (Server, error) {
	const doing = "read the version"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody)
	if err != nil {
		return Server{}, fmt.Errorf(doing+": %w", err)
	}
	resp, err := client.Stream(req)
	if err != nil {
		return Server{}, fmt.Errorf(doing+": %w", err)
	}
	defer resp.Body.Close()
	s := Server{Distribution: "elasticsearch"} // which does not report a distribution
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
