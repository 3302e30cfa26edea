package domain

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Address is where OpenSearch or OpenSearch Dashboards is.
type Address struct {
	// URL has no credentials, so it can be printed.
	URL *url.URL
	// Username and Password are those that stood in the URL, "" if none did.
	Username, Password string
}

// ParseAddress takes apart what a person gave as the URL of a domain: https is meant
// where no scheme is given, and a password may have any characters. Errors show the
// text without credentials.
func ParseAddress(text string) (Address, error) {
	text = strings.TrimSpace(text)
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		scheme, rest = "https", text
	}
	var a Address
	shown, several := scheme+"://"+rest, strings.Contains(rest, "://")
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		a.Username, a.Password, _ = strings.Cut(rest[:i], ":")
		a.Username, a.Password = unescape(a.Username), unescape(a.Password)
		rest = rest[i+1:]
		shown = scheme + "://***@" + rest
	}
	if several {
		return a, errors.New("it has more than one URL: give one, and a load balancer's for several nodes")
	}
	refuse := func(reason string) (Address, error) { return Address{}, fmt.Errorf("%q %s", shown, reason) }
	if scheme = strings.ToLower(scheme); scheme != "http" && scheme != "https" {
		return refuse("has another scheme than http and https: give one such as https://host:9200")
	}
	if strings.ContainsAny(rest, ",; \t\r\n") {
		return refuse("has blanks, commas or semicolons: give one URL such as https://host:9200")
	}
	u, err := url.Parse(scheme + "://" + rest)
	var reason *url.Error
	switch {
	case errors.As(err, &reason):
		return refuse("is not a URL: " + reason.Err.Error() + ": give one such as https://host:9200")
	case u.Hostname() == "":
		return refuse("has no host: give one such as https://host:9200")
	case u.RawQuery != "" || u.Fragment != "":
		return refuse("has more than an address: leave out what begins with ? or #")
	case strings.HasSuffix(u.Host, ":"):
		return refuse("has no port after the colon: give one such as https://host:9200")
	}
	if port, err := strconv.Atoi(u.Port()); u.Port() != "" && (err != nil || port < 1 || port > 65535) {
		return refuse("has a port that is not from 1 to 65535")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	a.URL = u
	return a, nil
}

// unescape decodes %40 and the like. What does not decode stands for itself.
func unescape(text string) string {
	if decoded, err := url.PathUnescape(text); err == nil {
		return decoded
	}
	return text
}

// IsInClear reports whether what is sent there, a password among it, can be read on its
// way: by plain http, and through a proxy for it, to another machine.
func (a Address) IsInClear() bool {
	host := a.URL.Hostname()
	ip := net.ParseIP(host)
	return a.URL.Scheme == "http" && host != "localhost" && (ip == nil || !ip.IsLoopback())
}

// IsDashboards reports whether an address is that of OpenSearch Dashboards on an Amazon
// OpenSearch Service domain, or of a page of it.
func (a Address) IsDashboards() bool {
	for _, path := range []string{"/_dashboards", "/_plugin/kibana", "/app"} {
		if a.URL.Path == path || strings.HasPrefix(a.URL.Path, path+"/") {
			return true
		}
	}
	return false
}

// Region returns the AWS region that the host name of an Amazon OpenSearch Service domain
// or Serverless collection has, or "" for other hosts.
func (a Address) Region() string {
	if parts := managedHost.FindStringSubmatch(a.URL.Hostname()); parts != nil {
		return strings.ToLower(parts[1] + parts[2])
	}
	return ""
}

// managedHost matches the endpoints of domains (search-NAME-ID.REGION.es.amazonaws.com,
// and dual-stack ones, NAME-ID.aos.REGION.on.aws) and of collections
// (ID.REGION.aoss.amazonaws.com).
var managedHost = regexp.MustCompile(`(?i)\.(?:([a-z0-9-]+)\.(?:es|aoss)\.amazonaws\.com(?:\.cn)?|(?:aos|aoss)\.([a-z0-9-]+)\.on\.aws)$`)
