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

// Client sends requests to OpenSearch. It adds the address and the credentials: the URL
// of a request is only a path. An error means that no response was received.
type Client interface {
	Stream(*http.Request) (*http.Response, error)
}

// ClientConfig is the address of OpenSearch and the credentials for it.
type ClientConfig struct {
	// URL of the domain, in a form that ParseAddress accepts. A user and a password in it
	// are used for basic auth.
	URL string
	// Username and Password for basic auth, or empty.
	Username, Password string
	// PasswordFile contains the password, instead of Password, or is empty. It is read
	// for each request, so that a changed password takes effect. Line breaks at its end
	// are ignored.
	PasswordFile string
	// SigningService is "es" (Amazon OpenSearch Service) or "aoss" (Serverless) to sign
	// requests with AWS Signature Version 4, or empty.
	SigningService string
	// AWS has the region and the credentials for signing.
	AWS aws.Config
	// CAFile contains PEM certificates to trust instead of the system's, or is empty.
	CAFile string
	// Connections is the number of connections kept open between requests.
	Connections int
}

// ConfigError is an error of one field of a ClientConfig.
type ConfigError struct {
	Field string // such as CAFile
	Err   error
}

func (e *ConfigError) Error() string { return e.Field + ": " + e.Err.Error() }
func (e *ConfigError) Unwrap() error { return e.Err }

// NewClient returns a client that sends each request once: its callers decide about
// retries. The error for an invalid config is a *ConfigError.
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
		// Otherwise the transport requests /_nodes/_local/stats every few seconds, which
		// a worker's role does not allow.
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

// certificates reads CAFile, which must contain a PEM certificate.
func (cfg ClientConfig) certificates() ([]byte, error) {
	pem, err := settingsfile.Read(cfg.CAFile)
	if err != nil {
		return nil, fmt.Errorf("%w: use a file with PEM certificates", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%q has no PEM certificate: use a file with lines BEGIN CERTIFICATE and END CERTIFICATE", cfg.CAFile)
	}
	return pem, nil
}

var secretARN = regexp.MustCompile(`^arn:aws[a-z-]*:(secretsmanager|ssm):`)

// CheckPassword returns an error for a text that is not a password but something from
// which one should have been taken. The error does not contain the text; it continues a
// sentence that starts with it.
func CheckPassword(text string) error {
	switch trimmed := strings.TrimSpace(text); {
	case trimmed == "":
		return errors.New("is blank: set it to the password")
	case trimmed[0] == '{' && json.Valid([]byte(trimmed)):
		return errors.New("is a JSON document: in the ECS task definition, append :password:: (the key of the password) to the secret's ARN")
	case secretARN.MatchString(trimmed):
		return errors.New("is the ARN of a secret: let ECS insert the secret, by the secrets of the task definition instead of its environment")
	case len(trimmed) > 1 && (trimmed[0] == '"' || trimmed[0] == '\'') && trimmed[0] == trimmed[len(trimmed)-1]:
		return errors.New("has quotes around it: remove them")
	case strings.ContainsFunc(text, unicode.IsControl):
		return errors.New("has line breaks or control characters: use only the password, on one line")
	}
	return nil
}

// passwordFile is a signer that adds basic auth.
type passwordFile struct{ user, file string }

func (p passwordFile) password() (string, error) {
	raw, err := settingsfile.Read(p.file)
	if err != nil {
		return "", fmt.Errorf("%w: use a file with the password", err)
	}
	const bom = "\ufeff" // byte order mark, which some editors write
	password := strings.TrimRight(strings.TrimPrefix(string(raw), bom), "\r\n")
	if password == "" {
		return "", fmt.Errorf("%q has no password: write it there as the only line", p.file)
	}
	if err := CheckPassword(password); err != nil {
		return "", fmt.Errorf("the text of %q %w", p.file, err)
	}
	return password, nil
}

// SignRequest implements the client's signer.
func (p passwordFile) SignRequest(r *http.Request) error {
	password, err := p.password()
	if err != nil {
		return err
	}
	r.SetBasicAuth(p.user, password)
	return nil
}

// OverrideSigningPort does nothing: basic auth does not depend on the port.
func (passwordFile) OverrideSigningPort(uint16) {}
