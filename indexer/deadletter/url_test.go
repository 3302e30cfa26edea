package deadletter

import (
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	t.Parallel()
	f := func(text, bucket, prefix string) {
		t.Helper()
		got, err := ParseURL(text)
		if err != nil || got != (URL{bucket, prefix}) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		if again, err := ParseURL(got.String()); err != nil || again != got {
			t.Errorf("%s is written as %s, which is %+v, %v", text, got, again, err)
		}
	}
	f("s3://bucket", "bucket", "")
	f("s3://bucket/", "bucket", "")
	f("s3://bucket/dead-letters", "bucket", "dead-letters/")
	f("s3://bucket/_/dead/ecs=a/", "bucket", "_/dead/ecs=a/")
	f("s3://my.bucket-1/a", "my.bucket-1", "a/")
}

func TestParseURL_Failure(t *testing.T) {
	t.Parallel()
	f := func(text, want string) {
		t.Helper()
		_, err := ParseURL(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	f("https://bucket/prefix/", `"https://bucket/prefix/" does not begin with s3://: use s3://bucket/prefix/`)
	f("bucket/prefix", "does not begin with s3://")
	f("S3://bucket", "does not begin with s3://")
	f("s3://", "does not name a bucket")
	f("s3:///prefix/", "does not name a bucket")
	f("s3://bucket/a?versions", "has a query or a fragment")
	f("s3://bucket?x/a", "has a query or a fragment")
	f("s3://bucket/a#b", "has a query or a fragment")
	f("s3://ab/", `"ab" cannot be the name of a bucket: use 3 to 63`)
	f("s3://"+strings.Repeat("a", 64)+"/", "cannot be the name of a bucket")
	f("s3://Bucket/", "cannot be the name of a bucket")
	f("s3://my_bucket/", "cannot be the name of a bucket")
	f("s3://bucket:80/", "cannot be the name of a bucket")
	f("s3://-bucket/", "cannot be the name of a bucket")
	f("s3://buck..et/", "cannot be the name of a bucket")
	f("s3://10.0.0.1/", "cannot be the name of a bucket")
	f("s3://bucket/a b/", `"a b/" has characters other than`)
	f("s3://bucket/a*/", "has characters other than")
	f("s3://bucket/a\n/", `"a\n/" has characters other than`)
	f("s3://bucket/%2e/", "has characters other than")
	f("s3://bucket/"+strings.Repeat("a", 801), "801 characters: use at most 800")
	f("s3://AKIA:hunter2@bucket/", "has credentials: use s3://bucket/prefix/")
	if _, err := ParseURL("s3://AKIA:hunter2@bucket/"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error repeats a secret: %v", err)
	}
}
