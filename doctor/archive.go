package doctor

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"logsluice/consumer"
)

const (
	// archiveDelay is the longest time until the Firehose delivers a record: at most 15
	// minutes of buffering, and as long again for a retry.
	// See https://docs.aws.amazon.com/firehose/latest/dev/limits.html.
	archiveDelay = 30 * time.Minute
	// archivePages is how many pages of 1,000 objects are read of the newest hour.
	archivePages = 10
)

// The levels of the Firehose's folders: yyyy/MM/dd/HH/.
var dated = []*regexp.Regexp{regexp.MustCompile(`^\d{4}/$`), regexp.MustCompile(`^\d\d/$`), regexp.MustCompile(`^\d\d/$`), regexp.MustCompile(`^\d\d/$`)}

// archive finds the newest object. It descends into the last folder of each level (year, month,
// day, hour), so that a bucket of any size costs a few requests.
func (w *walk) archive(ctx context.Context, f *Finding) {
	client := s3.NewFromConfig(w.AWS, func(o *s3.Options) { o.UsePathStyle = o.BaseEndpoint != nil })
	where := "s3://" + w.Archive.Bucket + "/" + w.Archive.Prefix
	folder := w.Archive.Prefix
	for _, pattern := range dated {
		last, err := w.lastFolder(ctx, client, folder, pattern)
		switch {
		case err != nil:
			w.reportArchiveError(f, where, err)
			return
		case last == "" && folder == w.Archive.Prefix:
			w.reportStale(f, time.Time{}, where+" has no objects under yyyy/MM/dd/HH/")
			return
		case last == "":
			f.warn("correct ARCHIVE_URL (--archive-url) to the Firehose's prefix", "%s has no objects under yyyy/MM/dd/HH/, but some under %s", where, folder)
			return
		}
		folder = last
	}
	newest, more, err := w.newest(ctx, client, folder)
	switch {
	case err != nil:
		w.reportArchiveError(f, where, err)
		return
	case more:
		f.note("%s has more than %d objects in %s", where, 1000*archivePages, folder)
		return
	}
	at := aws.ToTime(newest.LastModified)
	w.reportStale(f, at, fmt.Sprintf("the newest object of %s is %s old: %s", where, time.Since(at).Round(time.Second), aws.ToString(newest.Key)))
}

// reportStale compares the time of the newest object with that of a record of the stream.
func (w *walk) reportStale(f *Finding, newest time.Time, found string) {
	if w.sample != nil && newest.Before(w.sample.arrived) && time.Since(w.sample.arrived) > archiveDelay {
		f.warn("see the Firehose's error log group, its role, the key's and the bucket's policy; correct ARCHIVE_URL (--archive-url) if it writes elsewhere",
			"%s; a record that arrived in the stream %s ago is not there", found, time.Since(w.sample.arrived).Round(time.Second))
		return
	}
	if newest.IsZero() {
		f.warn("wait for the Firehose's buffering, and try again; correct ARCHIVE_URL (--archive-url) if it writes elsewhere", "%s", found)
		return
	}
	f.note("%s", found)
}

func (w *walk) reportArchiveError(f *Finding, where string, err error) {
	var bucket *types.NoSuchBucket
	var answer *smithyhttp.ResponseError
	switch {
	case errors.As(err, &bucket) || code(err) == "NoSuchBucket":
		f.fail("correct ARCHIVE_URL (--archive-url), or create the bucket (deploy/logsluice.yaml)", "bucket %s does not exist", w.Archive.Bucket)
	case consumer.IsDenied(err):
		f.warn(allowRemedy("s3:ListBucket"), "access to %s is denied: %s", where, awsErrorText(err))
	case errors.As(err, &answer) && answer.HTTPStatusCode() >= 300 && answer.HTTPStatusCode() < 400:
		f.fail("set AWS_REGION to the bucket's, or name another one", "bucket %s is in another region than %s: %s", w.Archive.Bucket, w.AWS.Region, answer.Response.Header.Get("X-Amz-Bucket-Region"))
	default:
		f.fail(remedyOf(err, "s3:ListBucket"), "%s cannot be listed: %s", where, awsErrorText(err))
	}
}

// lastFolder returns the last folder within another whose name matches a pattern.
func (w *walk) lastFolder(ctx context.Context, client *s3.Client, folder string, pattern *regexp.Regexp) (last string, err error) {
	err = bounded(ctx, func(ctx context.Context) error {
		page, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &w.Archive.Bucket, Prefix: &folder, Delimiter: aws.String("/")})
		if err != nil {
			return err
		}
		for _, p := range page.CommonPrefixes {
			if name := aws.ToString(p.Prefix); pattern.MatchString(strings.TrimPrefix(name, folder)) {
				last = name
			}
		}
		return nil
	})
	return last, err
}

// newest returns the newest object of a folder. It reads at most archivePages, and reports
// whether there are more.
func (w *walk) newest(ctx context.Context, client *s3.Client, folder string) (newest types.Object, more bool, err error) {
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: &w.Archive.Bucket, Prefix: &folder})
	for i := 0; i < archivePages && pages.HasMorePages(); i++ {
		err := bounded(ctx, func(ctx context.Context) error {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return err
			}
			for _, o := range page.Contents {
				if newest.LastModified == nil || o.LastModified.After(*newest.LastModified) {
					newest = o
				}
			}
			return nil
		})
		if err != nil {
			return newest, false, err
		}
	}
	return newest, pages.HasMorePages(), nil
}
