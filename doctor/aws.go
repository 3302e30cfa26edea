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

// From these on a clock is off, and signatures are refused by AWS.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-troubleshooting.html.
const (
	clockOff    = 5 * time.Second
	clockBroken = 5 * time.Minute
)

const setClock = "set this machine's clock by NTP (chrony, on AWS with 169.254.169.123): signed requests are refused from 5 minutes on, and ages of leases and objects are told wrongly"

// Remedies for credentials that are missing, and for those that AWS refuses.
const (
	GiveIdentity  = "give the ECS task a task role, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
	RenewIdentity = "renew the credentials: for an ECS task its task role, else AWS_PROFILE, or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
)

// aws asks who this is, and what time it is there.
func (w *walk) aws(ctx context.Context, f *Finding) {
	var credentials aws.Credentials
	err := bounded(ctx, func(ctx context.Context) (err error) {
		credentials, err = w.AWS.Credentials.Retrieve(ctx)
		return err
	})
	if err != nil {
		f.blocks = true
		f.fail(GiveIdentity, "no credentials in %s: %s", w.AWS.Region, said(err))
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
		f.fail(RenewIdentity, "AWS refuses the credentials (of %s): %s", credentials.Source, said(err))
	case err != nil:
		f.warn("allow sts.REGION.amazonaws.com by the route or a VPC endpoint; run does not need it", "cannot call STS GetCallerIdentity: %s", said(err))
	default:
		w.account = aws.ToString(who.Account)
		if a, err := arn.Parse(aws.ToString(who.Arn)); err == nil && w.streamARN != w.Stream {
			w.streamARN = arn.ARN{Partition: a.Partition, Service: "kinesis", Region: w.AWS.Region, AccountID: w.account, Resource: "stream/" + w.Stream}.String()
		}
		f.note("%s of account %s in %s", aws.ToString(who.Arn), w.account, w.AWS.Region)
	}
	if there, known := serverTime(who, err); known {
		tellClock(f, "AWS", there, begun)
	}
}

// serverTime is AWS's clock, to the second, as an answer has it, that of an error too.
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

// dateOf is the clock of who sent an answer.
func dateOf(resp *http.Response) (time.Time, bool) {
	there, err := http.ParseTime(resp.Header.Get("Date"))
	return there, err == nil
}

// tellClock compares a clock, which is told to the second, with this machine's at some
// time between a request and now.
func tellClock(f *Finding, whose string, there, begun time.Time) {
	late, early := time.Until(there), there.Add(time.Second).Sub(begun)
	off := time.Duration(0)
	switch {
	case late > 0:
		off = late
	case early < 0:
		off = -early
	}
	way := "behind"
	if early < 0 {
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
