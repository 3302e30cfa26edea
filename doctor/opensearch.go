package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"logsluice/opensearch"
)

// opensearch checks whether the domain can be reached, what it is, and whether it accepts the
// credentials.
func (w *walk) opensearch(ctx context.Context, f *Finding) {
	var at atomic.Int32
	var server opensearch.Server
	begun := time.Now()
	err := bounded(ctx, func(ctx context.Context) (err error) {
		ctx = staged(ctx, &at)
		if w.SearchAccess.SigningService == "aoss" { // Serverless has no response at /
			_, err = opensearch.TemplateChanges(ctx, w.Search, w.Templates[0])
			return err
		}
		server, err = opensearch.Describe(ctx, w.Search)
		return err
	})
	if found, remedy := w.SearchAccess.Exposed(); found != "" {
		defer f.warn(remedy, "%s", found)
	}
	if !server.Date.IsZero() {
		defer reportClock(f, "OpenSearch", server.Date, begun)
	}
	var answer *opensearch.AnswerError
	switch {
	case err == nil && w.SearchAccess.SigningService == "aoss":
		f.note("%s answers as OpenSearch Serverless", w.SearchAccess.URL)
		return
	case err == nil:
		f.note("%s is %s %s, and accepts %s", w.SearchAccess.URL, server.Distribution, server.Version, w.authentication())
		return
	case errors.Is(err, opensearch.ErrOtherServer):
		f.fail("correct "+w.SearchAccess.Setting, "the server at %s is not OpenSearch", w.SearchAccess.URL)
	case !errors.As(err, &answer):
		found, remedy := w.SearchAccess.unreachable(err, stage(at.Load()))
		f.fail(remedy, "%s", found)
	case answer.Status == http.StatusForbidden && w.SearchAccess.SigningService != "aoss" && w.isAuthenticated(ctx):
		f.warn("allow cluster:monitor/main, or es:ESHttpGet for /, to have the version reported; run does not need it", "%s accepts %s and does not report its version", w.SearchAccess.URL, w.authentication())
		return
	default:
		f.fail(cmp.Or(w.SearchAccess.Remedy(err), "correct "+w.SearchAccess.Setting), "%s", answered(err))
	}
	f.blocks = true
}

// isAuthenticated reports whether the domain accepts a request that run sends.
func (w *walk) isAuthenticated(ctx context.Context) bool {
	err := bounded(ctx, func(ctx context.Context) error {
		_, err := opensearch.TemplateChanges(ctx, w.Search, w.Templates[0])
		return err
	})
	return err == nil
}

// authentication describes how requests are authenticated.
func (w *walk) authentication() string {
	if w.SearchAccess.SigningService != "" {
		return "requests signed for " + w.SearchAccess.SigningService
	}
	return "unsigned requests"
}

// authRemedy returns the remedy for a request that was refused with a status.
func (a Access) authRemedy(err error, status int) string {
	text := err.Error()
	switch {
	case strings.Contains(text, "expired") || strings.Contains(text, "not yet current"):
		return "renew the AWS credentials, and " + setClock
	case a.SigningService == "aoss":
		return "give the ARN of these credentials a data access policy of the collection, aoss:APIAccessAll (and for Dashboards aoss:DashboardsAccessAll), and a network policy that lets this network in"
	case a.SigningService == "es" && strings.Contains(text, "security_exception"):
		return "map the ARN of these credentials to a role of the domain (fine-grained access control; docs/permissions-opensearch.md)"
	case a.SigningService == "es":
		return "let the domain's access policy and the policy of these credentials allow es:ESHttpGet, es:ESHttpPost and es:ESHttpPut (deploy/logsluice.yaml)"
	case status == http.StatusUnauthorized:
		return "set OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD (or OPENSEARCH_PASSWORD_FILE) to those of a user there, or OPENSEARCH_SIGV4 on Amazon OpenSearch Service"
	}
	return "give the user the role that a worker needs (docs/permissions-opensearch.md); Amazon OpenSearch Service asks for OPENSEARCH_SIGV4=es unless its access policy is open"
}

// answered returns the text of an error of OpenSearch or Dashboards.
func answered(err error) string {
	var answer *opensearch.AnswerError
	if cause := opensearch.CauseOf(err); errors.As(err, &answer) && cause.Type != "" {
		return strings.TrimSuffix(fmt.Sprintf("OpenSearch answers %d: %s: %s", answer.Status, cause.Type, cause.Reason), ": ")
	}
	if errors.As(err, &answer) {
		return err.Error()
	}
	return reason(err)
}

// permissionRemedy returns the remedy for a request that failed. If it was refused, that is to allow
// permission.
func permissionRemedy(err error, permission string) string {
	var answer *opensearch.AnswerError
	if errors.As(err, &answer) && isRefused(answer.Status) {
		return "allow " + permission + " (docs/permissions-opensearch.md)"
	}
	return "check the domain's health, and try again"
}
