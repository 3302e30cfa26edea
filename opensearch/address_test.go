package opensearch

import (
	"strings"
	"testing"
)

func TestParseAddress_Success(t *testing.T) {
	f := func(text, url, username, password string) {
		t.Helper()
		a, err := ParseAddress(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			return
		}
		if a.URL.String() != url || a.Username != username || a.Password != password || a.HasCredentials != (username+password != "") {
			t.Errorf("%s: %s, user %q, password %q", text, a.URL, a.Username, a.Password)
		}
	}
	f("https://search.example.com", "https://search.example.com", "", "")
	f(" https://search.example.com/\n", "https://search.example.com", "", "")
	f("search.example.com", "https://search.example.com", "", "")
	f("search.example.com:9200", "https://search.example.com:9200", "", "")
	f("HTTP://127.0.0.1:9200", "http://127.0.0.1:9200", "", "")
	f("http://[::1]:9200/path/", "http://[::1]:9200/path", "", "")
	f("https://user:word@host:9200", "https://host:9200", "user", "word")
	f("https://user:p%40ss%2Fword@host", "https://host", "user", "p@ss/word")
	f("https://user:p@ss/w:rd#?@host:9200/path", "https://host:9200/path", "user", "p@ss/w:rd#?")
	f("https://user:100%@host", "https://host", "user", "100%")
	f("user:word@host", "https://host", "user", "word")
	f("https://user@host", "https://host", "user", "")
	f("https://user:s3://word@host", "https://host", "user", "s3://word")
	f("user:s3://word@host:9200", "https://host:9200", "user", "s3://word")
	f("https://:word@host", "https://host", "", "word")
	f("https://host/_dashboards/app/home#/?x=y", "https://host/_dashboards/app/home", "", "")
}

func TestParseAddress_Failure(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, err := ParseAddress(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v shows the password", text, err)
		}
	}
	f("", `"" has no host`)
	f("<https://h>", "has angle brackets around it: remove them")
	f("arn:aws:es:us-east-1:111111111111:domain/logs", "is an ARN: use the domain's endpoint")
	for _, host := range []string{"null", "None", "9200", "https://-", "https://h..com", "https://.h", "https://256.1.1.1:9200", "https://a-.com"} {
		f(host, "has a host that cannot exist: use a URL such as https://host:9200")
	}
	f("https://h?password=secret", "\"https://h?***\" has a query or a fragment")
	f("admin:secret@https://h:9200", `"***@https://h:9200" has the user before the scheme`)
	f("https//h:9200", `"https//h:9200" lacks :// after http or https`)
	f("https:/h:9200", "lacks ://")
	f("http:h:9200", "lacks ://")
	f("https:/admin:secret@h:1", `"***@h:1" lacks ://`)
	f("//h:9200", "has no host")
	f("https://", "has no host")
	f("https://:9200", "has no host")
	f("ftp://user:secret@host", `"ftp://***@host" does not begin with http:// or https://`)
	f("https://user:secret@host:port", `"https://***@host:port" has a port that is not a number from 1 to 65535`)
	f("https://user:se/secret@host:0", `"https://***@host:0" has a port that is not a number from 1 to 65535: use a URL such as`)
	f("https://host:65536", "has a port")
	f("https://host:", "has no port after the colon")
	f("https://a:9200,https://b:9200", "more than one URL")
	f("https://user:secret@a:9200,https://user:secret@b:9200", "more than one URL")
	f("https://a:9200, b:9200", "has spaces, commas or semicolons")
	f("https://ho st", "has spaces")
	f("https://host/?pretty", "has a query or a fragment")
	f("https://host/#x", "has a query or a fragment")
	f("https://user:secret@[::1", "is not a URL")
}

func TestIsDashboards(t *testing.T) {
	for text, want := range map[string]bool{
		"https://host": false, "https://host/_dashboards": true, "https://host/_dashboards/app/home": true,
		"https://host/_plugin/kibana/": true, "https://host/app/discover": true, "https://host/apps": false, "https://host/proxy": false,
	} {
		a, err := ParseAddress(text)
		if err != nil || a.IsDashboards() != want {
			t.Errorf("%s: %t, %v", text, !want, err)
		}
	}
}

func TestService(t *testing.T) {
	for host, want := range map[string]string{
		"search-logs-abc123.eu-west-1.es.amazonaws.com": "es", "abc123.us-east-1.aoss.amazonaws.com": "aoss",
		"search-logs-abc123.aos.ap-northeast-1.on.aws": "es", "abc.aoss.eu-west-1.on.aws": "aoss", "search.example.com": "",
	} {
		a, err := ParseAddress(host)
		if err != nil || a.Service() != want {
			t.Errorf("%s: %q, %v", host, a.Service(), err)
		}
	}
}

// Endpoints: https://docs.aws.amazon.com/general/latest/gr/opensearch-service.html.
func TestRegion(t *testing.T) {
	for host, want := range map[string]string{
		"search-logs-abc123.eu-west-1.es.amazonaws.com":  "eu-west-1",
		"vpc-logs-abc123.us-gov-west-1.es.amazonaws.com": "us-gov-west-1",
		"search-logs-abc.cn-north-1.es.amazonaws.com.cn": "cn-north-1",
		"abc123.us-east-1.aoss.amazonaws.com":            "us-east-1",
		"search-logs-abc123.aos.ap-northeast-1.on.aws":   "ap-northeast-1",
		"SEARCH-LOGS-ABC.EU-WEST-1.ES.AMAZONAWS.COM":     "eu-west-1",
		"127.0.0.1":          "",
		"search.example.com": "",
		"search-logs.us-east-1.es.amazonaws.com.evil.com": "",
	} {
		a, err := ParseAddress("https://" + host)
		if got := a.Region(); err != nil || got != want {
			t.Errorf("%s: %q, %v", host, got, err)
		}
	}
}

func TestIsInClear(t *testing.T) {
	for text, want := range map[string]bool{
		"https://host": false, "host": false, "http://host": true, "http://192.0.2.1:9200": true,
		"http://localhost:9200": false, "http://127.0.0.1:9200": false, "http://[::1]:9200": false, "http://127.0.0.2": false,
	} {
		a, err := ParseAddress(text)
		if err != nil || a.IsUnencrypted() != want {
			t.Errorf("%s: %t, %v", text, !want, err)
		}
	}
}
