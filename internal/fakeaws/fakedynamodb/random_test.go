package fakedynamodb

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// writer generates random expressions, most of which are valid.
type writer struct {
	*rand.Rand
	names  []string // used #names, as pairs
	values map[string]types.AttributeValue
}

func (w *writer) of(choices ...string) string { return choices[w.IntN(len(choices))] }

// value returns a small value, so that values are often equal or of one kind.
func (w *writer) value(depth int) types.AttributeValue {
	number := func() string { return w.of("0", "1", "2.5", "-3", "01.0", "1e2", "1e-40", "9e125") }
	switch n := w.IntN(13 + depth*2); n {
	case 0, 1:
		return &types.AttributeValueMemberS{Value: w.of("", "a", "ab", "b", "S", "N", "é")}
	case 2, 3, 4, 5:
		return &types.AttributeValueMemberN{Value: number()}
	case 6:
		return &types.AttributeValueMemberB{Value: []byte(w.of("", "a", "ab"))}
	case 7:
		return &types.AttributeValueMemberBOOL{Value: w.IntN(2) == 0}
	case 8:
		return &types.AttributeValueMemberNULL{Value: true}
	case 9, 10:
		return &types.AttributeValueMemberSS{Value: [][]string{{"a"}, {"a", "b"}, {"ab", "b"}, {"c"}}[w.IntN(4)]}
	case 11:
		return &types.AttributeValueMemberNS{Value: [][]string{{"1"}, {"1.0", "2.5"}, {"0", "100"}}[w.IntN(3)]}
	case 12:
		return &types.AttributeValueMemberBS{Value: [][]byte{[]byte("a"), []byte("b")}[:1+w.IntN(2)]}
	default:
		if n%2 == 0 {
			var list []types.AttributeValue
			for range w.IntN(4) {
				list = append(list, w.value(depth-1))
			}
			return &types.AttributeValueMemberL{Value: list}
		}
		return &types.AttributeValueMemberM{Value: w.attributes(depth - 1)}
	}
}

func (w *writer) attributes(depth int) map[string]types.AttributeValue {
	m := make(map[string]types.AttributeValue)
	for range w.IntN(5) {
		m[w.of("a", "b", "c", "d")] = w.value(depth)
	}
	return m
}

func (w *writer) path() string {
	text := w.name()
	for w.IntN(4) == 0 {
		if w.IntN(2) == 0 {
			text += "." + w.name()
		} else {
			text += fmt.Sprintf("[%d]", w.IntN(4))
		}
	}
	return text
}

func (w *writer) name() string {
	name := w.of("a", "b", "c", "d", "a", "b", "c", "d", "a", "b", "c", "d", "e", "f", "g", "h", "k")
	if w.IntN(4) == 0 {
		w.names = append(w.names, "#"+name+"="+name)
		return "#" + name
	}
	return name
}

// literal returns a value of any kind, but in most cases of one that fits.
func (w *writer) literal(fitting ...types.AttributeValue) string {
	name := w.of(":p", ":q", ":r", ":s")
	if len(fitting) > 0 && w.IntN(10) > 0 {
		i := w.IntN(len(fitting))
		name = fmt.Sprintf(":%T%d", fitting[i], i)
		name = ":" + name[strings.LastIndex(name, "Member")+len("Member"):]
		w.values[name] = fitting[i]
	}
	if w.values[name] == nil {
		w.values[name] = w.value(1)
	}
	return name
}

var (
	numbers = []types.AttributeValue{&types.AttributeValueMemberN{Value: "1"}, &types.AttributeValueMemberN{Value: "-2.50"}, &types.AttributeValueMemberN{Value: "1e20"}}
	texts   = []types.AttributeValue{&types.AttributeValueMemberS{Value: "a"}, &types.AttributeValueMemberS{Value: ""}, &types.AttributeValueMemberB{Value: []byte("a")}}
	sets    = []types.AttributeValue{&types.AttributeValueMemberSS{Value: []string{"a"}}, &types.AttributeValueMemberSS{Value: []string{"b", "c"}}, &types.AttributeValueMemberNS{Value: []string{"1", "100"}}}
	lists   = []types.AttributeValue{&types.AttributeValueMemberL{}, &types.AttributeValueMemberL{Value: numbers}}
	kindsOf = []types.AttributeValue{&types.AttributeValueMemberS{Value: "S"}, &types.AttributeValueMemberS{Value: "N"}, &types.AttributeValueMemberS{Value: "M"}, &types.AttributeValueMemberS{Value: "SS"}}
	ordered = slices.Concat(numbers, texts)
)

func (w *writer) operand(fitting ...types.AttributeValue) string {
	switch w.IntN(12) {
	case 0, 1, 2, 3:
		return w.path()
	case 4, 5:
		return "size(" + w.path() + ")"
	case 6:
		return "(" + w.path() + ")"
	case 7:
		return "size(" + w.literal(texts...) + ")"
	}
	return w.literal(fitting...)
}

func (w *writer) condition(depth int) string {
	if depth > 0 {
		switch w.IntN(6) {
		case 0:
			return w.condition(depth-1) + " AND " + w.condition(depth-1)
		case 1:
			return w.condition(depth-1) + " or " + w.condition(depth-1)
		case 2:
			return "NOT " + w.condition(depth-1)
		case 3:
			return "(" + w.condition(depth-1) + ")"
		}
	}
	switch w.IntN(12) {
	case 0:
		return w.operand(ordered...) + " BETWEEN " + w.operand(numbers[1], texts[1]) + " AND " + w.operand(numbers[2], texts[0])
	case 1:
		return w.operand() + " in (" + w.operand() + ", " + w.operand() + ")"
	case 2, 3:
		return w.of("attribute_exists", "attribute_not_exists") + "(" + w.path() + ")"
	case 4:
		return "attribute_type(" + w.operand() + ", " + w.literal(kindsOf...) + ")"
	case 5:
		return "begins_with(" + w.path() + ", " + w.operand(texts...) + ")"
	case 6, 7:
		return "contains(" + w.operand() + ", " + w.operand() + ")"
	}
	if w.IntN(2) == 0 {
		return w.operand() + " " + w.of("=", "<>") + " " + w.operand()
	}
	return w.operand(ordered...) + " " + w.of("<", "<=", ">", ">=") + " " + w.operand(ordered...)
}

func (w *writer) assigned(depth int, fitting ...types.AttributeValue) string {
	switch w.IntN(6 + 2*depth) {
	case 0:
		return w.path()
	case 1, 2, 3, 4, 5:
		return w.literal(fitting...)
	case 6, 7:
		return "if_not_exists(" + w.path() + ", " + w.assigned(depth-1, fitting...) + ")"
	}
	return "list_append(" + w.assigned(depth-1, lists...) + ", " + w.assigned(depth-1, lists...) + ")"
}

func (w *writer) update() string {
	var clauses []string
	for _, clause := range []string{"SET", "REMOVE", "ADD", "DELETE"} {
		if w.IntN(3) > 0 {
			continue
		}
		var actions []string
		for range 1 + w.IntN(2) {
			text := w.path()
			switch clause {
			case "SET":
				if w.IntN(3) == 0 {
					text += " = " + w.assigned(1, numbers...) + w.of(" + ", " - ") + w.assigned(0, numbers...)
				} else {
					text += " = " + w.assigned(2)
				}
			case "ADD":
				text += " " + w.literal(slices.Concat(numbers, sets)...)
			case "DELETE":
				text += " " + w.literal(sets...)
			}
			actions = append(actions, text)
		}
		clauses = append(clauses, clause+" "+strings.Join(actions, ", "))
	}
	w.Shuffle(len(clauses), func(i, j int) { clauses[i], clauses[j] = clauses[j], clauses[i] })
	return strings.Join(clauses, " ")
}

// Random expressions have the same effect on random items in the fake and in DynamoDB Local.
func TestConformance_Random(t *testing.T) {
	b := newBoth(t, Options{})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	outcomes := make(map[string]int)
	for i := range 2000 {
		w := &writer{Rand: rand.New(rand.NewPCG(seed, uint64(i))), values: make(map[string]types.AttributeValue)}
		start := w.attributes(2)
		start["k"] = key("1")["k"]
		var expression string
		var do request
		if i%2 == 0 {
			expression = w.condition(3)
			do = condition("1", expression, strings.Join(w.names, " "), nonEmpty(w.values))
		} else {
			expression = w.update()
			do = update("1", expression, strings.Join(w.names, " "), nonEmpty(w.values), types.ReturnValue(w.of("ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW")))
		}
		b.same(fmt.Sprintf("seed %d, case %d: %s with %s of %s", seed, i, expression, show(w.values), show(start)), func(client *dynamodb.Client) string {
			if _, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(single), Item: start}); err != nil {
				t.Fatal(err)
			}
			answer, err := do(t.Context(), client)
			outcomes[strings.Fields(code(err))[0]]++
			return code(err) + " " + answer + " leaves " + content(t, client, single)
		})
	}
	t.Logf("outcomes of both: %v", outcomes)
}

func nonEmpty(m map[string]types.AttributeValue) map[string]types.AttributeValue {
	if len(m) == 0 {
		return nil
	}
	return m
}
