package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"logsluice/opensearch"
)

// Parts of remedies that several tests expect.
const (
	correctSearch = "correct OPENSEARCH_URL (--opensearch-url)"
	giveUser      = "set OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD"
	giveRole      = "give the user the role that a worker needs"
)

func TestOpenSearch(t *testing.T) {
	t.Parallel()
	f := func(name string, change func(*chain), blocks bool, state State, found string, remedies ...string) {
		t.Helper()
		got := checkLink(t, (*walk).opensearch, change).found
		expect(t, name, got, state, found, remedies...)
		if got.blocks != blocks {
			t.Errorf("%s: blocks %t", name, got.blocks)
		}
	}
	signed := func(service string) func(*chain) {
		return func(c *chain) { c.SearchAccess.SigningService = service }
	}
	exposed := func(c *chain) { c.SearchAccess.URL, c.SearchAccess.HasPassword = "http://search.example.com", true }
	ahead := func(d time.Duration) func(*chain) { return func(c *chain) { c.search.ahead = d } }
	const (
		version = "http://localhost:9200 is opensearch 3.8.0, and accepts unsigned requests"
		root    = "GET /"
	)
	f("fine", nil, false, OK, version+"; clocks agree")
	f("Elasticsearch", answer(root, `200 {"version":{"number":"7.10.2"}}`), false, OK, "http://localhost:9200 is elasticsearch 7.10.2, and …")
	f("signed", signed("es"), false, OK, "http://localhost:9200 is opensearch 3.8.0, and accepts requests signed for es; clocks agree")
	f("clock off", ahead(time.Minute), false, Warning, version+"; this machine's clock is 1m0s behind OpenSearch's", setClock)
	f("password in the clear", exposed, false, Warning, "http://search.example.com is …; clocks agree; the password is sent unencrypted to http://search.example.com", "use https:// in OPENSEARCH_URL (--opensearch-url)")

	f("another server", answer(root, "200 <html>"), true, Broken, "the server at http://localhost:9200 is not OpenSearch; clocks agree", correctSearch)
	f("no version", answer(root, "200 {}"), true, Broken, "the server at http://localhost:9200 is not OpenSearch; clocks agree", correctSearch)
	f("nothing there", answer(root, "refused"), true, Broken, "http://localhost:9200 cannot be connected to (TCP): dial tcp: connection refused", "check that it is running")
	f("hangs", answer(root, "hangs"), true, Broken, "http://localhost:9200 accepts connections but does not answer in time", "check its load")
	f("TLS hangs", answer(root, "TLS hangs"), true, Broken, "TLS: the handshake with http://localhost:9200 fails: no answer in time", "check that OPENSEARCH_URL (--opensearch-url) has the TLS port")
	f("nothing there, in the clear", all(exposed, answer(root, "401 no")), true, Broken,
		"read the version: OpenSearch answers 401 Unauthorized: no; clocks agree; the password is sent unencrypted …", giveUser, "use https:// in OPENSEARCH_URL")
	f("unauthorized", all(answer(root, "401 no"), ahead(-time.Minute)), true, Broken, "…401 Unauthorized: no; this machine's clock is 59s ahead of OpenSearch's", giveUser, setClock)
	f("not found", answer(root, "404 no"), true, Broken, "…404 Not Found: no; clocks agree", correctSearch)
	f("unavailable", answer(root, "503"), true, Broken, "…503 Service Unavailable; clocks agree", "check the domain's health; run retries")
	f("odd answer", answer(root, "418 no"), true, Broken, "…418 I'm a teapot: no; clocks agree", correctSearch)
	// The role of a worker does not permit asking for the version.
	f("version forbidden", answer(root, forbidden), false, Warning, "http://localhost:9200 accepts unsigned requests and does not report its version; clocks agree", "allow cluster:monitor/main, or es:ESHttpGet for /")
	f("all forbidden", all(answer(root, forbidden), answer("GET /_index_template/app", forbidden)), true, Broken,
		"OpenSearch answers 403: security_exception: no permissions for [x]; clocks agree", giveRole)
	f("version forbidden, no template", all(answer(root, forbidden), answer("GET /_index_template/app", "404 {}")), false, Warning, "…does not report its version; clocks agree", "allow cluster:monitor/main")
	f("version unauthorized", answer(root, "401 no"), true, Broken, "…401 Unauthorized: no; clocks agree", giveUser)

	// Serverless has no version, and is asked for a template.
	const template = "GET /_index_template/app"
	f("Serverless", all(signed("aoss"), answer(root, "404 no")), false, OK, "http://localhost:9200 answers as OpenSearch Serverless")
	f("Serverless, forbidden", all(signed("aoss"), answer(template, "403 no then "+searchAnswers[template])), true, Broken, "read index template app: OpenSearch answers 403 Forbidden: no", "give the ARN of these credentials a data access policy")
	f("Serverless, hangs", all(signed("aoss"), answer(template, "hangs")), true, Broken, "http://localhost:9200 accepts connections but does not answer in time", "check its load")
}

// answerError is an answer of OpenSearch, a status and a body.
func answerError(status int, body string) error {
	return opensearch.NewAnswerError("ask", &http.Response{StatusCode: status, Status: fmt.Sprint(status, " ", http.StatusText(status)), Body: io.NopCloser(strings.NewReader(body))})
}

func TestAuthRemedy(t *testing.T) {
	t.Parallel()
	f := func(service, body string, status int, want string) {
		t.Helper()
		if got := (Access{SigningService: service}).authRemedy(answerError(status, body), status); !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	const security = `{"error":{"type":"security_exception","reason":"no permissions"}}`
	f("es", `{"message":"Signature expired: 20260115T120000Z is now earlier than …"}`, 403, "renew the AWS credentials, and "+setClock)
	f("aoss", `{"message":"Signature not yet current: …"}`, 403, "renew the AWS credentials, and "+setClock)
	f("aoss", security, 403, "give the ARN of these credentials a data access policy of the collection")
	f("aoss", "no", 401, "give the ARN of these credentials a data access policy of the collection")
	f("es", security, 403, "map the ARN of these credentials to a role of the domain")
	f("es", `{"Message":"not authorized to perform: es:ESHttpGet"}`, 403, "let the domain's access policy and the policy of these credentials allow es:ESHttpGet")
	f("", "no", 401, giveUser)
	f("", security, 401, giveUser)
	f("", security, 403, giveRole)
}

func TestAnswered(t *testing.T) {
	t.Parallel()
	f := func(err error, found, remedy string) {
		t.Helper()
		if got := answered(fmt.Errorf("wrapped: %w", err)); got != found {
			t.Errorf("%q, want %q", got, found)
		}
		if got := permissionRemedy(fmt.Errorf("wrapped: %w", err), "X"); got != remedy {
			t.Errorf("%v: %q, want %q", err, got, remedy)
		}
	}
	const allowed = "allow X (docs/permissions-opensearch.md)"
	f(answerError(403, `{"error":{"type":"security_exception","reason":"no"}}`), "OpenSearch answers 403: security_exception: no", allowed)
	f(answerError(401, `{"error":{"type":"security_exception"}}`), "OpenSearch answers 401: security_exception", allowed)
	f(answerError(403, "no"), "wrapped: ask: OpenSearch answers 403 Forbidden: no", allowed)
	f(answerError(400, "no"), "wrapped: ask: OpenSearch answers 400 Bad Request: no", isHealthy)
	f(context.DeadlineExceeded, "no answer in time", isHealthy)
	f(errors.New("cause"), "cause", isHealthy)
}
