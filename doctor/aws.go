package doctor

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"logsluice/consumer"
)

// The link AWS: credentials and clock.

// A clock is reported as wrong from clockOff, and AWS refuses signatures from clockBroken.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-troubleshooting.html.
const (
	clockOff    = 5 * time.Second
	clockBroken = 5 * time.Minute
)

const setClock = "set this machine's clock by NTP (chrony, on AWS with 169.254.169.123): AWS refuses signed requests when it is 5 minutes off, and the ages of leases and objects are wrong"

// Remedies for credentials that are missing and for credentials that AWS refuses.
const (
	GiveIdentity  = "give the ECS task a task role, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
	RenewIdentity = "renew the credentials: for an ECS task its task role, otherwise AWS_PROFILE, or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
)

// aws checks the credentials and compares the clock with AWS's.
func (w *walk) aws(ctx context.Context, f *Finding) {
	var credentials aws.Credentials
	err := bounded(ctx, func(ctx context.Context) (err error) {
		credentials, err = w.AWS.Credentials.Retrieve(ctx)
		return err
	})
	if err != nil {
		f.blocks = true
		f.fail(GiveIdentity, "no credentials in %s: %s", w.AWS.Region, awsErrorText(err))
		return
	}
	var who *sts.GetCallerIdentityOutput
	var begun time.Time
	err = bounded(ctx, func(ctx context.Context) (err error) {
		begun = time.Now()
		who, err = sts.NewFromConfig(w.AWS).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		return err
	})
	switch {
	case consumer.AreCredentialsRefused(err):
		f.blocks = true
		f.fail(RenewIdentity, "AWS refuses the credentials (of %s): %s", credentials.Source, awsErrorText(err))
	case err != nil:
		f.warn("allow sts.REGION.amazonaws.com by the route or a VPC endpoint; run does not need it", "cannot call STS GetCallerIdentity: %s", awsErrorText(err))
	default:
		w.account = aws.ToString(who.Account)
		if a, err := arn.Parse(aws.ToString(who.Arn)); err == nil && w.streamARN != w.Stream {
			w.streamARN = arn.ARN{Partition: a.Partition, Service: "kinesis", Region: w.AWS.Region, AccountID: w.account, Resource: "stream/" + w.Stream}.String()
		}
		f.note("%s of account %s in %s", aws.ToString(who.Arn), w.account, w.AWS.Region)
	}
	if there, known := serverTime(who, err); known {
		reportClock(f, "AWS", there, begun)
	}
}

// serverTime returns AWS's clock, to the second, from a response or an error.
func serverTime(who *sts.GetCallerIdentityOutput, err error) (time.Time, bool) {
	if err == nil {
		return awsmiddleware.GetServerTime(who.ResultMetadata)
	}
	var answered *smithyhttp.ResponseError
	if !errors.As(err, &answered) || answered.Response == nil {
		return time.Time{}, false
	}
	return dateOf(answered.Response.Response)
}

// dateOf returns the clock of the server that sent a response.
func dateOf(resp *http.Response) (time.Time, bool) {
	there, err := http.ParseTime(resp.Header.Get("Date"))
	return there, err == nil
}

// reportClock compares a server's clock, which is known to the second and was read between begun
// and now, with this machine's.
func reportClock(f *Finding, whose string, there, begun time.Time) {
	behind, ahead := time.Until(there), begun.Sub(there.Add(time.Second))
	off := time.Duration(0)
	switch {
	case behind > 0:
		off = behind
	case ahead > 0:
		off = ahead
	}
	way := "behind"
	if ahead > 0 {
		way = "ahead of"
	}
	switch {
	case off >= clockBroken:
		f.fail(setClock, "this machine's clock is %s %s %s's", off.Round(time.Second), way, whose)
	case off >= clockOff:
		f.warn(setClock, "this machine's clock is %s %s %s's", off.Round(time.Second), way, whose)
	default:
		f.note("clocks agree")
	}
}
