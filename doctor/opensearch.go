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

// opensearch looks whether the domain can be reached, what it is, and whether it
// knows who asks.
func (w *walk) opensearch(ctx context.Context, f *Finding) {
	var at atomic.Int32
	var server opensearch.Server
	begun := time.Now()
	err := bounded(ctx, func(ctx context.Context) (err error) {
		ctx = staged(ctx, &at)
		if w.SearchAccess.SigningService == "aoss" { // which has no answer at /
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
		defer tellClock(f, "OpenSearch", server.Date, begun)
	}
	var answer *opensearch.AnswerError
	switch {
	case err == nil && w.SearchAccess.SigningService == "aoss":
		f.note("%s answers as OpenSearch Serverless", w.SearchAccess.URL)
		return
	case err == nil:
		f.note("%s is %s %s, and takes %s", w.SearchAccess.URL, server.Distribution, server.Version, w.proof())
		return
	case errors.Is(err, opensearch.ErrOtherServer):
		f.fail("correct "+w.SearchAccess.Setting, "what answers at %s is not OpenSearch", w.SearchAccess.URL)
	case !errors.As(err, &answer):
		found, remedy := w.SearchAccess.unreachable(err, stage(at.Load()))
		f.fail(remedy, "%s", found)
	case answer.Status == http.StatusForbidden && w.SearchAccess.SigningService != "aoss" && w.knows(ctx):
		f.warn("allow cluster:monitor/main, or es:ESHttpGet for /, to have the version told; run does without", "%s takes %s and does not tell its version", w.SearchAccess.URL, w.proof())
		return
	default:
		f.fail(cmp.Or(w.SearchAccess.Remedy(err), "correct "+w.SearchAccess.Setting), "%s", answered(err))
	}
	f.blocks = true
}

// knows tells that a request that run makes is not refused.
func (w *walk) knows(ctx context.Context) bool {
	err := bounded(ctx, func(ctx context.Context) error {
		_, err := opensearch.TemplateChanges(ctx, w.Search, w.Templates[0])
		return err
	})
	return err == nil
}

// proof is what requests show.
func (w *walk) proof() string {
	if w.SearchAccess.SigningService != "" {
		return "requests signed for " + w.SearchAccess.SigningService
	}
	return "requests as they are sent"
}

// prove says how a request that was refused is to prove who sends it.
func (a Access) prove(err error, status int) string {
	text := err.Error()
	switch {
	case strings.Contains(text, "expired") || strings.Contains(text, "not yet current"):
		return "renew the AWS credentials, and " + setClock
	case a.SigningService == "aoss":
		return "give the ARN of these credentials a data access policy of the collection, aoss:APIAccessAll (and for Dashboards aoss:DashboardsAccessAll), and a network policy that lets this network in"
	case a.SigningService == "es" && strings.Contains(text, "security_exception"):
		return "map the ARN of these credentials to a role of the domain (fine-grained access control; docs/permissions.md)"
	case a.SigningService == "es":
		return "let the domain's access policy and the policy of these credentials allow es:ESHttpGet, es:ESHttpPost and es:ESHttpPut (deploy/logsluice.yaml)"
	case status == http.StatusUnauthorized:
		return "set OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD (or OPENSEARCH_PASSWORD_FILE) to those of a user there, or OPENSEARCH_SIGV4 on Amazon OpenSearch Service"
	}
	return "give the user the role that a worker needs (docs/permissions.md); Amazon OpenSearch Service asks for OPENSEARCH_SIGV4=es unless its access policy is open"
}

// answered is what OpenSearch, or Dashboards, says to a request.
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

// permit is what to do about a request that failed, or was refused for want of a
// permission.
func permit(err error, permission string) string {
	var answer *opensearch.AnswerError
	if errors.As(err, &answer) && isRefused(answer.Status) {
		return "allow " + permission + " (docs/permissions.md)"
	}
	return "check the domain's health, and try again"
}
