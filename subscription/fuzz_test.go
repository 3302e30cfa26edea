package subscription

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// reference decodes one plain envelope with encoding/json, independently of the decoder.
// It returns its events. ok is false if the input is not one JSON object or not an
// envelope. An element with a key twice counts as rejected too. twice reports whether the
// envelope has a key twice.
func reference(data []byte) (events []string, rejected int, twice, ok bool) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var envelope map[string]any
	if decoder.Decode(&envelope) != nil || envelope == nil {
		return nil, 0, false, false
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, 0, false, false
	}
	texts := make([]string, 4)
	for i, key := range []string{"messageType", "owner", "logGroup", "logStream"} {
		value, isText := envelope[key].(string)
		if !isText && envelope[key] != nil {
			return nil, 0, false, false
		}
		texts[i] = value
	}
	list, isList := envelope["logEvents"].([]any)
	all, _ := ordered(json.NewDecoder(bytes.NewReader(data))).([]member)
	twice = isTwice(all, "messageType", "owner", "logGroup", "logStream", "logEvents")
	if texts[0] == "CONTROL_MESSAGE" {
		return nil, 0, twice, true
	}
	if texts[0] != "DATA_MESSAGE" || !isList {
		return nil, 0, false, false
	}
	elements, _ := all[lastOf(all, "logEvents")].value.([]any)
	for i, element := range list {
		event, _ := element.(map[string]any)
		message, hasMessage := event["message"].(string)
		number, hasTime := event["timestamp"].(json.Number)
		ms, inRange := int64(0), false
		if hasTime && len(number) < 40 {
			if exact, valid := new(big.Rat).SetString(string(number)); valid && exact.IsInt() && exact.Num().IsInt64() {
				ms = exact.Num().Int64()
				inRange = ms >= minTimestamp && ms <= maxTimestamp
			}
		}
		members, _ := elements[i].([]member)
		if !hasMessage || !inRange || eventTwice(members) {
			rejected++
		}
		if !hasMessage || !inRange {
			continue
		}
		account, region := systemFieldsOf(event)
		events = append(events, fmt.Sprintf("%q %q %q %d %d %q %v %q %q", texts[1], texts[2], texts[3], i, ms, message, originalIDOf(event["id"]), account, region))
	}
	return events, rejected, twice, true
}

// member is a key and its value.
type member struct {
	key   string
	value any
}

// ordered decodes valid JSON with objects as []member, which keeps duplicate keys.
func ordered(decoder *json.Decoder) any {
	token, _ := decoder.Token()
	switch token {
	case json.Delim('{'):
		members := []member{}
		for decoder.More() {
			key, _ := decoder.Token()
			members = append(members, member{key.(string), ordered(decoder)})
		}
		_, _ = decoder.Token()
		return members
	case json.Delim('['):
		elements := []any{}
		for decoder.More() {
			elements = append(elements, ordered(decoder))
		}
		_, _ = decoder.Token()
		return elements
	}
	return token
}

func lastOf(members []member, key string) (at int) {
	for i := range members {
		if members[i].key == key {
			at = i
		}
	}
	return at
}

func isTwice(members []member, keys ...string) bool {
	seen := map[string]bool{}
	for _, m := range members {
		if slices.Contains(keys, m.key) && seen[m.key] {
			return true
		}
		seen[m.key] = true
	}
	return false
}

func eventTwice(members []member) bool {
	twice := isTwice(members, "id", "timestamp", "message", "extractedFields")
	for _, m := range members {
		if fields, isObject := m.value.([]member); isObject && m.key == "extractedFields" {
			twice = twice || isTwice(fields, "@aws.account", "@aws.region")
		}
	}
	return twice
}

func systemFieldsOf(event map[string]any) (account, region string) {
	fields, _ := event["extractedFields"].(map[string]any)
	account, _ = fields["@aws.account"].(string)
	region, _ = fields["@aws.region"].(string)
	return account, region
}

// originalIDOf returns the value of Event.OriginalID for an event with that id.
func originalIDOf(id any) any {
	switch id := id.(type) {
	case string:
		if len(id) < minTrusted || len(id) > maxTrusted || strings.Trim(id, "0123456789") != "" {
			return id
		}
	case json.Number:
		return id
	}
	return nil
}

// decodeOriginalID decodes Event.OriginalID.
func decodeOriginalID(t *testing.T, ev *Event) (id any) {
	t.Helper()
	if ev.OriginalID == nil {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(ev.OriginalID))
	decoder.UseNumber()
	if err := decoder.Decode(&id); err != nil {
		t.Fatalf("given %q: %v", ev.OriginalID, err)
	}
	return id
}

// agree compares the decoder with the reference for one plain envelope, with windows of
// all events and of a few.
func agree(t *testing.T, data []byte) {
	t.Helper()
	wantEvents, wantRejected, twice, ok := reference(data)
	var wantIDs []string
	for _, window := range []int{maxWindow, 1, 2, 3} {
		var events, ids []string
		rejected := 0
		d := NewDecoder(bound)
		d.window = window
		_, err := d.Decode(data, func(e *Envelope) {
			if len(e.Events) > window || len(events) > 0 && len(e.Events) == 0 {
				t.Fatalf("%q\n%d events in a window of %d", data, len(e.Events), window)
			}
			rejected += len(e.Rejected)
			for _, ev := range e.Events {
				ids = append(ids, string(ev.ID))
				events = append(events, fmt.Sprintf("%q %q %q %d %d %q %v %q %q", e.Owner.String(), e.LogGroup.String(), e.LogStream.String(),
					ev.Position, ev.Timestamp, ev.Message.String(), decodeOriginalID(t, &ev), ev.Account.String(), ev.Region.String()))
			}
		})
		if (err == nil) != (ok && !twice) {
			t.Fatalf("%q\ndecoder: %v, reference accepts it: %v, a key occurs twice: %v", data, err, ok, twice)
		}
		if ok && (!slices.Equal(events, wantEvents) || rejected != wantRejected) {
			t.Fatalf("%q\nin windows of %d\n got %q, %d rejected\nwant %q, %d rejected", data, window, events, rejected, wantEvents, wantRejected)
		}
		if window == maxWindow {
			wantIDs = ids
		} else if !slices.Equal(ids, wantIDs) {
			t.Fatalf("%q\nin windows of %d\n got the identities %q\nwant %q", data, window, ids, wantIDs)
		}
	}
}

// formatter writes an envelope in one of many equivalent JSON notations.
type formatter struct{ *rand.Rand }

func (s formatter) space() string {
	return strings.Repeat(" ", s.IntN(8)/6) + strings.Repeat("\n", s.IntN(8)/7) + strings.Repeat("\t", s.IntN(8)/7)
}

func (s formatter) text(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case s.IntN(10) == 0 && r > 0xffff:
			fmt.Fprintf(&b, `\u%04X\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		case s.IntN(10) == 0 && r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		case r == '/' && s.IntN(3) == 0:
			b.WriteString(`\/`)
		case r >= ' ' && r != '"' && r != '\\':
			b.WriteRune(r)
		default:
			encoded, _ := json.Marshal(string(r))
			b.Write(encoded[1 : len(encoded)-1])
		}
	}
	b.WriteByte('"')
	return b.String()
}

func (s formatter) object(members ...string) string {
	s.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	for i := range members {
		members[i] = s.space() + members[i] + s.space()
	}
	return "{" + strings.Join(members, ",") + "}"
}

func (s formatter) member(key, value string) string {
	return s.text(key) + s.space() + ":" + s.space() + value
}

func (s formatter) value(depth int) string {
	switch kind := s.IntN(8); {
	case kind < 2 && depth > 0:
		return s.object(s.member(s.random(), s.value(depth-1)), s.member(s.random(), s.value(depth-1)))
	case kind == 2 && depth > 0:
		return "[" + s.value(depth-1) + s.space() + "," + s.value(depth-1) + "]"
	case kind == 3:
		return []string{"true", "false", "null", "{}", "[]"}[s.IntN(5)]
	case kind < 6:
		return []string{"0", "-1", "12.5", "1e3", "-0.5E-2", "1544414264183.0", "1.5e12"}[s.IntN(7)]
	}
	return s.text(s.random())
}

func (s formatter) random() string {
	alphabet := []rune("ab\"\\/\n\t\x00\x1b日本😀é{}[]:,u0")
	out := make([]rune, s.IntN(12))
	for i := range out {
		out[i] = alphabet[s.IntN(len(alphabet))]
	}
	return string(out)
}

func (s formatter) event() string {
	if s.IntN(20) == 0 {
		return s.value(2)
	}
	ids := []string{s.text(fmt.Sprintf("%056d", s.Int())), s.text(fmt.Sprintf("%056d", s.Int())), s.text(s.random()), s.value(1)}
	members := []string{
		s.member("id", ids[s.IntN(len(ids))]),
		s.member("timestamp", []string{"1544414264183", "0", "-5", "1544414264183.0", "15444142641.83e2"}[s.IntN(5)]),
		s.member("message", s.text(s.random())),
	}
	if s.IntN(3) == 0 { // one that probably occurs again, without an id
		members = []string{s.member("timestamp", "0"), s.member("message", s.text("again\n"))}
	}
	if s.IntN(3) == 0 {
		members = append(members, s.member(s.random(), s.value(3)))
	}
	if s.IntN(3) == 0 {
		members = append(members, s.member("extractedFields", s.extracted()))
	}
	for s.IntN(6) == 0 { // a duplicate key, the last of which can have another type
		again := []string{
			s.member("timestamp", s.value(1)), s.member("timestamp", "7"), s.member("message", s.value(1)), s.member("message", s.text(s.random())),
			s.member("id", s.value(1)), s.member("id", ids[0]), s.member("extractedFields", s.extracted()),
		}
		members = append(members, again[s.IntN(len(again))])
	}
	return s.object(members...)
}

// extracted returns a value of extractedFields.
func (s formatter) extracted() string {
	members := []string{s.member("@aws.account", s.text("1")), s.member("@aws.region", s.text("r"))}
	if s.IntN(4) == 0 {
		members = append(members, s.member("@aws.account", s.value(1)))
	}
	if s.IntN(6) == 0 {
		return s.value(1)
	}
	return s.object(members[s.IntN(2):]...)
}

func (s formatter) envelope() string {
	events := make([]string, s.IntN(8))
	for i := range events {
		events[i] = s.space() + s.event() + s.space()
	}
	members := []string{
		s.member("messageType", s.text([]string{"DATA_MESSAGE", "DATA_MESSAGE", "DATA_MESSAGE", "CONTROL_MESSAGE", "OTHER"}[s.IntN(5)])),
		s.member("owner", s.text(s.random())),
		s.member("logGroup", s.text(s.random())),
		s.member("logStream", s.text(s.random())),
		s.member("logEvents", "["+strings.Join(events, ",")+"]"),
	}
	for range s.IntN(3) {
		members = append(members, s.member(s.random(), s.value(4)))
	}
	if s.IntN(10) == 0 {
		key := []string{"messageType", "owner", "logGroup", "logStream"}[s.IntN(4)]
		members = append(members, s.member(key, []string{s.value(2), s.text("DATA_MESSAGE"), "null"}[s.IntN(3)]))
	}
	if s.IntN(10) == 0 {
		members = append(members, s.member("logEvents", []string{"[" + s.event() + "," + s.event() + "]", "[]", s.value(1)}[s.IntN(3)]))
	}
	return s.space() + s.object(members...)
}

// Random envelopes in random notations decode as with encoding/json.
func TestDifferential(t *testing.T) {
	for seed := range uint64(5_000) {
		agree(t, []byte(formatter{rand.New(rand.NewPCG(seed, 1))}.envelope()))
	}
}

// FuzzDecode searches for input for which the decoder violates its guarantees or differs
// from encoding/json.
func FuzzDecode(f *testing.F) {
	for seed := range uint64(20) {
		text := formatter{rand.New(rand.NewPCG(seed, 2))}.envelope()
		f.Add([]byte(text))
		f.Add(zip(text, one("a")))
		f.Add(zip(string(zip(text))))
	}
	corpus, err := os.ReadFile("testdata/FuzzDecode.txt") // inputs found by fuzzing, a Go string per line
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(corpus)) {
		input, err := strconv.Unquote(strings.TrimSuffix(line, "\n"))
		if err != nil {
			f.Fatalf("%s: %v", line, err)
		}
		f.Add([]byte(input))
	}
	f.Add([]byte(control))
	f.Add([]byte(withEvents(`{"timestamp":1,"message":"\ud800\uD83D\uDE00"}`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		d := NewDecoder(1 << 16)
		d.window = 1 + len(data)%3
		_, err := d.Decode(data, func(e *Envelope) {
			if len(e.Events) > d.window {
				t.Errorf("%d events in a window of %d", len(e.Events), d.window)
			}
			texts := []Text{e.Owner, e.LogGroup, e.LogStream}
			for _, ev := range e.Events {
				texts = append(texts, ev.Message)
				if len(ev.ID) < 32 || len(ev.ID) > 128 || strings.Trim(string(ev.ID), "0123456789abcdef") != "" {
					t.Errorf("identity %q", ev.ID)
				}
				if ev.Timestamp < minTimestamp || ev.Timestamp > maxTimestamp {
					t.Errorf("timestamp %d", ev.Timestamp)
				}
			}
			for _, text := range texts {
				var decoded string
				if err := json.Unmarshal(text, &decoded); err != nil || !utf8.Valid(text) || decoded != text.String() {
					t.Errorf("text %q, decoded %q: %v", []byte(text), text.String(), err)
				}
			}
		})
		if err != nil && strings.Contains(err.Error(), "MAX_INFLATED_BYTES") && len(data) < 50 {
			t.Errorf("%d bytes inflate beyond the limit", len(data))
		}
		// Only the decoder accepts concatenated envelopes, gzip, and unescaped control
		// characters in strings.
		isJSON := bytes.IndexFunc(data, func(r rune) bool { return r < 0x20 }) < 0
		if _, _, _, ok := reference(data); isJSON && bytes.Count(data, []byte("messageType")) < 2 || ok {
			agree(t, data)
		}
	})
}
