package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"logsluice/internal/timetext"
	"logsluice/opensearch/assets"
)

// assetsCommands print files that are made from the settings of run.
type assetsCommands struct {
	Ism        ismCommand        `cmd:"" help:"The policy that deletes old indices, for PUT _plugins/_ism/policies/NAME."`
	Template   templateCommand   `cmd:"" help:"The index template that run installs, for PUT _index_template/PREFIX."`
	Schema     schemaCommand     `cmd:"" help:"The schema in use, as a file to start your own from."`
	Fields     fieldsCommand     `cmd:"" help:"The fields that documents have, as a table in Markdown."`
	Dashboards dashboardsCommand `cmd:"" help:"The saved objects for OpenSearch Dashboards, to be imported as a file whose name ends in .ndjson."`
}

// lifecycleSettings decide when indices are merged and deleted.
type lifecycleSettings struct {
	DeleteAfter time.Duration `group:"documents" env:"DELETE_AFTER" default:"30d" placeholder:"TIME" least:"1h" note:"or leave the policy out with setup --skip=policy to keep all" help:"Age of an index's newest document at which the index is deleted."`
	MergeAfter  time.Duration `group:"documents" env:"MERGE_AFTER" placeholder:"TIME" least:"1h" zero:"for never" otherwise:"never" help:"Age of an index's newest document at which the index is merged to one segment per shard. It accepts no documents while it is merged: a late event waits for at most WAIT_FOR_INDEX."`
}

func (s lifecycleSettings) policy(documents assets.Documents) ([]byte, error) {
	if s.MergeAfter >= s.DeleteAfter {
		return nil, settingf("MERGE_AFTER (--merge-after): %q is not shorter than DELETE_AFTER (%s), when the index is deleted: use a shorter time", timetext.Format(s.MergeAfter), timetext.Format(s.DeleteAfter))
	}
	policy, err := documents.Lifecycle(s.DeleteAfter, s.MergeAfter)
	if err != nil {
		return nil, fmt.Errorf("create the lifecycle policy: %w", err)
	}
	return policy, nil
}

type ismCommand struct {
	lifecycleSettings
	documentSettings
}

func (*ismCommand) required() []string { return []string{"index-prefix"} }

// Run is called by kong.
func (c *ismCommand) Run(std streams) error {
	documents, err := c.documents(assets.IndexSettings{})
	if err != nil {
		return err
	}
	policy, err := c.policy(documents)
	if err != nil {
		return err
	}
	return std.print(policy)
}

type templateCommand struct {
	documentSettings
	indexSettings
}

func (*templateCommand) required() []string { return []string{"index-prefix"} }

// Run is called by kong.
func (c *templateCommand) Run(std streams) error {
	documents, err := c.documents(c.settings())
	if err != nil {
		return err
	}
	template, err := documents.Template()
	if err != nil {
		return err
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, template.Bodies[0], "", "  "); err != nil {
		return fmt.Errorf("indent the index template: %w", err)
	}
	return std.print(indented.Bytes())
}

type schemaCommand struct{ schemaSettings }

// Run is called by kong.
func (c *schemaCommand) Run(std streams) error {
	schema, err := c.schema()
	if err != nil {
		return err
	}
	return std.print(schema.Source())
}

type fieldsCommand struct{ schemaSettings }

// Run is called by kong.
func (c *fieldsCommand) Run(std streams) error {
	schema, err := c.schema()
	if err != nil {
		return err
	}
	return std.print([]byte(schema.Table()))
}

type dashboardsCommand struct{ documentSettings }

func (*dashboardsCommand) required() []string { return []string{"index-prefix"} }

// Run is called by kong.
func (c *dashboardsCommand) Run(std streams) error {
	documents, err := c.documents(assets.IndexSettings{})
	if err != nil {
		return err
	}
	objects, err := documents.SavedObjects()
	if err != nil {
		return err
	}
	return std.print(bytes.Join(objects, []byte("\n")))
}

// print writes a text to standard output, with a newline at its end.
func (s streams) print(text []byte) error {
	if _, err := fmt.Fprintf(s.out, "%s\n", bytes.TrimSuffix(text, []byte("\n"))); err != nil {
		return fmt.Errorf("write to standard output: %w", err)
	}
	return nil
}
