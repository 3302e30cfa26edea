package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"logsluice/consumer"
)

// The link subscription filters: which log groups send to the stream.

// filterPause is the pause between two calls. CloudWatch Logs accepts 10 calls of a kind per
// second and account, and half of these are left to other programs.
// See https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html.
const filterPause = 200 * time.Millisecond

const maxNamed = 5 // names that are listed in a line

// filter forwards events: it is a log group's subscription filter or an account policy.
type filter struct {
	of           string // the log group, or "the account's log groups" with the policy's criteria
	name         string
	Destination  string `json:"DestinationArn"`
	Role         string `json:"RoleArn"`
	Pattern      string `json:"FilterPattern"`
	Distribution string
}

func (s filter) String() string {
	pattern, distribution := "all events", s.Distribution
	if s.Pattern != "" {
		pattern = fmt.Sprintf("%q", s.Pattern)
	}
	if distribution == "" {
		distribution = string(types.DistributionByLogStream) // the default
	}
	return fmt.Sprintf("%s (%s, %s, %s)", s.of, s.name, pattern, distribution)
}

// filters finds the filters that forward events to the stream.
func (w *walk) filters(ctx context.Context, f *Finding) {
	if a, isARN := consumer.StreamARN(w.Stream); isARN && w.account != "" && a.AccountID != w.account {
		f.skip("the stream is of account %s, and so are the filters that point at it", a.AccountID)
		return
	}
	client := logs.NewFromConfig(w.AWS)
	all, failed := true, false // whether all was read, and whether a call failed
	policies, err := w.accountFilters(ctx, client)
	switch {
	case err != nil && code(err) == "": // the next calls would fail, too
		f.warn(remedyOf(err, ""), "log groups could not be read: %s", awsErrorText(err))
		return
	case err != nil:
		all, failed = false, true
		f.warn(remedyOf(err, "logs:DescribeAccountPolicies"), "policies of the account could not be read: %s", awsErrorText(err))
	}
	groups := w.LogGroups
	if len(groups) == 0 {
		var more bool
		if groups, more, err = w.logGroups(ctx, client); err != nil {
			f.warn(remedyOf(err, "logs:DescribeLogGroups")+", or name some with --log-group", "log groups could not be read: %s", awsErrorText(err))
		} else if more {
			f.note("only the first %d log groups are checked (--most-log-groups, --log-group)", len(groups))
		}
		all, failed = all && err == nil && !more, failed || err != nil
	}
	found, others, without := policies.to(w.isOurs), policies.to(w.isNotOurs), []string(nil)
	for i, group := range groups {
		if i > 0 && !pause(ctx, filterPause) {
			all = false
			break
		}
		filters, err := groupFilters(ctx, client, group)
		var missing *types.ResourceNotFoundException
		switch {
		case errors.As(err, &missing):
			if len(w.LogGroups) > 0 {
				f.fail("correct --log-group", "log group %s does not exist in %s", group, w.AWS.Region)
			}
			continue
		case err != nil:
			all, failed = false, true
			f.warn(remedyOf(err, "logs:DescribeSubscriptionFilters"), "the filters of %s could not be read: %s", group, awsErrorText(err))
		default:
			ours := filters.to(w.isOurs)
			if len(ours) == 0 {
				without = append(without, group)
			}
			found, others = append(found, ours...), append(others, filters.to(w.isNotOurs)...)
			continue
		}
		break // the next calls would fail, too
	}
	if !failed || len(found) > 0 { // filters that could not be read can point at the stream
		w.reportFilters(f, found, others, all)
	}
	if len(w.LogGroups) > 0 && len(without) > 0 && len(policies.to(w.isOurs)) == 0 {
		f.fail(w.subscribe(without[0]), "no filter of %s points at stream %s", firstOf(without), w.Stream)
	}
}

func (w *walk) reportFilters(f *Finding, found, others filters, all bool) {
	byStream := 0
	for _, s := range found {
		if s.Distribution != string(types.DistributionRandom) {
			byStream++
		}
		role, err := arn.Parse(s.Role)
		switch {
		case err != nil || role.Service != "iam":
			f.fail("give the filter a role with kinesis:PutRecord on the stream", "the filter of %s has no role: %q", s.of, s.Role)
		case w.account != "" && role.AccountID != w.account:
			f.warn("give the filter a role in its own account", "the filter of %s has a role of account %s", s.of, role.AccountID)
		}
	}
	switch {
	case len(found) > 0:
		f.note("%d forward to stream %s: %s", len(found), w.Stream, firstOf(texts(found)))
	case len(others) > 0:
		elsewhere := others[0]
		w.reportNoFilter(f, all, "no filter points at stream %s in %s; %d point elsewhere: %s to %s", w.Stream, w.AWS.Region, len(others), elsewhere.of, elsewhere.Destination)
	default:
		w.reportNoFilter(f, all, "no filter points at stream %s in %s", w.Stream, w.AWS.Region)
	}
	if byStream > 0 {
		f.warn("set the filters' distribution to Random, as logsluice needs no order", "%d with Distribution ByLogStream: a log stream goes to one shard, and a busy one fills it", byStream)
	}
}

// reportNoFilter reports that no filter forwards to the stream. It is a failure if all filters
// were read, and a warning if some were not or if a record shows that another account forwards.
func (w *walk) reportNoFilter(f *Finding, all bool, format string, args ...any) {
	report := f.warn
	others := w.sample != nil && w.sample.owner != "" && w.account != "" && w.sample.owner != w.account
	switch {
	case others:
		f.note("log events of account %s arrive", w.sample.owner)
	case all:
		report = f.fail
	}
	report(w.subscribe("/NAME")+"; log groups of other accounts, which send through a destination, cannot be checked from here", format, args...)
}

func (w *walk) subscribe(group string) string {
	return "deploy the stack with its parameter LogGroups, or: aws logs put-subscription-filter --log-group-name " + group +
		" --filter-name logsluice --filter-pattern '' --distribution Random --destination-arn " + w.streamARN + " --role-arn ROLE_ARN"
}

// isOurs reports whether an ARN is the stream's.
func (w *walk) isOurs(destination string) bool {
	a, err := arn.Parse(destination)
	return destination == w.streamARN || err == nil && w.account == "" &&
		a.Service == "kinesis" && a.Resource == "stream/"+w.Stream && a.Region == w.AWS.Region
}

func (w *walk) isNotOurs(destination string) bool { return !w.isOurs(destination) }

type filters []filter

func (all filters) to(is func(destination string) bool) (some filters) {
	for _, s := range all {
		if is(s.Destination) {
			some = append(some, s)
		}
	}
	return some
}

func texts(all filters) []string {
	list := make([]string, len(all))
	for i, s := range all {
		list[i] = s.String()
	}
	return list
}

// firstOf lists the first maxNamed names and the number of the rest.
func firstOf(names []string) string {
	if more := len(names) - maxNamed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], ", "), more)
	}
	return strings.Join(names, ", ")
}

func (w *walk) accountFilters(ctx context.Context, client *logs.Client) (found filters, err error) {
	var answer *logs.DescribeAccountPoliciesOutput
	err = bounded(ctx, func(ctx context.Context) (err error) {
		answer, err = client.DescribeAccountPolicies(ctx, &logs.DescribeAccountPoliciesInput{PolicyType: types.PolicyTypeSubscriptionFilterPolicy})
		return err
	})
	var none *types.ResourceNotFoundException
	if errors.As(err, &none) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, p := range answer.AccountPolicies {
		s := filter{of: "the account's log groups", name: "policy " + aws.ToString(p.PolicyName)}
		if but := aws.ToString(p.SelectionCriteria); but != "" {
			s.of += " with " + but
		}
		if err := json.Unmarshal([]byte(aws.ToString(p.PolicyDocument)), &s); err != nil {
			return nil, fmt.Errorf("read policy %s: %w", aws.ToString(p.PolicyName), err)
		}
		found = append(found, s)
	}
	return found, nil
}

// logGroups returns the names of up to MostLogGroups log groups that can have filters, and
// reports whether there are more.
func (w *walk) logGroups(ctx context.Context, client *logs.Client) (names []string, more bool, err error) {
	pages := logs.NewDescribeLogGroupsPaginator(client, &logs.DescribeLogGroupsInput{LogGroupClass: types.LogGroupClassStandard})
	for pages.HasMorePages() {
		if len(names) >= w.MostLogGroups || len(names) > 0 && !pause(ctx, filterPause) {
			return names[:min(len(names), w.MostLogGroups)], true, nil
		}
		err := bounded(ctx, func(ctx context.Context) error {
			page, err := pages.NextPage(ctx)
			if err == nil {
				for _, g := range page.LogGroups {
					names = append(names, aws.ToString(g.LogGroupName))
				}
			}
			return err
		})
		if err != nil {
			return nil, false, err
		}
	}
	if len(names) > w.MostLogGroups {
		return names[:w.MostLogGroups], true, nil
	}
	return names, false, nil
}

// groupFilters returns the filters of a log group, which can have two.
func groupFilters(ctx context.Context, client *logs.Client, group string) (found filters, err error) {
	var answer *logs.DescribeSubscriptionFiltersOutput
	err = bounded(ctx, func(ctx context.Context) (err error) {
		answer, err = client.DescribeSubscriptionFilters(ctx, &logs.DescribeSubscriptionFiltersInput{LogGroupName: &group})
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, s := range answer.SubscriptionFilters {
		found = append(found, filter{
			of: group, name: aws.ToString(s.FilterName), Destination: aws.ToString(s.DestinationArn), Role: aws.ToString(s.RoleArn),
			Pattern: aws.ToString(s.FilterPattern), Distribution: string(s.Distribution),
		})
	}
	return found, nil
}
