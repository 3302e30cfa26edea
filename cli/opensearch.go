package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	opensearchgo "github.com/opensearch-project/opensearch-go/v4"
	"github.com/rs/zerolog"

	"logsluice/doctor"
	"logsluice/opensearch"
)

// opensearchSettings configure the address of OpenSearch and the authentication of requests.
type opensearchSettings struct {
	OpensearchURL          opensearch.Address `group:"opensearch" env:"OPENSEARCH_URL,ES_DOMAIN_URL" placeholder:"URL" missing:"the URL of the domain, such as https://host:9200" help:"OpenSearch domain, such as https://host:9200." more:"A host name alone means https://. A user and a password in the URL serve as basic authentication."`
	OpensearchUsername     string             `group:"opensearch" env:"OPENSEARCH_USERNAME" placeholder:"NAME" help:"User for basic authentication."`
	OpensearchPassword     string             `group:"opensearch" env:"OPENSEARCH_PASSWORD" placeholder:"WORD" help:"Password for basic authentication. Set the variable: process lists show flags."`
	OpensearchPasswordFile string             `group:"opensearch" env:"OPENSEARCH_PASSWORD_FILE" placeholder:"FILE" help:"File with the password for basic authentication, instead of OPENSEARCH_PASSWORD. It is read for each request: a changed password needs no restart."`
	OpensearchSigv4        string             `group:"opensearch" name:"opensearch-sigv4" env:"OPENSEARCH_SIGV4" enum:",es,aoss" default:"" placeholder:"SERVICE" help:"Sign requests with AWS Signature Version 4: es (Amazon OpenSearch Service) or aoss (Serverless)."`
	OpensearchRegion       string             `group:"opensearch" env:"OPENSEARCH_REGION" placeholder:"REGION" check:"region" otherwise:"the region in the domain's host name, otherwise AWS_REGION" help:"AWS region for which requests are signed."`
	OpensearchCAFile       string             `group:"opensearch" name:"opensearch-ca-file" env:"OPENSEARCH_CA_FILE" placeholder:"FILE" help:"PEM certificates to trust instead of the system's."`
}

// The names of settings in errors.
const (
	searchSetting       = "OPENSEARCH_URL (--opensearch-url)"
	usernameSetting     = "OPENSEARCH_USERNAME (--opensearch-username)"
	passwordSetting     = "OPENSEARCH_PASSWORD (--opensearch-password)"
	passwordFileSetting = "OPENSEARCH_PASSWORD_FILE (--opensearch-password-file)"
	sigv4Setting        = "OPENSEARCH_SIGV4 (--opensearch-sigv4)"
	caFileSetting       = "OPENSEARCH_CA_FILE (--opensearch-ca-file)"
	searchRegionSetting = "OPENSEARCH_REGION (--opensearch-region)"
	dashboardsSetting   = "DASHBOARDS_URL (--dashboards-url)"
)

// Default ports of OpenSearch and Dashboards.
const (
	searchPort, transportPort = "9200", "9300"
	dashboardsPort            = "5601"
)

// checkAddress returns an error for an address that only resembles a domain's, such as that of
// Dashboards.
func (s opensearchSettings) checkAddress() error {
	address := s.OpensearchURL
	_, request, isRequest := strings.Cut(address.URL.Path, "/_")
	switch {
	case address.IsDashboards():
		return settingf(searchSetting+": %q is the address of OpenSearch Dashboards: leave out %s", address.URL, address.URL.Path)
	case isRequest:
		base := url.URL{Scheme: address.URL.Scheme, Host: address.URL.Host}
		return settingf(searchSetting+": %q is a request to OpenSearch (_%s): use %s", address.URL, request, base.String())
	case address.IsManaged() && address.URL.Port() != "" && address.URL.Port() != "443" && address.URL.Port() != "80":
		return settingf(searchSetting+": %q has port %s, and Amazon OpenSearch Service listens on 443: leave the port out", address.URL, address.URL.Port())
	case address.URL.Port() == dashboardsPort:
		return settingf(searchSetting+": %q has the port of OpenSearch Dashboards: use that of OpenSearch, such as "+searchPort, address.URL)
	case address.URL.Port() == transportPort:
		return settingf(searchSetting+": %q has the port for the transport between nodes: use the HTTP port, such as "+searchPort, address.URL)
	}
	return nil
}

// check returns an error for settings that contradict each other or are incomplete, such as a
// user without the password that a secret store should have delivered.
func (s opensearchSettings) check() error {
	if err := s.checkAddress(); err != nil {
		return err
	}
	address := s.OpensearchURL
	inURL := address.HasCredentials
	basic := inURL || s.OpensearchUsername != ""
	switch {
	case inURL && (s.OpensearchUsername != "" || s.OpensearchPassword != "" || s.OpensearchPasswordFile != ""):
		return settingf(searchSetting + " has a user, and " + usernameSetting + ", " + passwordSetting + " or " + passwordFileSetting + " is set too: remove the user from the URL")
	case inURL && s.OpensearchSigv4 != "":
		return settingf(sigv4Setting+" is %q, and "+searchSetting+" has a user: remove the user from the URL, or "+sigv4Setting, s.OpensearchSigv4)
	case basic && s.OpensearchSigv4 != "":
		return settingf(sigv4Setting+" is %q, and a user for basic authentication is set: use either OPENSEARCH_SIGV4 or a user, not both", s.OpensearchSigv4)
	case s.OpensearchPassword != "" && s.OpensearchPasswordFile != "":
		return settingf(passwordSetting+" and "+passwordFileSetting+" (%q) are both set: remove one", s.OpensearchPasswordFile)
	case inURL && (address.Username == "" || address.Password == ""):
		return settingf(searchSetting + " has a user without a password, or the reverse: use USER:PASSWORD@ or, better, set OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD")
	case s.OpensearchUsername != "" && s.OpensearchPassword == "" && s.OpensearchPasswordFile == "":
		return settingf(usernameSetting+" is %q without a password: set OPENSEARCH_PASSWORD or OPENSEARCH_PASSWORD_FILE; if a secret should set it, find out why it is empty", s.OpensearchUsername)
	case s.OpensearchUsername == "" && s.OpensearchPassword != "":
		return settingf(passwordSetting + " is set without a user: set OPENSEARCH_USERNAME")
	case s.OpensearchUsername == "" && s.OpensearchPasswordFile != "":
		return settingf(passwordFileSetting+" is %q without a user: set OPENSEARCH_USERNAME", s.OpensearchPasswordFile)
	case address.Service() == "aoss" && s.OpensearchSigv4 == "":
		return settingf(sigv4Setting+" is not set, and %s is a collection of OpenSearch Serverless: set it to aoss", address.URL)
	case address.Service() != "" && s.OpensearchSigv4 != "" && s.OpensearchSigv4 != address.Service():
		return settingf(sigv4Setting+": %q is not the service of %s: use %s", s.OpensearchSigv4, address.URL, address.Service())
	}
	if region := s.OpensearchRegion; address.Region() != "" && region != "" && !strings.EqualFold(region, address.Region()) {
		return settingf(searchRegionSetting+": %q is not the region of %s: use %s, or leave it out", s.OpensearchRegion, address.URL, address.Region())
	}
	if s.OpensearchRegion != "" && s.OpensearchSigv4 == "" {
		return settingf(searchRegionSetting+": %q has no effect, as requests are not signed: set OPENSEARCH_SIGV4 to es or aoss, or remove it", s.OpensearchRegion)
	}
	return nil
}

// client returns a client of the domain. awsConfig is for signing.
func (s opensearchSettings) client(awsConfig aws.Config, connections int) (*opensearchgo.Client, error) {
	return s.clientOf(s.OpensearchURL, awsConfig, connections)
}

// clientOf returns a client of the server at address. Credentials in address override those in
// the domain's URL, which override the settings.
func (s opensearchSettings) clientOf(address opensearch.Address, awsConfig aws.Config, connections int) (*opensearchgo.Client, error) {
	awsConfig.Region = s.signingRegion(awsConfig.Region)
	for _, a := range []opensearch.Address{s.OpensearchURL, address} {
		if a.HasCredentials {
			s.OpensearchUsername, s.OpensearchPassword, s.OpensearchPasswordFile = a.Username, a.Password, ""
		}
	}
	client, err := opensearch.NewClient(opensearch.ClientConfig{
		URL:            address.URL.String(),
		Username:       s.OpensearchUsername,
		Password:       s.OpensearchPassword,
		PasswordFile:   s.OpensearchPasswordFile,
		SigningService: s.OpensearchSigv4,
		AWS:            awsConfig,
		CAFile:         s.OpensearchCAFile,
		Connections:    connections,
	})
	var wrong *opensearch.ConfigError
	if errors.As(err, &wrong) {
		settings := map[string]string{
			"CAFile": caFileSetting, "PasswordFile": passwordFileSetting, "SigningService": sigv4Setting,
		}
		return nil, settingf("%s: %w", settings[wrong.Field], wrong.Err)
	}
	return client, err
}

// signingRegion returns the region for which requests are signed. other is the SDK's region.
func (s opensearchSettings) signingRegion(other string) string {
	return cmp.Or(strings.ToLower(s.OpensearchRegion), s.OpensearchURL.Region(), other)
}

// loadAWS returns the AWS configuration for signing, or an empty one if requests are not signed.
func (s opensearchSettings) loadAWS(ctx context.Context) (aws.Config, error) {
	if s.OpensearchSigv4 == "" {
		return aws.Config{}, nil
	}
	return loadAWS(ctx, zerolog.Nop())
}

// dashboardsSettings configure the address of the domain's OpenSearch Dashboards, which accepts
// the same authentication as OpenSearch.
type dashboardsSettings struct {
	DashboardsURL    opensearch.Address `group:"opensearch" name:"dashboards-url" env:"DASHBOARDS_URL" placeholder:"URL" help:"OpenSearch Dashboards of the domain. For Amazon OpenSearch Service: https://DOMAIN/_dashboards."`
	DashboardsTenant string             `group:"opensearch" name:"dashboards-tenant" env:"DASHBOARDS_TENANT" default:"global" placeholder:"NAME" help:"Tenant of the security plugin in Dashboards: its name, global, or private for the user's own, which nobody else sees."`
}

// check returns an error for a URL that is not Dashboards', and for credentials in it that are
// incomplete or contradict other settings.
func (s dashboardsSettings) check(search opensearchSettings) error {
	address := s.DashboardsURL
	switch {
	case address.URL == nil:
		return nil
	case address.HasCredentials && (address.Username == "" || address.Password == ""):
		return settingf(dashboardsSetting + " has a user without a password, or the reverse: use USER:PASSWORD@ or, better, set OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD")
	case address.URL.Port() == searchPort, address.URL.Port() == transportPort:
		return settingf(dashboardsSetting+": %q has a port of OpenSearch: use that of Dashboards, such as "+dashboardsPort, address.URL)
	case strings.Contains(address.URL.Path+"/", "/app/"):
		home, _, _ := strings.Cut(address.URL.String()+"/", "/app/")
		return settingf(dashboardsSetting+": %q is a page of Dashboards: use %q", address.URL, home)
	case address.HasCredentials && search.OpensearchSigv4 != "":
		return settingf(dashboardsSetting+" has a user, and "+sigv4Setting+" is %q: use either OPENSEARCH_SIGV4 or a user, not both", search.OpensearchSigv4)
	}
	return nil
}

// client returns a client of Dashboards, or nil without a URL. awsConfig is for signing.
func (s dashboardsSettings) client(search opensearchSettings, awsConfig aws.Config) (*opensearchgo.Client, error) {
	if s.DashboardsURL.URL == nil {
		return nil, nil
	}
	return search.clientOf(s.DashboardsURL, awsConfig, 1)
}

// withRemedy adds a remedy to the error of a request if one is known.
func withRemedy(err error, access doctor.Access) error {
	if err == nil {
		return nil
	}
	if remedy := access.Remedy(err); remedy != "" {
		return fmt.Errorf("%s: %s", access.Found(err), remedy)
	}
	return err
}

// access returns how requests reach the domain.
func (s opensearchSettings) access() doctor.Access {
	return doctor.Access{
		URL: s.OpensearchURL.URL.String(), Setting: searchSetting, SigningService: s.OpensearchSigv4,
		HasPassword: s.OpensearchURL.HasCredentials || s.OpensearchUsername != "",
	}
}

// access returns how requests reach Dashboards, or the zero Access without a URL.
func (s dashboardsSettings) access(search opensearchSettings) doctor.Access {
	access := search.access()
	if s.DashboardsURL.URL == nil {
		return doctor.Access{}
	}
	access.URL, access.Setting = s.DashboardsURL.URL.String(), dashboardsSetting
	access.HasPassword = access.HasPassword || s.DashboardsURL.HasCredentials
	return access
}
