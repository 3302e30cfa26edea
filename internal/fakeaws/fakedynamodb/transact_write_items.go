package fakedynamodb

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
)

type transactWriteItem struct {
	ConditionCheck, Delete *deleteItemInput
	Put                    *putItemInput
	Update                 *updateItemInput
}

type transactWriteItemsInput struct {
	wish
	ClientRequestToken string
	TransactItems      json.RawMessage // read later, as a token stands for just these
}

type transactWriteItemsOutput struct {
	ConsumedCapacity []*capacity `json:",omitempty"`
}

// transaction is one that was done, for when it comes again.
type transaction struct {
	items [sha256.Size]byte
	done  time.Time
}

const (
	maxTransaction = 100
	tokenLifetime  = 10 * time.Minute
)

// transactWriteItems writes all or nothing, and once for a ClientRequestToken:
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
func (d *DynamoDB) transactWriteItems(in *transactWriteItemsInput) (any, error) {
	var list []transactWriteItem
	if err := unmarshal(in.TransactItems, &list); err != nil {
		return nil, err
	}
	if len(list) < 1 || len(list) > maxTransaction {
		return nil, invalidf("TransactItems must have between 1 and %d members, it has %d", maxTransaction, len(list))
	}
	now, sum := d.options.Clock(), sha256.Sum256(in.TransactItems)
	for token, t := range d.tokens {
		if now.Sub(t.done) >= tokenLifetime {
			delete(d.tokens, token)
		}
	}
	if t, again := d.tokens[in.ClientRequestToken]; again {
		if t.items != sum {
			return nil, failf(codeMismatch, "The request uses the same client token as a previous, but non-identical request")
		}
		return transactWriteItemsOutput{}, nil
	}
	writes := make([]*write, len(list))
	reasons := make([]reason, len(list))
	for i, part := range list {
		w, update, err := d.planPart(part)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(writes[:i], func(o *write) bool { return o.table == w.table && o.row.compare(w.row) == 0 }) {
			return nil, invalidf("Transaction request cannot include multiple operations on one item")
		}
		writes[i], reasons[i] = w, reason{Code: "None"}
		if failed := w.check(); failed != nil {
			reasons[i] = reason{Code: "ConditionalCheckFailed", Message: failed.Message, Item: failed.item}
			continue
		}
		if part.Update == nil {
			continue
		}
		if err = w.table.unkeyed(update); err == nil {
			w.after, err = w.table.updated(w.row, w.before, update)
		}
		var api *APIError
		if errors.As(err, &api) {
			reasons[i] = reason{Code: "ValidationError", Message: api.Message}
		}
	}
	units := make(map[*table]float64)
	for _, w := range writes {
		units[w.table] += d.wrote(w.before, w.after, true)
	}
	if slices.ContainsFunc(reasons, func(r reason) bool { return r.Code != "None" }) {
		codes := make([]string, len(reasons))
		for i, r := range reasons {
			codes[i] = r.Code
		}
		return nil, &APIError{
			Code:    codeCancelled,
			Message: "Transaction cancelled, please refer cancellation reasons for specific reasons [" + strings.Join(codes, ", ") + "]",
			reasons: reasons,
		}
	}
	var out transactWriteItemsOutput
	for _, w := range writes {
		if !w.keep {
			d.store(w.table, w.row, w.after)
		}
		if n, first := units[w.table]; first {
			delete(units, w.table)
			if c := in.of(w.table, n); c != nil {
				out.ConsumedCapacity = append(out.ConsumedCapacity, c)
			}
		}
	}
	if in.ClientRequestToken != "" {
		d.tokens[in.ClientRequestToken] = transaction{sum, now}
	}
	return out, nil
}

// planPart plans the one write of a part, and gives the update of an Update.
func (d *DynamoDB) planPart(part transactWriteItem) (w *write, update *bound, err error) {
	n := 0
	if part.ConditionCheck != nil {
		if n++; part.ConditionCheck.ConditionExpression == nil {
			return nil, nil, invalidf("The expression can not be empty;")
		}
		if w, err = d.planDelete(part.ConditionCheck); err == nil {
			w.keep = true
		}
	}
	if part.Delete != nil {
		n++
		w, err = d.planDelete(part.Delete)
	}
	if part.Put != nil {
		n++
		if w, err = d.planPut(part.Put); err == nil {
			w.after = part.Put.Item
		}
	}
	if part.Update != nil {
		if n++; part.Update.UpdateExpression == nil {
			return nil, nil, invalidf("The expression can not be empty;")
		}
		w, update, err = d.planUpdate(part.Update)
	}
	if n != 1 {
		return nil, nil, invalidf("TransactItems can only contain one of Check, Put, Update or Delete")
	}
	if err == nil && w.keep {
		w.after = w.before
	}
	return w, update, err
}
