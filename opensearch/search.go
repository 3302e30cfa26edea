package opensearch

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// Searches.

// Search searches an index and decodes the response. doing begins the text of errors.
// See https://docs.opensearch.org/latest/api-reference/search-apis/search/.
func Search(ctx context.Context, client Client, doing, index string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return call(ctx, client, doing, http.MethodPost, "/"+index+"/_search", text, answer)
}
