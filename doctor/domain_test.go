package doctor

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fakes of OpenSearch and Dashboards, each a list of answers that a case changes.

// Bodies that are installed on the domain of the fixture.
const (
	templateBody = `{"index_patterns":["app-outside","app-1*","app-2*"],"priority":103,"template":{"mappings":{"properties":{"@timestamp":{"type":"date"},"message":{"type":"text"}}}}}`
	lettersBody  = `{"index_patterns":["app-dead-letter"],"priority":1000}`
	policyBody   = `{"policy":{"default_state":"open","states":[{"name":"open"}]}}`
	// The saved objects are lines of an export.
	searchObject  = `{"type":"search","id":"app-lines","attributes":{"title":"lines"}}`
	patternObject = `{"type":"index-pattern","id":"app","attributes":{"title":"app-*"}}`
)

// searchAnswers has the answers of an OpenSearch without faults, in the form of domain.
var searchAnswers = map[string]string{
	"GET /":                                `200 {"version":{"distribution":"opensearch","number":"3.8.0"}}`,
	"GET /_index_template":                 `200 {"index_templates":[` + installed("app", templateBody) + `,` + installed("app-dead-letter", lettersBody) + `]}`,
	"GET /_index_template/app":             `200 {"index_templates":[` + installed("app", templateBody) + `]}`,
	"GET /_index_template/app-dead-letter": `200 {"index_templates":[` + installed("app-dead-letter", lettersBody) + `]}`,
	"POST /_index_template/_simulate_index/app-outside":     `200 {"template":{"settings":{}}}`,
	"POST /_index_template/_simulate_index/app-dead-letter": `200 {"template":{"settings":{}}}`,
	"GET /" + today + "/_settings":                          `200 {"` + today + `":{"settings":{"index":{}}}}`,
	"GET /" + today + "/_mapping":                           `200 {"` + today + `":{"mappings":{"properties":{"@timestamp":{"type":"date"},"message":{"type":"text"}}}}}`,
	"GET /app-*/_alias":                                     `200 {"` + today + `":{"aliases":{}},"` + yesterday + `":{"aliases":{}}}`,
	"GET /app-doctor-ID/_doc/ID":                            `200 {"found":true}`,
	"GET /_plugins/_ism/policies/app":                       `200 {"_id":"app","_seq_no":1,"_primary_term":1,` + policyBody[1:],
	"GET /_cluster/settings":                                `200 {"defaults":{"plugins":{"index_state_management":{"enabled":"true"}}}}`,
	"POST /app-dead-letter/_search":                         `200 {"hits":{"total":{"value":0}},"aggregations":{"types":{"buckets":[]},"blocked":{"indices":{"buckets":[]}}}}`,
}

// dashboardsAnswers has the answers of Dashboards without faults.
var dashboardsAnswers = map[string]string{
	"GET /api/status":                   `200 {"version":{"number":"3.8.0"},"status":{"overall":{"state":"green"}}}`,
	"POST /api/saved_objects/_bulk_get": `200 {"saved_objects":[` + searchObject + `,` + patternObject + `]}`,
}

func installed(name, body string) string {
	return `{"name":"` + name + `","index_template":` + body + `}`
}

// forbidden is an answer of OpenSearch with the security plugin.
const forbidden = `403 {"error":{"type":"security_exception","reason":"no permissions for [x]"},"status":403}`

// domain is a fake OpenSearch or Dashboards. It maps methods and paths to answers, which are
// a status and a body. In paths, ID stands for the random part. An answer can also be:
//
//   - refused: nothing listens;
//   - hangs: the request is not answered;
//   - TLS hangs: the handshake is not answered;
//   - slow ANSWER: the answer takes one second;
//   - ANSWER then ANSWER: the first request gets the first one, all others the second.
//
// Unlisted paths get 404. The answer "items", the default of bulk requests, has an item for
// each operation: 201, or 409 for an operation with a condition. An answer listed for "bulk
// INDEX" is the status of the items for that index, and their error if it has a body.
type domain struct {
	ahead time.Duration // of the domain's clock

	mu      sync.Mutex
	answers map[string]string
	asked   []string // requests, and the operations of bulk requests
}

func newDomain(answers map[string]string) *domain {
	d := &domain{answers: map[string]string{}}
	maps.Copy(d.answers, answers)
	return d
}

// requests returns the paths requested with a method, or the operations of bulk requests.
func (d *domain) requests(method string) (found []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, asked := range d.asked {
		if name, ok := strings.CutPrefix(asked, method+" "); ok {
			found = append(found, name)
		}
	}
	return found
}

// next returns the answer to a request.
func (d *domain) next(asked string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, asked)
	answer, known := d.answers[asked]
	switch {
	case !known && asked == "POST /_bulk":
		return "items"
	case !known:
		return `404 {"error":{"type":"index_not_found_exception","reason":"no such index"},"status":404}`
	}
	first, rest, more := strings.Cut(answer, " then ")
	if more {
		d.answers[asked] = rest
	}
	return first
}

// randomText matches a result of rand.Text in lower case.
var randomText = regexp.MustCompile(`\b[a-z2-7]{26}\b`)

// untraced is used for requests without a trace.
var untraced = &httptrace.ClientTrace{ConnectStart: func(string, string) {}, TLSHandshakeStart: func() {}, GotConn: func(httptrace.GotConnInfo) {}}

// Stream implements opensearch.Client.
func (d *domain) Stream(r *http.Request) (*http.Response, error) {
	asked := randomText.ReplaceAllString(r.Method+" "+r.URL.Path, "ID")
	answer, slow := strings.CutPrefix(d.next(asked), "slow ")
	if slow {
		time.Sleep(time.Second)
	}
	trace := cmp.Or(httptrace.ContextClientTrace(r.Context()), untraced)
	switch trace.ConnectStart("tcp", ""); answer {
	case "refused":
		return refused(r)
	case "TLS hangs":
		trace.TLSHandshakeStart()
		return hang(r)
	}
	switch trace.GotConn(httptrace.GotConnInfo{}); answer {
	case "hangs":
		return hang(r)
	case "items":
		answer = d.bulk(r)
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	status, body, _ := strings.Cut(answer, " ")
	code, err := strconv.Atoi(status)
	if err != nil {
		return nil, fmt.Errorf("the test has a bad answer to %s: %w", asked, err)
	}
	return answering(code, http.Header{"Date": {time.Now().Add(d.ahead).UTC().Format(http.TimeFormat)}}, body)(r)
}

// bulk returns the answer to a bulk request.
func (d *domain) bulk(r *http.Request) string {
	body, _ := io.ReadAll(r.Body) // from memory
	if len(body) == 0 {
		return `400 {"error":{"type":"parse_exception","reason":"request body is required"},"status":400}`
	}
	var items []string
	for i, line := range strings.Split(strings.TrimSpace(string(body)), "\n") {
		if i%2 == 1 {
			continue // a document
		}
		var action map[string]struct {
			Index     string `json:"_index"`
			Condition *int64 `json:"if_seq_no"`
		}
		_ = json.Unmarshal([]byte(line), &action) // it was written as JSON
		for name, where := range action {
			items = append(items, d.item(name, randomText.ReplaceAllString(where.Index, "ID"), where.Condition != nil))
		}
	}
	return `200 {"items":[` + strings.Join(items, ",") + `]}`
}

// item returns the answer to an operation of a bulk request.
func (d *domain) item(action, index string, hasCondition bool) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, "bulk "+action+" "+index)
	answer, known := d.answers["bulk "+index]
	if !known {
		answer = "201"
		if hasCondition {
			answer = "409"
		}
	}
	status, failure, fails := strings.Cut(answer, " ")
	if fails {
		failure = `,"error":` + failure
	}
	return fmt.Sprintf(`{%q:{"status":%s%s}}`, action, status, failure)
}
