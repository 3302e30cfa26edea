package local

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Admin is the name and the password of the user with all permissions on a secured OpenSearch.
const Admin = "admin"

// hashRounds is the cost of password hashes, the minimum of bcrypt: with the default, 12, tests
// that clear the cache of credentials mostly hash.
const hashRounds = 4

// securityFiles are the initial contents of the security index, with Admin as the only user.
var securityFiles = map[string]string{
	"config": `config: {dynamic: {authc: {basic: {http_enabled: true, order: 0,
  http_authenticator: {type: basic, challenge: false}, authentication_backend: {type: internal}}}}}`,
	"internal_users": Admin + `: {hash: "$2a$04$fKN3XgxKoj1gQhjPfsevgeQHlecwqWVJd3Qv7qVxWqbJzV1ZBGTCq"}`,
	"roles_mapping":  "all_access: {users: [" + Admin + "]}",
	"roles":          "",
	"action_groups":  "",
	"tenants":        "",
}

// extendedPlugins matches the list of optional plugins, which only the full distribution has.
var extendedPlugins = regexp.MustCompile(`(?m)^extended\.plugins=.*$`)

// fetchSecurity installs the security plugin in a distribution.
func fetchSecurity(ctx context.Context, java jdk, program string) error {
	folder := "-DoutputDirectory=" + filepath.Join(program, "plugins", "opensearch-security")
	if err := maven(ctx, java, program, "unpack", folder, "-Dartifact=org.opensearch.plugin:opensearch-security:"+openSearchSecured+".0:zip"); err != nil {
		return err
	}
	// The full distribution has this library elsewhere.
	if err := maven(ctx, java, program, "copy", folder, "-Dartifact=org.apache.commons:commons-collections4:4.5.0"); err != nil {
		return err
	}
	descriptor := filepath.Join(program, "plugins", "opensearch-security", "plugin-descriptor.properties")
	properties, err := os.ReadFile(descriptor) //nolint:gosec // our folder
	if err != nil {
		return err
	}
	return os.WriteFile(descriptor, extendedPlugins.ReplaceAll(properties, []byte("extended.plugins=")), 0o600) //nolint:gosec // as above
}

// secure adds the settings and files of the security plugin to a node's configuration. It returns
// a client that trusts the node.
func secure(settings map[string]any, files map[string][]byte) (*http.Client, error) {
	for name, content := range securityFiles {
		kind := strings.ReplaceAll(name, "_", "")
		files["opensearch-security/"+name+".yml"] = fmt.Appendf(nil, "_meta: {type: %s, config_version: 2}\n%s\n", kind, content)
	}
	authority, err := certificates(files)
	if err != nil {
		return nil, err
	}
	settings["plugins.security.ssl.http.enabled"] = true
	settings["plugins.security.allow_default_init_securityindex"] = true
	settings["plugins.security.password.hashing.bcrypt.rounds"] = hashRounds
	settings["plugins.security.restapi.roles_enabled"] = []string{"all_access"}
	for _, layer := range []string{"http", "transport"} {
		prefix := "plugins.security.ssl." + layer + ".pem"
		settings[prefix+"trustedcas_filepath"], settings[prefix+"cert_filepath"], settings[prefix+"key_filepath"] = authorityFile, nodeFile, keyFile
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(authority)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}}}, nil
}

// Files of the certificates and the node's key.
const (
	authorityFile = "authority.pem"
	nodeFile      = "node.pem"
	keyFile       = "node-key.pem"
)

// certificates creates an authority, and a node's certificate signed by it. It returns the
// authority's certificate.
func certificates(files map[string][]byte) (*x509.Certificate, error) {
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	}
	node := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "node"},
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("create a key: %w", err)
	}
	nodeKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("create a key: %w", err)
	}
	authorityDER, err := x509.CreateCertificate(rand.Reader, authority, authority, authorityKey.Public(), authorityKey)
	if err != nil {
		return nil, fmt.Errorf("create a certificate: %w", err)
	}
	nodeDER, err := x509.CreateCertificate(rand.Reader, node, authority, nodeKey.Public(), authorityKey)
	if err != nil {
		return nil, fmt.Errorf("create a certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(nodeKey)
	if err != nil {
		return nil, fmt.Errorf("encode a key: %w", err)
	}
	for name, block := range map[string]*pem.Block{
		authorityFile: {Type: "CERTIFICATE", Bytes: authorityDER},
		nodeFile:      {Type: "CERTIFICATE", Bytes: nodeDER},
		keyFile:       {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		files[name] = pem.EncodeToMemory(block)
	}
	return x509.ParseCertificate(authorityDER)
}
