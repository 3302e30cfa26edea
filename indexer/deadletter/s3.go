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
	// putTimeout bounds a write, the SDK's own retries included.
	putTimeout = time.Minute
	// hours is the layout of the keys: that of the Firehose's archive, which one reader
	// lists like the other. Athena reads it by partition projection.
	// See https://docs.aws.amazon.com/athena/latest/ug/partition-projection-kinesis-firehose-example.html.
	hours = "2006/01/02/15/"
	// extension is how Athena and others recognize gzip.
	extension = ".jsonl.gz"
	// checkKey is outside of the hours, and readers of Hive's layouts skip what begins
	// with an underscore.
	checkKey = "_check"
)

// S3 writes dead letters as objects of JSON lines, compressed by gzip:
// PREFIX/YYYY/MM/DD/HH/NAME.jsonl.gz in UTC.
type S3 struct {
	client *s3.Client
	url    URL
	region string
}

// NewS3 returns a store of dead letters in a folder of S3, in the region of cfg. Where
// cfg or the AWS SDK's variables name an endpoint, the bucket is named by the path, as
// emulators expect it.
func NewS3(cfg aws.Config, url URL) *S3 {
	client := s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.HTTPClient = ownbody.Client(o.HTTPClient)
		o.UsePathStyle = o.BaseEndpoint != nil
	})
	return &S3{client: client, url: url, region: cfg.Region}
}

// Put writes one object of JSON lines, whose key is made of a time and a name. It
// returns when S3 has the object or the write has failed for good, after a minute at
// most. A repeated Put with the same time and name overwrites the object, so the name
// must be unique to the lines.
func (s *S3) Put(ctx context.Context, at time.Time, name string, lines []byte) error {
	var body bytes.Buffer
	zip := gzip.NewWriter(&body)
	// A buffer takes all.
	_, _ = zip.Write(lines)
	_ = zip.Close()
	return s.put(ctx, &s3.PutObjectInput{
		Key:         aws.String(s.url.Prefix + at.UTC().Format(hours) + name + extension),
		Body:        bytes.NewReader(body.Bytes()),
		ContentType: aws.String("application/gzip"), // and no encoding, by which readers would decompress it twice
	})
}

// Check reports why dead letters could not be written, or nil. It needs the permission
// of Put alone, and writes one object PREFIX/_check, once for all workers and starts.
func (s *S3) Check(ctx context.Context) error {
	err := s.put(ctx, &s3.PutObjectInput{
		Key:         aws.String(s.url.Prefix + checkKey),
		Body:        bytes.NewReader([]byte("logsluice may write dead letters here\n")),
		ContentType: aws.String("text/plain"),
		IfNoneMatch: aws.String("*"),
	})
	if slices.Contains([]string{"PreconditionFailed", "ConditionalRequestConflict"}, code(err)) {
		return nil // it is there, or another worker is writing it
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

// StoreError is a write that failed for a reason that somebody can remove.
type StoreError struct {
	Err error
	// Remedy says what to do.
	Remedy string
}

// Error implements error.
func (e *StoreError) Error() string { return e.Err.Error() + ": " + e.Remedy }

// Unwrap returns the error without the remedy.
func (e *StoreError) Unwrap() error { return e.Err }

// remedy returns what to do about a failed write, "" where only S3 can do something.
func (s *S3) remedy(err error) string {
	switch code := code(err); {
	case code == "AccessDenied":
		return fmt.Sprintf("allow s3:PutObject on %s* to the task role, and kms:GenerateDataKey if the bucket has a KMS key (deploy/logsluice.yaml has both)", s.url)
	case code == "NoSuchBucket":
		return "create the bucket (deploy/logsluice.yaml has one), or correct DEAD_LETTER_URL (--dead-letter-url)"
	case slices.Contains([]string{"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}, code):
		return fmt.Sprintf("name a bucket in the region %s in DEAD_LETTER_URL (--dead-letter-url)", s.region)
	case slices.Contains([]string{"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}, code):
		return "check the AWS credentials"
	case code == "":
		return "check the route to S3 (NAT gateway or VPC endpoint), the security group and AWS_ENDPOINT_URL_S3"
	}
	return ""
}

// code returns the code of an AWS error, "" if AWS did not answer with one.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}
