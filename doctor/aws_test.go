package doctor

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"logsluice/internal/fakeaccount"
)

func TestAWS(t *testing.T) {
	t.Parallel()
	// blocks is set if the links that need AWS are skipped. account and stream are passed on to
	// the links after this one.
	f := func(name string, change func(*chain), blocks bool, account, stream string, state State, found string, remedies ...string) {
		t.Helper()
		c := checkLink(t, (*walk).aws, all(func(c *chain) { c.account, c.streamARN = "", "STREAM_ARN" }, change))
		expect(t, name, c.found, state, found, remedies...)
		if c.found.blocks != blocks || c.account != account || c.streamARN != stream {
			t.Errorf("%s: blocks %t, account %q, stream %s", name, c.found.blocks, c.account, c.streamARN)
		}
	}
	const caller = testCaller + " of account " + fakeaccount.ID + " in us-east-1"
	key := func(key string) func(*chain) {
		return func(c *chain) { c.AWS.Credentials = credentials.NewStaticCredentialsProvider(key, "x", "") }
	}
	provider := func(f aws.CredentialsProviderFunc) func(*chain) {
		return func(c *chain) { c.AWS.Credentials = f }
	}
	always := func(a answers) func(*chain) { return func(c *chain) { c.transport = a } }
	f("fine", nil, false, fakeaccount.ID, testStream, OK, caller+"; clocks agree")
	f("stream by its ARN", func(c *chain) { c.Stream, c.streamARN = "arn:x", "arn:x" }, false, fakeaccount.ID, "arn:x", OK, caller+"; clocks agree")
	f("caller without ARN", func(c *chain) { c.sts.ARN = "nobody" }, false, fakeaccount.ID, "STREAM_ARN", OK, "nobody of account …; clocks agree")
	f("another partition", func(c *chain) { c.sts.ARN, c.AWS.Region = "arn:aws-cn:sts::1:x", "cn-north-1" }, false, fakeaccount.ID,
		"arn:aws-cn:kinesis:cn-north-1:"+fakeaccount.ID+":stream/s", OK, "arn:aws-cn:sts::1:x of account "+fakeaccount.ID+" in cn-north-1; clocks agree")

	f("no credentials", provider(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, errors.New("no role") }),
		true, "", "STREAM_ARN", Broken, "no credentials in us-east-1: no role", GiveIdentity)
	f("credentials hang", provider(func(ctx context.Context) (aws.Credentials, error) { <-ctx.Done(); return aws.Credentials{}, ctx.Err() }),
		true, "", "STREAM_ARN", Broken, "no credentials in us-east-1: no answer in time", GiveIdentity)
	f("expired", key("OLD"), true, "", "STREAM_ARN", Broken,
		"AWS refuses the credentials (of StaticCredentials): ExpiredToken: The security token included in the request is expired; clocks agree", RenewIdentity)
	f("invalid", key("other"), true, "", "STREAM_ARN", Broken, "AWS refuses the credentials (of StaticCredentials): InvalidClientTokenId: …; clocks agree", RenewIdentity)
	f("refused, and the clock is off", all(key("OLD"), func(c *chain) { c.sts.Ahead = time.Hour }), true, "", "STREAM_ARN", Broken,
		"AWS refuses …; this machine's clock is 1h0m0s behind AWS's", RenewIdentity, setClock)

	f("STS unreachable", awsUnreachable, false, "", "STREAM_ARN", Warning, "cannot call STS GetCallerIdentity: dial tcp: connection refused", "allow sts.REGION.amazonaws.com by the route")
	f("STS hangs", always(hang),
		false, "", "STREAM_ARN", Warning, "cannot call STS GetCallerIdentity: no answer in time", "allow sts.REGION")
	f("STS denied", always(answering(http.StatusForbidden, http.Header{"Date": {"Sat, 01 Jan 2000 00:00:00 GMT"}}, `<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`)),
		false, "", "STREAM_ARN", Warning, "cannot call STS GetCallerIdentity: AccessDenied: no; clocks agree", "allow sts.REGION")
	f("credentials are lost", func(c *chain) {
		calls := 0
		c.AWS.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			if calls++; calls > 1 {
				return aws.Credentials{}, errors.New("no role")
			}
			return aws.Credentials{AccessKeyID: "x", SecretAccessKey: "x"}, nil
		})
	}, false, "", "STREAM_ARN", Warning, "cannot call STS GetCallerIdentity: …no role", "allow sts.REGION")
	f("not STS", always(notAWS), false, "", "STREAM_ARN", Warning, "cannot call STS GetCallerIdentity: the response is 502 Bad Gateway, not one from AWS", "allow sts.REGION")

	f("clock behind", func(c *chain) { c.sts.Ahead = 10 * time.Second }, false, fakeaccount.ID, testStream, Warning, caller+"; this machine's clock is 10s behind AWS's", setClock)
	f("clock far behind", func(c *chain) { c.sts.Ahead = 10 * time.Minute }, false, fakeaccount.ID, testStream, Broken, caller+"; this machine's clock is …s behind AWS's", setClock)
	f("clock far ahead", func(c *chain) { c.sts.Ahead = -10 * time.Minute }, false, fakeaccount.ID, testStream, Broken, caller+"; this machine's clock is …s ahead of AWS's", setClock)
}

// Date headers have whole seconds. A difference that rounding can explain is ignored.
func TestReportClock(t *testing.T) {
	t.Parallel()
	f := func(ahead, took time.Duration, state State, found string) {
		t.Helper()
		var got Finding
		synctest.Test(t, func(*testing.T) {
			got.State = OK
			begun := time.Now()
			time.Sleep(took)
			reportClock(&got, "X", begun.Add(ahead), begun)
		})
		remedies := []string{setClock}
		if state == OK {
			remedies = nil
		}
		expect(t, ahead.String(), got, state, found, remedies...)
	}
	f(0, 0, OK, "clocks agree")
	f(4999*time.Millisecond, 0, OK, "clocks agree")
	f(5*time.Second, 0, Warning, "this machine's clock is 5s behind X's")
	f(5*time.Minute-1, 0, Warning, "this machine's clock is 5m0s behind X's")
	f(5*time.Minute, 0, Broken, "this machine's clock is 5m0s behind X's")
	f(-5999*time.Millisecond, 0, OK, "clocks agree") // up to 0.999 s by rounding
	f(-6*time.Second, 0, Warning, "this machine's clock is 5s ahead of X's")
	f(-5*time.Minute, 0, Warning, "this machine's clock is 4m59s ahead of X's")
	f(-5*time.Minute-time.Second, 0, Broken, "this machine's clock is 5m0s ahead of X's")
	// The answer can have the time of any moment since the request.
	f(0, 10*time.Second, OK, "clocks agree")
	f(14999*time.Millisecond, 10*time.Second, OK, "clocks agree")
	f(15*time.Second, 10*time.Second, Warning, "this machine's clock is 5s behind X's")
}
