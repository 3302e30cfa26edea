package opensearch

import (
	"cmp"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	opensearchgo "github.com/opensearch-project/opensearch-go/v4"
	"github.com/opensearch-project/opensearch-go/v4/opensearchtransport"
	"github.com/opensearch-project/opensearch-go/v4/signer/awsv2"

	"logsluice/internal/settingsfile"
)

// Client sends a request to OpenSearch, whose address and credentials it adds;
// the request's URL has a path only. An error means that no answer came.
type Client interface {
	Stream(*http.Request) (*http.Response, error)
}

// ClientConfig says where OpenSearch is and how requests prove who sends them.
type ClientConfig struct {
	// URL of the domain, as ParseAddress takes it; a user and a password in it serve as
	// basic auth.
	URL string
	// Username and Password for basic auth, empty for none.
	Username, Password string
	// PasswordFile has the password in place of Password, empty for none. It is
	// read for each request, so that a password that has changed is taken up;
	// line breaks at its end are not part of it.
	PasswordFile string
	// SigningService signs requests with AWS's Signature Version 4 for "es"
	// (Amazon OpenSearch Service) or "aoss" (Serverless); empty for none.
	SigningService string
	// AWS has the region and the credentials for signing.
	AWS aws.Config
	// CAFile has PEM certificates to trust in place of the system's, empty for none.
	CAFile string
	// Connections are kept open between requests.
	Connections int
}

// ConfigError is an error of one field of a ClientConfig.
type ConfigError struct {
	Field string // such as CAFile
	Err   error
}

func (e *ConfigError) Error() string { return e.Field + ": " + e.Err.Error() }
func (e *ConfigError) Unwrap() error { return e.Err }

// NewClient makes a client that sends each request once: retries are for
// its user, who knows what a second try means. The error of a bad config is a
// *ConfigError.
func NewClient(cfg ClientConfig) (*opensearchgo.Client, error) {
	address, err := ParseAddress(cfg.URL)
	if err != nil {
		return nil, &ConfigError{"URL", err}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = cfg.Connections
	config := opensearchtransport.Config{
		URLs:         []*url.URL{address.URL},
		Username:     cmp.Or(cfg.Username, address.Username),
		Password:     cmp.Or(cfg.Password, address.Password),
		DisableRetry: true,
		Transport:    transport,
		// Otherwise the transport asks for /_nodes/_local/stats every few seconds, which a
		// worker's role does not allow.
		NodeStatsInterval: -1,
	}
	if cfg.CAFile != "" {
		if config.CACert, err = cfg.certificates(); err != nil {
			return nil, &ConfigError{"CAFile", err}
		}
	}
	if cfg.SigningService != "" {
		if config.Signer, err = awsv2.NewSignerWithService(cfg.AWS, cfg.SigningService); err != nil {
			return nil, &ConfigError{"SigningService", err}
		}
	}
	if cfg.PasswordFile != "" {
		signer := passwordFile{cfg.Username, cfg.PasswordFile}
		if _, err := signer.password(); err != nil {
			return nil, &ConfigError{"PasswordFile", err}
		}
		config.Signer = signer
	}
	tp, err := opensearchtransport.New(config)
	if err != nil {
		return nil, fmt.Errorf("set up the OpenSearch client: %w", err)
	}
	return &opensearchgo.Client{Transport: tp}, nil
}

// certificates reads CAFile, which must have a PEM certificate.
func (cfg ClientConfig) certificates() ([]byte, error) {
	pem, err := settingsfile.Read(cfg.CAFile)
	if err != nil {
		return nil, fmt.Errorf("%w: give a file with PEM certificates", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%q has no PEM certificate: give a file with lines BEGIN CERTIFICATE and END CERTIFICATE", cfg.CAFile)
	}
	return pem, nil
}

var secretARN = regexp.MustCompile(`^arn:aws[a-z-]*:(secretsmanager|ssm):`)

// CheckPassword returns an error for a text that is not a password but what one was to be
// made of. It does not show the text, and follows it.
func CheckPassword(text string) error {
	switch trimmed := strings.TrimSpace(text); {
	case trimmed == "":
		return errors.New("is blank: set it to the password")
	case trimmed[0] == '{' && json.Valid([]byte(trimmed)):
		return errors.New("is a JSON document: in the ECS task definition, end the secret's ARN with :password::, its key of the password")
	case secretARN.MatchString(trimmed):
		return errors.New("is the ARN of a secret: have ECS put the secret there, by the secrets of the task definition and not its environment")
	case len(trimmed) > 1 && (trimmed[0] == '"' || trimmed[0] == '\'') && trimmed[0] == trimmed[len(trimmed)-1]:
		return errors.New("has quotes around it: remove them")
	case strings.ContainsFunc(text, unicode.IsControl):
		return errors.New("has line breaks or control characters: give the password alone, on one line")
	}
	return nil
}

// passwordFile is a signer for basic auth.
type passwordFile struct{ user, file string }

func (p passwordFile) password() (string, error) {
	raw, err := settingsfile.Read(p.file)
	if err != nil {
		return "", fmt.Errorf("%w: give a file with the password", err)
	}
	password := strings.TrimRight(string(raw), "\r\n")
	if password == "" {
		return "", fmt.Errorf("%q has no password: write it there as the only line", p.file)
	}
	if err := CheckPassword(password); err != nil {
		return "", fmt.Errorf("the text of %q %w", p.file, err)
	}
	return password, nil
}

// SignRequest is called by the client for each request.
func (p passwordFile) SignRequest(r *http.Request) error {
	password, err := p.password()
	if err != nil {
		return err
	}
	r.SetBasicAuth(p.user, password)
	return nil
}

// OverrideSigningPort does nothing: basic auth has no port.
func (passwordFile) OverrideSigningPort(uint16) {}
