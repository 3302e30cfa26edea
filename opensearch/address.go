package opensearch

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Address is the address of OpenSearch or OpenSearch Dashboards.
type Address struct {
	// URL does not contain credentials, so it can be printed.
	URL *url.URL
	// HasCredentials reports whether the URL had a user or a password. They are Username
	// and Password.
	HasCredentials     bool
	Username, Password string
}

var (
	schemeOf = regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9+.-]*)://`)
	// mistypedScheme matches http or https with a part of :// missing.
	mistypedScheme = regexp.MustCompile(`(?i)^(https?)(:/?|/+)`)
	variableName   = regexp.MustCompile(`^[A-Z][A-Z0-9_]*=`)
	// otherScheme matches a scheme such as jdbc:opensearch://.
	otherScheme = regexp.MustCompile(`^[a-z][a-z0-9+.-]*:[a-z][a-z0-9+.-]*://`)
	// secondURL matches the start of a URL after another one.
	secondURL = regexp.MustCompile(`[,;\s]\s*[a-zA-Z]+://`)
)

// ParseAddress parses the URL of a domain as entered by a person. The scheme defaults to
// https, and a password may contain any characters. Errors quote the text without the
// part before the last @.
func ParseAddress(text string) (Address, error) {
	rest := strings.TrimSpace(text)
	scheme, shown := "https", ""
	match := schemeOf.FindStringSubmatch(rest)
	if match != nil {
		scheme, shown, rest = strings.ToLower(match[1]), match[0], rest[len(match[0]):]
	}
	var a Address
	credentials := ""
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		a.HasCredentials = true
		credentials, rest = rest[:i], rest[i+1:]
		a.Username, a.Password, _ = strings.Cut(credentials, ":")
		a.Username, a.Password = unescape(a.Username), unescape(a.Password)
		shown += "***@"
	}
	shown += WithoutQuery(rest)
	refuse := func(reason string) (Address, error) { return Address{}, fmt.Errorf("%q %s", shown, reason) }
	switch {
	case strings.HasPrefix(rest, "<") && match == nil:
		return refuse("has angle brackets around it: remove them")
	case strings.HasPrefix(rest, "arn:") && match == nil:
		return refuse("is an ARN: use the domain's endpoint, such as https://search-NAME.us-east-1.es.amazonaws.com")
	case match == nil && variableName.MatchString(rest):
		return refuse("begins with the name of a variable: use what follows the first =")
	case match == nil && otherScheme.MatchString(rest):
		return refuse("does not begin with http:// or https://: use a URL such as https://host:9200")
	case rest == "" && !a.HasCredentials && match == nil:
		return refuse("has no host: use a URL such as https://host:9200")
	case scheme != "http" && scheme != "https":
		return refuse("does not begin with http:// or https://: use a URL such as https://host:9200")
	case match == nil && mistypedScheme.MatchString(credentials+rest):
		return refuse("lacks :// after http or https: use a URL such as https://host:9200")
	case a.HasCredentials && match == nil && schemeOf.MatchString(rest):
		return refuse("has the user before the scheme: use https://USER:PASSWORD@host:9200")
	case secondURL.MatchString(credentials) || strings.Contains(rest, "://"):
		return refuse("has more than one URL: use one, that of a load balancer for several nodes")
	case strings.ContainsAny(rest, ",; \t\r\n"):
		return refuse("has spaces, commas or semicolons: use one URL such as https://host:9200")
	}
	u, err := url.Parse(scheme + "://" + rest)
	switch {
	case err != nil && strings.Contains(err.Error(), "invalid port"):
		return refuse(badPort)
	case err != nil:
		return refuse("is not a URL: use a URL such as https://host:9200")
	case u.Hostname() == "":
		return refuse("has no host: use a URL such as https://host:9200")
	case strings.HasSuffix(u.Host, ":"):
		return refuse("has no port after the colon: use a URL such as https://host:9200")
	case strings.HasSuffix(u.Hostname(), "console.aws.amazon.com"):
		return refuse("is a page of the AWS console: use the domain endpoint that it shows, such as https://search-NAME.us-east-1.es.amazonaws.com")
	case !IsHost(u.Hostname()):
		return refuse("has a host that cannot exist: use a URL such as https://host:9200")
	}
	if port, err := strconv.Atoi(u.Port()); u.Port() != "" && (err != nil || port < 1 || port > 65535) {
		return refuse(badPort)
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	a.URL = u
	if (u.RawQuery != "" || u.Fragment != "") && !a.IsDashboards() {
		return refuse("has a query or a fragment: remove what begins with ? or #")
	}
	u.RawQuery, u.Fragment = "", ""
	return a, nil
}

const badPort = "has a port that is not a number from 1 to 65535: use a URL such as https://host:9200"

// IsHost reports whether a host name can exist. Numbers that are not an address cannot,
// nor can the names that programs write for unset values.
func IsHost(name string) bool {
	if net.ParseIP(name) != nil {
		return true
	}
	parts := strings.Split(strings.TrimSuffix(name, "."), ".")
	return strings.Trim(name, "0123456789.") != "" && !slices.Contains([]string{"null", "none", "nil", "undefined"}, strings.ToLower(name)) &&
		!slices.ContainsFunc(parts, func(part string) bool {
			return part == "" || strings.Trim(part, "-") != part || strings.ContainsAny(part, "*/@ ")
		})
}

// WithoutQuery returns a URL that can be printed: its query, which may be a secret, is
// replaced.
func WithoutQuery(text string) string {
	if address, _, found := strings.Cut(text, "?"); found {
		return address + "?***"
	}
	return text
}

// unescape decodes percent escapes such as %40. It returns invalid text as it is.
func unescape(text string) string {
	if decoded, err := url.PathUnescape(text); err == nil {
		return decoded
	}
	return text
}

// IsUnencrypted reports whether data sent to the address, including a password, is readable
// in transit: over plain http to another machine.
func (a Address) IsUnencrypted() bool {
	host := a.URL.Hostname()
	ip := net.ParseIP(host)
	return a.URL.Scheme == "http" && host != "localhost" && (ip == nil || !ip.IsLoopback())
}

// IsDashboards reports whether an address has the path of OpenSearch Dashboards, as on Amazon
// OpenSearch Service, or of one of its pages.
func (a Address) IsDashboards() bool {
	for _, path := range []string{"/_dashboards", "/_plugin/kibana", "/app"} {
		if a.URL.Path == path || strings.HasPrefix(a.URL.Path, path+"/") {
			return true
		}
	}
	return false
}

// Service returns the service name for signatures: "es" for the host of an Amazon
// OpenSearch Service domain, "aoss" for a Serverless collection, or "" for other hosts.
func (a Address) Service() string {
	switch parts := managedHost.FindStringSubmatch(a.URL.Hostname()); {
	case parts == nil:
		return ""
	case strings.EqualFold(parts[2]+parts[3], "aoss"):
		return "aoss"
	}
	return "es"
}

// IsManaged reports whether the host belongs to Amazon OpenSearch Service or Serverless.
func (a Address) IsManaged() bool { return managedHost.MatchString(a.URL.Hostname()) }

// Region returns the AWS region in the host name of an Amazon OpenSearch Service domain
// or Serverless collection, or "" for other hosts.
func (a Address) Region() string {
	if parts := managedHost.FindStringSubmatch(a.URL.Hostname()); parts != nil {
		return strings.ToLower(parts[1] + parts[4])
	}
	return ""
}

// managedHost matches the endpoints of domains (search-NAME-ID.REGION.es.amazonaws.com,
// and dual-stack ones, NAME-ID.aos.REGION.on.aws) and of collections
// (ID.REGION.aoss.amazonaws.com).
var managedHost = regexp.MustCompile(`(?i)\.(?:([a-z0-9-]+)\.(es|aoss)\.amazonaws\.com(?:\.cn)?|(aos|aoss)\.([a-z0-9-]+)\.on\.aws)$`)
