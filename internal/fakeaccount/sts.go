package fakeaccount

import (
	"fmt"
	"net/http"
	"regexp"
	"time"
)

// STS implements GetCallerIdentity.
// See https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html.
type STS struct {
	// ARN is the caller with the access key Key.
	Key, ARN string
	// Expired is the access key of expired credentials.
	Expired string
	// Ahead is how far the service's clock is ahead of this machine's.
	Ahead time.Duration
}

var signed = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/[a-z0-9-]+/sts/aws4_request, SignedHeaders=\S+, Signature=[0-9a-f]{64}$`)

// validity of a signature, before and after its date.
const validity = 5 * time.Minute

// ServeHTTP implements http.Handler.
func (s *STS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const amzDate = "20060102T150405Z"
	now := time.Now().UTC().Add(s.Ahead)
	action := r.FormValue("Action") + " " + r.FormValue("Version")
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("Date", now.Format(http.TimeFormat))
	key := signed.FindStringSubmatch(r.Header.Get("Authorization"))
	date, err := time.Parse(amzDate, r.Header.Get("X-Amz-Date"))
	refuse := func(status int, code, message string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>r</RequestId></ErrorResponse>`, code, message) //nolint:gosec // an SDK reads it
	}
	switch {
	case action != "GetCallerIdentity 2011-06-15":
		refuse(http.StatusBadRequest, "InvalidAction", "Could not find the operation")
	case key == nil || err != nil:
		refuse(http.StatusForbidden, "MissingAuthenticationToken", "Request is missing Authentication Token")
	case key[1] == s.Expired:
		refuse(http.StatusForbidden, "ExpiredToken", "The security token included in the request is expired")
	case key[1] != s.Key:
		refuse(http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid.")
	case date.Before(now.Add(-validity)):
		refuse(http.StatusForbidden, "SignatureDoesNotMatch", fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - 5 min.)", date.Format(amzDate), now.Add(-validity).Format(amzDate), now.Format(amzDate)))
	case date.After(now.Add(validity)):
		refuse(http.StatusForbidden, "SignatureDoesNotMatch", fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + 5 min.)", date.Format(amzDate), now.Add(validity).Format(amzDate), now.Format(amzDate)))
	default:
		fmt.Fprintf(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>%s</Arn><UserId>U</UserId><Account>%s</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetCallerIdentityResponse>`, s.ARN, ID)
	}
}
