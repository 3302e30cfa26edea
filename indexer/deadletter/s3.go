package deadletter

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"logsluice/internal/ownbody"
)

const (
	// putTimeout bounds a write, including the SDK's retries.
	putTimeout = time.Minute
	// hours is the layout of the keys. It is the layout of Firehose's archive, so that
	// one reader can list both. Athena reads it with partition projection.
	// See https://docs.aws.amazon.com/athena/latest/ug/partition-projection-kinesis-firehose-example.html.
	hours = "2006/01/02/15/"
	// extension is recognized as gzip by Athena and others.
	extension = ".jsonl.gz"
	// checkKey is not in the layout of hours, and readers of Hive layouts skip names that
	// begin with an underscore.
	checkKey = "_check"
)

// S3 writes dead letters as objects of JSON lines, compressed with gzip:
// PREFIX/YYYY/MM/DD/HH/NAME.jsonl.gz in UTC.
type S3 struct {
	client *s3.Client
	url    URL
	region string
}

// NewS3 returns a store of dead letters in a folder of S3, in the region of cfg. If cfg
// or the AWS SDK's variables set an endpoint, the bucket is part of the path, as
// emulators expect.
func NewS3(cfg aws.Config, url URL) *S3 {
	client := s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.HTTPClient = ownbody.Client(o.HTTPClient)
		o.UsePathStyle = o.BaseEndpoint != nil
	})
	return &S3{client: client, url: url, region: cfg.Region}
}

// Put writes one object of JSON lines. Its key is made of at and name. Put returns when
// S3 has the object or the write has failed permanently, at most after a minute. A
// repeated Put with the same arguments overwrites the object, so name must be unique to
// the lines.
func (s *S3) Put(ctx context.Context, at time.Time, name string, lines []byte) error {
	var body bytes.Buffer
	zip := gzip.NewWriter(&body)
	// Writing to a buffer never fails.
	_, _ = zip.Write(lines)
	_ = zip.Close()
	return s.put(ctx, &s3.PutObjectInput{
		Key:         aws.String(s.url.Prefix + at.UTC().Format(hours) + name + extension),
		Body:        bytes.NewReader(body.Bytes()),
		ContentType: aws.String("application/gzip"), // and no Content-Encoding, because readers would decompress twice
	})
}

// Check returns an error if dead letters cannot be written. It needs only the permission
// for Put. It writes one object, PREFIX/_check, once for all workers and starts.
func (s *S3) Check(ctx context.Context) error {
	err := s.put(ctx, &s3.PutObjectInput{
		Key:         aws.String(s.url.Prefix + checkKey),
		Body:        bytes.NewReader([]byte("logsluice may write dead letters here\n")),
		ContentType: aws.String("text/plain"),
		IfNoneMatch: aws.String("*"),
	})
	if slices.Contains([]string{"PreconditionFailed", "ConditionalRequestConflict"}, code(err)) {
		return nil // it exists, or another worker is writing it
	}
	return err
}

func (s *S3) put(ctx context.Context, object *s3.PutObjectInput) error {
	within, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	object.Bucket = &s.url.Bucket
	_, err := s.client.PutObject(within, object)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("write dead letters to %s%s/%s: %w", scheme, s.url.Bucket, *object.Key, err)
	if remedy := s.remedy(err); remedy != "" && ctx.Err() == nil {
		return &StoreError{err, remedy}
	}
	return err
}

// StoreError is returned when a write failed for a reason that the operator can remove.
type StoreError struct {
	Err error
	// Remedy is what to do.
	Remedy string
}

// Error implements error.
func (e *StoreError) Error() string { return e.Err.Error() + ": " + e.Remedy }

// Unwrap returns the error without the remedy.
func (e *StoreError) Unwrap() error { return e.Err }

// remedy returns what to do about a failed write, or "" if only S3 can fix it.
func (s *S3) remedy(err error) string {
	switch code := code(err); {
	case code == "AccessDenied":
		return fmt.Sprintf("grant s3:PutObject on %s* to the task role, and kms:GenerateDataKey if the bucket has a KMS key (deploy/logsluice.yaml has both)", s.url)
	case code == "NoSuchBucket":
		return "create the bucket (deploy/logsluice.yaml has one), or correct DEAD_LETTER_URL (--dead-letter-url)"
	case slices.Contains([]string{"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}, code):
		return fmt.Sprintf("use a bucket in the region %s for DEAD_LETTER_URL (--dead-letter-url)", s.region)
	case slices.Contains([]string{"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}, code):
		return "check the AWS credentials"
	case code == "":
		return "check the route to S3 (NAT gateway or VPC endpoint), the security group and AWS_ENDPOINT_URL_S3"
	}
	return ""
}

// code returns the code of an AWS error, or "" if AWS did not return one.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}
