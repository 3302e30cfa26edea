package cli

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/opensearch-project/opensearch-go/v4"
	"github.com/rs/zerolog"

	"logsluice/domain"
)

// opensearchSettings say where OpenSearch is and how requests prove who sends them.
type opensearchSettings struct {
	OpensearchURL          string `group:"opensearch" env:"OPENSEARCH_URL,ES_DOMAIN_URL" placeholder:"URL" help:"OpenSearch domain."`
	OpensearchUsername     string `group:"opensearch" env:"OPENSEARCH_USERNAME" placeholder:"NAME" help:"User for basic authentication."`
	OpensearchPassword     string `group:"opensearch" env:"OPENSEARCH_PASSWORD" placeholder:"WORD" help:"Password for basic authentication."`
	OpensearchPasswordFile string `group:"opensearch" env:"OPENSEARCH_PASSWORD_FILE" placeholder:"FILE" help:"File with the password for basic authentication, read for each request: a changed password needs no restart."`
	OpensearchSigv4        string `group:"opensearch" name:"opensearch-sigv4" env:"OPENSEARCH_SIGV4" enum:",es,aoss" default:"" placeholder:"SERVICE" help:"Sign requests with AWS Signature Version 4: es (Amazon OpenSearch Service) or aoss (Serverless)."`
	OpensearchCAFile       string `group:"opensearch" name:"opensearch-ca-file" env:"OPENSEARCH_CA_FILE" placeholder:"FILE" help:"PEM certificates to trust in place of the system's."`
}

func (s opensearchSettings) check() error {
	switch {
	case s.OpensearchURL == "":
		return missing("OPENSEARCH_URL", "--opensearch-url", "the address of the domain, such as https://host:9200")
	case s.OpensearchUsername != "" && s.OpensearchSigv4 != "":
		return settingf("OPENSEARCH_USERNAME and OPENSEARCH_SIGV4 are both set: a request can prove its sender in one way only, remove one")
	case s.OpensearchPassword != "" && s.OpensearchPasswordFile != "":
		return settingf("OPENSEARCH_PASSWORD and OPENSEARCH_PASSWORD_FILE are both set: remove one")
	case s.OpensearchPasswordFile != "" && s.OpensearchUsername == "":
		return missing("OPENSEARCH_USERNAME", "--opensearch-username", "the user whose password is in OPENSEARCH_PASSWORD_FILE")
	}
	return nil
}

// client makes a client of the domain. awsConfig is for signing.
func (s opensearchSettings) client(awsConfig aws.Config, connections int) (*opensearch.Client, error) {
	client, err := domain.NewClient(s.config(s.OpensearchURL, awsConfig, connections))
	if err != nil {
		return nil, settingf("OPENSEARCH_URL (--opensearch-url), OPENSEARCH_CA_FILE (--opensearch-ca-file) or OPENSEARCH_PASSWORD_FILE (--opensearch-password-file): %w", err)
	}
	return client, nil
}

func (s opensearchSettings) config(url string, awsConfig aws.Config, connections int) domain.ClientConfig {
	return domain.ClientConfig{
		URL:            address(url),
		Username:       s.OpensearchUsername,
		Password:       s.OpensearchPassword,
		PasswordFile:   s.OpensearchPasswordFile,
		SigningService: s.OpensearchSigv4,
		AWS:            awsConfig,
		CAFile:         s.OpensearchCAFile,
		Connections:    connections,
	}
}

// host names the domain, whatever the form of its address.
func (s opensearchSettings) host() string {
	u, err := url.Parse(address(s.OpensearchURL))
	if err != nil {
		return s.OpensearchURL
	}
	return u.Host
}

// address completes the address of an OpenSearch domain: people who come from
// the usual Lambda have set a bare host name.
func address(url string) string {
	if url == "" || strings.Contains(url, "://") {
		return url
	}
	return "https://" + url
}

// loadAWS loads what signing needs, and nothing where requests are not signed.
func (s opensearchSettings) loadAWS(ctx context.Context) (aws.Config, error) {
	if s.OpensearchSigv4 == "" {
		return aws.Config{}, nil
	}
	return loadAWS(ctx, zerolog.Nop())
}

// dashboardsSettings say where the domain's OpenSearch Dashboards is, which takes
// what OpenSearch takes as proof.
type dashboardsSettings struct {
	DashboardsURL    string `group:"opensearch" name:"dashboards-url" env:"DASHBOARDS_URL" placeholder:"URL" help:"OpenSearch Dashboards of the domain; of Amazon OpenSearch Service: https://DOMAIN/_dashboards."`
	DashboardsTenant string `group:"opensearch" name:"dashboards-tenant" env:"DASHBOARDS_TENANT" default:"global" placeholder:"NAME" help:"Tenant of the security plugin in Dashboards: its name, global, or private for the user's own, which nobody else sees (default ${default})."`
}

// client makes a client of Dashboards. awsConfig is for signing.
func (s dashboardsSettings) client(search opensearchSettings, awsConfig aws.Config) (*opensearch.Client, error) {
	client, err := domain.NewClient(search.config(s.DashboardsURL, awsConfig, 1))
	if err != nil {
		return nil, settingf("DASHBOARDS_URL (--dashboards-url): %w", err)
	}
	return client, nil
}

// withRemedy adds to the error of a request what to do about it. setting names what has
// the address.
func withRemedy(err error, setting string) error {
	var answer *domain.AnswerError
	var unreachable net.Error
	var noJSON *json.SyntaxError
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &untrusted):
		return fmt.Errorf("%w: set OPENSEARCH_CA_FILE (--opensearch-ca-file) to the certificate of its authority", err)
	case errors.Is(err, domain.ErrNoPolicies):
		return fmt.Errorf("%w: install its plugin opensearch-index-management, or give --skip=policy and have old indices deleted otherwise", err)
	case errors.As(err, &unreachable):
		return fmt.Errorf("%w: is %s right, and can it be reached from here?", err, setting)
	case errors.As(err, &noJSON):
		return fmt.Errorf("%w: the answer is not JSON: is %s right?", err, setting)
	case !errors.As(err, &answer):
		return err
	}
	switch status := answer.Status; {
	case status == http.StatusUnauthorized:
		return fmt.Errorf("%w: OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD, or OPENSEARCH_SIGV4 and the AWS credentials, are not those of a user there", err)
	case status == http.StatusForbidden:
		return fmt.Errorf("%w: give the role of the user or of the AWS credentials this permission (README, Which OpenSearch and Setting up a domain)", err)
	case strings.Contains(err.Error(), "same priority"):
		return fmt.Errorf("%w: delete that template, narrow its index_patterns or give it another priority", err)
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status >= 300 && status < 400,
		strings.Contains(err.Error(), "no handler found for uri"): // OpenSearch in place of Dashboards
		return fmt.Errorf("%w: is %s right?", err, setting)
	case status >= 500:
		return fmt.Errorf("%w: try again when it is ready", err)
	}
	return err
}
