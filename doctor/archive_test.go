package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

func TestArchive(t *testing.T) {
	t.Parallel()
	f := func(name string, change func(*chain), state State, found string, remedies ...string) {
		t.Helper()
		expect(t, name, checkLink(t, (*walk).archive, change).found, state, found, remedies...)
	}
	prefix := func(prefix string, objects ...string) func(*chain) {
		return func(c *chain) {
			c.Archive.Prefix = prefix
			for _, key := range objects {
				c.object(key)
				time.Sleep(time.Second)
			}
		}
	}
	const (
		wait    = "wait for the Firehose's buffering, and try again"
		correct = "correct ARCHIVE_URL (--archive-url)"
	)
	f("fine", nil, OK, "the newest object of s3://archive/cwl/ is 0s old: cwl/2000/01/01/00/new")
	f("newest folders", prefix("a/", "a/2026/02/01/00/x", "a/2026/01/31/00/x", "a/2026/02/01/01/y", "a/2019/12/31/23/x", "a/zzzz/01/01/00/x", "a/2026/99x/x", "a/20261/01/01/00/x"), OK,
		"the newest object of s3://archive/a/ is 5s old: a/2026/02/01/01/y")
	f("newest object", prefix("", "2026/01/01/00/1", "2026/01/01/00/3", "2026/01/01/00/2"), OK, "the newest object of s3://archive/ is 1s old: 2026/01/01/00/2")
	f("empty", prefix("a/"), Warning, "s3://archive/a/ has no objects under yyyy/MM/dd/HH/", wait)
	f("other folders", prefix("a/", "a/dev/2026/01/01/00/x"), Warning, "s3://archive/a/ has no objects under yyyy/MM/dd/HH/", wait)
	f("no months", prefix("a/", "a/2026/x"), Warning, "s3://archive/a/ has no objects under yyyy/MM/dd/HH/, but some under a/2026/", correct+" to the Firehose's prefix")
	f("no hours", prefix("a/", "a/2026/01/02/x"), Warning, "s3://archive/a/ has no objects under yyyy/MM/dd/HH/, but some under a/2026/01/02/", correct+" to the Firehose's prefix")

	f("no bucket", func(c *chain) { c.Archive.Bucket = "nowhere" }, Broken, "bucket nowhere does not exist", correct+", or create the bucket")
	f("S3 unreachable", awsUnreachable, Broken, "s3://archive/cwl/ cannot be listed: dial tcp: connection refused", noRoute)
	f("no credentials", func(c *chain) {
		c.AWS.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, errors.New("no role") })
	}, Broken, "s3://archive/cwl/ cannot be listed: …no role", noRoute)
	f("not S3", func(c *chain) { c.transport = notAWS }, Broken, "s3://archive/cwl/ cannot be listed: the response is 502 Bad Gateway, not one from AWS", noRoute)
	failure := func(status int, code string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Amz-Bucket-Region", "eu-west-1")
			w.WriteHeader(status)
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", code)
		}
	}
	always := func(h http.Handler) func(*chain) { return func(c *chain) { c.s3 = h } }
	f("denied", always(failure(http.StatusForbidden, "AccessDenied")), Warning, "access to s3://archive/cwl/ is denied: AccessDenied: no", allowRemedy("s3:ListBucket"))
	f("redirected", always(failure(http.StatusMovedPermanently, "PermanentRedirect")), Broken, "bucket archive is in another region than us-east-1: eu-west-1", "set AWS_REGION to the bucket's")
	f("a redirect as wide as can be", always(failure(http.StatusMultipleChoices, "x")), Broken, "bucket archive is in another region …", "set AWS_REGION")
	f("bad request", always(failure(http.StatusBadRequest, "InvalidRequest")), Broken, "s3://archive/cwl/ cannot be listed: InvalidRequest: no", lookAtAWS)
	f("busy", always(failure(http.StatusServiceUnavailable, "SlowDown")), Broken, "s3://archive/cwl/ cannot be listed: SlowDown: no", lookAtAWS)
	f("denied in the newest folder", func(c *chain) {
		fine := c.s3
		c.s3 = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("delimiter") == "" {
				failure(http.StatusForbidden, "AccessDenied")(w, r)
				return
			}
			fine.ServeHTTP(w, r)
		})
	}, Warning, "access to s3://archive/cwl/ is denied: AccessDenied: no", allowRemedy("s3:ListBucket"))

	// pages has S3 list the newest folder in n pages of one object each.
	pages := func(n int) func(*chain) {
		return func(c *chain) {
			fine, page := c.s3, 0
			c.s3 = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.FormValue("delimiter") != "" {
					fine.ServeHTTP(w, r)
					return
				}
				page++
				fmt.Fprintf(w, "<ListBucketResult><IsTruncated>%t</IsTruncated><NextContinuationToken>next</NextContinuationToken>"+
					"<Contents><Key>%d</Key><LastModified>1999-12-31T23:59:%02dZ</LastModified></Contents></ListBucketResult>", page < n, page, page)
			})
		}
	}
	f("all pages", pages(archivePages), OK, "the newest object of s3://archive/cwl/ is 50s old: 10")
	f("too many pages", pages(archivePages+1), OK, "s3://archive/cwl/ has more than 10000 objects in cwl/2000/01/01/00/")
}

// An archive is stale if it lacks a record of the stream that it should have.
func TestReportStale(t *testing.T) {
	t.Parallel()
	// archived and arrived are the ages of the newest object and of the sample, -1 for none.
	f := func(archived, arrived time.Duration, state State, found string, remedies ...string) {
		t.Helper()
		got := Finding{State: OK}
		synctest.Test(t, func(*testing.T) {
			w := &walk{}
			var newest time.Time
			if archived >= 0 {
				newest = time.Now().Add(-archived)
			}
			if arrived >= 0 {
				w.sample = &sample{arrived: time.Now().Add(-arrived)}
			}
			w.reportStale(&got, newest, "FOUND")
		})
		expect(t, fmt.Sprint(archived, arrived), got, state, found, remedies...)
	}
	const none = -1
	const stale = "see the Firehose's error log group"
	missing := func(age string) string {
		return strings.Replace("FOUND; a record that arrived in the stream AGE ago is not there", "AGE", age, 1)
	}
	f(time.Hour, none, OK, "FOUND")
	f(0, time.Hour, OK, "FOUND")
	f(time.Hour, time.Hour, OK, "FOUND")
	f(time.Hour, archiveDelay, OK, "FOUND")
	f(time.Hour, archiveDelay+1, Warning, missing("30m0s"), stale)
	f(2*time.Hour, time.Hour, Warning, missing("1h0m0s"), stale)
	f(none, none, Warning, "FOUND", "wait for the Firehose's buffering")
	f(none, time.Minute, Warning, "FOUND", "wait for the Firehose's buffering")
	f(none, time.Hour, Warning, missing("1h0m0s"), stale)
}
