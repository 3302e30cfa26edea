package fakecloudwatch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"regexp"
	"strconv"
)

// logical maps Go's logical operators to those of metric math, which otherwise has the syntax
// of Go expressions.
var logical = map[string]*regexp.Regexp{"&&": regexp.MustCompile(`\bAND\b`), "||": regexp.MustCompile(`\bOR\b`)}

// calculate evaluates an expression over series of the same length. It fails if the result is
// a number.
func calculate(expression string, known map[string]series) (series, error) {
	text := expression
	for operator, word := range logical {
		text = word.ReplaceAllString(text, operator)
	}
	tree, err := parser.ParseExpr(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", expression, err)
	}
	length := 0
	for _, s := range known {
		length = len(s)
	}
	result, err := evaluation{known, length}.eval(tree)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", expression, err)
	}
	if result.series == nil {
		return nil, fmt.Errorf("%s: is a number and not a time series", expression)
	}
	return result.series, nil
}

// operand is a series, or a number if series is nil.
type operand struct {
	series series
	number float64
}

// at returns the value in a period, NaN if a series has none.
func (o operand) at(i int) float64 {
	if o.series == nil {
		return o.number
	}
	return o.series[i]
}

type evaluation struct {
	known  map[string]series
	length int
}

func (e evaluation) eval(tree ast.Expr) (operand, error) {
	switch x := tree.(type) {
	case *ast.ParenExpr:
		return e.eval(x.X)
	case *ast.BasicLit:
		n, err := strconv.ParseFloat(x.Value, 64)
		return operand{number: n}, err
	case *ast.Ident:
		s, ok := e.known[x.Name]
		if !ok {
			return operand{}, fmt.Errorf("no metric has the id %s", x.Name)
		}
		return operand{series: s}, nil
	case *ast.BinaryExpr:
		return e.binary(x)
	case *ast.CallExpr:
		return e.call(x)
	}
	return operand{}, fmt.Errorf("%T is not supported", tree)
}

func (e evaluation) evalAll(trees ...ast.Expr) ([]operand, error) {
	all := make([]operand, len(trees))
	for i, tree := range trees {
		o, err := e.eval(tree)
		if err != nil {
			return nil, err
		}
		all[i] = o
	}
	return all, nil
}

// binary evaluates arithmetic, a comparison, AND or OR. In a period where only one of two series
// has a value, the other counts as 0. Where neither has, the result has no value.
func (e evaluation) binary(x *ast.BinaryExpr) (operand, error) {
	operate, ok := operators[x.Op]
	if !ok {
		return operand{}, fmt.Errorf("operator %s is not supported", x.Op)
	}
	both, err := e.evalAll(x.X, x.Y)
	if err != nil {
		return operand{}, err
	}
	a, b := both[0], both[1]
	if a.series == nil && b.series == nil {
		return operand{number: operate(a.number, b.number)}, nil
	}
	return e.each(func(i int) float64 {
		left, right := a.at(i), b.at(i)
		switch noLeft, noRight := math.IsNaN(left), math.IsNaN(right); {
		case noLeft && noRight, noLeft && b.series == nil, noRight && a.series == nil:
			return math.NaN()
		case noLeft:
			left = 0
		case noRight:
			right = 0
		}
		return operate(left, right)
	}), nil
}

var operators = map[token.Token]func(a, b float64) float64{
	token.EQL:  func(a, b float64) float64 { return number(a == b) },
	token.NEQ:  func(a, b float64) float64 { return number(a != b) },
	token.LSS:  func(a, b float64) float64 { return number(a < b) },
	token.LEQ:  func(a, b float64) float64 { return number(a <= b) },
	token.GTR:  func(a, b float64) float64 { return number(a > b) },
	token.GEQ:  func(a, b float64) float64 { return number(a >= b) },
	token.LAND: func(a, b float64) float64 { return number(a != 0 && b != 0) },
	token.LOR:  func(a, b float64) float64 { return number(a != 0 || b != 0) },
	token.ADD:  func(a, b float64) float64 { return a + b },
	token.SUB:  func(a, b float64) float64 { return a - b },
	token.MUL:  func(a, b float64) float64 { return a * b },
	token.QUO: func(a, b float64) float64 {
		if b == 0 {
			return math.NaN() // no value
		}
		return a / b
	},
}

// number returns 1 for true and 0 for false.
func number(condition bool) float64 {
	if condition {
		return 1
	}
	return 0
}

func (e evaluation) each(value func(i int) float64) operand {
	s := make(series, e.length)
	for i := range s {
		s[i] = value(i)
	}
	return operand{series: s}
}

func (e evaluation) call(x *ast.CallExpr) (operand, error) {
	arguments, err := e.evalAll(x.Args...)
	if err != nil {
		return operand{}, err
	}
	name := fmt.Sprint(x.Fun)
	switch n := len(arguments); {
	case name == "FILL" && n == 2 && arguments[0].series != nil:
		return e.each(func(i int) float64 {
			if v := arguments[0].at(i); !math.IsNaN(v) {
				return v
			}
			return arguments[1].at(i)
		}), nil
	case name == "IF" && n == 3 && arguments[0].series != nil:
		return e.each(func(i int) float64 {
			condition, yes, no := arguments[0].at(i), arguments[1].at(i), arguments[2].at(i)
			switch {
			case math.IsNaN(condition):
				return math.NaN()
			case condition == 0:
				return no
			case math.IsNaN(yes):
				return 0
			}
			return yes
		}), nil
	}
	return operand{}, fmt.Errorf("function %s with %d arguments is not supported", name, len(arguments))
}
