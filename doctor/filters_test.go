package doctor

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"logsluice/internal/fakeaccount"
	"logsluice/internal/fakeaws"
)

// subscribeRemedy returns the remedy for a log group without a filter that points at stream.
func subscribeRemedy(group, stream string) string {
	return "deploy the stack with its parameter LogGroups, or: aws logs put-subscription-filter --log-group-name " + group +
		" --filter-name logsluice --filter-pattern '' --distribution Random --destination-arn " + stream + " --role-arn ROLE_ARN"
}

func TestFilters(t *testing.T) {
	t.Parallel()
	f := func(name string, change func(*chain), state State, found string, remedies ...string) {
		t.Helper()
		expect(t, name, checkLink(t, (*walk).filters, change).found, state, found, remedies...)
	}
	// groups replaces the log groups with one for each filter.
	groups := func(filters ...map[string]any) func(*chain) {
		return func(c *chain) {
			c.logs.Reset()
			for i, filter := range filters {
				c.logs.Group(fmt.Sprint("/g", i), filter)
			}
		}
	}
	// bare replaces the log groups with n without filters.
	bare := func(n int) func(*chain) {
		return func(c *chain) {
			c.logs.Reset()
			for i := range n {
				c.logs.Group(fmt.Sprintf("/g%03d", i))
			}
		}
	}
	named := func(names ...string) func(*chain) { return func(c *chain) { c.LogGroups = names } }
	most := func(n int) func(*chain) { return func(c *chain) { c.MostLogGroups = n } }
	policy := func(selection, stream string) func(*chain) {
		return func(c *chain) {
			c.logs.Policy("p", selection, map[string]any{"DestinationArn": stream, "RoleArn": testRole, "FilterPattern": "", "Distribution": "Random"})
		}
	}
	stream := func(arn string) map[string]any { return forwarding(map[string]any{"destinationArn": arn}) }
	noFilter := subscribeRemedy("/NAME", testStream) + "; log groups of other accounts, which send through a destination, cannot be checked from here"
	elsewhere := testStream + "2"
	other := strings.Replace(testStream, fakeaccount.ID, "111111111111", 1)

	f("fine", nil, OK, "1 forward to stream s: /api (f, all events, Random)")
	f("pattern", groups(forwarding(map[string]any{"filterPattern": "ERROR"})), OK, `1 forward to stream s: /g0 (f, "ERROR", Random)`)
	five := groups(stream(testStream), stream(testStream), stream(testStream), stream(testStream), stream(testStream))
	f("five", five, OK, "5 forward to stream s: /g0 (…), /g1 (…), /g2 (…), /g3 (…), /g4 (f, all events, Random)")
	f("six", groups(stream(testStream), stream(testStream), stream(testStream), stream(testStream), stream(testStream), stream(testStream)), OK,
		"6 forward to stream s: /g0 (f, all events, Random), /g1 (…), /g2 (…), /g3 (…), /g4 (f, all events, Random) and 1 more")
	f("stream of another account", func(c *chain) { c.Stream = other }, Skipped, "the stream is of account 111111111111, and so are the filters that point at it")
	f("stream by its ARN", func(c *chain) { c.Stream = testStream }, OK, "1 forward to stream "+testStream+": /api (…)")
	f("stream of an account, this one unknown", func(c *chain) {
		c.Stream, c.streamARN, c.account = other, other, ""
		groups(stream(other))(c)
	}, OK, "1 forward to stream "+other+": /g0 (…)")

	f("no log group", groups(), Broken, "no filter points at stream s in us-east-1", noFilter)
	f("no filter", bare(2), Broken, "no filter points at stream s in us-east-1", noFilter)
	f("filter to another stream", groups(stream(elsewhere), stream(other)), Broken, "no filter points at stream s in us-east-1; 2 point elsewhere: /g0 to "+elsewhere, noFilter)
	f("one filter to another stream", groups(stream(elsewhere), stream(testStream)), OK, "1 forward to stream s: /g1 (…)")
	// If the account is unknown, filters are matched by region and stream name.
	unknown := func(filters ...map[string]any) func(*chain) {
		return func(c *chain) {
			groups(filters...)(c)
			c.account, c.streamARN = "", "STREAM_ARN"
		}
	}
	f("account unknown", unknown(stream(other)), OK, "1 forward to stream s: /g0 (…)")
	f("account unknown, other stream", unknown(stream(elsewhere)), Broken, "no filter points at stream s in us-east-1; 1 point …", subscribeRemedy("/NAME", "STREAM_ARN"))
	f("account unknown, other region", unknown(stream(strings.Replace(testStream, "us-east-1", "eu-west-1", 1))), Broken, "no filter points …", "deploy")
	f("account unknown, other service", unknown(stream(strings.Replace(testStream, "kinesis", "firehose", 1))), Broken, "no filter points …", "deploy")
	f("account unknown, not an ARN", unknown(stream("s")), Broken, "no filter points …", "deploy")

	role := func(arn string) func(*chain) { return groups(forwarding(map[string]any{"roleArn": arn})) }
	f("no role", role(""), Broken, `the filter of /g0 has no role: ""; 1 forward …`, "give the filter a role with kinesis:PutRecord on the stream")
	f("role of another service", role(testStream), Broken, `the filter of /g0 has no role: "`+testStream+`"; 1 forward …`, "give the filter a role with")
	otherRole := strings.Replace(testRole, fakeaccount.ID, "111111111111", 1)
	f("role of another account", role(otherRole), Warning, "the filter of /g0 has a role of account 111111111111; 1 forward …", "give the filter a role in its own account")
	f("role of an account, this one unknown", func(c *chain) { role(otherRole)(c); c.account = "" }, OK, "1 forward …")
	distribution := func(name any) map[string]any { return forwarding(map[string]any{"distribution": name}) }
	f("by log stream", groups(distribution("ByLogStream"), distribution("Random"), distribution(nil)), Warning,
		"3 forward to stream s: /g0 (f, all events, ByLogStream), /g1 (f, all events, Random), /g2 (f, all events, ByLogStream); 2 with Distribution ByLogStream: …", "set the filters' distribution to Random")

	// A record of another account shows that something else points at the stream.
	comes := func(owner string) func(*chain) {
		return all(groups(), func(c *chain) { c.sample = &sample{arrived: time.Now(), owner: owner} })
	}
	f("events of another account", comes("222222222222"), Warning, "log events of account 222222222222 arrive; no filter points at stream s in us-east-1", noFilter)
	f("events of this account", comes(fakeaccount.ID), Broken, "no filter points …", "deploy")
	f("record without events", comes(""), Broken, "no filter points …", "deploy")
	f("events of an account, this one unknown", all(comes("222222222222"), func(c *chain) { c.account = "" }), Broken, "no filter points …", "deploy")

	f("policy of the account", all(bare(1), policy("", testStream)), OK, "1 forward to stream s: the account's log groups (policy p, all events, Random)")
	f("policy with a selection", all(bare(1), policy("not /own", testStream)), OK, "1 forward to stream s: the account's log groups with not /own (policy p, …)")
	f("policy to another stream", all(bare(1), policy("", elsewhere)), Broken, "no filter points at …; 1 point elsewhere: the account's log groups to "+elsewhere, "deploy")
	f("policies denied", refuse("DescribeAccountPolicies", "AccessDeniedException"), Warning,
		"policies of the account could not be read: AccessDeniedException: no; 1 forward …", allowRemedy("logs:DescribeAccountPolicies"))
	f("policies denied, no filter", all(bare(1), refuse("DescribeAccountPolicies", "AccessDeniedException")), Warning,
		"policies of the account could not be read: AccessDeniedException: no", allowRemedy("logs:DescribeAccountPolicies"))
	f("no policies known", refuse("DescribeAccountPolicies", "ResourceNotFoundException"), OK, "1 forward …")
	f("CloudWatch Logs unreachable", awsUnreachable, Warning, "log groups could not be read: dial tcp: connection refused", noRoute)

	f("named", all(groups(stream(testStream), stream(elsewhere)), named("/g0")), OK, "1 forward to stream s: /g0 (…)")
	f("named without filter", all(groups(stream(testStream), stream(elsewhere), stream(elsewhere)), named("/g0", "/g2", "/g1")), Broken,
		"1 forward to stream s: /g0 (…); no filter of /g2, /g1 points at stream s", subscribeRemedy("/g2", testStream))
	f("all named without filter", all(bare(1), named("/g000")), Broken, "no filter points at stream s in us-east-1; no filter of /g000 points at stream s", noFilter, "deploy")
	f("named, policy of the account", all(bare(1), policy("", testStream), named("/g000")), OK, "1 forward to stream s: the account's log groups (…)")
	f("named, policy to another stream", all(groups(stream(testStream), stream(elsewhere)), policy("", elsewhere), named("/g0", "/g1")), Broken,
		"1 forward …; no filter of /g1 points at stream s", "deploy")
	f("named and missing", named("/nowhere", "/api"), Broken, "log group /nowhere does not exist in us-east-1; 1 forward …", "correct --log-group")
	f("named, groups denied", all(named("/api"), refuse("DescribeLogGroups", "AccessDeniedException")), OK, "1 forward …")
	// refuseFilters refuses the call for the filters of one group.
	refuseFilters := func(group, code string) func(*chain) {
		return func(c *chain) {
			c.fault = func(call fakeaws.Call) (fault fakeaws.Fault) {
				if call.Operation == "DescribeSubscriptionFilters" && strings.Contains(string(call.Body), `"`+group+`"`) {
					fault.Refuse = &fakeaws.APIError{Code: code, Message: "no"}
				}
				return fault
			}
		}
	}
	f("deleted meanwhile", all(groups(stream(testStream), stream(testStream)), refuseFilters("/g0", "ResourceNotFoundException")), OK, "1 forward to stream s: /g1 (…)")
	f("filters denied", all(groups(stream(testStream), stream(testStream), stream(testStream)), refuseFilters("/g1", "AccessDeniedException")), Warning,
		"the filters of /g1 could not be read: AccessDeniedException: no; 1 forward to stream s: /g0 (…)", allowRemedy("logs:DescribeSubscriptionFilters"))
	f("filters denied, no filter", all(bare(2), refuseFilters("/g001", "AccessDeniedException")), Warning, "the filters of /g001 could not be read: …", allowRemedy("logs:DescribeSubscriptionFilters"))
	f("filters broken", refuseFilters("/api", "InternalFailure"), Warning, "the filters of /api could not be read: InternalFailure: no", lookAtAWS)
	f("named, filters denied", all(bare(2), named("/g000", "/g001"), refuseFilters("/g001", "AccessDeniedException")), Broken,
		"the filters of /g001 could not be read: …; no filter of /g000 points at stream s", allowRemedy("logs:DescribeSubscriptionFilters"), "deploy")

	f("groups denied", refuse("DescribeLogGroups", "AccessDeniedException"), Warning, "log groups could not be read: AccessDeniedException: no",
		allowRemedy("logs:DescribeLogGroups")+", or name some with --log-group")
	f("groups denied, policy", all(refuse("DescribeLogGroups", "AccessDeniedException"), policy("", testStream)), Warning,
		"log groups could not be read: AccessDeniedException: no; 1 forward to stream s: the account's …", allowRemedy("logs:DescribeLogGroups")+", or name")
	const first = "only the first %d log groups are checked (--most-log-groups, --log-group); "
	f("more on the page", all(bare(12), most(11)), Warning, fmt.Sprintf(first, 11)+"no filter points …", "deploy")
	f("more on other pages", all(bare(51), most(50)), Warning, fmt.Sprintf(first, 50)+"no filter points …", "deploy")
	f("more, with a filter", all(groups(stream(testStream), stream(elsewhere)), most(1)), OK, fmt.Sprintf(first, 1)+"1 forward …")
	f("just as many", all(bare(50), most(50)), Broken, "no filter points …", "deploy")
	f("just as many on two pages", all(bare(51), most(51)), Broken, "no filter points …", "deploy")
	f("interrupted between pages", all(bare(60), interrupted(filterPause/2)), Warning, fmt.Sprintf(first, 50)+"the filters of /g000 could not be read: …context canceled", noRoute)
	f("interrupted between groups", all(groups(stream(testStream), stream(testStream)), interrupted(filterPause/2)), OK, "1 forward to stream s: /g0 (…)")
	f("interrupted between groups, no filter", all(bare(2), interrupted(filterPause/2)), Warning, "no filter points …", "deploy")
}

// The filters of at most MostLogGroups groups are read, with one call each, no faster than
// CloudWatch Logs allows.
func TestFiltersPace(t *testing.T) {
	t.Parallel()
	f := func(groups, most, pages, filters int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			c := newChain(t)
			c.logs.Reset()
			for i := range groups {
				c.logs.Group(fmt.Sprintf("/g%03d", i))
			}
			c.MostLogGroups = most
			begun := time.Now()
			c.filters(t.Context(), new(Finding))
			gotPages, throttled := c.logs.Calls("DescribeLogGroups")
			gotFilters, _ := c.logs.Calls("DescribeSubscriptionFilters")
			if gotPages != pages || gotFilters != filters || throttled != 0 {
				t.Errorf("%d of %d groups: %d calls for groups, %d for filters, %d throttled", most, groups, gotPages, gotFilters, throttled)
			}
			if took := time.Since(begun); took != time.Duration(pages-1+filters-1)*filterPause {
				t.Errorf("%d of %d groups: took %s", most, groups, took)
			}
		})
	}
	f(60, 100, 2, 60)
	f(200, 12, 1, 12)
	f(200, 50, 1, 50)
	f(200, 51, 2, 51)
	// After a denied call, the filters of the next group are not requested.
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t)
		c.logs.Group("/next")
		c.logs.Refuse("DescribeSubscriptionFilters", "AccessDeniedException")
		c.filters(t.Context(), new(Finding))
		if calls, _ := c.logs.Calls("DescribeSubscriptionFilters"); calls != 1 {
			t.Errorf("%d calls", calls)
		}
	})
}
