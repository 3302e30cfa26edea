package deadletter

import (
	"fmt"
	"net"
	"regexp"
	"strings"
)

// URL is a folder in S3.
type URL struct {
	Bucket string
	// Prefix is the prefix of the keys. It ends with a slash unless it is empty.
	Prefix string
}

// String returns the URL as ParseURL reads it.
func (u URL) String() string { return scheme + u.Bucket + "/" + u.Prefix }

const (
	scheme = "s3://"
	want   = "use s3://bucket/prefix/"
	// maxPrefix leaves room for the rest of a key in the 1,024 bytes that S3 allows.
	maxPrefix = 800
)

var (
	// bucketName matches the names that S3 allows, and also names with two adjacent dots
	// and IP addresses.
	// See https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html.
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	// prefix matches keys of characters that need no escaping anywhere, without the
	// wildcards of IAM.
	// See https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html.
	prefix = regexp.MustCompile(`^[A-Za-z0-9!_.'()=+@,/-]*$`)
)

// ParseURL parses s3://bucket/prefix/. The last slash is optional. The error starts with
// the wrong part in quotes, or continues a sentence whose subject is the URL.
func ParseURL(text string) (URL, error) {
	rest, isS3 := strings.CutPrefix(text, scheme)
	bucket, key, _ := strings.Cut(rest, "/")
	switch {
	case !isS3:
		return URL{}, fmt.Errorf("%q does not begin with %s: %s", text, scheme, want)
	case strings.Contains(bucket, "@"): // which must not be logged
		return URL{}, fmt.Errorf("has credentials: %s, and set the credentials in the AWS SDK's variables", want)
	case strings.ContainsAny(text, "?#"):
		return URL{}, fmt.Errorf("%q has a query or a fragment: %s", text, want)
	case bucket == "":
		return URL{}, fmt.Errorf("%q does not name a bucket: %s", text, want)
	case !bucketName.MatchString(bucket), strings.Contains(bucket, ".."), net.ParseIP(bucket) != nil:
		return URL{}, fmt.Errorf("%q cannot be the name of a bucket: use 3 to 63 lowercase letters, digits, dots and hyphens", bucket)
	case !prefix.MatchString(key):
		return URL{}, fmt.Errorf("%q has characters other than letters, digits and !_.'()=+@,/-: %s", key, want)
	case len(key) > maxPrefix:
		return URL{}, fmt.Errorf("has a prefix of %d characters: use at most %d", len(key), maxPrefix)
	}
	if key != "" && !strings.HasSuffix(key, "/") {
		key += "/"
	}
	return URL{Bucket: bucket, Prefix: key}, nil
}
