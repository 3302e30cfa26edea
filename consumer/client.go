package consumer

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go/middleware"

	"logsluice/checkpoint"
	"logsluice/internal/ownbody"
)

// Names and ARNs of streams, and the Kinesis client, which sends the ARN in place of the
// name.

// Names as Kinesis has them. See
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_CreateStream.html.
var (
	streamName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,128}$`)
	accountID  = regexp.MustCompile(`^\d{12}$`)
)

// CheckStream returns an error unless stream is the name of a stream or the ARN of
// one. Nothing is asked of AWS.
//
//nolint:contextcheck,nolintlint // there is no call that could be ended; callers are reported otherwise
func CheckStream(stream string) error {
	a, isARN := StreamARN(stream)
	if !isARN {
		if !streamName.MatchString(stream) {
			return errors.New("is not the name of a stream, which has 1 to 128 of the characters a-z, A-Z, 0-9, _, . and -: give the name or the ARN of the stream")
		}
		return nil
	}
	const example = "give one such as arn:aws:kinesis:us-east-1:123456789012:stream/NAME"
	name, isStream := strings.CutPrefix(a.Resource, "stream/")
	if !isStream || !streamName.MatchString(name) || !accountID.MatchString(a.AccountID) {
		return errors.New("is not the ARN of a stream: " + example)
	}
	// The SDK knows what an ARN of Kinesis is, and which region is in which partition.
	_, err := kinesis.NewDefaultEndpointResolverV2().ResolveEndpoint(context.Background(), kinesis.EndpointParameters{
		Region: &a.Region, StreamARN: &stream, OperationType: aws.String("data"),
	}.WithDefaults())
	if err != nil {
		return errors.New("is not the ARN of a stream, or its region is of another partition: " + example)
	}
	return nil
}

// StreamARN parses the ARN of a stream. It is not ok for a name.
func StreamARN(stream string) (a arn.ARN, ok bool) {
	if !strings.HasPrefix(stream, "arn:") {
		return a, false
	}
	a, _ = arn.Parse(stream) // CheckStream refuses what is left empty
	return a, true
}

// Identity is a stream as the lease table notes it, as far as its name or ARN says.
func Identity(stream string) checkpoint.Stream {
	if a, ok := StreamARN(stream); ok {
		return checkpoint.Stream{Name: strings.TrimPrefix(a.Resource, "stream/"), ARN: stream}
	}
	return checkpoint.Stream{Name: stream}
}

// StreamRegion returns the region of a stream: that of its ARN, and the configured one
// for a name.
func StreamRegion(stream, configured string) string {
	if a, ok := StreamARN(stream); ok {
		return a.Region
	}
	return configured
}

// NewKinesis makes a client for one stream, given by its name or its ARN. With an ARN
// each call goes to the stream's region and carries the ARN, whatever name the caller
// gives: without it Kinesis looks in the caller's own account.
func NewKinesis(cfg aws.Config, stream string, options ...func(*kinesis.Options)) *kinesis.Client {
	options = append(options, func(o *kinesis.Options) {
		o.HTTPClient = ownbody.Client(o.HTTPClient)
		if _, ok := StreamARN(stream); !ok {
			return
		}
		o.Region = StreamRegion(stream, o.Region)
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("logsluice ARN", byARN(stream)), middleware.After)
		})
	})
	return kinesis.NewFromConfig(cfg, options...)
}

// byARN names the stream in each call by its ARN.
func byARN(stream string) func(context.Context, middleware.InitializeInput, middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	return func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
		out middleware.InitializeOutput, metadata middleware.Metadata, err error,
	) {
		switch input := in.Parameters.(type) {
		case *kinesis.DescribeStreamSummaryInput:
			named := *input
			named.StreamName, named.StreamARN = nil, &stream
			in.Parameters = &named
		case *kinesis.ListShardsInput:
			if input.NextToken != nil {
				break // it says which stream it is of, and Kinesis refuses the ARN next to it
			}
			named := *input
			named.StreamName, named.StreamARN = nil, &stream
			in.Parameters = &named
		case *kinesis.GetShardIteratorInput:
			named := *input
			named.StreamName, named.StreamARN = nil, &stream
			in.Parameters = &named
		case *kinesis.GetRecordsInput:
			named := *input
			named.StreamARN = &stream
			in.Parameters = &named
		default:
			return out, metadata, fmt.Errorf("%T has no ARN of the stream", input)
		}
		return next.HandleInitialize(ctx, in)
	}
}
