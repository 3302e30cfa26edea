package fakeaccount

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Logs is a fake of CloudWatch Logs with log groups, subscription filters and account policies.
// See https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/Welcome.html.
type Logs struct {
	mu       sync.Mutex
	groups   []string
	filters  map[string][]map[string]any
	policies []map[string]any
	refuse   map[string]string // codes by operation
	calls    map[string][]time.Time
	// throttled counts the calls that came too often.
	throttled int
}

// NewLogs returns a service without log groups.
func NewLogs() *Logs {
	l := &Logs{}
	l.Reset()
	return l
}

// Reset removes everything.
func (l *Logs) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.groups, l.filters, l.policies = nil, map[string][]map[string]any{}, nil
	l.refuse, l.calls, l.throttled = map[string]string{}, map[string][]time.Time{}, 0
}

// Group adds a log group with its subscription filters, as objects of the API.
func (l *Logs) Group(name string, filters ...map[string]any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.groups, l.filters[name] = append(l.groups, name), filters
}

// Policy adds a subscription policy of the account.
func (l *Logs) Policy(name, selection string, document map[string]any) {
	text, _ := json.Marshal(document) // cannot fail for strings
	l.mu.Lock()
	defer l.mu.Unlock()
	l.policies = append(l.policies, map[string]any{
		"policyName": name, "policyDocument": string(text), "policyType": "SUBSCRIPTION_FILTER_POLICY", "scope": "ALL", "accountId": ID, "selectionCriteria": selection,
	})
}

// Refuse makes an operation fail with an error code.
func (l *Logs) Refuse(operation, code string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refuse[operation] = code
}

// Calls returns the number of calls of an operation, and of throttled calls of all operations.
func (l *Logs) Calls(operation string) (calls, throttled int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.calls[operation]), l.throttled
}

const (
	perSecond = 10 // calls of an operation
	page      = 50
)

// ServeHTTP implements http.Handler.
func (l *Logs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "Logs_20140328.")
	var in struct{ LogGroupName, PolicyType, NextToken, LogGroupClass string }
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	refuse := func(code, message string) {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": message})
	}
	answer := func(body map[string]any) { _ = json.NewEncoder(w).Encode(body) }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		refuse("SerializationException", err.Error())
		return
	}
	l.calls[operation] = append(l.calls[operation], time.Now())
	calls := l.calls[operation]
	if n := len(calls); n > perSecond && calls[n-1].Sub(calls[n-1-perSecond]) < time.Second {
		l.throttled++
		refuse("ThrottlingException", "Rate exceeded")
		return
	}
	if code := l.refuse[operation]; code != "" {
		refuse(code, "User: arn:aws:sts::"+ID+":assumed-role/task/x is not authorized to perform: logs:"+operation)
		return
	}
	switch operation {
	case "DescribeAccountPolicies":
		if in.PolicyType != "SUBSCRIPTION_FILTER_POLICY" {
			refuse("InvalidParameterException", "policyType")
			return
		}
		answer(map[string]any{"accountPolicies": append([]map[string]any{}, l.policies...)})
	case "DescribeLogGroups":
		from, _ := strconv.Atoi(in.NextToken)
		to := min(from+page, len(l.groups))
		groups := []any{}
		for _, name := range l.groups[from:to] {
			groups = append(groups, map[string]any{"logGroupName": name, "logGroupClass": "STANDARD"})
		}
		body := map[string]any{"logGroups": groups}
		if to < len(l.groups) {
			body["nextToken"] = strconv.Itoa(to)
		}
		answer(body)
	case "DescribeSubscriptionFilters":
		filters, ok := l.filters[in.LogGroupName]
		if !ok {
			refuse("ResourceNotFoundException", "The specified log group does not exist.")
			return
		}
		answer(map[string]any{"subscriptionFilters": append([]map[string]any{}, filters...)})
	default:
		refuse("UnknownOperationException", operation)
	}
}
