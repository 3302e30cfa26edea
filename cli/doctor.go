package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/rs/zerolog"

	"logsluice/consumer"
	"logsluice/doctor"
	"logsluice/indexer/deadletter"
	"logsluice/opensearch"
)

// doctorCommand checks the links of the chain with the settings of run.
type doctorCommand struct {
	streamSettings
	opensearchSettings
	dashboardsSettings
	deadLetterSettings
	documentSettings
	indexSettings
	lifecycleSettings
	ArchiveURL    deadletter.URL `group:"operation" name:"archive-url" env:"ARCHIVE_URL" placeholder:"URL" otherwise:"not checked" help:"Where the Firehose writes, s3://bucket/prefix/."`
	LogGroup      []string       `group:"stream" placeholder:"NAME" check:"log group" otherwise:"all" help:"Log groups that should have a subscription filter."`
	MostLogGroups int            `group:"stream" default:"100" placeholder:"N" least:"1" help:"Maximum number of log groups that are checked when none is named, five per second."`
	Output        string         `enum:"text,json" default:"text" placeholder:"FORMAT" help:"Output format: text or json."`
}

func (*doctorCommand) required() []string {
	return []string{"stream-name", "application-name", "opensearch-url", "index-prefix", regionVariable}
}

// Help is called by kong.
func (*doctorCommand) Help() string {
	return "The exit code is 1 if a link is broken. Nothing is changed, except that a scratch document is written to an index PREFIX-doctor-… and deleted again. With DEAD_LETTER_URL an object _check is written there and stays."
}

// Run is called by kong.
func (c *doctorCommand) Run(ctx context.Context, std streams) error {
	cfg, closeAll, err := c.config(ctx)
	if err != nil {
		return err
	}
	defer closeAll()
	return c.print(std, doctor.Walk(ctx, cfg))
}

// config checks the settings and creates the clients. closeAll closes them.
func (c *doctorCommand) config(ctx context.Context) (cfg doctor.Config, closeAll func(), err error) {
	documents, err := c.documents(c.settings())
	if err != nil {
		return cfg, nil, err
	}
	policy, err := c.policy(documents)
	if err != nil {
		return cfg, nil, err
	}
	if err := c.opensearchSettings.check(); err != nil {
		return cfg, nil, err
	}
	if err := c.dashboardsSettings.check(c.opensearchSettings); err != nil {
		return cfg, nil, err
	}
	cfg = doctor.Config{
		Stream: c.StreamName, Application: c.ApplicationName, LogGroups: c.LogGroup, MostLogGroups: c.MostLogGroups,
		SearchAccess: c.opensearchSettings.access(), DashboardsAccess: c.dashboardsSettings.access(c.opensearchSettings),
		Naming: documents.Naming, NoIDs: c.DocumentIDs == "none", Policy: policy,
	}
	if c.ArchiveURL != (deadletter.URL{}) {
		cfg.Archive = &c.ArchiveURL
	}
	if cfg.Templates, err = documents.Templates(); err != nil {
		return cfg, nil, err
	}
	if cfg.SavedObjects, err = documents.SavedObjects(); err != nil {
		return cfg, nil, err
	}
	if cfg.AWS, err = loadAWS(ctx, zerolog.Nop()); err != nil {
		return cfg, nil, err
	}
	cfg.AWS.RetryMaxAttempts = 2 // so that an error is returned before the call's timeout
	cfg.DynamoDB, cfg.Kinesis = newDynamoDB(cfg.AWS), consumer.NewKinesis(cfg.AWS, c.StreamName)
	cfg.Store = c.store(cfg.AWS)
	client, err := c.opensearchSettings.client(cfg.AWS, 1)
	if err != nil {
		return cfg, nil, err
	}
	cfg.Search = client
	dashboards, err := c.dashboardsSettings.client(c.opensearchSettings, cfg.AWS)
	if err != nil {
		_ = client.Close()
		return cfg, nil, err
	}
	if dashboards == nil {
		return cfg, func() { _ = client.Close() }, nil
	}
	cfg.Dashboards = &opensearch.Dashboards{Client: dashboards, Tenant: c.DashboardsTenant}
	return cfg, func() { _, _ = client.Close(), dashboards.Close() }, nil
}

// print prints the findings, and fails if a link is broken.
func (c *doctorCommand) print(std streams, findings []doctor.Finding) error {
	var page bytes.Buffer
	if c.Output == "json" {
		if err := writeJSON(&page, findings); err != nil {
			return fmt.Errorf("write the findings: %w", err)
		}
	} else {
		for _, f := range findings {
			printFinding(&page, f)
		}
	}
	if err := std.print(page.Bytes()); err != nil {
		return err
	}
	broken := 0
	for _, f := range findings {
		if f.State == doctor.Broken {
			broken++
		}
	}
	if broken > 0 {
		return fmt.Errorf("%d of %d links are broken", broken, len(findings))
	}
	return nil
}

func printFinding(w io.Writer, f doctor.Finding) {
	const indent = 9 // width of the longest state and two spaces
	fmt.Fprintf(w, "%-*s%s: %s\n", indent, f.State, f.Link, f.Found)
	for _, remedy := range f.Remedies() {
		fmt.Fprintf(w, "%*s→ %s\n", indent, "", remedy)
	}
}
