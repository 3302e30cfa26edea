package subscription

import (
	"fmt"
	"strings"
	"testing"
)

// envelopes decodes plain JSON and returns a copy of the result.
func envelopes(t *testing.T, data string) []string {
	t.Helper()
	var list []string
	_, err := NewDecoder(bound).Decode([]byte(data), func(e *Envelope) {
		var b strings.Builder
		fmt.Fprintf(&b, "%s %s %s", []byte(e.Owner), []byte(e.LogGroup), []byte(e.LogStream))
		for _, ev := range e.Events {
			fmt.Fprintf(&b, " [%s %d %s]", ev.ID, ev.Timestamp, []byte(ev.Message))
		}
		for _, r := range e.Rejected {
			fmt.Fprintf(&b, " !%s: %v", r.Raw, r.Err)
		}
		list = append(list, b.String())
	})
	if err != nil {
		t.Fatalf("%.300s: %v", data, err)
	}
	return list
}

var id56 = strings.Repeat("1", 56)

// All JSON notations of an envelope give the same bytes.
func TestEnvelopeNotations(t *testing.T) {
	want := `"123456789012" "/ecs/\"x\"" "s/é/1" [` + id56 + ` 1544414264183 "{\"a\":\"b\"}\n/日本\u001b[0m"]`
	f := func(data string) {
		t.Helper()
		if got := envelopes(t, data); len(got) != 1 || got[0] != want {
			t.Errorf("%s\n got %s\nwant %s", data, got, want)
		}
	}
	const message = `"{\"a\":\"b\"}\n/日本\u001b[0m"`
	f(`{"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"/ecs/\"x\"","logStream":"s/é/1","subscriptionFilters":["f"],"logEvents":[{"id":"` + id56 + `","timestamp":1544414264183,"message":` + message + `}]}`)
	f(`{"logEvents":[{"message":` + message + `,"timestamp":1544414264183,"id":"` + id56 + `"}],"logStream":"s/é/1","logGroup":"/ecs/\"x\"","owner":"123456789012","messageType":"DATA_MESSAGE"}`)
	f(" {\n\t\"messageType\" : \"DATA_MESSAGE\" ,\r\n \"owner\":\"123456789012\" , \"logGroup\":\"\\/ecs\\/\\u0022x\\u0022\",\"logStream\":\"s\\/\\u00e9\\/1\",\"logEvents\" : [ { \"id\" : \"" + id56 + "\" , \"timestamp\" : 1544414264183 , \"message\" : " + message + " } ] } ")
	f(`{"\u006dessageType":"DATA\u005fMESSAGE","owner":"12345678901\u0032","logGroup":"/ecs/\"x\"","logStream":"s/\u00E9/1","log\u0045vents":[{"\u0069d":"` + strings.Repeat(`\u0031`, 56) + `","timestamp":1544414264183,"messag\u0065":"{\u0022a\u0022:\"b\"}\u000a\/\u65e5\u672C\u001B[0m"}]}`)
	f(`{"policyLevel":"ACCOUNT_LEVEL_POLICY","x":{"y":[1,-2.5e+3,true,false,null,{"z":[]},{}]},"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"/ecs/\"x\"","logStream":"s/é/1","logEvents":[{"id":"` + id56 + `","timestamp":1544414264183,"extractedFields":{"@aws.account":"1","@aws.region":"r"},"message":` + message + `}]}`)
	for _, number := range []string{"1544414264183.0", "1544414264183.000", "1.544414264183E+12", "1544414264183e0", "15444142641830e-1", "0.001544414264183e15"} {
		f(`{"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"/ecs/\"x\"","logStream":"s/é/1","logEvents":[{"id":"` + id56 + `","timestamp":` + number + `,"message":` + message + `}]}`)
	}
}

func withEvents(events string) string {
	return `{"messageType":"DATA_MESSAGE","logEvents":[` + events + `]}`
}

// Strings become valid JSON and valid UTF-8, and are never lost.
func TestText(t *testing.T) {
	f := func(in, want, wantDecoded string) {
		t.Helper()
		seen := false
		_, err := NewDecoder(bound).Decode([]byte(withEvents(`{"timestamp":0,"message":"`+in+`"}`)), func(e *Envelope) {
			for _, ev := range e.Events {
				seen = true
				if string(ev.Message) != `"`+want+`"` || ev.Message.String() != wantDecoded {
					t.Errorf("%q: got %s (%q), want %s (%q)", in, []byte(ev.Message), ev.Message.String(), want, wantDecoded)
				}
			}
		})
		if err != nil || !seen {
			t.Errorf("%q: %v", in, err)
		}
	}
	f("", "", "")
	f("plain", "plain", "plain")
	f(`\"\\\n\t\r\b\f`, `\"\\\n\t\r\b\f`, "\"\\\n\t\r\b\f")
	f(`\/`, `/`, "/")
	f(`\u0000\u001f\u001B\u007f`, `\u0000\u001f\u001b`+"\u007f", "\x00\x1f\x1b\x7f")
	f(`\u000a\u0009\u000d\u0008\u000c`, `\n\t\r\b\f`, "\n\t\r\b\f")
	f(`\u0041\u00e9\u65e5`, "Aé日", "Aé日")
	f(`\ud83d\ude00`, "😀", "😀")
	f("😀👩‍👧", "😀👩‍👧", "😀👩‍👧")
	f("\u2028\u2029", "\u2028\u2029", "\u2028\u2029")
	long := strings.Repeat("/", 1<<17)
	f(strings.Repeat(`\/`, len(long)), long, long)
	// Invalid Unicode: one U+FFFD for each lone surrogate and invalid byte.
	f(`\ud83d`, "\ufffd", "\ufffd")
	f(`\ude00`, "\ufffd", "\ufffd")
	f(`a\ud83db`, "a\ufffdb", "a\ufffdb")
	f(`\ud83d\u0041`, "\ufffdA", "\ufffdA")
	f(`\ud83d\ud83d\ude00`, "\ufffd😀", "\ufffd😀")
	f(`\ud83d\n`, "\ufffd\\n", "\ufffd\n")
	f("a\xffb\xc3", "a\ufffdb\ufffd", "a\ufffdb\ufffd")
	f("\xed\xa0\xbd", "\ufffd\ufffd\ufffd", "\ufffd\ufffd\ufffd")
	f("\xe6\x97", "\ufffd\ufffd", "\ufffd\ufffd")
	f("\ufffd", "\ufffd", "\ufffd")
	// Unescaped control characters are invalid JSON, but the line is kept.
	f("a\nb\x00c\x1bd\te", `a\nb\u0000c\u001bd\te`, "a\nb\x00c\x1bd\te")
}

// Many rewritten strings in one envelope do not overwrite each other.
func TestRewrittenStringsAreSeparate(t *testing.T) {
	var events, want []string
	for i := range 2000 {
		id := fmt.Sprintf("%056d", i)
		events = append(events, fmt.Sprintf(`{"id":"%s","timestamp":%d,"message":"\u0061\/%d"}`, id, i, i))
		want = append(want, fmt.Sprintf(`[%s %d "a/%d"]`, id, i, i))
	}
	got := envelopes(t, `{"owner":"\u0031","messageType":"DATA_MESSAGE","logEvents":[`+strings.Join(events, ",")+`],"logGroup":"\u0067"}`)
	if len(got) != 1 || got[0] != `"1" "g" "" `+strings.Join(want, " ") {
		t.Errorf("%.200s", got)
	}
}

// A visitor can append to a text without changing others.
func TestAppendToText(t *testing.T) {
	f := func(message string) {
		t.Helper()
		event := `{"timestamp":1,"message":"` + message + `"}`
		messages := 0
		_, err := NewDecoder(bound).Decode([]byte(withEvents(event+","+event)), func(e *Envelope) {
			for _, ev := range e.Events {
				if got := ev.Message.String(); got != strings.Repeat("a", 100) {
					t.Errorf("%s became %q", message, got)
				}
				_ = append(ev.Message, strings.Repeat("b", 100)...)
				messages++
			}
		})
		if err != nil || messages != 2 {
			t.Errorf("%s: %d messages, %v", message, messages, err)
		}
	}
	f(strings.Repeat("a", 100))
	f(strings.Repeat(`\u0061`, 100))
}

// The limit of rewritten strings applies per envelope, and is counted again for windows
// after the first.
func TestRewrittenBound(t *testing.T) {
	d := NewDecoder(1000)
	d.window = 2
	f := func(events, copies int, want bool) {
		t.Helper()
		// Each message takes 100 of 1000 bytes.
		data := strings.Repeat(withEvents(strings.TrimSuffix(strings.Repeat(`{"timestamp":1,"message":"ab`+strings.Repeat("\x01", 16)+`"},`, events), ",")), copies)
		got := 0
		_, err := d.Decode([]byte(data), func(e *Envelope) { got += len(e.Events) })
		if (err == nil) != want || want && got != events*copies || !want && got > 0 {
			t.Errorf("%d events in each of %d envelopes: %d events, %v", events, copies, got, err)
		}
	}
	f(10, 1, true)
	f(11, 1, false)
	f(2, 100, true)
	f(10, 5, true)
}

// Elements that are not log events are rejected with their JSON; other events are
// unaffected.
func TestRejected(t *testing.T) {
	f := func(raw string, reason error) {
		t.Helper()
		good := `{"id":"` + id56 + `","timestamp":1,"message":"m"}`
		got := envelopes(t, withEvents(good+" , "+raw+" , "+good))
		want := fmt.Sprintf(`"" "" "" [%s 1 "m"] [%s 1 "m"] !%s: %v`, id56, id56, raw, reason)
		if len(got) != 1 || got[0] != want {
			t.Errorf("%s\n got %s\nwant %s", raw, got, want)
		}
	}
	f(`7`, errNotObject)
	f(`null`, errNotObject)
	f(`["a",{"b":1}]`, errNotObject)
	f(`{}`, errNoMessage)
	f(`{"timestamp":1}`, errNoMessage)
	f(`{"timestamp":1,"message":7}`, errNoMessage)
	f(`{"timestamp":1,"message":{"a":"b"}}`, errNoMessage)
	f(`{"timestamp":1,"message":null}`, errNoMessage)
	f(`{"message":"m"}`, errNoTimestamp)
	f(`{"timestamp":"1","message":"m"}`, errNoTimestamp)
	f(`{"timestamp":null,"message":"m"}`, errNoTimestamp)
	f(`{"timestamp":1.5,"message":"m"}`, errNoTimestamp)
	f(`{"timestamp":1e300,"message":"m"}`, errNoTimestamp)
	f(`{"timestamp":1e999,"message":"m"}`, errNoTimestamp)
	// It is 1000, but strconv parses it as 0.
	f(`{"timestamp":0.`+strings.Repeat("0", 100_000)+`1e100004,"message":"m"}`, errNoTimestamp)
	f(`{"timestamp":253402300800000,"message":"m"}`, errNoTimestamp)
	f(`{"timestamp":-62167219200001,"message":"m"}`, errNoTimestamp)
	f(`{"timestamp":99999999999999999999999,"message":"m"}`, errNoTimestamp)
}

// The last value of a duplicate key counts, as in JSON. What is left out because of that
// is reported: for an event with its JSON, for an envelope as an error.
func TestDuplicateKey(t *testing.T) {
	const good = `{"timestamp":1,"message":"m","id":"` // an id follows
	f := func(data, wantEvents, wantRejected, wantErr string) {
		t.Helper()
		for _, window := range []int{maxWindow, 1} {
			d := NewDecoder(bound)
			d.window = window
			var events, rejected []string
			_, err := d.Decode([]byte(data), func(e *Envelope) {
				for _, ev := range e.Events {
					events = append(events, fmt.Sprintf("%s %d %s %s%s", []byte(e.LogGroup), ev.Timestamp, []byte(ev.Message), []byte(ev.Account), []byte(ev.Region)))
				}
				for _, r := range e.Rejected {
					rejected = append(rejected, fmt.Sprintf("%s: %v", r.Raw, r.Err))
				}
			})
			gotErr := ""
			if err != nil {
				gotErr = err.Error()
			}
			if got := strings.Join(events, "; "); got != wantEvents {
				t.Errorf("%s\n got %s\nwant %s", data, got, wantEvents)
			}
			if got := strings.Join(rejected, "; "); got != wantRejected {
				t.Errorf("%s\nrejected %s\nwant     %s", data, got, wantRejected)
			}
			if !strings.Contains(gotErr, wantErr) || (gotErr == "") != (wantErr == "") {
				t.Errorf("%s\nerror %s, want %s", data, gotErr, wantErr)
			}
		}
	}
	element := func(raw, wantEvent, wantReason string) {
		t.Helper()
		if wantEvent != "" {
			wantEvent = "; " + wantEvent
		}
		other := good + id56 + `"}`
		f(`{"messageType":"DATA_MESSAGE","logGroup":"g","logEvents":[`+other+`,`+raw+`,`+other+`]}`,
			`"g" 1 "m" `+wantEvent+`; "g" 1 "m" `, raw+": "+wantReason, "")
	}
	const more = " occurs more than once in an object: the last value counts"
	id := `"` + id56 + `"`
	element(`{"id":`+id+`,"timestamp":1,"message":"a","message":"b"}`, `"g" 1 "b" `, "message"+more)
	element(`{"id":`+id+`,"timestamp":1,"message":7,"message":"b"}`, `"g" 1 "b" `, "message"+more)
	element(`{"id":`+id+`,"timestamp":1,"message":"a","message":7}`, "", errNoMessage.Error())
	element(`{"id":`+id+`,"timestamp":1,"message":"a","message":null}`, "", errNoMessage.Error())
	element(`{"id":`+id+`,"timestamp":1,"message":"a","timestamp":2}`, `"g" 2 "a" `, "timestamp"+more)
	element(`{"id":`+id+`,"timestamp":1,"message":"a","timestamp":"2"}`, "", errNoTimestamp.Error())
	element(`{"id":1,"timestamp":1,"message":"a","id":`+id+`}`, `"g" 1 "a" `, "id"+more)
	element(`{"timestamp":1,"message":"a","extractedFields":{"@aws.account":"1","@aws.region":"r"},"extractedFields":{"@aws.region":"s"}}`, `"g" 1 "a" "s"`, "extractedFields"+more)
	element(`{"timestamp":1,"message":"a","extractedFields":{"@aws.account":"1"},"extractedFields":null}`, `"g" 1 "a" `, "extractedFields"+more)
	element(`{"timestamp":1,"message":"a","extractedFields":{"@aws.account":"1","@aws.account":7}}`, `"g" 1 "a" `, "@aws.account"+more)

	event := good + id56 + `"}`
	f(`{"messageType":"DATA_MESSAGE","logGroup":"g","logEvents":[`+event+`,7],"logEvents":[`+event+`]}`, `"g" 1 "m" `, "", "byte 0: logEvents"+more)
	f(`{"messageType":"DATA_MESSAGE","logGroup":"g","logEvents":[`+event+`],"logEvents":[7]}`, "", "7: "+errNotObject.Error(), "logEvents"+more)
	f(`{"messageType":"DATA_MESSAGE","logGroup":"g","logEvents":[`+event+`],"logEvents":[]}`, "", "", "logEvents"+more)
	f(`{"messageType":"DATA_MESSAGE","logGroup":"g","logEvents":[`+event+`],"logEvents":7}`, "", "", "no logEvents array")
	f(`{"messageType":"DATA_MESSAGE","logGroup":"f","logGroup":"g","logEvents":[`+event+`]}`, `"g" 1 "m" `, "", "logGroup"+more)
	f(`{"messageType":"DATA_MESSAGE","owner":"1","owner":null,"logGroup":"g","logEvents":[`+event+`]}`, `"g" 1 "m" `, "", "owner"+more)
	f(`{"messageType":"DATA_MESSAGE","logStream":"1","logStream":7,"logGroup":"g","logEvents":[`+event+`]}`, "", "", "logStream is not a string")
	f(`{"messageType":"CONTROL_MESSAGE","messageType":"DATA_MESSAGE","logGroup":"g","logEvents":[`+event+`]}`, `"g" 1 "m" `, "", "messageType"+more)
	f(`{"messageType":"DATA_MESSAGE","messageType":"CONTROL_MESSAGE","owner":"1","owner":"2","logEvents":[`+event+`]}`, "", "", "messageType"+more)
}

// idOf returns the identity of the last event.
func idOf(t *testing.T, origin, events string) string {
	t.Helper()
	id := ""
	_, err := NewDecoder(bound).Decode([]byte(`{"messageType":"DATA_MESSAGE",`+origin+`"logEvents":[`+events+`]}`), func(e *Envelope) {
		id = string(e.Events[len(e.Events)-1].ID)
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestIdentity(t *testing.T) {
	event := func(id string) string { return `{"id":` + id + `,"timestamp":5,"message":"m"}` }
	for _, n := range []int{32, 56, 128} {
		digits := strings.Repeat("7", n)
		if got := idOf(t, "", event(`"`+digits+`"`)); got != digits {
			t.Errorf("an id of %d digits became %s", n, got)
		}
	}
	const origin = `"owner":"o","logGroup":"g","logStream":"s",`
	hashed := idOf(t, origin, event(`"0"`))
	// Already indexed events must keep this identity.
	if hashed != "b1bbcd38d44cbc4b83b19ecc6722c387" {
		t.Errorf("identity %q", hashed)
	}
	// Without a trusted id, the identity is that of the event.
	for _, id := range []string{`0`, `1`, `"1"`, `""`, `null`, `true`, `{"a":1}`, strings.Repeat("7", 56), `"` + strings.Repeat("7", 31) + `"`, `"` + strings.Repeat("7", 129) + `"`, `"` + strings.Repeat("7", 55) + `x"`, `"` + strings.Repeat("７", 56) + `"`, `"` + strings.Repeat("7", 56) + `","id":0`} {
		if got := idOf(t, origin, event(id)); got != hashed {
			t.Errorf("id %s became %s, want %s", id, got, hashed)
		}
	}
	if got := idOf(t, origin, `{"timestamp":5.0,"message":"\u006d"}`); got != hashed {
		t.Error("the identity depends on the notation")
	}
	// The second equal event in a record has another identity; in another record, the
	// first has the same.
	second := idOf(t, origin, event(`"0"`)+","+event(`"1"`))
	if second != "824dadf2b63db399d48efcbfc10451ee" {
		t.Errorf("identity of a second occurrence %q", second)
	}
	if third := idOf(t, origin, event(`"0"`)+","+event(`"1"`)+","+event(`"2"`)); third == second || third == hashed {
		t.Error("three occurrences have fewer than three identities")
	}
	if got := idOf(t, origin, `{"timestamp":6,"message":"m"},`+event(`"9"`)); got != hashed {
		t.Error("another event changes the identity")
	}
	seen := map[string]string{hashed: "the first"}
	for name, got := range map[string]string{
		"owner":     idOf(t, `"owner":"p","logGroup":"g","logStream":"s",`, event(`"0"`)),
		"group":     idOf(t, `"owner":"o","logGroup":"h","logStream":"s",`, event(`"0"`)),
		"stream":    idOf(t, `"owner":"o","logGroup":"g","logStream":"t",`, event(`"0"`)),
		"shifted":   idOf(t, `"owner":"og","logGroup":"","logStream":"s",`, event(`"0"`)),
		"timestamp": idOf(t, origin, `{"id":"0","timestamp":6,"message":"m"}`),
		"message":   idOf(t, origin, `{"id":"0","timestamp":5,"message":"n"}`),
	} {
		if other, clash := seen[got]; clash {
			t.Errorf("%s and %s have the same identity", name, other)
		}
		seen[got] = name
	}
	// The origin can follow the events.
	var late string
	if _, err := NewDecoder(bound).Decode([]byte(`{"logEvents":[`+event(`"0"`)+`],"logStream":"s","logGroup":"g","owner":"o","messageType":"DATA_MESSAGE"}`),
		func(e *Envelope) { late = string(e.Events[0].ID) }); err != nil || late != hashed {
		t.Errorf("identity %s, %v", late, err)
	}
}

// Equal events without ids in two envelopes of one input share an identity, because the
// archive does not show where a record ends. The second one is marked.
func TestIdentical(t *testing.T) {
	envelope := func(stream string, events ...string) string {
		return `{"messageType":"DATA_MESSAGE","logStream":"` + stream + `","logEvents":[` + strings.Join(events, ",") + `]}`
	}
	event := func(id, message string) string { return `{"id":` + id + `,"timestamp":5,"message":"` + message + `"}` }
	trusted := `"` + id56 + `"`
	d := NewDecoder(bound)
	f := func(want string, input ...string) {
		t.Helper()
		for _, data := range [][]byte{[]byte(strings.Join(input, " ")), zip(strings.Join(input, "")), zip(string(zip(input[0])) + string(zip(input[1:]...)))} {
			for _, d.window = range []int{maxWindow, 1} {
				got, ids := "", map[string]bool{}
				if _, err := d.Decode(data, func(e *Envelope) {
					for _, ev := range e.Events {
						got += map[bool]string{false: ".", true: "="}[ev.Identical]
						if ids[string(ev.ID)] != ev.Identical && ev.OriginalID != nil {
							t.Errorf("%s: event %s is identical to one before: %v", input, ev.ID, ev.Identical)
						}
						ids[string(ev.ID)] = true
					}
				}); err != nil || got != want {
					t.Errorf("%s: %s, want %s, %v", input, got, want, err)
				}
			}
		}
	}
	f(".=", envelope("s", event("0", "m")), envelope("s", event("0", "m")))
	f(".=", envelope("s", event("0", "m")), envelope("s", event("1", "m")))
	f("..=.", envelope("s", event("0", "m"), event("1", "n")), envelope("s", event("0", "m"), event("1", "o")))
	f("..==.", envelope("s", event("0", "m"), event("1", "m")), envelope("s", event("0", "m"), event("1", "m"), event("2", "m")))
	f(".==", envelope("s", event("0", "m")), envelope("s", event("0", "m")), envelope("s", event("0", "m")))
	f("..", envelope("s", event("0", "m")), envelope("t", event("0", "m")))
	f("..", envelope("s", event("0", "m")), envelope("s", event("0", "n")))
	f("..", envelope("s", event(trusted, "m")), envelope("s", event(trusted, "m"))) // one event and one document
	// The number of identities kept is limited, and the first ones are kept.
	var s identities
	for i := range 2 * maxIdentities {
		if s.add([16]byte{byte(i), byte(i >> 8), byte(i >> 16)}) {
			t.Fatalf("identity %d already exists", i)
		}
	}
	if len(s.seen) != maxIdentities || !s.add([16]byte{7}) {
		t.Errorf("%d identities are kept", len(s.seen))
	}
}

// Above a number of rejected elements, the others are reported together.
func TestManyRejected(t *testing.T) {
	const good = `{"id":"","timestamp":1,"message":"m"}`
	f := func(n int, wantRaw, wantErr string) {
		t.Helper()
		var elements []string
		for i := range n {
			elements = append(elements, fmt.Sprint(i), good)
		}
		d := NewDecoder(bound)
		d.window = 7
		var rejected []Rejected
		ids := map[string]bool{}
		_, err := d.Decode([]byte(withEvents(`0],"logEvents":[`+strings.Join(elements, " ,"))), func(e *Envelope) {
			rejected = append(rejected, e.Rejected...)
			for _, ev := range e.Events {
				ids[string(ev.ID)] = true
			}
		})
		if err == nil || !strings.Contains(err.Error(), "logEvents occurs more than once") || len(ids) != n || len(rejected) != maxRejected+1 {
			t.Fatalf("%d events, %d rejected, %v", len(ids), len(rejected), err)
		}
		for i, r := range rejected[:maxRejected] {
			if string(r.Raw) != fmt.Sprint(i) || r.Err.Error() != errNotObject.Error() {
				t.Errorf("rejected %d is %s: %v", i, r.Raw, r.Err)
			}
		}
		if last := rejected[maxRejected]; string(last.Raw) != wantRaw || last.Err.Error() != wantErr {
			t.Errorf("the last is %s: %v", last.Raw, last.Err)
		}
	}
	f(101, "100", "a log event is not an object")
	f(103, "100 ,"+good+" ,101 ,"+good+" ,102", "3 elements of logEvents were not indexed in full, the first of them: a log event is not an object")
}

// Nothing of an envelope is visited before all of it is known to be valid.
func TestWindowsOfBadEnvelope(t *testing.T) {
	events := strings.Repeat(`{"timestamp":1,"message":"m"},`, 10) + `{"timestamp":1,"message":"m"}`
	f := func(data string) {
		t.Helper()
		d := NewDecoder(bound)
		d.window = 2
		visits := 0
		if _, err := d.Decode([]byte(data), func(*Envelope) { visits++ }); err == nil || visits > 0 {
			t.Errorf("%.60s…: %d visits, %v", data, visits, err)
		}
	}
	f(withEvents(events + `,{"timestamp":1,"message":"\x"}`))
	f(withEvents(events + `,{"timestamp":1,"message":"` + "\xff\\x" + `"}`))
	f(withEvents(events + `,[`))
	f(`{"messageType":"DATA_MESSAGE","logEvents":[` + events + `],"logEvents":7}`)
	f(`{"messageType":"DATA_MESSAGE","logEvents":[` + events + `],"owner":7}`)
	f(`{"messageType":"OTHER","logEvents":[` + events + `]}`)
	f(`{"messageType":"DATA_MESSAGE","logEvents":[` + events + `]`)
}

// Names longer than CloudWatch's would be repeated in each document.
func TestLongField(t *testing.T) {
	for _, key := range []string{"owner", "logGroup", "logStream"} {
		data := func(n int) string {
			return `{"messageType":"DATA_MESSAGE","` + key + `":"` + strings.Repeat("x", n-2) + `","logEvents":[]}`
		}
		if got := envelopes(t, data(maxField)); len(got) != 1 {
			t.Errorf("%s of %d bytes: %d envelopes", key, maxField, len(got))
		}
		if _, _, err := found([]byte(data(maxField+1)), bound); err == nil || !strings.Contains(err.Error(), key+" has more than") {
			t.Errorf("%s of %d bytes: %v", key, maxField+1, err)
		}
	}
}

// An event in the form that CloudWatch writes is read like any other.
func TestCloudWatchEvent(t *testing.T) {
	type outcome struct {
		events   string
		rejected int
		bad      bool
	}
	read := func(event string) (o outcome) {
		d := NewDecoder(1 << 20)
		_, err := d.Decode([]byte(withEvents(event)), func(e *Envelope) {
			for _, ev := range e.Events {
				o.events += fmt.Sprintf("%s %d %s;", ev.ID, ev.Timestamp, ev.Message)
			}
			o.rejected += len(e.Rejected)
		})
		o.bad = err != nil
		return o
	}
	f := func(event string) {
		t.Helper()
		// With a space, it takes the general path.
		if usual, other := read(event), read(strings.Replace(event, "{", "{ ", 1)); usual != other {
			t.Errorf("%.200s: %+v, want %+v", event, usual, other)
		}
	}
	const id = "34622316099697884706540976068822859012661220141643892546"
	usual := `{"id":"` + id + `","timestamp":1544414264183,"message":"a"}`
	for n := range usual {
		f(usual[:n])
		f(usual[:n] + " " + usual[n:])
		f(usual[:n] + "," + usual[n:])
		f(usual[:n] + "x" + usual[n+1:])
	}
	for _, event := range []string{
		usual, usual + "," + usual, `{"id":"","timestamp":1,"message":""}`, `{"id":"` + id + `x","timestamp":1,"message":""}`,
		`{"id":"` + id + `","timestamp":1,"message":"a","ingestionTime":1}`, `{"id":"` + id + `","timestamp":1,"message":"a","message":"b"}`,
		`{"id":"` + id + `","timestamp":1,"message":"a","id":"1"}`, `{"id":"` + id + `","timestamp":1,"message":1}`,
		`{"id":"` + id + `","timestamp":1,"message":"\u0041\ud800"}`, "{\"id\":\"" + id + "\",\"timestamp\":1,\"message\":\"\xff\"}",
		`{"id":"` + id + `","timestamp":1,"message":"` + strings.Repeat(`é\n"`[:4], 9) + `"}`,
	} {
		f(event)
	}
	for _, timestamp := range []string{"0", "-1", "01", "00", "1.0", "1e3", "1.5", `"1"`, "253402300799999", "253402300800000", "99999999999999", "999999999999999", "9223372036854775808", "1234567890123456789012", "null", ""} {
		f(`{"id":"` + id + `","timestamp":` + timestamp + `,"message":"a"}`)
	}
}

// An event has the account and the region that CloudWatch adds on request, whatever other
// fields are extracted.
func TestSystemFields(t *testing.T) {
	f := func(members, account, region string) {
		t.Helper()
		_, err := NewDecoder(bound).Decode([]byte(withEvents(`{"id":"`+id56+`","timestamp":1,"message":"m"`+members+`},{"id":"`+id56+`","timestamp":1,"message":"m"}`)), func(e *Envelope) {
			if len(e.Events) != 2 || string(e.Events[0].Account) != account || string(e.Events[0].Region) != region || e.Events[1].Account != nil || e.Events[1].Region != nil {
				t.Errorf("%s: %+v", members, e.Events)
			}
		})
		if err != nil {
			t.Errorf("%s: %v", members, err)
		}
	}
	f(`,"extractedFields":{"@aws.account":"999888777666","@aws.region":"us-west-2"}`, `"999888777666"`, `"us-west-2"`)
	f(`,"extractedFields":{"ip":"1.2.3.4","@aws.region":"us\u002dwest-2","@source.log":"x","n":{"@aws.account":"7"}}`, ``, `"us-west-2"`)
	f(`,"extractedFields":{"@aws.account":null,"@aws.region":7}`, ``, ``)
	f(`,"extractedFields":null`, ``, ``)
	f(`,"extractedFields":[{"@aws.account":"1"}]`, ``, ``)
	f(`,"@aws.account":"1"`, ``, ``)
}
