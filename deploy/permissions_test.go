package deploy

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The task role in logsluice.yaml has exactly the permissions that the code needs. The tests
// compare both, call by call.

// notCalled has the operations in the KCL's source that are not called here, with the reason. A
// name that ends with * stands for all operations of a package.
var notCalled = map[string]string{
	"worker kinesis:SubscribeToShard":       "enhanced fan-out is off",
	"worker kinesis:DescribeStream":         "enhanced fan-out is off",
	"worker kinesis:DescribeStreamConsumer": "enhanced fan-out is off",
	"worker kinesis:RegisterStreamConsumer": "enhanced fan-out is off",
	"checkpoint dynamodb:*":                 "the worker uses our checkpointer",
}

// actions maps operations to IAM actions with other names, or to "" if no permission is needed.
// See https://docs.aws.amazon.com/service-authorization/latest/reference/.
var actions = map[string]string{
	"s3:ListObjectsV2":      "s3:ListBucket",
	"sts:GetCallerIdentity": "", // cannot be denied
}

var prefixes = map[string]string{"cloudwatchlogs": "logs"}

// indirect has the actions that other calls require, with these calls.
var indirect = map[string]string{
	"kms:Decrypt":              "GetRecords of an encrypted stream, only through Kinesis",
	"kms:GenerateDataKey":      "PutObject into an encrypted bucket, only through S3",
	"aoss:APIAccessAll":        "each request to Serverless, whose data access policy has the permissions",
	"aoss:DashboardsAccessAll": "each request to its Dashboards",
}

// searchRequest is a request to a domain in IAM's terms, for INDEX_PREFIX=${IndexPrefix}.
type searchRequest struct{ action, path string }

const (
	get, put, post, del = "es:ESHttpGet", "es:ESHttpPut", "es:ESHttpPost", "es:ESHttpDelete"
	byPrefix            = "${IndexPrefix}"
	api                 = "/_dashboards/api/"
)

// searchRequests has the requests of the code by the place where they are made.
var searchRequests = map[string][]searchRequest{
	"indexer.lookUpName GET":         {{get, "/" + byPrefix + "-2026-01-15/_mapping"}},
	"opensearch.NewBulkRequest POST": {{post, "/_bulk"}},
	"opensearch.template GET":        {{get, "/_index_template/" + byPrefix}, {get, "/_index_template/" + byPrefix + "-dead-letter"}},
	"opensearch.EnsureTemplate PUT":  {{put, "/_index_template/" + byPrefix}, {put, "/_index_template/" + byPrefix + "-dead-letter"}},
	"opensearch.EnsureIndex PUT":     {{put, "/" + byPrefix + "-dead-letter"}},
	"opensearch.mappings GET":        {{get, "/" + byPrefix + "-2026-01-15/_mapping"}},
	"opensearch.ExtendMapping PUT":   {{put, "/" + byPrefix + "-2026-01-15/_mapping"}},
	"opensearch.LookUp GET":          {{get, "/" + byPrefix + "/_settings"}, {get, "/" + byPrefix + "-2026-01-15/_settings"}},
	"opensearch.ListTemplates GET":   {{get, "/_index_template"}},
	"opensearch.SimulateIndex POST":  {{post, "/_index_template/_simulate_index/" + byPrefix + "-2026-01-15"}}, // without -DATE only with DATA_STREAM
	"opensearch.Describe GET":        {{get, "/"}},
	"opensearch.HasDocument GET":     {{get, "/" + byPrefix + "-doctor-x/_doc/x"}},
	"opensearch.DeleteIndex DELETE":  {{del, "/" + byPrefix + "-doctor-x"}},
	"opensearch.IndexNames GET":      {{get, "/" + byPrefix + "-*/_alias"}},
	"opensearch.Search POST":         {{post, "/" + byPrefix + "-dead-letter/_search"}},
	"opensearch.read GET":            {{get, "/_plugins/_ism/policies/" + byPrefix}},
	"opensearch.put PUT":             {{put, "/_plugins/_ism/policies/" + byPrefix}},
	"opensearch.readExplanations GET": {{get, "/_plugins/_ism/explain/" + byPrefix + "-0*," + byPrefix + "-1*"},
		{get, "/_plugins/_ism/explain/" + byPrefix + "-outside"}},
	"opensearch.PoliciesOff GET": {{get, "/_cluster/settings"}},
	"opensearch.attachTo POST":   {{post, "/_plugins/_ism/add/" + byPrefix + "-2026-01-15"}, {post, "/_plugins/_ism/change_policy/" + byPrefix + "-2026-01-15"}},
	"opensearch.Status GET":      {{get, api + "status"}},
	"opensearch.Compare POST":    {{post, api + "saved_objects/_bulk_get"}},
	"opensearch.Import POST":     {{post, api + "saved_objects/_import"}},
	"cli.Run GET":                nil, // healthcheck asks a worker
}

// statement is a statement of the task role, which can depend on a condition of the template.
type statement struct {
	Sid      string `yaml:"Sid"`
	Effect   string `yaml:"Effect"`
	Action   list   `yaml:"Action"`
	Resource list   `yaml:"Resource"`
}

// list is one value or several. CloudFormation functions are replaced by their arguments.
type list []string

// UnmarshalYAML implements yaml.Unmarshaler.
func (l *list) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*l = list{n.Value}
		return nil
	}
	for _, element := range n.Content {
		*l = append(*l, element.Value)
	}
	return nil
}

// statements returns all statements that the task role can have with any parameters.
func statements(t *testing.T) []statement {
	t.Helper()
	text, err := os.ReadFile("logsluice.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Resources struct {
			TaskRole struct {
				Properties struct {
					Policies yaml.Node `yaml:"Policies"`
				} `yaml:"Properties"`
			} `yaml:"TaskRole"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(text, &template); err != nil {
		t.Fatal(err)
	}
	var found []statement
	var visit func(n *yaml.Node)
	visit = func(n *yaml.Node) {
		if n.Kind == yaml.MappingNode && slices.ContainsFunc(n.Content, func(key *yaml.Node) bool { return key.Value == "Effect" }) {
			var s statement
			if err := n.Decode(&s); err != nil {
				t.Fatal(err)
			}
			found = append(found, s)
			return
		}
		for _, inner := range n.Content {
			visit(inner)
		}
	}
	visit(&template.Resources.TaskRole.Properties.Policies)
	return found
}

// matches reports whether an IAM resource covers a path.
func matches(resource, path string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimPrefix(resource, "${OpenSearchArn}")), `\*`, ".*")
	return regexp.MustCompile("^" + pattern + "$").MatchString(path)
}

// The task role allows each AWS action and each request to the domain that the code makes, and
// nothing else.
func TestTaskRole(t *testing.T) {
	needed, made := calledActions(t, packages(t))
	if sites := slices.Sorted(maps.Keys(made)); !slices.Equal(sites, slices.Sorted(maps.Keys(searchRequests))) {
		t.Errorf("requests are made in\n%s\nbut searchRequests has those of\n%s", strings.Join(sites, "\n"), strings.Join(slices.Sorted(maps.Keys(searchRequests)), "\n"))
	}
	granted, used := map[string]string{}, map[searchRequest]bool{}
	for _, s := range statements(t) {
		if s.Effect == "Deny" {
			continue
		}
		if s.Effect != "Allow" || s.Sid == "" {
			t.Errorf("statement %+v", s)
		}
		for _, action := range s.Action {
			if !strings.HasPrefix(action, "es:") {
				granted[action] = s.Sid
				continue
			}
			for _, resource := range s.Resource {
				used[searchRequest{action, resource}] = false
			}
		}
	}
	for action := range needed {
		if granted[action] == "" {
			t.Errorf("%s is called but not granted", action)
		}
	}
	for action, sid := range granted {
		if !needed[action] && indirect[action] == "" {
			t.Errorf("%s is granted (%s) but not called", action, sid)
		}
	}
	for site, asked := range searchRequests {
		for _, d := range asked {
			allowed := false
			for g := range used {
				if g.action == d.action && matches(g.path, d.path) {
					allowed, used[g] = true, true
				}
			}
			if !allowed {
				t.Errorf("%s %s of %s is not granted", d.action, d.path, site)
			}
		}
	}
	for g, isUsed := range used {
		if !isUsed {
			t.Errorf("%s %s is granted but no request needs it", g.action, g.path)
		}
	}
}

// calledActions returns the IAM actions of the calls in sources, and the places of their HTTP
// requests.
func calledActions(t *testing.T, sources []source) (needed, made map[string]bool) {
	t.Helper()
	needed, made = map[string]bool{}, map[string]bool{}
	used := map[string]bool{}
	excused := func(pkg, call string) bool {
		service, _, _ := strings.Cut(call, ":")
		for _, name := range []string{pkg + " " + call, pkg + " " + service + ":*"} {
			if notCalled[name] != "" {
				used[name] = true
				return true
			}
		}
		return false
	}
	for _, s := range sources {
		inKCL := strings.HasPrefix(s.path, kcl)
		for call := range s.calls() {
			pkg := s.path[strings.LastIndex(s.path, "/")+1:]
			if inKCL && excused(pkg, call) {
				continue
			}
			action, special := actions[call]
			if !special {
				service, operation, _ := strings.Cut(call, ":")
				if prefix, other := prefixes[service]; other {
					service = prefix
				}
				action = service + ":" + operation
			}
			if action != "" {
				needed[action] = true
			}
		}
		if !inKCL {
			maps.Copy(made, s.requests())
			if s.path == module+"/consumer/kcl" && (s.uses("WithEnhancedFanOutConsumer") || s.uses("WithEnhancedFanOutConsumerName") || s.uses("WithEnhancedFanOutConsumerARN") || !s.uses("WithCheckpointer")) {
				t.Error("the KCL uses enhanced fan-out, or its own checkpointer")
			}
		}
	}
	for name := range notCalled {
		if !used[name] {
			t.Errorf("%s is not in the KCL", name)
		}
	}
	return needed, made
}
