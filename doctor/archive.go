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

// Archive is where the Firehose writes.
type Archive struct{ Bucket, Prefix string }

const (
	// archiveDelay is what the Firehose may keep a record for: 15 minutes of buffering
	// at the most, and as long for a second try.
	// See https://docs.aws.amazon.com/firehose/latest/dev/limits.html.
	archiveDelay = 30 * time.Minute
	// archivePages of 1,000 objects are looked at in the newest hour.
	archivePages = 10
)

// Folders that the Firehose makes of an object's time: yyyy/MM/dd/HH/.
var dated = []*regexp.Regexp{regexp.MustCompile(`^\d{4}/$`), regexp.MustCompile(`^\d\d/$`), regexp.MustCompile(`^\d\d/$`), regexp.MustCompile(`^\d\d/$`)}

// archive looks for the newest object. It goes down the folders of years, months, days
// and hours by the last of each, so that a bucket of any size costs a few requests.
func (w *walk) archive(ctx context.Context, f *Finding) {
	client := s3.NewFromConfig(w.AWS, func(o *s3.Options) { o.UsePathStyle = o.BaseEndpoint != nil })
	where := "s3://" + w.Archive.Bucket + "/" + w.Archive.Prefix
	folder := w.Archive.Prefix
	for _, is := range dated {
		last, err := w.lastFolder(ctx, client, folder, is)
		switch {
		case err != nil:
			w.tellArchiveError(f, where, err)
			return
		case last == "" && folder == w.Archive.Prefix:
			w.tellStale(f, time.Time{}, where+" has no objects under yyyy/MM/dd/HH/")
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
		w.tellArchiveError(f, where, err)
		return
	case more:
		f.note("%s has more than %d objects in %s", where, 1000*archivePages, folder)
		return
	}
	at := aws.ToTime(newest.LastModified)
	w.tellStale(f, at, fmt.Sprintf("the newest object of %s is %s old: %s", where, time.Since(at).Round(time.Second), aws.ToString(newest.Key)))
}

// tellStale compares the newest object with what the stream has.
func (w *walk) tellStale(f *Finding, newest time.Time, found string) {
	if w.sample != nil && newest.Before(w.sample.arrived) && time.Since(w.sample.arrived) > archiveDelay {
		f.warn("see the Firehose's error log group, its role, the key's and the bucket's policy; correct ARCHIVE_URL (--archive-url) if it writes elsewhere",
			"%s; a record that came to the stream %s ago is not there", found, time.Since(w.sample.arrived).Round(time.Second))
		return
	}
	if newest.IsZero() {
		f.warn("wait for the Firehose's buffering, and try again; correct ARCHIVE_URL (--archive-url) if it writes elsewhere", "%s", found)
		return
	}
	f.note("%s", found)
}

func (w *walk) tellArchiveError(f *Finding, where string, err error) {
	var bucket *types.NoSuchBucket
	var answer *smithyhttp.ResponseError
	switch {
	case errors.As(err, &bucket) || code(err) == "NoSuchBucket":
		f.fail("correct ARCHIVE_URL (--archive-url), or make the bucket (deploy/logsluice.yaml)", "there is no bucket %s", w.Archive.Bucket)
	case consumer.IsDenied(err):
		f.warn(allow("s3:ListBucket"), "%s may not be looked at: %s", where, said(err))
	case errors.As(err, &answer) && answer.HTTPStatusCode() >= 300 && answer.HTTPStatusCode() < 400:
		f.fail("set AWS_REGION to the bucket's, or name another one", "bucket %s is in another region than %s: %s", w.Archive.Bucket, w.AWS.Region, answer.Response.Header.Get("X-Amz-Bucket-Region"))
	default:
		f.fail(remedyOf(err, "s3:ListBucket"), "%s cannot be looked at: %s", where, said(err))
	}
}

// lastFolder is the last folder within another whose name is as it should be.
func (w *walk) lastFolder(ctx context.Context, client *s3.Client, folder string, is *regexp.Regexp) (last string, err error) {
	err = bounded(ctx, func(ctx context.Context) error {
		page, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &w.Archive.Bucket, Prefix: &folder, Delimiter: aws.String("/")})
		if err != nil {
			return err
		}
		for _, p := range page.CommonPrefixes {
			if name := aws.ToString(p.Prefix); is.MatchString(strings.TrimPrefix(name, folder)) {
				last = name
			}
		}
		return nil
	})
	return last, err
}

// newest is the newest object of a folder, unless that has more than are looked at.
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
