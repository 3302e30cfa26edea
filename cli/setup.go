package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"logsluice/doctor"
	"logsluice/internal/safetext"
	"logsluice/mapping/schema"
	"logsluice/opensearch"
	"logsluice/opensearch/assets"
)

// setupCommand installs or updates templates, policy and dashboards on a domain.
type setupCommand struct {
	opensearchSettings
	dashboardsSettings
	documentSettings
	indexSettings
	lifecycleSettings
	Existing bool     `help:"Also apply the policy to existing indices that have none, or an earlier version of it. Those past their age are then deleted within minutes."`
	Skip     []string `enum:"templates,policy,dashboards" placeholder:"PART" help:"Leave parts out: templates, policy or dashboards."`
	DryRun   bool     `help:"Show what would change and change nothing."`
	Output   string   `enum:"text,json" default:"text" placeholder:"FORMAT" help:"Output format: text or json."`
}

// partTimeout bounds the time for one part.
const partTimeout = time.Minute

// outcome is the result for one object on a domain.
type outcome struct {
	Kind  string     `json:"kind"`
	Name  string     `json:"name"`
	State setupState `json:"state"`
	// Changes are the differences, each with its path.
	Changes []string `json:"changes,omitempty"`
	// Warnings are related problems, each with its remedy.
	Warnings []string `json:"warnings,omitempty"`
	Note     string   `json:"note,omitempty"`
	Error    string   `json:"error,omitempty"`
}

// setupState is the state of an object after setup, or the one it would have after it.
type setupState string

const (
	stateInPlace      setupState = "in place"
	stateInstalled    setupState = "installed"
	stateChanged      setupState = "changed"
	stateWouldInstall setupState = "would be installed"
	stateWouldChange  setupState = "would be changed"
	stateLeftOut      setupState = "left out"
	stateFailed       setupState = "failed"
)

const (
	maxChanges = 12 // changes that are printed of an object
	maxOthers  = 3  // indices that are named in a note
)

// setup is one run of the command.
type setup struct {
	*setupCommand
	outcomes []outcome
}

func (c *setupCommand) required() []string {
	names := []string{"opensearch-url", "index-prefix"}
	if c.OpensearchSigv4 != "" && (c.OpensearchURL.URL == nil || c.signingRegion("") == "") {
		names = append(names, regionVariable)
	}
	return names
}

// Run is called by kong.
func (c *setupCommand) Run(ctx context.Context, std streams) error {
	documents, err := c.documents(c.settings())
	if err != nil {
		return err
	}
	policy, err := c.policy(documents)
	if err != nil {
		return err
	}
	if err := c.opensearchSettings.check(); err != nil {
		return err
	}
	if err := c.dashboardsSettings.check(c.opensearchSettings); err != nil {
		return err
	}
	awsConfig, err := c.loadAWS(ctx)
	if err != nil {
		return err
	}
	search, err := c.opensearchSettings.client(awsConfig, 1)
	if err != nil {
		return err
	}
	defer search.Close()
	for _, access := range []doctor.Access{c.opensearchSettings.access(), c.dashboardsSettings.access(c.opensearchSettings)} {
		if found, remedy := access.Exposed(); found != "" {
			fmt.Fprintf(std.err, "logsluice: warning: %s: %s\n", found, remedy)
		}
	}
	var dashboards *opensearch.Dashboards
	client, err := c.dashboardsSettings.client(c.opensearchSettings, awsConfig)
	if err != nil {
		return err
	}
	if client != nil {
		defer client.Close()
		dashboards = &opensearch.Dashboards{Client: client, Tenant: c.DashboardsTenant}
	}

	templates, err := documents.Templates()
	if err != nil {
		return err
	}
	s := &setup{setupCommand: c}
	skips := func(part string) bool { return slices.Contains(c.Skip, part) }
	if !skips("templates") || !skips("policy") {
		if err := c.reach(ctx, search); err != nil {
			s.record("OpenSearch", "", nil, withRemedy(err, c.opensearchSettings.access()))
			skips = func(part string) bool { return part != "dashboards" || slices.Contains(c.Skip, part) }
		}
	}
	// If DATA_STREAM contradicts the domain, nothing is changed, as no part would be right.
	// If the request fails, the parts report the error.
	if concerns, err := concernsAt(ctx, search, targetsOf(documents.Naming, templates...), time.Now()); err == nil {
		if err := firstRefusal(concerns); err != nil {
			return err
		}
	}

	for _, part := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"templates", func(ctx context.Context) error { return s.templates(ctx, search, documents.Naming, templates) }},
		{"policy", func(ctx context.Context) error { return s.policy(ctx, search, documents.Naming.Prefix, policy) }},
		{"dashboards", func(ctx context.Context) error { return s.dashboards(ctx, dashboards, documents) }},
	} {
		switch {
		case slices.Contains(c.Skip, part.name):
			s.add(outcome{Kind: part.name, State: stateLeftOut, Note: "--skip"})
			continue
		case skips(part.name):
			s.add(outcome{Kind: part.name, State: stateLeftOut, Note: "OpenSearch cannot be used"})
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, partTimeout)
		err := part.do(ctx)
		cancel()
		if err != nil {
			return err
		}
	}
	return s.finish(std)
}

// reach asks OpenSearch for its description, as doctor does. Without it, each part would fail
// in the same way, or would take another server's 404 to mean that nothing is installed yet.
func (c *setupCommand) reach(ctx context.Context, search opensearch.Client) error {
	if c.OpensearchSigv4 == "aoss" { // Serverless has no response at /
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, opensearch.InstallTimeout)
	defer cancel()
	_, err := opensearch.Describe(ctx, search)
	if opensearch.HasStatus(err, http.StatusForbidden) { // the user can still have the rights that setup needs
		return nil
	}
	return err
}

func (s *setup) add(o outcome) { s.outcomes = append(s.outcomes, o) }

// record adds the outcome for an object.
func (s *setup) record(kind, name string, changes []string, err error) {
	o := outcome{Kind: kind, Name: name, Changes: changes}
	isNew := slices.Equal(changes, []string{opensearch.Installed})
	if isNew {
		o.Changes = nil
	}
	switch {
	case err != nil:
		o.State, o.Error = stateFailed, strings.ReplaceAll(err.Error(), "\n", "; ")
	case len(changes) == 0:
		o.State = stateInPlace
	case s.DryRun && isNew:
		o.State = stateWouldInstall
	case s.DryRun:
		o.State = stateWouldChange
	case isNew:
		o.State = stateInstalled
	default:
		o.State = stateChanged
	}
	s.add(o)
}

func (s *setup) templates(ctx context.Context, search opensearch.Client, naming schema.Naming, templates []opensearch.Template) error {
	for _, t := range templates {
		changes, concerns, err := s.template(ctx, search, naming, t)
		s.record("template", t.Name, changes, withRemedy(err, s.opensearchSettings.access()))
		s.warn(concerns...)
	}
	return nil
}

// template installs an index template, or only compares it with --dry-run. It returns the
// changes, and concerns about other templates for the same indices.
func (s *setup) template(ctx context.Context, search opensearch.Client, naming schema.Naming, t opensearch.Template) (changes []string, concerns []doctor.Concern, err error) {
	if s.DryRun {
		changes, err = opensearch.TemplateChanges(ctx, search, t)
	} else {
		_, changes, err = opensearch.EnsureTemplate(ctx, search, t)
	}
	if err != nil {
		return nil, nil, err
	}
	targets, err := targetsOf(naming, t)(time.Now())
	if err != nil {
		return nil, nil, err
	}
	concerns, err = doctor.CheckTargets(ctx, search, targets)
	if i := slices.IndexFunc(concerns, doctor.Concern.Stops); i >= 0 {
		err = errors.New(concerns[i].String())
	}
	return changes, concerns, err
}

func (s *setup) policy(ctx context.Context, search opensearch.Client, name string, body []byte) error {
	if s.OpensearchSigv4 == "aoss" {
		s.add(outcome{Kind: "policy", Name: name, State: stateLeftOut, Note: "OpenSearch Serverless has its own lifecycle policies in AWS"})
		return nil
	}
	policy, err := opensearch.ReadPolicy(ctx, search, name, body)
	var changes []string
	switch {
	case err != nil:
	case s.DryRun:
		changes = policy.Changes()
	default:
		changes, err = policy.Install(ctx)
	}
	s.record("policy", name, changes, withRemedy(err, s.opensearchSettings.access()))
	if err == nil {
		s.warn(doctor.PoliciesOff(ctx, search)...)
		s.indices(ctx, policy, name)
	}
	return nil
}

// warn adds warnings to the last outcome.
func (s *setup) warn(concerns ...doctor.Concern) {
	last := &s.outcomes[len(s.outcomes)-1]
	for _, c := range concerns {
		if c.Stops() { // it is the outcome's error
			continue
		}
		last.Warnings = append(last.Warnings, c.String())
	}
}

// indices handles existing indices, to which OpenSearch does not attach a new policy by itself.
// It attaches the policy only with --existing, because indices past their age are then deleted.
func (s *setup) indices(ctx context.Context, policy *opensearch.Policy, name string) {
	found, err := policy.Indices(ctx)
	var changes []string
	for _, index := range found.Without {
		changes = append(changes, index+": no policy → "+name)
	}
	for _, index := range found.Older {
		changes = append(changes, index+": an earlier version of "+name+" → this one")
	}
	if !s.Existing && len(changes) > 0 {
		s.add(outcome{Kind: "indices", Name: name, State: stateLeftOut, Changes: changes, Note: "--existing attaches the policy, and indices past their age are then deleted within minutes"})
		return
	}
	if err == nil && len(changes) > 0 && !s.DryRun {
		err = policy.Attach(ctx, found)
	}
	s.record("indices", name, changes, withRemedy(err, s.opensearchSettings.access()))
	if others := len(found.Other); others > 0 {
		s.outcomes[len(s.outcomes)-1].Note = fmt.Sprintf("%d have another policy and keep it: %s", others, firstOf(found.Other))
	}
}

func firstOf(names []string) string {
	if len(names) > maxOthers {
		return strings.Join(names[:maxOthers], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}

func (s *setup) dashboards(ctx context.Context, dashboards *opensearch.Dashboards, documents assets.Documents) error {
	if dashboards == nil {
		s.add(outcome{Kind: "dashboards", State: stateLeftOut, Note: "DASHBOARDS_URL (--dashboards-url) is not set"})
		return nil
	}
	lines, err := documents.SavedObjects()
	if err != nil {
		return err
	}
	objects, err := dashboards.Compare(ctx, lines)
	if err == nil && !s.DryRun {
		err = dashboards.Import(ctx, objects)
	}
	if err != nil {
		s.record("dashboards", "", nil, withRemedy(err, s.dashboardsSettings.access(s.opensearchSettings)))
		return nil
	}
	for _, o := range objects {
		s.record(o.Type, o.ID, o.Changes, withRemedy(o.Err, s.dashboardsSettings.access(s.opensearchSettings)))
	}
	return nil
}

// finish prints the outcomes, and fails if any failed.
func (s *setup) finish(std streams) error {
	var page bytes.Buffer
	if s.Output == "json" {
		if err := writeJSON(&page, s.outcomes); err != nil {
			return fmt.Errorf("write the outcome: %w", err)
		}
	} else {
		var text strings.Builder
		for _, o := range s.outcomes {
			o.print(&text)
		}
		page.WriteString(safetext.Escape(text.String()))
	}
	if err := std.print(page.Bytes()); err != nil {
		return err
	}
	failures := 0
	for _, o := range s.outcomes {
		if o.State == stateFailed {
			failures++
		}
	}
	if failures > 0 {
		return fmt.Errorf("%d of %d could not be set up", failures, len(s.outcomes))
	}
	return nil
}

func (o outcome) print(w io.Writer) {
	fmt.Fprint(w, o.Kind)
	if o.Name != "" {
		fmt.Fprint(w, " ", o.Name)
	}
	fmt.Fprint(w, ": ", o.State)
	for _, more := range []string{o.Note, o.Error} {
		if more != "" {
			fmt.Fprint(w, ": ", more)
		}
	}
	fmt.Fprintln(w)
	for _, warning := range o.Warnings {
		fmt.Fprintln(w, "  warning: "+warning)
	}
	for i, change := range o.Changes {
		if i == maxChanges {
			fmt.Fprintf(w, "  and %d more\n", len(o.Changes)-i)
			break
		}
		fmt.Fprintln(w, "  "+change)
	}
}
