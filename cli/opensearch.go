package cli

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/opensearch-project/opensearch-go/v4"

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

// address completes the address of an OpenSearch domain: people who come from
// the usual Lambda have set a bare host name.
func address(url string) string {
	if url == "" || strings.Contains(url, "://") {
		return url
	}
	return "https://" + url
}

// dashboardsSettings say where the domain's OpenSearch Dashboards is, which takes
// what OpenSearch takes as proof.
type dashboardsSettings struct {
	DashboardsURL string `group:"opensearch" name:"dashboards-url" env:"DASHBOARDS_URL" placeholder:"URL" help:"OpenSearch Dashboards of the domain; of Amazon OpenSearch Service: https://DOMAIN/_dashboards."`
}

// client makes a client of Dashboards, nil if none is set. awsConfig is for signing.
func (s dashboardsSettings) client(search opensearchSettings, awsConfig aws.Config) (*opensearch.Client, error) {
	if s.DashboardsURL == "" {
		return nil, nil
	}
	client, err := domain.NewClient(search.config(s.DashboardsURL, awsConfig, 1))
	if err != nil {
		return nil, settingf("DASHBOARDS_URL (--dashboards-url): %w", err)
	}
	return client, nil
}
