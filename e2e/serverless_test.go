package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// collection acts as a time-series collection of Serverless: it refuses ids, signatures for
// another service, and bodies without their hash.
// See https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-genref.html.
type collection struct {
	mu        sync.Mutex
	documents int
	refused   []string
	tokens    map[string]bool // of the credentials that signed
	expired   string          // the token that is answered with 403
	turned    int             // requests answered with 403
}

func (c *collection) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	authorization, token := r.Header.Get("Authorization"), r.Header.Get("X-Amz-Security-Token")
	sum := sha256.Sum256(body)
	if !strings.Contains(authorization, "/us-east-1/aoss/aws4_request") || r.Header.Get("X-Amz-Content-Sha256") != hex.EncodeToString(sum[:]) {
		c.refused = append(c.refused, "signature "+authorization)
		w.WriteHeader(http.StatusForbidden)
		return
	}
	c.tokens[token] = true
	switch {
	case r.URL.Path != "/_bulk" && r.Method == http.MethodGet:
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{}`)
	case r.URL.Path != "/_bulk":
		io.WriteString(w, `{"acknowledged":true}`)
	case c.expired == "" || token == c.expired:
		c.expired = token // the first token used to send documents
		c.turned++
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `{"message":"The security token included in the request is expired"}`)
	default:
		var items []string
		lines := bytes.Split(bytes.TrimSpace(body), []byte("\n"))
		for i := 0; i < len(lines); i += 2 {
			var action map[string]map[string]any
			json.Unmarshal(lines[i], &action)
			if at, plain := action["index"]; plain && at["_id"] == nil {
				c.documents++
				items = append(items, `{"index":{"_index":"i","status":201}}`)
				continue
			}
			c.refused = append(c.refused, string(lines[i]))
			items = append(items, `{"index":{"_index":"i","status":400,"error":{"type":"illegal_argument_exception","reason":"Document ID is not supported in create/index operation request"}}}`)
		}
		fmt.Fprintf(w, `{"took":1,"errors":%t,"items":[%s]}`, len(c.refused) > 0, strings.Join(items, ","))
	}
}

// A time-series collection accepts every event without ids. Expired credentials of the container
// are replaced without a restart, and requests that were refused because of them are sent again.
func TestServerless(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	aoss := &collection{tokens: make(map[string]bool)}
	server := httptest.NewServer(aoss)
	t.Cleanup(server.Close)
	// DynamoDB Local has separate tables for each access key, so only the token changes.
	var given atomic.Int64
	role := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"AccessKeyId":"x","SecretAccessKey":"x","Token":"token%d","Expiration":%q}`, given.Add(1), time.Now().Add(3*time.Second).UTC().Format(time.RFC3339))
	}))
	t.Cleanup(role.Close)
	c.produce(generator(1, 50), 50)
	empty := filepath.Join(t.TempDir(), "none")
	w := c.start("w", "OPENSEARCH_URL="+server.URL, "OPENSEARCH_SIGV4=aoss", "DOCUMENT_IDS=none",
		"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_SHARED_CREDENTIALS_FILE="+empty, "AWS_CONFIG_FILE="+empty,
		"AWS_CONTAINER_CREDENTIALS_FULL_URI="+role.URL)
	c.eventually("every event under later credentials", func() bool {
		aoss.mu.Lock()
		defer aoss.mu.Unlock()
		return aoss.documents >= len(c.expected)
	})
	w.stop()
	aoss.mu.Lock()
	defer aoss.mu.Unlock()
	if aoss.documents != len(c.expected) || len(aoss.refused) > 0 {
		t.Errorf("%d documents of %d events; refused: %q", aoss.documents, len(c.expected), aoss.refused)
	}
	if len(aoss.tokens) < 2 || aoss.turned == 0 {
		t.Errorf("signed with %v, %d requests turned away", aoss.tokens, aoss.turned)
	}
}
