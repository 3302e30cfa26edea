package indexer

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"sync"
	"time"

	"logsluice/opensearch"
)

// A conflict on create usually means that the event is already indexed. It is another
// event when the id or index differs from what was sent (an ingest pipeline can set
// both), or when two documents of one request have the same id.

// conflicts returns the positions of items whose documents conflict with another event.
// It returns nil if no item conflicts.
func (ix *Indexer) conflicts(batch []part, items []opensearch.Item) map[int]bool {
	var found map[int]bool
	var firsts map[string]part
	at := 0 // the position of the part in items
	for _, p := range batch {
		for i := range p.count() {
			item := items[at+i]
			if p.isLetter() || outcomeOf(item) != alreadyIndexed {
				continue
			}
			if firsts == nil {
				firsts = firstOfEach(batch)
			}
			one := p.slice(i, i+1)
			if ix.hasOtherKey(one, item.Error) || ix.differs(firsts[one.key()], one) {
				if found == nil {
					found = make(map[int]bool)
				}
				found[at+i] = true
			}
		}
		at += p.count()
	}
	return found
}

// key returns the index and the id of the part's only document.
func (p part) key() string {
	index, id := p.target(0)
	return string(index) + "/" + string(id)
}

// firstOfEach returns the first document of a batch for each index and id.
func firstOfEach(batch []part) map[string]part {
	firsts := make(map[string]part, documents(batch))
	for _, p := range batch {
		for i := range p.count() {
			one := p.slice(i, i+1)
			if key := one.key(); firsts[key].docs == nil && !p.isLetter() {
				firsts[key] = one
			}
		}
	}
	return firsts
}

// differs reports whether two documents have different messages.
func (ix *Indexer) differs(a, b part) bool {
	_, first := a.lines()
	_, second := b.lines()
	_, firstMessage := ix.cfg.Fallback.Core(first)
	_, secondMessage := ix.cfg.Fallback.Core(second)
	return !bytes.Equal(firstMessage, secondMessage)
}

// conflictID finds the id in the reason of a version conflict: "[7]: version conflict, …".
var conflictID = regexp.MustCompile(`^\[(.*)\]: version conflict`)

// hasOtherKey reports whether the conflicting document has another id or is in another
// index than was sent.
func (ix *Indexer) hasOtherKey(p part, e *opensearch.Cause) bool {
	if e == nil {
		return false
	}
	index, id := p.target(0)
	if met := conflictID.FindStringSubmatch(e.Reason); met != nil && met[1] != string(id) {
		return true
	}
	return e.Index != "" && e.Index != string(index) && !ix.aliases.resolvesTo(ix.ctx, ix.client, string(index), e.Index)
}

// aliases caches which names (aliases and data streams) resolve to which indices. The zero
// value is ready to use.
type aliases struct {
	mu    sync.Mutex
	known map[[2]string]lookup
}

type lookup struct {
	resolves bool
	at       time.Time
}

const (
	lookupTTL     = time.Minute
	maxLookups    = 100
	lookupTimeout = 10 * time.Second
)

// resolvesTo reports whether a name resolves to an index. If OpenSearch cannot answer, it
// reports true, because the document's id is the event's.
func (a *aliases) resolvesTo(ctx context.Context, client opensearch.Client, name, index string) bool {
	key := [2]string{name, index}
	a.mu.Lock()
	known := a.known[key]
	a.mu.Unlock()
	if time.Since(known.at) < lookupTTL {
		return known.resolves
	}
	resolves := lookUpName(ctx, client, name, index)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known == nil || len(a.known) >= maxLookups {
		a.known = make(map[[2]string]lookup)
	}
	a.known[key] = lookup{resolves, time.Now()}
	return resolves
}

// lookUpName asks OpenSearch whether a name resolves to an index, and returns true if there
// is no clear answer. It requests the mapping, because the response contains the indices
// and workers have the permission for it.
func lookUpName(ctx context.Context, client opensearch.Client, name, index string) bool {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "/"+url.PathEscape(name)+"/_mapping", nil)
	if err != nil {
		return true
	}
	resp, err := client.Stream(req)
	if err != nil {
		return true
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return false
	}
	const most = 8 << 20
	var indices map[string]json.RawMessage
	if resp.StatusCode != http.StatusOK || json.NewDecoder(io.LimitReader(resp.Body, most)).Decode(&indices) != nil {
		return true
	}
	_, resolves := indices[index]
	return resolves
}
