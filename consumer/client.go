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

// Names and ARNs of streams, and the Kinesis client, which sends the ARN instead of the name.

// Patterns of Kinesis. See
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_CreateStream.html.
var (
	streamName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,128}$`)
	accountID  = regexp.MustCompile(`^\d{12}$`)
)

// CheckStream returns an error unless stream is a valid stream name or stream ARN. It makes
// no call to AWS.
//
//nolint:contextcheck,nolintlint // it makes no call that could be canceled; without this, callers are reported
func CheckStream(stream string) error {
	a, isARN := StreamARN(stream)
	if !isARN {
		if !streamName.MatchString(stream) {
			return errors.New("is not a valid stream name, which has 1 to 128 of the characters a-z, A-Z, 0-9, _, . and -: use the name or the ARN of the stream")
		}
		return nil
	}
	const example = "use one such as arn:aws:kinesis:us-east-1:123456789012:stream/NAME"
	name, isStream := strings.CutPrefix(a.Resource, "stream/")
	if !isStream || !streamName.MatchString(name) || !accountID.MatchString(a.AccountID) {
		return errors.New("is not the ARN of a stream: " + example)
	}
	// The SDK validates Kinesis ARNs, and the partition of the region.
	_, err := kinesis.NewDefaultEndpointResolverV2().ResolveEndpoint(context.Background(), kinesis.EndpointParameters{
		Region: &a.Region, StreamARN: &stream, OperationType: aws.String("data"),
	}.WithDefaults())
	if err != nil {
		return errors.New("is not the ARN of a stream, or its region belongs to another partition: " + example)
	}
	return nil
}

// StreamARN parses the ARN of a stream. ok is false for a name.
func StreamARN(stream string) (a arn.ARN, ok bool) {
	if !strings.HasPrefix(stream, "arn:") {
		return a, false
	}
	a, _ = arn.Parse(stream) // CheckStream rejects an ARN with empty fields
	return a, true
}

// Identity returns the stream for the lease table, as far as its name or ARN identifies it.
func Identity(stream string) checkpoint.Stream {
	if a, ok := StreamARN(stream); ok {
		return checkpoint.Stream{Name: strings.TrimPrefix(a.Resource, "stream/"), ARN: stream}
	}
	return checkpoint.Stream{Name: stream}
}

// StreamRegion returns the region in a stream's ARN, or the configured region for a name.
func StreamRegion(stream, configured string) string {
	if a, ok := StreamARN(stream); ok {
		return a.Region
	}
	return configured
}

// NewKinesis returns a client for one stream, identified by its name or ARN. With an ARN, each
// call goes to the stream's region and has the ARN instead of the name, because Kinesis looks
// up names in the caller's own account.
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

// byARN returns a middleware that replaces the stream's name with its ARN in each call.
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
				break // the token identifies the stream, and Kinesis rejects a token with an ARN
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
			return out, metadata, fmt.Errorf("%T is not supported with a stream ARN", input)
		}
		return next.HandleInitialize(ctx, in)
	}
}
